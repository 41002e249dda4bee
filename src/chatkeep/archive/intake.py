"""Taking in: what an import, a sync or a restore brings, and the receipt that accounts for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import BinaryIO, Literal

import msgspec

from chatkeep import alignment
from chatkeep.archive import haste, removing, tombstones, twins, undoing
from chatkeep.archive.database import Database, Rows, transaction
from chatkeep.archive.rows import attachment_keys, prepare, roles
from chatkeep.archive.tombstones import Tombstone
from chatkeep.archive.values import Receipt
from chatkeep.archive.writing import OWN, SET_CURSOR, Put, Writer
from chatkeep.errors import Problem
from chatkeep.merge import merge, pieces, settle
from chatkeep.model import LONGEST, Conversation, encode, revision, too_long
from chatkeep.records import Kept, Loaded

Outcome = Literal["added", "updated", "unchanged"]
_RECENT = 20_000  # records; more than two batches of the writer can hold
_CONFIRMED_AT_ONCE = 1000
_MANY = 100  # records that were pushed, from which on the interpreter is set for haste


class Counted(msgspec.Struct):
    """What one record counts for, so that the same record can be counted again without being read."""

    conversations: list[str] = []
    messages: int = 0
    by_role: dict[str, int] = {}
    stored: list[str] = []
    missing: list[str] = []
    unknown: dict[str, int] = {}
    shells: int = 0
    problems: list[Problem] = []
    notes: list[str] = []


_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(Counted).decode


class Intake:
    """One operation that brings conversations. Use it in a `with` block; the receipt is complete after it.

    Whole records are written as they come, many in a transaction. When the block ends by an exception, what was taken
    before stays and the receipt says that it is not finished; taking the same source in again completes it.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        source: str,
        digest: str,
        importer: str,
        keep_empty: bool = True,
        expected: Collection[str] = (),
        settles: bool = True,
    ) -> None:
        """keep_empty, expected: see `Archive.take_in`. settles: whether operations that are too old are joined."""
        self._writer = writer
        self._writer.beside = self._note_receipt
        self._expected = expected
        self._settles = settles
        self._records = 0
        self._hurries = False
        self._keep_empty = keep_empty
        self._importer = importer
        self._total = Counted()
        self._outcomes: Counter[str] = Counter()
        self._stored: set[str] = set()
        self._missing: set[str] = set()
        self._confirmed: list[tuple[str, int]] = []
        # Records of this run that may not be in the tables yet, in two generations: the older one goes as a whole.
        self._digests: dict[bytes, bytes] = {}
        self._older_digests: dict[bytes, bytes] = {}
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._receipt = Receipt(source=source, digest=digest, importer=importer, at=at, finished=False)
        self._all_there = False
        self._any_tombstone = True
        self._any_taken = True  # whether the tables may know of a record that is not among the digests above

    # -------------------------------------------------------------- as a block

    def __enter__(self) -> Intake:
        try:
            removed, self._any_tombstone = self._writer.look_up(self._expected)
            # While nothing was ever removed, all that was taken before is still here.
            self._all_there = not removed
            if self._keep_empty:
                self._any_taken = self._is_any_taken()
                with transaction(self._writer.db):
                    self._writer.operation = self._note_receipt(self._writer.db).fetchone()[0]
        except BaseException:
            self._writer.close()
            raise
        if self._keep_empty:
            self._hurry()
        return self

    def _is_any_taken(self) -> bool:
        found = self._writer.reader.execute(
            "SELECT EXISTS (SELECT 1 FROM taken WHERE archive = ? AND importer = ?)",
            (self._writer.archive, self._importer),
        )
        return bool(found.fetchone()[0])

    def _hurry(self) -> None:
        self._hurries = True
        haste.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._receipt = msgspec.structs.replace(self._receipt, finished=kind is None)
            if self._writer.failed:
                return
            if self._keep_empty or self.receipt.added or self.receipt.updated:
                self._note_confirmed()
                if self._settles:
                    self._writer.act(lambda db: undoing.settle_old(db, self._writer.archive))
                self._writer.flush(always=True)
            else:
                self._leave_nothing()
            self._writer.tidy()
        finally:
            if self._hurries:
                haste.end()
            self._writer.files.forget_new()
            self._writer.close()

    def _leave_nothing(self) -> None:
        """Writes what waits, without a receipt."""
        self._confirmed.clear()
        self._writer.beside = None
        self._writer.flush()
        if self._number:
            with transaction(self._writer.db):
                self._writer.db.execute("DELETE FROM receipts WHERE number = ?", (self._number,))
            self._writer.operation = 0

    @property
    def receipt(self) -> Receipt:
        """The account so far."""
        total = self._total
        return msgspec.structs.replace(
            self._receipt,
            id=str(self._number or ""),
            added=self._outcomes["added"],
            updated=self._outcomes["updated"],
            unchanged=self._outcomes["unchanged"],
            messages=total.messages,
            by_role=dict(sorted(total.by_role.items())),
            attachments={"stored": len(self._stored), "missing": len(self._missing - self._stored)},
            unknown=dict(sorted(total.unknown.items())),
            shells=total.shells,
            problems=list(total.problems),
            notes=list(dict.fromkeys(total.notes)),
        )

    @property
    def revisions(self) -> Mapping[str, str]:
        """The revisions of conversations as they were found and left; not of all, where there were many."""
        return self._writer.revisions

    @property
    def _number(self) -> int:
        """Of the receipt; 0 while there is none."""
        return self._writer.operation

    def _note_receipt(self, db: Database) -> Rows:
        """The receipt is in every transaction of its operation, and made in the first: an import's before all else."""
        body = _ENCODE(self.receipt)
        if self._number:
            return db.execute("UPDATE receipts SET body = ? WHERE number = ? RETURNING number", (body, self._number))
        return db.execute(
            "INSERT INTO receipts (archive, at, undone_at, body) VALUES (?, ?, '', ?) RETURNING number",
            (self._writer.archive, self._receipt.at, body),
        )

    # -------------------------------------------------------------- what comes in

    def keep(self, stream: BinaryIO) -> Kept:
        """Takes the bytes of an attachment. They are on disk before a conversation that names them is."""
        return Kept(*self._writer.files.keep(stream))

    def report(self, problem: Problem) -> None:
        """Puts a problem on the receipt."""
        self._total.problems.append(problem)

    def knows(self, digest: bytes) -> bool:
        """Whether a record of that digest was taken in before and all it gave is still here; then it is counted."""
        if not digest:
            return False
        recent = self._digests.get(digest) or self._older_digests.get(digest)
        earlier, counted = (self._number, _DECODE(recent)) if recent else self._taken_before(digest)
        if counted is None:
            return False
        for id in counted.conversations if earlier != self._number else ():
            self._confirm(id, earlier)
        self._count(counted)
        self._outcomes["unchanged"] += len(counted.conversations)
        self._pace()
        return True

    def _confirm(self, id: str, earlier: int) -> None:
        """Notes that this source had a conversation too: as an earlier receipt had brought it; 0, all of it."""
        self._confirmed.append((id, earlier))
        if len(self._confirmed) >= _CONFIRMED_AT_ONCE:
            self._note_confirmed()

    def _note_confirmed(self) -> None:
        confirmed, self._confirmed = self._confirmed, []
        if confirmed:
            self._writer.act(
                lambda db: db.executemany(
                    "INSERT INTO confirmed SELECT number, ?, ? FROM documents WHERE archive = ? AND id = ? "
                    "ON CONFLICT DO NOTHING",
                    # Where nothing was brought, there is no receipt.
                    [(self._number, earlier, self._writer.archive, id) for id, earlier in confirmed if self._number],
                )
            )

    def _taken_before(self, digest: bytes) -> tuple[int, Counted | None]:
        if not self._any_taken:
            return 0, None
        found = self._writer.reader.execute(
            "SELECT counts, receipt FROM taken WHERE archive = ? AND importer = ? AND digest = ?",
            (self._writer.archive, self._importer, digest),
        ).fetchone()
        if found is None:
            return 0, None
        counted = _DECODE(found[0])
        there = self._all_there or all(self._writer.known(id) for id in counted.conversations)
        return found[1], counted if there else None

    def take(
        self, loaded: Loaded, *, digest: bytes = b"", digest_here: bytes = b"", where: str = ""
    ) -> list[tuple[Outcome, str]]:
        """Takes in what one record gave. where: its place in the source, for problems.

        digest: by which it is known from now on; digest_here: by which it is if it was not complete. b"" for by none.
        What became of each of its conversations, and the id that it has here. Those with too long ids are left out.
        """
        loaded = _without_too_long(loaded, where)
        taken = []
        counted = Counted(
            unknown=dict(loaded.unknown),
            shells=loaded.shells,
            problems=list(loaded.problems),
            notes=list(loaded.notes),
        )
        for conversation in loaded.conversations:
            outcome, id = self.add(conversation, where=where)
            self._outcomes[outcome] += 1
            taken.append((outcome, id))
            counted.conversations.append(id)
            _count_messages(counted, conversation)
        self._count(counted)
        if digest := digest if loaded.complete else digest_here:
            counts = _ENCODE(counted)
            self._digests[digest] = counts
            if len(self._digests) >= _RECENT:
                self._any_taken = self._any_taken or bool(self._older_digests)
                self._digests, self._older_digests = {}, self._digests
            self._note_taken(digest, counts)
        self._pace()
        return taken

    def _note_taken(self, digest: bytes, counts: bytes) -> None:
        self._writer.act(
            lambda db: db.execute(
                "INSERT INTO taken VALUES (?, ?, ?, ?, ?) ON CONFLICT (archive, importer, digest) "
                "DO UPDATE SET receipt = excluded.receipt, counts = excluded.counts",
                (self._writer.archive, self._importer, digest, self._number, counts),
            )
        )

    def _pace(self) -> None:
        self._records += 1
        if self._records == _MANY and not self._hurries:
            self._hurry()
        self._writer.pace()

    def _count(self, counted: Counted) -> None:
        total = self._total
        total.messages += counted.messages
        total.shells += counted.shells
        total.problems += counted.problems
        total.notes += counted.notes
        self._stored.update(counted.stored)
        self._missing.update(counted.missing)
        for mine, theirs in ((total.by_role, counted.by_role), (total.unknown, counted.unknown)):
            for name, number in theirs.items():
                mine[name] = mine.get(name, 0) + number

    # -------------------------------------------------------------- one conversation

    def add(self, new: Conversation, *, where: str = "", observed: bool = True) -> tuple[Outcome, str]:
        """Adds a conversation, or merges it into the one that is there: what became of it, and the id it has here.

        observed: it comes from an export, so that its ids may mean nothing; else from another archive.
        """
        if not new.source_id and (observed or self._writer.known(new.id) is None):
            new = self._as_known_here(new)
        if not self._bring_back(new, where, on_purpose=not observed):
            return "unchanged", new.id
        known = self._writer.known(new.id)
        if known is None:
            self._writer.put(Put(prepare(new), "", OWN))
            return "added", new.id
        if known.revision == revision(encode(new)):
            self._confirm(new.id, 0)
            return "unchanged", new.id
        stored = self._writer.load(new.id)
        prepared = prepare(merge(stored, new))
        if prepared.revision == known.revision:
            if msgspec.structs.replace(stored, user=new.user) == new:
                self._confirm(new.id, 0)
            return "unchanged", new.id
        self._writer.put(Put(prepared, known.revision, OWN, new))
        return "updated", new.id

    def _bring_back(self, new: Conversation, where: str, *, on_purpose: bool) -> bool:
        """Notes that what comes in counts again where it was taken away before. False when it must not come.

        An export brings back what was undone or replaced, and a deleted conversation only if it has something that
        the deletion did not see. on_purpose: a person asked for it, so that it comes back in any case.
        """
        tombstone = self._tombstone(new.id)
        if tombstone is None:
            return True
        where = where or f"conversation {new.id}"
        if tombstone.erased:
            self.report(Problem(where, "This conversation was erased for good, so it was not taken in again."))
            return False
        against = tombstone.taken | (tombstone.deleted if on_purpose else set())
        self._keep_again(new.id, pieces(new) & against)
        if on_purpose or self._writer.known(new.id) or not tombstone.deleted:
            return True
        if unseen := tombstones.unseen(tombstone, new):
            what = f"This conversation was deleted here; it is back, as it now has {unseen} messages not seen before."
            self.report(Problem(where, what))
        return bool(unseen)

    def _tombstone(self, id: str) -> Tombstone | None:
        return tombstones.read(self._writer.reader, self._writer.archive, id) if self._any_tombstone else None

    def _keep_again(self, id: str, names: set[str]) -> None:
        if names:
            archive, device = self._writer.archive, self._writer.device
            self._writer.act(lambda db: tombstones.add(db, archive, id, names, tombstones.KEPT, device))

    def apply(self, conversation: Conversation, *, replace: bool, untrash: bool = False) -> None:
        """Adds one conversation, or puts it in the place of what is there, and counts it.

        untrash: also takes it out of the trash.
        """
        if long := too_long(conversation):
            self.report(left_out(conversation, long))
            return
        if replace:
            self._outcomes[self._replace(conversation)] += 1
        elif untrash:
            self._outcomes[self._add_untrashed(conversation)] += 1
        else:
            self._outcomes[self.add(conversation, observed=False)[0]] += 1
        counted = Counted()
        _count_messages(counted, conversation)
        self._count(counted)
        self._pace()

    def _add_untrashed(self, new: Conversation) -> Outcome:
        if (known := self._writer.known(new.id)) is None:
            return self.add(new, observed=False)[0]
        both = merge(self._writer.load(new.id), new)
        wanted = {name: edit for name, edit in both.user.items() if name != "trashed"}
        user = undoing.restamped(self._writer, both.user, wanted)
        self._bring_back(new, "", on_purpose=True)
        given = msgspec.structs.replace(new, user={**new.user, "trashed": user["trashed"]} if "trashed" in user else {})
        prepared = prepare(msgspec.structs.replace(both, user=user))
        self._writer.put(Put(prepared, known.revision, OWN, given))
        return "updated"

    def set_cursors(self, cursors: Mapping[str, str]) -> None:
        for name, value in cursors.items():
            self._writer.execute(SET_CURSOR, (self._writer.archive, name, value))

    def _replace(self, new: Conversation) -> Outcome:
        known, tombstone = self._writer.known(new.id), self._tombstone(new.id)
        if tombstone is not None and tombstone.erased:
            self.report(Problem(f"conversation {new.id}", "This conversation was erased for good; it stays away."))
            return "unchanged"
        if known is not None and known.revision == revision(encode(new)):
            return "unchanged"
        if known is not None:
            new = self._put_away(self._writer.load(new.id), new)
        if tombstone is not None:
            self._keep_again(new.id, pieces(new) & (tombstone.taken | tombstone.deleted))
        prepared = prepare(new)
        self._writer.put(Put(prepared, known.revision if known else "", OWN, replaces=known is not None))
        return "updated" if known else "added"

    def _put_away(self, stored: Conversation, new: Conversation) -> Conversation:
        """What stands in the place of a conversation; the pieces it does not have are marked as replaced."""
        names, archive, device = pieces(stored) - pieces(new), self._writer.archive, self._writer.device

        def replaced(db: Database) -> None:
            tombstones.add(db, archive, new.id, names, tombstones.REPLACED, device)
            removing.forget_taken(db, archive, new.id)

        self._writer.act(replaced)
        return settle(msgspec.structs.replace(new, user=undoing.restamped(self._writer, stored.user, new.user)))

    # -------------------------------------------------------------- conversations without ids of their platform

    def _as_known_here(self, new: Conversation) -> Conversation:
        """The conversation with the ids that it has here, if it can be told that it is one that is here."""
        if (known := self._writer.known(new.id)) is not None:
            if known.revision == revision(encode(new)):
                return new
            return alignment.align(self._writer.load(new.id), new) or new
        alias = self._writer.reader.execute(
            "SELECT id FROM aliases WHERE archive = ? AND alias = ?", (self._writer.archive, new.id)
        ).fetchone()
        for id in [alias[0]] if alias else twins.candidates(self._writer, new):
            if self._writer.known(id) and (aligned := alignment.align(self._writer.load(id), new)) is not None:
                self._writer.execute(twins.SET_ALIAS, (self._writer.archive, new.id, aligned.id))
                return aligned
        return new


def left_out(conversation: Conversation, long: str, where: str = "") -> Problem:
    """What is told of a conversation that no archive takes in. long: see `chatkeep.model.too_long`."""
    what = f"{long} has more than {LONGEST:,} bytes; the conversation was left out."
    return Problem(where or f"conversation {conversation.id[:LONGEST]}", what)


def _without_too_long(loaded: Loaded, where: str) -> Loaded:
    long = [too_long(one) for one in loaded.conversations]
    if not any(long):
        return loaded
    told = [left_out(one, what, where) for one, what in zip(loaded.conversations, long, strict=True) if what]
    kept = tuple(one for one, what in zip(loaded.conversations, long, strict=True) if not what)
    return replace(loaded, conversations=kept, problems=[*loaded.problems, *told])


def _count_messages(counted: Counted, conversation: Conversation) -> None:
    counted.messages += len(conversation.messages)
    for role, number in roles(conversation).items():
        counted.by_role[role] = counted.by_role.get(role, 0) + number
    stored, missing = attachment_keys(conversation)
    counted.stored += stored
    counted.missing += missing
