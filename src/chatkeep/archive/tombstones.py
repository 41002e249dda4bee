"""What was taken away from a conversation, and by what: the mark that keeps others from bringing it back.

A tombstone names pieces of a conversation (`chatkeep.merge.pieces`), each with the last thing that was done to it and
the stamp of that. Of two tombstones each piece keeps the higher stamp, so joining them is commutative, associative and
idempotent, like `merge`; docs/decisions/what-is-taken-away.md says why. Pure, but for `read`.

    deleted    by a person: the conversation is gone while all that it says was seen by a deletion
    undone     by taking back an operation that had brought it
    replaced   by a restore that put something else in its place
    kept       brought back on purpose: nothing stands against it any more
    erased     for good: only the id is left, and nothing comes back under it
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import msgspec

from chatkeep import exact
from chatkeep.archive.database import Database, Key
from chatkeep.errors import Damaged
from chatkeep.merge import pieces, version_names, without
from chatkeep.model import Conversation

Stamp = tuple[int, str]
DELETED, UNDONE, REPLACED, KEPT = "deleted", "undone", "replaced", "kept"
_TAKEN = frozenset({UNDONE, REPLACED})


class Tombstone(msgspec.Struct, frozen=True):
    """pieces: the name of each → (stamp, what was done to it). erased: nothing else is known, nor ever will be."""

    id: str
    pieces: Mapping[str, tuple[Stamp, str]] = {}
    erased: bool = False

    @property
    def taken(self) -> set[str]:
        """The pieces that no document may have."""
        return {name for name, (_, did) in self.pieces.items() if did in _TAKEN}

    @property
    def deleted(self) -> set[str]:
        """The pieces that a deletion saw."""
        return {name for name, (_, did) in self.pieces.items() if did == DELETED}

    @property
    def clock(self) -> int:
        """The greatest counter of a stamp in it."""
        return max((stamp[0] for stamp, _ in self.pieces.values()), default=0)


class _Act(msgspec.Struct):
    did: str
    pieces: list[str]
    stamp: Stamp


class _Stored(msgspec.Struct):
    id: str
    acts: list[_Act] = []
    erased: bool = False
    format: int = 1


def encode(tombstone: Tombstone) -> bytes:
    """The canonical bytes. Equal tombstones have equal bytes on any machine."""
    if tombstone.erased:
        return exact.encode({"erased": True, "format": 1, "id": tombstone.id})
    acts: dict[tuple[Stamp, str], list[str]] = defaultdict(list)
    for name, act in tombstone.pieces.items():
        acts[act].append(name)
    listed = [
        {"did": did, "pieces": sorted(names), "stamp": list(stamp)} for (stamp, did), names in sorted(acts.items())
    ]
    return exact.encode({"acts": listed, "format": 1, "id": tombstone.id})


def decode(data: bytes, id: str) -> Tombstone:
    """The inverse of `encode`. id: whose it must be. Raises Damaged."""
    try:
        found = msgspec.json.decode(data, type=_Stored)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise Damaged(f"The mark of what was deleted from conversation {id} cannot be read.") from wrong
    if found.id != id or found.format != 1:
        raise Damaged(f"The mark of what was deleted from conversation {id} is not its own, or of a later version.")
    if found.erased:
        return Tombstone(id, erased=True)
    whole = Tombstone(id)
    for act in found.acts:
        whole = join(whole, Tombstone(id, dict.fromkeys(act.pieces, (act.stamp, act.did))))
    return whole


def join(a: Tombstone, b: Tombstone) -> Tombstone:
    """What both say together: of each piece the last thing that was done to it."""
    if a.erased or b.erased:
        return Tombstone(a.id, erased=True)
    both = {name: max(a.pieces[name], b.pieces[name]) for name in a.pieces.keys() & b.pieces.keys()}
    return Tombstone(a.id, {**a.pieces, **b.pieces, **both})


def mark(tombstone: Tombstone, names: Iterable[str], did: str, stamp: Stamp) -> Tombstone:
    """The tombstone after something was done to pieces."""
    return join(tombstone, Tombstone(tombstone.id, dict.fromkeys(names, (stamp, did))))


def seen_by_deletion(conversation: Conversation) -> set[str]:
    """What a deletion of the conversation lists: all it says, and that it lay in the trash, if it did."""
    return version_names(conversation) | _trashed_name(conversation)


def unseen(tombstone: Tombstone, conversation: Conversation) -> int:
    """How much of a conversation its deletions did not see: versions of messages, and being taken out of the trash."""
    taken_out = _trashed_name(conversation) if not _lies_in_trash(conversation) else set()
    return len((version_names(conversation) | taken_out) - tombstone.deleted)


def outcome(conversation: Conversation, tombstone: Tombstone | None) -> Conversation | None:
    """What is left of a conversation under its tombstone; None when it is gone.

    A conversation of which a deletion did not see all stays whole. What was undone or replaced is taken out of it.
    """
    if tombstone is None:
        return conversation
    if tombstone.erased:
        return None
    left = without(conversation, tombstone.taken)
    if is_emptied(conversation, left):
        return None
    return left if not tombstone.deleted or unseen(tombstone, left) else None


def is_emptied(before: Conversation, left: Conversation) -> bool:
    """Whether what was taken away was all that a conversation said, so that it goes.

    One that never had messages stays while anything of it is left: some exports list such shells.
    """
    return left is not before and not left.messages and bool(before.messages or not pieces(left))


def has_returned(conversation: Conversation, tombstone: Tombstone) -> bool:
    """Whether the conversation is here although it was deleted, because not all of it had been seen."""
    return bool(tombstone.deleted & version_names(conversation))


def _trashed_name(conversation: Conversation) -> set[str]:
    edit = conversation.user.get("trashed")
    return {f"trashed={edit.stamp[0]}-{edit.stamp[1]}"} if edit else set()


def _lies_in_trash(conversation: Conversation) -> bool:
    edit = conversation.user.get("trashed")
    return edit is not None and edit.value is not msgspec.UNSET and bool(edit.value)


# ------------------------------------------------------------------ in the tables


def read(db: Database, archive: Key, id: str) -> Tombstone | None:
    """The tombstone of a conversation, None when nothing was ever taken from it. Raises Damaged."""
    found = db.execute("SELECT data FROM tombstones WHERE archive = ? AND id = ?", (archive, id)).fetchone()
    return decode(found[0], id) if found else None


def write(db: Database, archive: Key, tombstone: Tombstone) -> None:
    """Keeps a tombstone, within the transaction of the caller, as a change of the archive."""
    db.execute(
        "INSERT INTO counters VALUES (?, 1, ?) ON CONFLICT (archive) DO UPDATE SET change = counters.change + 1, "
        "clock = CASE WHEN counters.clock < excluded.clock THEN excluded.clock ELSE counters.clock END",
        (archive, tombstone.clock),
    )
    db.execute(
        "INSERT INTO tombstones (archive, id, data, change) SELECT archive, ?, ?, change FROM counters "
        "WHERE archive = ? ON CONFLICT (archive, id) DO UPDATE SET data = excluded.data, change = excluded.change",
        (tombstone.id, encode(tombstone), archive),
    )


def add(db: Database, archive: Key, id: str, names: Collection[str], did: str, device: str) -> None:
    """Notes, within the transaction of the caller, what was done just now to pieces of a conversation."""
    before = read(db, archive, id) or Tombstone(id)
    if names and not before.erased:
        write(db, archive, mark(before, names, did, next_stamp(db, archive, device)))


def next_stamp(db: Database, archive: Key, device: str) -> Stamp:
    """A stamp that is higher than all that the archive has seen."""
    found = db.execute("SELECT clock FROM counters WHERE archive = ?", (archive,)).fetchone()
    return (int(found[0]) if found else 0) + 1, device
