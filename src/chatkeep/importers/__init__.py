"""From what a platform exported to conversations: the contract, and who claims what.

An importer belongs to one platform. `sniff` says which members of a source are its own, by their structure and never
by a name alone; `read` gives them record by record, so that memory stays flat and what is already known need not
even be decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from chatkeep.errors import Problem
from chatkeep.records import Keep, Kept, Loaded
from chatkeep.source import Source

__all__ = ["Importer", "Keep", "Kept", "Loaded", "Record"]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of an export, not decoded yet.

    where: its place in words, "export.zip: conversations.json, conversation 12".
    digest: a hash of all that its conversations depend on, b"" when it must always be loaded.
    digest_here: a hash that also tells which files stand beside it, so that it is known although it lacks some of them;
    b"" when nobody can say.
    load: decodes it; may be called once, before the next record is asked for. Never raises for bad data: what is wrong
    becomes a problem. Raises what `Keep` raises.
    """

    where: str
    digest: bytes
    load: Callable[[], Loaded]
    digest_here: bytes = b""


class Importer(Protocol):
    """Reads the exports of one platform.

    Callers may rely on this:
    - The same source gives the same conversations, ids and bytes included, on any machine.
    - Every message of the source is in a conversation or in a problem.
    - Bad input gives problems, never a crash, a hang or memory that grows with it.
    - A conversation whose platform has no ids has `source_id` "" and an id from its content; the archive finds out
      whether it knows it already (`chatkeep.alignment`).
    """

    platform: str
    """What documents call it, "chatgpt"."""
    title: str
    """What people call it, "ChatGPT"."""
    version: int
    """Goes up when the same source gives other documents."""
    expects: str
    """What a person should give, "the zip that ChatGPT sent, or the conversations.json in it"."""

    def sniff(self, source: Source) -> frozenset[str]:
        """The names of the members that are this importer's; empty when the source is not its own."""
        ...

    def read(self, source: Source, keep: Keep) -> Iterator[Record | Problem]:
        """The records of a source that holds members of this importer, in the order of the source."""
        ...
