"""The people of this installation: who they are, whose archives they may see, and what was done in whose name.

The modules, from the bottom: `models` (User, Membership, Invitation, Audit), `audit` (the log of what was done),
`belonging` (whose archives somebody may see; the one person of a laptop).
"""
