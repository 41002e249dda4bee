"""Deleting conversations, and erasing them: what goes from the tables, and the mark that stays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice

from chatkeep.archive import tombstones
from chatkeep.archive.database import Database, Key, transaction
from chatkeep.archive.undoing import drop_unused, remove_files
from chatkeep.archive.writing import Writer, read_document, remove_document
from chatkeep.errors import NotFound
from chatkeep.model import decode

_AT_ONCE = 200  # conversations in one transaction, so that others get in between


def delete(writer: Writer, ids: Sequence[str]) -> int:
    """Removes conversations, each with a tombstone that lists what it saw. How many attachments went with them."""
    went = 0
    waiting = iter(ids)
    while some := list(islice(waiting, _AT_ONCE)):
        with transaction(writer.db):
            needed = remove_all(writer, some, marked=True)
            free = drop_unused(writer.db, needed)
        remove_files(writer, free)
        went += len(free)
    return went


def remove_all(writer: Writer, ids: Iterable[str], *, marked: bool) -> set[str]:
    """Removes conversations within the transaction of the caller. The hashes of the attachments that they named.

    marked: with a new tombstone for each; else the caller writes it.
    """
    db, archive = writer.db, writer.archive
    needed: set[str] = set()
    for id in ids:
        found = db.execute("SELECT number FROM documents WHERE archive = ? AND id = ?", (archive, id)).fetchone()
        if found is None:
            raise NotFound(f"There is no conversation {id}")
        if marked:
            seen = tombstones.seen_by_deletion(decode(read_document(db, archive, id)))
            tombstones.add(db, archive, id, seen, tombstones.DELETED, writer.device)
        needed.update(row[0] for row in db.execute("SELECT sha256 FROM needs WHERE document = ?", found))
        remove_document(db, archive, found[0])
        db.execute("DELETE FROM conflicts WHERE archive = ? AND id = ?", (archive, id))
    return needed


def erase(writer: Writer, ids: Collection[str]) -> int:
    """Removes every trace of conversations but the mark of their ids. How many attachments went with them.

    Ids that are not here get the mark too, so that they do not come from elsewhere.
    """
    db, archive = writer.db, writer.archive
    overwrite_freed(writer)
    with transaction(db):
        needed = remove_all(writer, [id for id in ids if _is_here(writer, id)], marked=False)
        for id in ids:
            tombstones.write(db, archive, tombstones.Tombstone(id, erased=True))
            forget_id(db, archive, id)
        free = drop_unused(db, needed)
    remove_files(writer, free)
    wipe(writer)
    return len(free)


def overwrite_freed(writer: Writer) -> None:
    """Has this writer overwrite what it frees, for an erasure; otherwise only what costs nothing is."""
    writer.db.overwrite_freed()


def forget_id(db: Database, archive: Key, id: str) -> None:
    """Removes what else is known under an id, within the caller's transaction: aliases, digests, people of no other."""
    db.execute("DELETE FROM aliases WHERE archive = ?1 AND (id = ?2 OR alias = ?2)", (archive, id))
    forget_taken(db, archive, id)
    db.execute(
        "DELETE FROM people WHERE archive = ?1 AND number NOT IN "
        "(SELECT person FROM takes_part JOIN documents d ON d.number = document WHERE d.archive = ?1)",
        (archive,),
    )


def wipe(writer: Writer) -> None:
    """Removes the words of erased texts from the files: the index is joined into one piece, and the log emptied."""
    writer.db.index.wipe()
    writer.db.wipe()


def _is_here(writer: Writer, id: str) -> bool:
    found = writer.db.execute("SELECT 1 FROM documents WHERE archive = ? AND id = ?", (writer.archive, id))
    return found.fetchone() is not None


def forget_taken(db: Database, archive: Key, id: str) -> None:
    """Has records that gave a conversation be read again at the next import, within the caller's transaction."""
    db.execute("DELETE FROM taken WHERE archive = ? AND instr(counts, ?) > 0", (archive, f'"{id}"'))
