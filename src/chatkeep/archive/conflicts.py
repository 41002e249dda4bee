"""What devices did differently: listed until a person has looked at it. Nothing is lost by not looking."""

from __future__ import annotations

from collections.abc import Iterator

from chatkeep import views
from chatkeep.archive import tombstones
from chatkeep.archive.database import Database, Key, transaction
from chatkeep.archive.values import Conflict
from chatkeep.archive.writing import Writer, read_document
from chatkeep.errors import NotFound
from chatkeep.model import Conversation, decode

_TEXT = 400  # characters of a version that are shown


def listed(db: Database, archive: Key, *, settled: bool) -> list[Conflict]:
    """The conflicts of conversations that are there, by id. settled: also those that somebody has settled."""
    return [*_of_versions(db, archive, settled=settled), *_returned(db, archive)]


def _of_versions(db: Database, archive: Key, *, settled: bool) -> Iterator[Conflict]:
    rows = db.execute(
        "SELECT c.id, c.message, c.host, c.settled FROM conflicts c JOIN documents d USING (archive, id) "
        "WHERE c.archive = ? AND (c.settled = '' OR ?) ORDER BY c.id, c.message",
        (archive, settled),
    ).fetchall()
    for id, message, host, how in rows:
        conversation = decode(read_document(db, archive, id))
        versions = _versions(conversation, message)
        if len(versions) > 1:
            title = views.title(conversation)
            yield Conflict(
                id=id, title=title, kind="versions", message=message, host=host, versions=versions, settled=how
            )


def _versions(conversation: Conversation, message: str) -> list[tuple[str, str]]:
    found = next((one for one in conversation.messages if one.id == message), None)
    if found is None:
        return []
    return [(one.raw, views.plain_text(one)[:_TEXT]) for one in (found, *found.previous)]


def _returned(db: Database, archive: Key) -> Iterator[Conflict]:
    rows = db.execute(
        "SELECT t.id, d.title FROM tombstones t JOIN documents d USING (archive, id) WHERE t.archive = ? ORDER BY t.id",
        (archive,),
    ).fetchall()
    for id, title in rows:
        tombstone = tombstones.read(db, archive, id)
        if tombstone and tombstone.deleted:
            conversation = decode(read_document(db, archive, id))
            if tombstones.has_returned(conversation, tombstone):
                yield Conflict(id=id, title=title, kind="returned")


def settle(writer: Writer, id: str, message: str, how: str) -> None:
    """Notes how a conflict was settled, "" if it shall be listed again. Without a message: the conversation stays.

    Raises NotFound.
    """
    db, archive = writer.db, writer.archive
    with transaction(db):
        if message:
            changed = db.execute(
                "UPDATE conflicts SET settled = ? WHERE archive = ? AND id = ? AND message = ?",
                (how, archive, id, message),
            )
            if not changed.rowcount:
                raise NotFound(f"There is no conflict about that message of conversation {id}")
            return
        tombstone = tombstones.read(db, archive, id)
        if tombstone is None or not tombstone.deleted:
            raise NotFound(f"There is no conflict about conversation {id}")
        tombstones.add(db, archive, id, tombstone.deleted, tombstones.KEPT, writer.device)
