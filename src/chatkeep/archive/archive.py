"""The archive: what the rest of the product sees of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from chatkeep.archive import choosing, finding
from chatkeep.archive.choosing import Conditions
from chatkeep.archive.database import Database, Store, snapshot, transaction
from chatkeep.archive.values import (
    RESTORERS,
    Applied,
    Attachment,
    Change,
    Conflict,
    Counts,
    Entry,
    Facets,
    Found,
    Listed,
    Place,
    Receipt,
    Reindexed,
    Undone,
    Window,
)
from chatkeep.errors import NotFound, Problem
from chatkeep.selection import Selection

# A search from the command line is over before all of the rest would be loaded: methods import what they need.
if TYPE_CHECKING:
    from chatkeep.archive.files import Files
    from chatkeep.archive.intake import Intake
    from chatkeep.archive.joining import Joining
    from chatkeep.archive.writing import Writer
    from chatkeep.model import Conversation
    from chatkeep.records import Kept

EVERYTHING = Selection()
_HOUR_S = 3600.0
_DECODE_RECEIPT = msgspec.json.Decoder(Receipt).decode


class _Hourly:
    """What is done once in an hour, however often something is written: others push one conversation at a time."""

    def __init__(self) -> None:
        self._done: float | None = None

    def is_time(self) -> bool:
        """Whether to do it now, which counts as done."""
        now = time.monotonic()
        if self._done is not None and now - self._done < _HOUR_S:
            return False
        self._done = now
        return True


class Archive:
    """The conversations in one folder, `archive.sqlite3` and `attachments/`, or on PostgreSQL with `attachments/`.

    Callers may rely on this:
    - What a method has written when it returns is on disk; a crash at any moment leaves whole conversations.
    - It serves many threads, and many programs may have it open; readers never wait for writers.
    - Nothing emptier takes the place of something fuller, except by `apply(replace=True)`, which can be undone.
    - Nothing here reads a clock or a network except for the times on receipts.
    """

    def __init__(self, folder: Path, archive_id: str, device: str, store: Store) -> None:
        self.folder = folder
        self.id = archive_id
        self.device = device
        self._store = store
        self._key = store.key
        self._local = threading.local()
        self._connections: dict[threading.Thread, Database] = {}
        self._lock = threading.Lock()
        self._swept, self._settled = _Hourly(), _Hourly()

    @classmethod
    def open(cls, folder: Path, *, archive_id: str = "own", device: str = "", database: str = "") -> Archive:
        """The archive in a folder, made if it is not there. device: the id that goes with what people do here.

        database: address of a PostgreSQL that holds the rows, postgresql://…; the folder then has the attachments.
        Raises VaultTooNew when a later version wrote it, Damaged when the file is no archive, Unavailable when the
        database cannot be reached.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if database:
            from chatkeep.archive.server import Server

            return cls(folder, archive_id, device, Server(database, archive_id))
        from chatkeep.archive import schema

        path = folder / "archive.sqlite3"
        schema.prepare(path)
        return cls(folder, archive_id, device, schema.File(path, archive_id))

    def close(self) -> None:
        """Lets go of the files. Closing twice is no error."""
        with self._lock:
            connections, self._connections = self._connections, {}
            self._local = threading.local()
        for connection in connections.values():
            connection.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _db(self) -> Database:
        """This thread's connection."""
        found: Database | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._store.connect()
            self._local.connection = found
            with self._lock:
                for thread in [thread for thread in self._connections if not thread.is_alive()]:
                    self._connections.pop(thread).close()
                self._connections[threading.current_thread()] = found
        return found

    def _writer(self) -> Writer:
        from chatkeep.archive.writing import Writer

        files = self._files()
        if self._swept.is_time():
            files.sweep()
        return Writer(self._store, files, device=self.device)

    def _files(self) -> Files:
        from chatkeep.archive.files import Files

        return Files(self.folder / "attachments")

    def _intake(
        self, *, source: str, digest: str, importer: str, keep_empty: bool = True, expected: Collection[str] = ()
    ) -> Intake:
        from chatkeep.archive.intake import Intake

        settles = self._settled.is_time() or keep_empty
        return Intake(
            self._writer(),
            source=source,
            digest=digest,
            importer=importer,
            keep_empty=keep_empty,
            expected=expected,
            settles=settles,
        )

    # -------------------------------------------------------------- taking in

    def take_in(
        self, source: str, digest: str, importer: str, *, keep_empty: bool = True, expected: Collection[str] = ()
    ) -> Intake:
        """An import, to be used in a `with` block.

        source, digest: name and hash of what was given. importer: name and version, "chatgpt/1".
        keep_empty: whether its receipt stays when it brought nothing new; without, it is made when something comes.
        expected: ids of some conversations that will come, which are looked for at once.
        """
        return self._intake(source=source, digest=digest, importer=importer, keep_empty=keep_empty, expected=expected)

    def keep(self, stream: BinaryIO) -> Kept:
        """Takes the bytes of an attachment; they are on disk when this returns."""
        from chatkeep.records import Kept

        files = self._files()
        kept = Kept(*files.keep(stream))
        with transaction(self._db):
            self._db.executemany(
                "INSERT INTO attachments VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(self._key, *one) for one in files.settle()],
            )
        return kept

    def apply(
        self,
        conversations: Iterable[Conversation],
        *,
        replace: bool = False,
        untrash: Collection[str] = (),
        source: str = "",
        cursors: Mapping[str, str] | None = None,
    ) -> Applied:
        """Merges conversations into the archive, or puts them in the place of what is there; one operation to undo.

        What was deleted or undone before comes back, as somebody asks for it; what was erased does not.
        untrash: ids of those that are taken out of the trash as well. source: where they come from, for the receipt.
        cursors: set in the last transaction, see `cursor`.
        """
        with self._intake(source=source, digest="", importer=RESTORERS[replace], keep_empty=False) as intake:
            for conversation in conversations:
                intake.apply(conversation, replace=replace, untrash=conversation.id in untrash)
            intake.set_cursors(cursors or {})
        receipt = intake.receipt
        return Applied(receipt.added, receipt.updated, receipt.unchanged, receipt.id)

    @contextlib.contextmanager
    def joining(self, *, host: str = "") -> Iterator[Joining]:
        """What other devices have, merged into the archive: see `Joining`. host: where it comes from.

        Leaves no receipt. What was not finished when the block ends by an exception comes again at the next time.
        """
        from chatkeep.archive.joining import Joining

        writer = self._writer()
        try:
            yield Joining(writer, host=host)
            writer.tidy()
        finally:
            writer.close()

    def receipts(self) -> list[Receipt]:
        """The receipts of all operations, the latest first."""
        rows = self._db.execute(
            "SELECT number, body, undone_at FROM receipts WHERE archive = ? ORDER BY number DESC", (self._key,)
        )
        return [_receipt(*row) for row in rows]

    def receipt(self, id: str) -> Receipt:
        """One receipt. Raises NotFound."""
        found = self._db.execute(
            "SELECT number, body, undone_at FROM receipts WHERE archive = ? AND number = ?",
            (self._key, int(id) if id.isascii() and id.isdigit() and len(id) < 19 else 0),
        ).fetchone()
        if found is None:
            raise NotFound(f"There is no receipt {id}")
        return _receipt(*found)

    def take_receipts_of(self, given: Archive) -> bool:
        """Brings the receipts of an archive whose conversations were joined with this one, so that they can be undone.

        False, and nothing is brought, when this archive has receipts of its own: their order could not be told.
        """
        from chatkeep.archive import handing

        with contextlib.closing(self._store.connect()) as db:
            return handing.hand_over(given._db, given._key, db)

    def undo(self, receipt_id: str) -> Undone:
        """Takes back what an operation brought. What other operations brought and what people did here stays.

        Undoing twice changes nothing. Raises NotFound, and WrongUse when it is more than 30 days ago.
        """
        from chatkeep.archive import undoing

        with contextlib.closing(self._writer()) as writer:
            undone = undoing.undo(writer, self.receipt(receipt_id))
            writer.tidy()
            return undone

    # -------------------------------------------------------------- what is there

    def _chosen(self, selection: Selection) -> Conditions:
        conditions = Conditions()
        conditions.add("d.archive = ?", self._key)
        conditions.add("d.trashed = ?", selection.trashed)
        conditions.select(self._db, self._key, selection)
        if selection.query:
            condition, values = finding.matching_documents(self._db, self._key, selection.query)
            conditions.add(condition, *values)
        return conditions

    def listing(self, selection: Selection = EVERYTHING, *, limit: int | None = None, offset: int = 0) -> list[Listed]:
        """The selected conversations, the newest first."""
        return list(choosing.listing(self._db, self._chosen(selection), limit=limit, offset=offset))

    def page(
        self, selection: Selection = EVERYTHING, *, limit: int, after: tuple[str, str] | None = None
    ) -> tuple[list[Listed], tuple[str, str] | None]:
        """A part of the listing, and the place where it ends, which gives the next part as `after`; None at the end.

        What is not written to meanwhile comes once, whatever else is: a place is a time and an id, not a count.
        """
        return choosing.page(self._db, self._chosen(selection), limit=limit, after=after)

    def revisions(self, ids: Iterable[str]) -> dict[str, str]:
        """The revisions of those conversations that are here, by id. ids: whole ones."""
        db = self._db
        rows = db.execute(
            f"SELECT id, revision FROM documents WHERE archive = ? AND id IN (SELECT value FROM {db.texts})",
            (self._key, db.many(ids)),
        )
        return dict(rows.fetchall())

    def listed(self, id: str) -> Listed:
        """One conversation as in a list, in the trash or not. Raises NotFound."""
        return choosing.one_listed(self._db, self._resolve(id)[0])

    def count(self, selection: Selection = EVERYTHING) -> int:
        conditions = self._chosen(selection)
        found = self._db.execute(f"SELECT count(*) FROM documents d WHERE {conditions.sql()}", conditions.values)
        return int(found.fetchone()[0])

    def facets(self, selection: Selection = EVERYTHING) -> Facets:
        return choosing.facets(self._db, self._chosen(selection))

    def _resolve(self, id: str) -> tuple[int, str]:
        return choosing.resolve(self._db, self._key, id)

    def document(self, id: str) -> bytes:
        """The canonical bytes of a conversation. id: all of it, or enough to be unique. Raises NotFound, WrongUse."""
        from chatkeep.archive import reading

        return reading.document(self._db, self._resolve(id)[0])

    def load(self, id: str) -> Conversation:
        """A conversation. id: all of it, or enough to be unique. Raises NotFound, WrongUse."""
        from chatkeep.model import decode

        return decode(self.document(id))

    def documents(self, selection: Selection = EVERYTHING) -> Iterator[Conversation]:
        """The selected conversations in the order of `listing`, one in memory at a time."""
        from chatkeep.archive import reading
        from chatkeep.model import decode

        for data in reading.documents(self._db, choosing.numbers(self._db, self._chosen(selection))):
            yield decode(data)

    def window(self, id: str, *, leaf: str = "", start: int = 0, count: int = 100) -> Window:
        """Some messages of the path to a leaf, the shown one if none is named. Raises NotFound."""
        from chatkeep.archive import reading

        with snapshot(self._db):
            return reading.window(self._db, self._resolve(id)[0], leaf=leaf, start=start, count=count)

    def place(self, id: str, message: str) -> Place:
        """Where a message of a conversation stands, for `window`. Raises NotFound."""
        from chatkeep.archive import reading

        return reading.place(self._db, self._resolve(id)[0], message)

    def search(
        self,
        query: str,
        *,
        selection: Selection = EVERYTHING,
        limit: int = 20,
        offset: int = 0,
        group: bool = False,
        hidden: bool = False,
    ) -> Found:
        """The best messages and titles for a query (docs/guide/search.md); those in the trash are not found.

        group: the best of each conversation only. hidden: also what the platform does not show.
        Raises WrongUse, with a sentence, for a value that makes no sense.
        """
        with snapshot(self._db):
            return finding.search(
                self._db, self._key, query, selection=selection, limit=limit, offset=offset, group=group, hidden=hidden
            )

    def reindex(self, progress: Callable[[int, int], None] = lambda done, total: None) -> Reindexed:
        """Makes the full-text index again beside the old one, which serves until the new one is complete.

        progress: is called with conversations done and all. When it was cut off, the next call continues.
        """
        from chatkeep.archive import checking

        with contextlib.closing(self._store.connect()) as db:
            return checking.reindex(db, progress)

    # -------------------------------------------------------------- attachments

    def attachment(self, sha256: str) -> Path:
        """The file of an attachment that is held here. Raises NotFound."""
        self._size_of(sha256)
        return self._files().path(sha256)

    def attachment_info(self, sha256: str) -> Attachment:
        """What is known of an attachment that is held here. Raises NotFound."""
        size, path = self._size_of(sha256), self._files().path(sha256)
        return Attachment(sha256, size, self._said("name", sha256), self._said("media_type", sha256), path)

    def _size_of(self, sha256: str) -> int:
        found = self._db.execute(
            "SELECT size FROM attachments WHERE archive = ? AND sha256 = ?", (self._key, sha256)
        ).fetchone()
        if found is None:
            raise NotFound("That attachment is not in the archive")
        return int(found[0])

    def _said(self, column: str, sha256: str) -> str:
        """What the first message with an attachment says of it; "" when none does."""
        found = self._db.execute(
            f"SELECT {column} FROM needs JOIN documents d ON d.number = document "
            f"WHERE d.archive = ? AND sha256 = ? AND {column} != '' ORDER BY document LIMIT 1",
            (self._key, sha256),
        ).fetchone()
        return str(found[0]) if found else ""

    def held(self) -> Iterator[tuple[str, int]]:
        """Hash and size [bytes] of every attachment that is held here, by hash."""
        yield from self._db.execute(
            "SELECT sha256, size FROM attachments WHERE archive = ? ORDER BY sha256", (self._key,)
        )

    def named(self) -> Iterator[tuple[str, int, bool]]:
        """Hash, size [bytes, 0 if not known] and whether it is held here, of every attachment that a document names."""
        rows = self._db.execute(
            "SELECT DISTINCT n.sha256, coalesce(a.size, 0), a.sha256 IS NOT NULL FROM needs n "
            "JOIN documents d ON d.number = n.document LEFT JOIN attachments a USING (archive, sha256) "
            "WHERE d.archive = ? ORDER BY n.sha256",
            (self._key,),
        )
        for sha256, size, is_held in rows:
            yield sha256, size, bool(is_held)

    # -------------------------------------------------------------- for the vault

    def entries(self) -> Iterator[Entry]:
        """Every conversation with its revision, by id; those in the trash too."""
        for row in self._db.execute(
            "SELECT id, revision, updated_at FROM documents WHERE archive = ? ORDER BY id", (self._key,)
        ):
            yield Entry(*row)

    def frames(self, ids: Sequence[str]) -> dict[str, tuple[bytes, int]]:
        """Documents as they are kept, each one zstd frame and its plain size [bytes]; without those kept in several.

        ids: all of each. Those that are not there are left out.
        """
        db = self._db
        found = db.execute(
            f"SELECT d.id, c.data, d.bytes FROM {db.texts} CROSS JOIN documents d "
            "JOIN contents c ON c.document = d.number WHERE d.archive = ? AND d.id = value AND c.frames IS NULL",
            (db.many(ids), self._key),
        )
        return {id: (data, size) for id, data, size in found}

    @property
    def number(self) -> int:
        """The number of the last change."""
        found = self._db.execute("SELECT change FROM counters WHERE archive = ?", (self._key,)).fetchone()
        return int(found[0]) if found else 0

    def changes_since(self, number: int, *, limit: int | None = None) -> list[Change]:
        """The conversations that changed, or went, after a change, in the order of their last one.

        limit: at most so many, the first.
        """
        rows = self._db.execute(
            "SELECT change, id, revision FROM documents WHERE archive = ?1 AND change > ?2 UNION ALL "
            "SELECT change, id, '' FROM removed WHERE archive = ?1 AND change > ?2 ORDER BY change LIMIT ?3",
            (self._key, number, choosing.ALL if limit is None else limit),
        )
        return [Change(*row) for row in rows]

    def tombstones(self) -> Iterator[tuple[str, bytes]]:
        """What was taken away from conversations, or that they were deleted or erased, by id."""
        yield from self._db.execute("SELECT id, data FROM tombstones WHERE archive = ? ORDER BY id", (self._key,))

    def marked_since(self, number: int) -> list[str]:
        """The ids of conversations from which something was taken away, or brought back, after a change."""
        rows = self._db.execute("SELECT id FROM tombstones WHERE archive = ? AND change > ?", (self._key, number))
        return sorted(id for (id,) in rows)

    def set_cursor(self, name: str, value: str) -> None:
        """Notes a place by itself; see `cursor`."""
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO cursors VALUES (?, ?, ?) ON CONFLICT (archive, name) DO UPDATE SET value = excluded.value",
                (self._key, name, value),
            )

    def cursors(self, beginning: str) -> dict[str, str]:
        """All noted places whose names begin so."""
        rows = self._db.execute("SELECT name, value FROM cursors WHERE archive = ?", (self._key,))
        return {name: value for name, value in rows if name.startswith(beginning)}

    def cursor(self, name: str) -> str:
        """A place that a sync has noted (see `apply`); "" if it has not."""
        found = self._db.execute(
            "SELECT value FROM cursors WHERE archive = ? AND name = ?", (self._key, name)
        ).fetchone()
        return str(found[0]) if found else ""

    def counts(self) -> Counts:
        conversations, messages, size = self._db.execute(
            "SELECT count(*), coalesce(sum(messages), 0), coalesce(sum(bytes), 0) FROM documents WHERE archive = ?",
            (self._key,),
        ).fetchone()
        attachments, more = self._db.execute(
            "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM attachments WHERE archive = ?", (self._key,)
        ).fetchone()
        return Counts(conversations, messages, attachments, size + more)

    def destroy(self) -> None:
        """Deletes every row of this archive, for good and with all marks. Its folder is the caller's to delete."""
        self._store.destroy()

    # -------------------------------------------------------------- what people do here

    def edit(self, id: str, field: str, value: Any) -> None:
        """Sets one field of what people do here: title, labels, starred, archived, trashed, project, shown_leaf, or
        "version/" and a message id. None sets it back to what the platform says. Raises NotFound, WrongUse."""
        from chatkeep.archive import editing

        with contextlib.closing(self._writer()) as writer:
            editing.edit(writer, self._resolve(id)[1], field, value, device=self.device)
            writer.tidy()

    def delete(self, ids: Iterable[str]) -> int:
        """Removes conversations for good, here and, by the next sync, on every device: how many attachments went too.

        A mark of each stays that lists what was seen: who has more of it brings it back, as a conflict to look at.
        ids: all of them, or enough to be unique. Raises NotFound.
        """
        from chatkeep.archive import removing

        with contextlib.closing(self._writer()) as writer:
            gone = removing.delete(writer, [self._resolve(id)[1] for id in ids])
            writer.tidy()
            return gone

    def erase(self, ids: Iterable[str]) -> int:
        """Removes every trace of conversations but their ids, which nothing can come back under, on any device.

        ids: whole ones; they need not be here. How many attachments went with them. What lies in vaults, exports
        and on other devices is not reached by this.
        """
        from chatkeep.archive import removing

        with contextlib.closing(self._writer()) as writer:
            return removing.erase(writer, list(ids))

    def conflicts(self, *, settled: bool = False) -> list[Conflict]:
        """What devices did differently and nobody has looked at. settled: also what somebody has."""
        from chatkeep.archive import conflicts

        return conflicts.listed(self._db, self._key, settled=settled)

    def settle(self, id: str, message: str = "", *, choose: str = "") -> None:
        """Settles a conflict. choose: `raw` of the version to be shown; "" keeps both, or the conversation.

        Undone by `unsettle`. Raises NotFound when there is no such conflict.
        """
        from chatkeep.archive import conflicts
        from chatkeep.merge import CHOSEN

        id = self._resolve(id)[1]
        if choose:
            self.edit(id, CHOSEN + message, choose)
        with contextlib.closing(self._writer()) as writer:
            conflicts.settle(writer, id, message, "chosen" if choose else "both")

    def unsettle(self, id: str, message: str) -> None:
        """Takes back what was settled about a message: no version is chosen, and the conflict is listed again."""
        from chatkeep.archive import conflicts
        from chatkeep.merge import CHOSEN

        id = self._resolve(id)[1]
        with contextlib.closing(self._writer()) as writer:
            conflicts.settle(writer, id, message, "")
        self.edit(id, CHOSEN + message, None)

    # -------------------------------------------------------------- health

    def check(self) -> list[Problem]:
        """What is wrong with the archive; nothing, usually. Reads all of it but the bytes of attachments."""
        from chatkeep.archive import checking

        return checking.check(self._db, self._files())


def _receipt(number: int, body: bytes, undone_at: str) -> Receipt:
    # An operation that was cut off before its first batch has left a body without its number.
    return msgspec.structs.replace(_DECODE_RECEIPT(body), id=str(number), undone_at=undone_at)
