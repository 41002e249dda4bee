"""Eyes on Chatkeep: what is counted, followed and logged, whether it is ready, and who is told when something is wrong.

`names` lists what is counted; `tallies` keeps it in the database, so that many processes count as one; `gauges`
derives the rest from the rows of connections and jobs; `metrics` writes both for Prometheus. `traces` and `logs` follow
requests and jobs. `findings` is the one place that says what is wrong, and `checker` tells it to people.
"""
