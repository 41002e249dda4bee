"""One chat under two ids: two devices imported it, and its platform gives it none.

Each device gave it an id of its own. When they meet, both texts are aligned (`chatkeep.alignment`) and joined under
the smaller id, on whichever device it happens, so that all come to the same. The other id becomes an alias here, and
its tombstone says what stands in its place now.
"""

from __future__ import annotations

import msgspec

from chatkeep import alignment
from chatkeep.archive import removing, tombstones
from chatkeep.archive.database import transaction
from chatkeep.archive.rows import prepare, prints
from chatkeep.archive.undoing import drop_unused, remove_files
from chatkeep.archive.writing import Put, Writer
from chatkeep.merge import merge, pieces
from chatkeep.model import Conversation

SET_ALIAS = "INSERT INTO aliases VALUES (?, ?, ?) ON CONFLICT (archive, alias) DO UPDATE SET id = excluded.id"
_CANDIDATES = 8


def candidates(writer: Writer, one: Conversation) -> list[str]:
    """The conversations here that share the most messages with one."""
    found = prints(one)
    if not found:
        return []
    writer.flush_prints()
    db = writer.reader
    shared = db.execute(
        f"SELECT id FROM (SELECT document, count(*) AS shared FROM {db.numbers} CROSS JOIN prints "
        "WHERE print = value AND document > ? AND document < ? GROUP BY document) AS s "
        "JOIN documents ON number = document WHERE archive = ? AND platform = ? "
        "ORDER BY shared DESC, number LIMIT ?",
        (db.many(found), db.first, db.last, writer.archive, one.platform, _CANDIDATES),
    )
    return [id for (id,) in shared]


def join(writer: Writer, id: str) -> str:
    """Joins a conversation that came from another device with its twins here; gives the id that it has now.

    What waits to be written is written first.
    """
    writer.flush()
    joined: str | None = id
    while joined is not None and writer.known(joined):
        id, one = joined, writer.load(joined)
        others = [writer.load(other) for other in candidates(writer, one) if other != id]
        joined = next((found for other in others if (found := _joined(writer, one, other))), None)
    return id


def _joined(writer: Writer, one: Conversation, other: Conversation) -> str | None:
    """The id of both after they were joined; None when they are two chats."""
    stays, goes = sorted((one, other), key=lambda each: each.id)
    aligned = alignment.align(stays, goes)
    if aligned is None:
        return None
    both = prepare(merge(stays, aligned))
    base, receipt = writer.reader.execute(
        "SELECT revision, (SELECT receipt FROM documents WHERE archive = ?1 AND id = ?3) FROM documents "
        "WHERE archive = ?1 AND id = ?2",
        (writer.archive, stays.id, goes.id),
    ).fetchone()
    with transaction(writer.db):
        if both.revision != base:
            # What an import here had brought under the other id is taken back under this one.
            writer.write_now(Put(both, base, receipt, msgspec.structs.replace(aligned, user={})))
        tombstones.add(writer.db, writer.archive, goes.id, pieces(goes), tombstones.REPLACED, writer.device)
        needed = removing.remove_all(writer, [goes.id], marked=False)
        removing.forget_taken(writer.db, writer.archive, goes.id)
        writer.db.execute("UPDATE aliases SET id = ? WHERE archive = ? AND id = ?", (stays.id, writer.archive, goes.id))
        writer.db.execute(SET_ALIAS, (writer.archive, goes.id, stays.id))
        free = drop_unused(writer.db, needed)
    remove_files(writer, free)
    return stays.id
