"""Chatkeep keeps people's conversations: import, search, back up, restore, export."""

__version__ = "0.1.0"
