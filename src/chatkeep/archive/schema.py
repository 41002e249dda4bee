"""The archive in SQLite: its tables, how they came to be, connections. docs/design/archive.md has what each is for."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from chatkeep.archive import index
from chatkeep.archive.database import Index, Key, transaction
from chatkeep.archive.words import treated
from chatkeep.errors import Busy, ChatkeepError, Damaged, Problem, QuotaFull, VaultTooNew

WAIT_S = 30.0
_TRY_AGAIN_S = 0.003

TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE counters (
    archive TEXT PRIMARY KEY, change INTEGER NOT NULL, clock INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE documents (
    number INTEGER PRIMARY KEY, archive TEXT NOT NULL, id TEXT NOT NULL, change INTEGER NOT NULL,
    revision TEXT NOT NULL, receipt INTEGER NOT NULL, platform TEXT NOT NULL, title TEXT NOT NULL,
    project TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, first_at TEXT NOT NULL,
    last_at TEXT NOT NULL, messages INTEGER NOT NULL, attachments INTEGER NOT NULL, labels TEXT NOT NULL,
    starred INTEGER NOT NULL, archived INTEGER NOT NULL, trashed INTEGER NOT NULL, preview TEXT NOT NULL,
    leaf TEXT NOT NULL, bytes INTEGER NOT NULL
);
CREATE UNIQUE INDEX documents_by_id ON documents (archive, id);
CREATE INDEX documents_by_change ON documents (archive, change);
CREATE INDEX documents_by_time ON documents (archive, trashed, last_at);
CREATE INDEX documents_by_receipt ON documents (receipt);
CREATE TABLE contents (document INTEGER PRIMARY KEY, frames BLOB, data BLOB NOT NULL);
CREATE TABLE messages (
    row INTEGER PRIMARY KEY, document INTEGER NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL,
    parent INTEGER, shown INTEGER, person INTEGER, flags INTEGER NOT NULL, sent_at TEXT NOT NULL,
    start INTEGER NOT NULL, length INTEGER NOT NULL
);
CREATE UNIQUE INDEX messages_by_place ON messages (document, position);
CREATE TABLE texts (row INTEGER PRIMARY KEY, kind INTEGER NOT NULL, tags TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE people (
    number INTEGER PRIMARY KEY, archive TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL,
    UNIQUE (archive, id, name, role)
);
CREATE TABLE takes_part (document INTEGER NOT NULL, person INTEGER NOT NULL, PRIMARY KEY (document, person))
    WITHOUT ROWID;
CREATE TABLE attachments (sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE needs (
    document INTEGER NOT NULL, sha256 TEXT NOT NULL, name TEXT NOT NULL, media_type TEXT NOT NULL,
    PRIMARY KEY (document, sha256)
) WITHOUT ROWID;
CREATE INDEX needs_by_hash ON needs (sha256);
CREATE TABLE taken (
    archive TEXT NOT NULL, importer TEXT NOT NULL, digest BLOB NOT NULL, receipt INTEGER NOT NULL,
    counts BLOB NOT NULL, PRIMARY KEY (archive, importer, digest)
) WITHOUT ROWID;
CREATE INDEX taken_by_receipt ON taken (receipt);
CREATE TABLE receipts (
    number INTEGER PRIMARY KEY AUTOINCREMENT, archive TEXT NOT NULL, at TEXT NOT NULL, undone_at TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE contributions (
    number INTEGER PRIMARY KEY, document INTEGER NOT NULL, receipt INTEGER NOT NULL, replaces INTEGER NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX contributions_by_document ON contributions (document);
CREATE INDEX contributions_by_receipt ON contributions (receipt);
CREATE TABLE confirmed (
    document INTEGER NOT NULL, receipt INTEGER NOT NULL, earlier INTEGER NOT NULL, PRIMARY KEY (document, receipt)
) WITHOUT ROWID;
CREATE INDEX confirmed_by_receipt ON confirmed (receipt);
CREATE TABLE aliases (archive TEXT NOT NULL, alias TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (archive, alias))
    WITHOUT ROWID;
CREATE TABLE prints (print INTEGER NOT NULL, document INTEGER NOT NULL, PRIMARY KEY (print, document)) WITHOUT ROWID;
CREATE INDEX prints_by_document ON prints (document);
CREATE TABLE tombstones (archive TEXT NOT NULL, id TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (archive, id))
    WITHOUT ROWID;
CREATE TABLE removed (archive TEXT NOT NULL, id TEXT NOT NULL, change INTEGER NOT NULL, PRIMARY KEY (archive, id))
    WITHOUT ROWID;
CREATE INDEX removed_by_change ON removed (archive, change);
CREATE TABLE cursors (archive TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (archive, name))
    WITHOUT ROWID;
"""


def _first(connection: sqlite3.Connection) -> None:
    for statement in TABLES.split(";"):
        if statement.strip():
            connection.execute(statement)
    index.make(connection, "found_1")
    connection.execute("INSERT INTO about VALUES ('index', 'found_1'), ('index version', ?)", (str(index.VERSION),))


def _second(connection: sqlite3.Connection) -> None:
    """Tombstones are changes too, and two versions of a message that met in a sync are listed until somebody looked."""
    connection.execute("ALTER TABLE tombstones ADD COLUMN change INTEGER NOT NULL DEFAULT 0")
    connection.execute(
        "CREATE TABLE conflicts (archive TEXT NOT NULL, id TEXT NOT NULL, message TEXT NOT NULL, "
        "host TEXT NOT NULL, settled TEXT NOT NULL, PRIMARY KEY (archive, id, message)) WITHOUT ROWID"
    )


def _third(connection: sqlite3.Connection) -> None:
    """Attachments belong to an archive each, as the rows do: naming a hash gives nobody what only another one holds.

    What was held before belongs to those whose conversations name it, and the rest to the keeper's own.
    """
    connection.execute(
        "CREATE TABLE held (archive TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, "
        "PRIMARY KEY (archive, sha256)) WITHOUT ROWID"
    )
    connection.execute(
        "INSERT INTO held SELECT DISTINCT d.archive, a.sha256, a.size FROM attachments a JOIN needs n USING (sha256) "
        "JOIN documents d ON d.number = n.document"
    )
    connection.execute(
        "INSERT INTO held SELECT coalesce((SELECT CASE WHEN count(*) = 1 THEN min(archive) END FROM counters), 'own'), "
        "sha256, size FROM attachments WHERE sha256 NOT IN (SELECT sha256 FROM held)"
    )
    connection.execute("DROP TABLE attachments")
    connection.execute("ALTER TABLE held RENAME TO attachments")
    connection.execute("CREATE INDEX attachments_by_hash ON attachments (sha256)")


# Each takes an archive of the version that is its place in this list to the next one, within one transaction.
MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = [_first, _second, _third]


class Connection(sqlite3.Connection):
    """A connection to a file of archives, in autocommit mode but for what stands between `begin` and `commit`."""

    archive: Key
    index: Index
    first, last = 0, 1 << 62
    months, row_bits = 0, 24
    numbers = texts = "json_each(?)"
    labels = "json_each(d.labels)"
    same_person = "(archive, id, name, role) = (?, ?, ?, ?)"
    newest_first = ""
    batch_bytes = 6 << 20  # keeps the write lock for some 150 ms

    @property
    def damage(self) -> type[Exception]:
        return sqlite3.DatabaseError

    def many(self, values: Iterable[int] | Iterable[str]) -> str:
        return json.dumps(list(values))

    def together(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def people(self, people: Collection[tuple[str, str, str]]) -> sqlite3.Cursor:
        return self.execute(
            "SELECT p.id, p.name, p.role, p.number FROM json_each(?) CROSS JOIN people p ON (p.archive, p.id, p.name, "
            "p.role) = (?, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'))",
            (json.dumps(list(people)), self.archive),
        )

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self.executemany(f"INSERT INTO {table} VALUES (?{', ?' * (len(rows[0]) - 1)})", rows)

    def insert_contents(self, contents: Sequence[tuple[int, bytes | None, bytes]]) -> None:
        """Those of one frame by one statement, which lets go of the interpreter."""
        self.insert("contents", [one for one in contents if one[1] is not None])
        short = [(number, data) for number, frames, data in contents if frames is None]
        if short:
            ends = accumulate(len(data) for _, data in short)
            places = [(number, end - len(data) + 1, len(data)) for (number, data), end in zip(short, ends, strict=True)]
            self.execute(
                "INSERT INTO contents SELECT json_extract(value, '$[0]'), NULL, "
                "substr(?, json_extract(value, '$[1]'), json_extract(value, '$[2]')) FROM json_each(?)",
                (b"".join(data for _, data in short), json.dumps(places)),
            )

    def piece(self, number: int, start: int, length: int) -> bytes:
        with self.blobopen("contents", "data", number, readonly=True) as blob:
            blob.seek(start)
            return blob.read(length)

    def begin(self) -> None:
        """Asks again often, so that a long import, which pauses briefly, lets others in."""
        give_up = time.monotonic() + WAIT_S
        self.execute("PRAGMA busy_timeout=0")
        try:
            while True:
                try:
                    self.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as wrong:
                    if wrong.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                        raise
                    if time.monotonic() > give_up:
                        raise Busy("Another program is writing to the archive") from wrong
                    time.sleep(_TRY_AGAIN_S)
        finally:
            self.execute(f"PRAGMA busy_timeout={int(WAIT_S * 1000)}")

    def begin_snapshot(self) -> None:
        self.execute("BEGIN")

    def explain(self, error: Exception) -> ChatkeepError | None:
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL:
            return QuotaFull("The disk with the archive is full")
        return None

    def overwrite_freed(self) -> None:
        """Otherwise only what costs nothing is overwritten."""
        self.execute("PRAGMA secure_delete=ON")

    def wipe(self) -> None:
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def check(self) -> Iterator[Problem]:
        for (text,) in self.execute("PRAGMA integrity_check"):
            if text != "ok":
                yield Problem("archive.sqlite3", f"The database is damaged: {text}")


class File:
    """The rows of one archive in a file."""

    def __init__(self, path: Path, archive: str) -> None:
        self.key = archive
        self._path = path

    def connect(self, *, cache_kib: int = 16_384) -> Connection:
        """A connection that may be handed from thread to thread."""
        connection = connect(self._path, cache_kib=cache_kib)
        connection.archive = self.key
        connection.index = index.Fts5(connection)
        # What `index` has to add, where it was treated beforehand.
        connection.execute("CREATE TEMP TABLE treated (row INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        connection.create_function("treated", 1, treated, deterministic=True)
        return connection

    def destroy(self) -> None:
        """Delete the file, with what SQLite keeps beside it."""
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink(missing_ok=True)


def connect(path: Path, *, cache_kib: int = 16_384) -> Connection:
    connection = sqlite3.connect(
        path, timeout=WAIT_S, isolation_level=None, check_same_thread=False, factory=Connection
    )
    try:
        connection.execute("PRAGMA synchronous=FULL")
    except sqlite3.DatabaseError:
        connection.close()
        raise
    connection.execute(f"PRAGMA cache_size=-{cache_kib}")
    connection.execute("PRAGMA secure_delete=FAST")
    # Pages that change in every batch of an import go to the file once, not each time.
    connection.execute("PRAGMA wal_autocheckpoint=4096")
    connection.execute("PRAGMA journal_size_limit=33554432")
    connection.execute("PRAGMA temp_store=MEMORY")
    return connection


def prepare(path: Path) -> None:
    """Makes the archive's file, or brings one of an earlier version up to date. Repeating it changes nothing.

    Raises VaultTooNew when a later version wrote it, Damaged when it is no archive.
    """
    connection = None
    try:
        connection = connect(path)
        if not connection.execute("PRAGMA page_count").fetchone()[0]:
            connection.execute("PRAGMA page_size=8192")
        _use_wal(connection)
        if _version(connection, path) < len(MIGRATIONS):
            with transaction(connection):
                for migrate in MIGRATIONS[_version(connection, path) :]:
                    migrate(connection)
                connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
    except sqlite3.DatabaseError as wrong:
        if isinstance(wrong, sqlite3.OperationalError):
            raise
        raise Damaged(f"{path.name} is not an archive, or it is damaged") from wrong
    finally:
        if connection is not None:
            connection.close()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turns the log on. Of several programs that make an archive at one moment, all but one must ask again."""
    give_up = time.monotonic() + WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as wrong:
            if wrong.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(_TRY_AGAIN_S)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise VaultTooNew(f"{path.name} was written by a later version of Chatkeep")
    return version
