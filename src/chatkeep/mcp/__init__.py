"""Conversations for assistants: a server of the Model Context Protocol that finds, lists and reads, and writes nothing.

The modules, from the bottom: `reading` (what is given out, and how much at once), `server` (the tools, over standard
input and output), `guarded` (over HTTP, for those who bring a token).
"""
