"""Long work that outlives a page: what was asked for, who is at it, how far it is, how it ended.

The row (`models.Job`) is the truth. `queue` asks for work and cancels it; `lease` gives one run at a time the right to
work on a subject; `worker` is a plain loop over the rows that are due; `kinds` says what each kind does.
"""
