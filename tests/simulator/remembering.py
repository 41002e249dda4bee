"""An archive that is a dictionary: what `operations.sync` and `operations.back_up` ask of one, and nothing more.

It keeps the promises of the real one that matter to them: what comes in is merged as it comes, tombstones and cursors
are written at once at the end, and every change has a number.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from chatkeep import merge as merging
from chatkeep.archive import Entry, Joined, tombstones
from chatkeep.archive.tombstones import Tombstone
from chatkeep.archive.values import Counts
from chatkeep.model import Conversation, encode

if TYPE_CHECKING:
    from tests.simulator.device import Truth


class Remembering:
    """The archive of one device. device: its name in vaults; names: how many it had before."""

    def __init__(self, device: str, truth: Truth) -> None:
        self.device = device
        self.names = 0
        self.documents: dict[str, Conversation] = {}
        self.marks: dict[str, Tombstone] = {}
        self.number = 0
        self._marked: dict[str, int] = {}
        self._cursors: dict[str, str] = {}
        self._clock = 0
        self._truth = truth

    def with_content(self, documents: dict[str, Conversation], marks: dict[str, Tombstone]) -> Remembering:
        """The same archive, cursors included, with other conversations in it."""
        other = Remembering(self.device, self._truth)
        other.documents, other.marks = documents, marks
        other.names, other.number, other._cursors = self.names, self.number, self._cursors
        return other

    # What people do

    def add(self, fresh: Conversation) -> None:
        """Import a conversation: what was deleted comes back only if it has something new."""
        self.number += 1
        self._clock += 1
        before = self.documents.get(fresh.id)
        left = tombstones.outcome(merging.merge(before, fresh) if before else fresh, self.marks.get(fresh.id))
        if left is not None:
            self.documents[fresh.id] = left

    def delete(self, id: str) -> Tombstone:
        """Delete a conversation: its mark."""
        self._clock += 1
        seen = tombstones.seen_by_deletion(self.documents.pop(id))
        before = self.marks.get(id) or Tombstone(id)
        self._mark(tombstones.mark(before, seen, tombstones.DELETED, (self._clock, self.device)))
        return self.marks[id]

    def _mark(self, mark: Tombstone) -> None:
        self.number += 1
        self.marks[mark.id] = mark
        self._marked[mark.id] = self.number
        self._clock = max(self._clock, mark.clock)

    # What the operations ask

    def entries(self) -> Iterator[Entry]:
        for id, one in sorted(self.documents.items()):
            yield Entry(id, hashlib.sha256(encode(one)).hexdigest(), one.updated_at)

    def counts(self) -> Counts:
        messages = sum(len(one.messages) for one in self.documents.values())
        return Counts(conversations=len(self.documents), messages=messages, attachments=0, bytes=0)

    def tombstones(self) -> Iterator[tuple[str, bytes]]:
        for id, mark in sorted(self.marks.items()):
            yield id, tombstones.encode(mark)

    def marked_since(self, number: int) -> list[str]:
        return sorted(id for id, at in self._marked.items() if at > number)

    def document(self, id: str) -> bytes:
        return encode(self.documents[id])

    def frames(self, _ids: list[str]) -> dict[str, tuple[bytes, int]]:
        """None is kept compressed."""
        return {}

    def named(self) -> list[tuple[str, int, bool]]:
        """No attachments."""
        return []

    def listing(self, *_: Any, **__: Any) -> list[Any]:
        """Nothing is in the trash."""
        return []

    def cursor(self, name: str) -> str:
        return self._cursors.get(name, "")

    def cursors(self, prefix: str) -> dict[str, str]:
        return {name: value for name, value in self._cursors.items() if name.startswith(prefix)}

    def set_cursor(self, name: str, value: str) -> None:
        """Before each backup the product notes that it makes one: this is what it will save."""
        self._truth.saved.add(frozenset((one.id, one.revision) for one in self.entries()))
        self._cursors[name] = value

    @contextlib.contextmanager
    def joining(self) -> Iterator[_Joining]:
        yield _Joining(self)


class _Joining:
    def __init__(self, archive: Remembering) -> None:
        self.host = ""
        self._archive = archive
        self._marks: dict[str, Tombstone] = {}
        self._waiting: dict[str, Conversation] = {}

    def mark(self, id: str, data: bytes) -> None:
        theirs = tombstones.decode(data, id)
        mine = self._marks.get(id) or self._archive.marks.get(id)
        both = tombstones.join(mine, theirs) if mine else theirs
        if both != mine:
            self._marks[id] = both

    def take(self, given: Conversation) -> None:
        if given.id in self._marks:
            before = self._waiting.get(given.id)
            self._waiting[given.id] = merging.merge(before, given) if before else given
            return
        self._settle(given.id, given)

    def _settle(self, id: str, given: Conversation | None) -> None:
        known = [one for one in (self._archive.documents.get(id), given) if one is not None]
        if not known:
            return
        whole = merging.merge(known[0], known[-1]) if len(known) > 1 else known[0]
        left = tombstones.outcome(whole, self._archive.marks.get(id))
        self._archive.number += 1
        if left is None:
            self._archive.documents.pop(id, None)
        else:
            self._archive.documents[id] = left

    def finish(self, *, cursors: Mapping[str, str], most: int) -> Joined:
        for id, mark in self._marks.items():
            self._archive._mark(mark)
            self._settle(id, self._waiting.get(id))
        self._archive._cursors |= cursors
        return Joined()
