"""What is brought to people step by step, and can be taken back at once: flags, rings, kill switches, and figures.

The modules, from the bottom: `rings` (who has something, by law), `declared` (the flags there are), `comparing` (those
who have it beside those who do not, in numbers), `models` (how each flag stands), `flags` (asking), `changing` (the
operator's changes, and the roll-back that nobody has to make). Nothing here asks anybody over a network.
"""
