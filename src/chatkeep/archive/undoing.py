"""Undoing an operation: each conversation becomes what the other operations and people's own doings make of it.

The rule. A conversation is the merge of what each operation brought to it (`contributions`), with the `user` layer
as it is now. The first contribution of a conversation is not written down while it is the only one: the document
itself is it. Undoing removes the operation's contributions and merges the rest again; a conversation to which nothing
else contributed goes. What a later operation that still counts had brought as well, only to find it there, is now
that one's (`confirmed`). A replacement counts from its place on: what came before it shows again when it is undone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import takewhile
from typing import NamedTuple

import msgspec
import zstandard

from chatkeep.archive import tombstones
from chatkeep.archive.database import Database, Key, transaction
from chatkeep.archive.rows import prepare, unpack_frame
from chatkeep.archive.values import Receipt, Undone
from chatkeep.archive.writing import Put, Writer, remove_document
from chatkeep.errors import WrongUse
from chatkeep.merge import merge, pieces, settle, without
from chatkeep.model import Conversation, Edit, decode, encode

KEPT_FOR = timedelta(days=30)


def undo(writer: Writer, receipt: Receipt) -> Undone:
    if receipt.undone_at:
        return Undone(0, 0, 0)
    if receipt.at < too_old():
        raise WrongUse(f"Receipt {receipt.id} is more than {KEPT_FOR.days} days old and cannot be undone any more")
    db, number = writer.db, int(receipt.id)
    removed = restored = 0
    needed: set[str] = set()
    with transaction(db):
        for document, id in touched(db, number):
            needed.update(row[0] for row in db.execute("SELECT sha256 FROM needs WHERE document = ?", (document,)))
            if _pass_on(db, document, number):
                continue
            now = decode(writer.document(id))
            rest = _rest(writer, document, number, now)
            forget(db, document, number)
            if rest is None:
                remove_document(db, writer.archive, document)
                removed += 1
            else:
                writer.write_now(Put(prepare(rest), "", 0, contributes=False, replaces=True))
                restored += 1
        db.execute("DELETE FROM confirmed WHERE receipt = ?", (number,))
        db.execute("DELETE FROM taken WHERE receipt = ?", (number,))
        db.execute("UPDATE receipts SET undone_at = ? WHERE number = ?", (now_text(), number))
        unused = drop_unused(db, needed)
    remove_files(writer, unused)
    return Undone(removed, restored, len(unused))


def drop_unused(db: Database, candidates: set[str]) -> list[str]:
    """Takes those attachments that nobody needs any more out of the tables; their files go after the commit."""
    unused = _unused(db, candidates)
    db.executemany(
        "DELETE FROM attachments WHERE archive = ? AND sha256 = ?", [(db.archive, sha256) for sha256 in unused]
    )
    return unused


def remove_files(writer: Writer, unused: list[str]) -> None:
    """Removes files after the commit that says so, but for those that somebody has brought again since, or holds too.

    Under the write lock, as an import puts its files in place and commits their rows under it.
    """
    with transaction(writer.db):
        for sha256 in unused:
            if not writer.db.execute("SELECT 1 FROM attachments WHERE sha256 = ?", (sha256,)).fetchone():
                writer.files.remove(sha256)


def _pass_on(db: Database, document: int, receipt: int) -> bool:
    """Makes an operation's contribution that of a later one which had the same; False if there is none."""
    heir = db.execute(
        "SELECT min(receipt) FROM confirmed JOIN receipts ON number = receipt AND undone_at = '' "
        "WHERE document = ?1 AND receipt != ?2 AND (earlier = ?2 OR earlier = 0 AND receipt > ?2)",
        (document, receipt),
    ).fetchone()[0]
    if heir is None:
        return False
    db.execute("UPDATE contributions SET receipt = ? WHERE document = ? AND receipt = ?", (heir, document, receipt))
    db.execute("UPDATE documents SET receipt = ? WHERE number = ? AND receipt = ?", (heir, document, receipt))
    db.execute("UPDATE confirmed SET earlier = ? WHERE document = ? AND earlier = ?", (heir, document, receipt))
    return True


def _unused(db: Database, candidates: set[str]) -> list[str]:
    """Those of the attachments that no conversation needs, nor would need if another operation were undone."""
    needed = "SELECT 1 FROM needs JOIN documents d ON d.number = document WHERE sha256 = ? AND d.archive = ? LIMIT 1"
    free = {one for one in candidates if not db.execute(needed, (one, db.archive)).fetchone()}
    if free:
        given = "SELECT data FROM contributions JOIN documents d ON d.number = document WHERE d.archive = ?"
        for (packed,) in db.execute(given, (db.archive,)):
            data = unpack_frame(packed)
            free = {one for one in free if one.encode() not in data}
    return sorted(free)


def touched(db: Database, receipt: int) -> list[tuple[int, str]]:
    """(number, id) of the conversations that an operation added or changed and that are still there."""
    return db.execute(
        "SELECT number, id FROM documents WHERE number IN (SELECT document FROM contributions WHERE receipt = ?1 "
        "UNION SELECT number FROM documents WHERE receipt = ?1 AND NOT EXISTS "
        "(SELECT 1 FROM contributions WHERE document = documents.number)) ORDER BY number",
        (receipt,),
    ).fetchall()


class _Contribution(NamedTuple):
    number: int
    receipt: int
    replaces: bool
    given: Conversation


def _rest(writer: Writer, document: int, receipt: int, now: Conversation) -> Conversation | None:
    """The conversation without what an operation brought, None when nothing is left; and the mark of that.

    The mark is what other devices go by: what went is `undone`, what a replacement had put away is `kept` again.
    """
    db, archive = writer.db, writer.archive
    rows = db.execute(
        "SELECT number, receipt, replaces, data FROM contributions WHERE document = ? ORDER BY number", (document,)
    )
    given = [_Contribution(number, by, bool(r), decode(unpack_frame(data))) for number, by, r, data in rows]
    others = [(one.replaces, one.given) for one in given if one.receipt != receipt]
    if not others:
        tombstones.add(db, archive, now.id, pieces(now), tombstones.UNDONE, writer.device)
        return None
    left = reduce(_join, others[1:], others[0][1])
    if any(one.replaces for one in given if one.receipt == receipt):
        tombstones.add(db, archive, now.id, pieces(left) - pieces(now), tombstones.KEPT, writer.device)
    tombstone = tombstones.read(db, archive, now.id)
    joined = left
    left = without(joined, tombstone.taken if tombstone else ())
    held = set[str]().union(*(pieces(one) for _, one in others))  # also values that another one outshines
    tombstones.add(db, archive, now.id, pieces(now) - held, tombstones.UNDONE, writer.device)
    if tombstones.is_emptied(joined, left):
        return None
    # The first was written down later, with what people had done by then.
    mine = [one.given for one in given[1:] if one.receipt == receipt]
    user = _user_without(writer, now, mine, [one for _, one in others])
    # Settling again lets the versions show that people chose.
    return settle(msgspec.structs.replace(left, user=user))


def _user_without(
    writer: Writer, now: Conversation, mine: Sequence[Conversation], others: Sequence[Conversation]
) -> dict[str, Edit]:
    """What people did, with what an operation set, and nobody changed since, as it was before."""
    before = reduce(merge, map(_shell, others)).user
    user = merge(_shell(now), reduce(merge, map(_shell, others))).user
    set_here = {name for name, edit in now.user.items() if any(one.user.get(name) == edit for one in mine)}
    wanted = {name: before[name] for name in set_here if name in before}
    return restamped(writer, user, {name: edit for name, edit in user.items() if name not in set_here} | wanted)


def restamped(writer: Writer, present: Mapping[str, Edit], wanted: Mapping[str, Edit]) -> dict[str, Edit]:
    """What people did, set to other values as if by hand just now, so that other devices follow."""
    clock = max([writer.tick(), *(edit.stamp[0] for edit in (*present.values(), *wanted.values()))])
    result = {}
    for name in present.keys() | wanted.keys():
        here, value = present.get(name), wanted[name].value if name in wanted else msgspec.UNSET
        same = here is not None and here.value == value
        result[name] = here if here is not None and same else Edit(stamp=(clock + 1, writer.device), value=value)
    return dict(sorted(result.items()))


def _shell(conversation: Conversation) -> Conversation:
    return msgspec.structs.replace(conversation, messages=())


def forget(db: Database, number: int, receipt: int) -> None:
    """Removes what an operation brought to one conversation from the notes."""
    db.execute("DELETE FROM contributions WHERE document = ? AND receipt = ?", (number, receipt))


def too_old() -> str:
    """Operations that began before this moment cannot be undone any more."""
    return now_text(-KEPT_FOR)


def now_text(later: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) + later).isoformat(timespec="seconds").replace("+00:00", "Z")


def settle_old(db: Database, archive: Key) -> None:
    """Joins, within the caller's transaction, what operations brought that cannot be undone any more."""
    last = db.execute("SELECT max(number) FROM receipts WHERE archive = ? AND at < ?", (archive, too_old())).fetchone()[
        0
    ]
    if last is None:
        return
    documents = db.execute(
        "SELECT DISTINCT document FROM contributions JOIN documents ON documents.number = document "
        "WHERE archive = ? AND contributions.receipt BETWEEN 1 AND ?",
        (archive, last),
    ).fetchall()
    for (document,) in documents:
        _join_old(db, document, last)
    db.execute(
        "DELETE FROM confirmed WHERE receipt IN (SELECT number FROM receipts WHERE archive = ? AND number <= ?)",
        (archive, last),
    )


def _join_old(db: Database, document: int, last: int) -> None:
    rows = db.execute(
        "SELECT number, receipt, replaces, data FROM contributions WHERE document = ? ORDER BY number", (document,)
    ).fetchall()
    old = list(takewhile(lambda row: row[1] <= last, rows))
    if len(old) == len(rows):
        db.execute("DELETE FROM contributions WHERE document = ?", (document,))
        db.execute("UPDATE documents SET receipt = 0 WHERE number = ?", (document,))
    elif old:
        joined = reduce(
            _join, ((row[2], decode(unpack_frame(row[3]))) for row in old[1:]), decode(unpack_frame(old[0][3]))
        )
        data = zstandard.ZstdCompressor().compress(encode(joined))
        db.execute("UPDATE contributions SET receipt = 0, data = ? WHERE number = ?", (data, old[0][0]))
        db.executemany("DELETE FROM contributions WHERE number = ?", [(row[0],) for row in old[1:]])


def _join(before: Conversation, contribution: tuple[int, Conversation]) -> Conversation:
    replaces, given = contribution
    return given if replaces else merge(before, given)
