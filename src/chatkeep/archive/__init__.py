"""The conversations on this machine: documents, attachments, and what finds them. docs/design/archive.md."""

from chatkeep.archive.archive import Archive
from chatkeep.archive.values import (
    Applied,
    Attachment,
    Change,
    Conflict,
    Counts,
    Entry,
    Facets,
    Found,
    Hit,
    Joined,
    Listed,
    Place,
    Receipt,
    Reindexed,
    Snippet,
    Undone,
    Window,
)

__all__ = [
    "Applied",
    "Archive",
    "Attachment",
    "Change",
    "Conflict",
    "Counts",
    "Entry",
    "Facets",
    "Found",
    "Hit",
    "Joined",
    "Listed",
    "Place",
    "Receipt",
    "Reindexed",
    "Snippet",
    "Undone",
    "Window",
]
