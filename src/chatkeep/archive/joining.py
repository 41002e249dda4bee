"""Joining what another device has into the archive: its conversations, and what it took away.

Documents are merged and never replaced; only tombstones remove. What comes this way is no operation of this machine:
it leaves no receipt, and what is undone here is what was done here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from itertools import islice

from chatkeep.archive import removing, tombstones, twins, undoing
from chatkeep.archive.database import transaction
from chatkeep.archive.intake import left_out
from chatkeep.archive.rows import prepare, unpack_frame
from chatkeep.archive.tombstones import Tombstone
from chatkeep.archive.values import Joined
from chatkeep.archive.writing import SET_CURSOR, Put, Writer
from chatkeep.errors import Damaged, Problem
from chatkeep.merge import CHOSEN, merge, news, pieces, without
from chatkeep.model import Conversation, Message, decode, is_too_long, too_long

_AT_ONCE = 200  # conversations in one transaction


class Joining:
    """One joining. Give it tombstones first, then documents, then `finish`; it belongs to one thread."""

    def __init__(self, writer: Writer, *, host: str) -> None:
        """host: where the documents come from, for the list of conflicts."""
        self.host = host
        self._writer = writer
        self._marks: dict[str, Tombstone] = {}
        self._waiting: dict[str, Conversation] = {}
        self._without_ids: list[str] = []
        self._joined = Joined()

    # -------------------------------------------------------------- what comes in

    def mark(self, id: str, data: bytes) -> None:
        """Takes the tombstone of another device. It counts when all documents have come."""
        if is_too_long(id):
            return  # no archive has that conversation
        try:
            theirs = tombstones.decode(data, id)
            mine = self._marks.get(id) or self._tombstone(id)
        except Damaged as error:
            self._joined.problems.append(Problem(f"conversation {id}", error.what))
            return
        both = tombstones.join(mine, theirs) if mine else theirs
        if both != mine:
            self._marks[id] = both

    def take(self, given: Conversation) -> None:
        """Merges a document of another device into what is here."""
        if long := too_long(given):
            self._joined.problems.append(left_out(given, long))
            return
        if given.id in self._marks:
            before = self._waiting.get(given.id)
            self._waiting[given.id] = merge(before, given) if before else given
            return
        tombstone = self._tombstone(given.id)
        known = self._writer.known(given.id)
        if known is None:
            self._add(given, tombstone)
        else:
            self._merge(given, tombstone, known.revision)
        self._writer.pace()

    def _tombstone(self, id: str) -> Tombstone | None:
        return tombstones.read(self._writer.reader, self._writer.archive, id)

    def _add(self, given: Conversation, tombstone: Tombstone | None) -> None:
        left = tombstones.outcome(given, tombstone)
        if left is None:
            self._joined.unchanged += 1
            return
        self._writer.put(Put(prepare(left), "", 0))
        self._joined.added += 1
        if not left.source_id:
            self._without_ids.append(left.id)
        if tombstone is not None and tombstones.has_returned(left, tombstone):
            self._joined.returned.append(given.id)

    def _merge(self, given: Conversation, tombstone: Tombstone | None, base: str) -> None:
        stored = self._writer.load(given.id)
        theirs = without(given, tombstone.taken) if tombstone and not tombstone.erased else given
        both = merge(stored, theirs)
        left = tombstones.outcome(both, tombstone)
        if left is None and tombstone is not None:
            self._marks[given.id] = tombstone
            self._waiting[given.id] = given
            return
        prepared = prepare(left or both)
        if prepared.revision == base:
            self._joined.unchanged += 1
            return
        self._writer.put(Put(prepared, base, 0, news(theirs, stored)))
        self._joined.updated += 1
        self._list_conflicts(stored, theirs, both)

    def _list_conflicts(self, mine: Conversation, theirs: Conversation, both: Conversation) -> None:
        """Notes the messages of which each side has a version that the other did not know."""
        there = {message.id: _raws(message) for message in mine.messages}
        for message in theirs.messages:
            here, came = there.get(message.id, frozenset()), _raws(message)
            if here - came and came - here:
                self._joined.conflicts.append((both.id, message.id))
                self._writer.execute(
                    "INSERT INTO conflicts VALUES (?, ?, ?, ?, '') ON CONFLICT (archive, id, message) "
                    "DO UPDATE SET host = excluded.host, settled = ''",
                    (self._writer.archive, both.id, message.id, self.host),
                )
        for field in both.user.keys() - {name for name in mine.user if mine.user[name] == both.user.get(name)}:
            if field.startswith(CHOSEN):  # somebody chose on another device
                self._writer.execute(
                    "UPDATE conflicts SET settled = 'chosen' WHERE archive = ? AND id = ? AND message = ?",
                    (self._writer.archive, both.id, field.removeprefix(CHOSEN)),
                )

    # -------------------------------------------------------------- what others took away

    def finish(self, *, cursors: Mapping[str, str], most: int) -> Joined:
        """Applies the tombstones and sets the cursors, in one transaction with the last of what was taken.

        most: when the tombstones would remove more conversations than this, these conversations are left as they are,
        they are listed as `held_back`, and the cursors are not set, so that all of it comes again.
        """
        self._writer.flush()
        # Before anything is taken away: by the time a twin's tombstone counts, all that it had is under the other id.
        for id in self._without_ids:
            twins.join(self._writer, id)
        removed = {id for id in self._marks if self._writer.known(id) and self._outcome(id) is None}
        if len(removed) > most:
            self._joined.held_back.extend(sorted(removed))
            cursors = {}
        else:
            removed = set()
        erased = any(mark.erased for mark in self._marks.values())
        if erased:
            removing.overwrite_freed(self._writer)
        self._apply([id for id in self._marks if id not in removed], cursors)
        if erased:
            removing.wipe(self._writer)
        return self._joined

    def _outcome(self, id: str) -> Conversation | None:
        """What becomes of a conversation under its new tombstone."""
        stored = self._writer.load(id) if self._writer.known(id) else None
        if stored is not None:
            self._keep_own(id, stored)
        known = [one for one in (stored, self._waiting.get(id)) if one is not None]
        return tombstones.outcome(reduce(merge, known), self._marks[id]) if known else None

    def _keep_own(self, id: str, stored: Conversation) -> None:
        """What another device undid, and an import of this one had brought as well, stays."""
        mark = self._marks[id]
        before = self._tombstone(id)
        undone = {name for name, (_, did) in mark.pieces.items() if did == tombstones.UNDONE}
        new = undone - (before.taken if before else set())
        if new and (own := new & _brought_here(self._writer, id, stored)):
            counter = max(mark.clock, self._writer.tick()) + 1
            self._marks[id] = tombstones.mark(mark, own, tombstones.KEPT, (counter, self._writer.device))

    def _apply(self, ids: Iterable[str], cursors: Mapping[str, str]) -> None:
        waiting = iter(ids)
        db, archive = self._writer.db, self._writer.archive
        more = True
        while more:
            some = list(islice(waiting, _AT_ONCE))
            more = len(some) == _AT_ONCE
            with transaction(db):
                free = self._apply_some(some)
                if not more:
                    for name, value in cursors.items():
                        db.execute(SET_CURSOR, (archive, name, value))
            undoing.remove_files(self._writer, free)

    def _apply_some(self, ids: Iterable[str]) -> list[str]:
        """Writes tombstones and what they leave. The attachments that nobody needs any more."""
        needed: set[str] = set()
        for id in ids:
            left = self._outcome(id)  # again: somebody may have written since it was looked at
            tombstones.write(self._writer.db, self._writer.archive, self._marks[id])
            known = self._writer.known(id)
            if left is None and known:
                needed |= removing.remove_all(self._writer, [id], marked=False)
                self._joined.removed.append(id)
            forget = removing.forget_id if self._marks[id].erased else removing.forget_taken
            forget(self._writer.db, self._writer.archive, id)
            if left is not None:
                self._write(left, known.revision if known else "")
        return undoing.drop_unused(self._writer.db, needed)

    def _write(self, left: Conversation, base: str) -> None:
        prepared = prepare(left)
        if prepared.revision == base:
            return
        self._writer.write_now(Put(prepared, base, 0, contributes=False, replaces=True))
        if base:
            self._joined.updated += 1
        else:
            self._joined.added += 1
        if tombstones.has_returned(left, self._marks[left.id]):
            self._joined.returned.append(left.id)


def _raws(message: Message) -> frozenset[str]:
    return frozenset(one.raw for one in (message, *message.previous))


def _brought_here(writer: Writer, id: str, stored: Conversation) -> set[str]:
    """The pieces that operations of this machine brought, which have not been undone."""
    number, receipt = writer.reader.execute(
        "SELECT number, receipt FROM documents WHERE archive = ? AND id = ?", (writer.archive, id)
    ).fetchone()
    rows: Iterable[tuple[int, bytes]] = writer.reader.execute(
        "SELECT receipt, data FROM contributions WHERE document = ?", (number,)
    ).fetchall()
    if not rows:
        return pieces(stored) if receipt else set()
    found: set[str] = set()
    for by, data in rows:
        found |= pieces(decode(unpack_frame(data))) if by else set()
    return found
