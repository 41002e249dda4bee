"""What people tell about Chatkeep: what is sent is what they saw and left, and nothing else.

The modules, from the bottom: `facts` (the lines about the program that are prepared, and read back from what was sent),
`pictures` (a screenshot without what it says about the place and the time it was made), `models`, `telling` (taking a
report in), `triage` (what the operator does with it). On a laptop a report stays on the machine.
"""
