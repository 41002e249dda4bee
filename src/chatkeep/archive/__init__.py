"""The conversations on this machine: documents, attachments, and what finds them. docs/design/archive.md."""

from chatkeep.archive.archive import Archive
from chatkeep.archive.values import (
    Applied,
    Attachment,
    Change,
    Counts,
    Entry,
    Facets,
    Found,
    Hit,
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
    "Counts",
    "Entry",
    "Facets",
    "Found",
    "Hit",
    "Listed",
    "Place",
    "Receipt",
    "Reindexed",
    "Snippet",
    "Undone",
    "Window",
]
