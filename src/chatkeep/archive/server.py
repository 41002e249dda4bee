"""The archive on PostgreSQL: connections to it, and what it does otherwise than SQLite.

All archives of an installation share the tables of the schema `archive`, and all of a process share one small pool of
connections. A `Connection` here is only a handle: it takes one of the pool for a statement, or for a transaction, and
gives it back. docs/design/archive.md tells how rows of different archives keep apart.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import count
from typing import Any

import psycopg
from psycopg import errors
from psycopg.types.string import StrDumperUnknown
from psycopg_pool import ConnectionPool

from chatkeep.archive import kept, server_tables
from chatkeep.archive.vectors import Vectors
from chatkeep.errors import Busy, ChatkeepError, Problem, QuotaFull, Refused, Unavailable, VaultTooNew, WrongUse

WAIT_S = 30.0
_MOST = 12  # connections of one process
_WRITING = 8  # of them, at most, in transactions that write: the others are for reading, which waits for nobody
_NUMBER_BITS = 39  # of the number of a document or a row, below that of its archive
_MONTH_BITS = 13
_LAST_ARCHIVE = (1 << 24) - 1
_SETTINGS = (
    ("search_path", "archive"),
    ("lock_timeout", f"{int(WAIT_S)}s"),
    # Statements are planned for their values: what is rare in one archive is everywhere in another.
    ("plan_cache_mode", "force_custom_plan"),
)
_VALUE = re.compile(r"\?(\d*)")

_Held = psycopg.Connection[tuple[Any, ...]]


class _Text(StrDumperUnknown):
    """Texts as values of conditions. PostgreSQL keeps no NUL, and UTF-8 has no lone surrogates: neither is found."""

    def dump(self, obj: str) -> bytes:
        return obj.replace("\0", "\ufffd").encode("utf-8", "replace")


@lru_cache(maxsize=1024)
def _numbered(statement: str) -> str:
    """The statement with $1, $2 … for its values."""
    numbers = count(1)
    return _VALUE.sub(lambda found: f"${found[1] or next(numbers)}", statement)


class _Later:
    """What a statement will have given once it was answered."""

    def __init__(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        return self._cursor.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor.fetchall())


class _Rows:
    """What a statement gave, after its connection went back."""

    def __init__(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
        self.rowcount = cursor.rowcount
        self._rows = iter(cursor.fetchall() if cursor.description else [])

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return list(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows


# ------------------------------------------------------------------ connections of this process


class _Pool:
    """The connections of this process to one database, and the archives whose numbers it knows."""

    def __init__(self, url: str) -> None:
        self.connections = ConnectionPool(
            url,
            min_size=1,
            max_size=_MOST,
            timeout=WAIT_S,
            name="chatkeep-archive",
            configure=_configure,
            open=False,
            kwargs={"autocommit": True, "cursor_factory": psycopg.RawCursor, "application_name": "chatkeep"},
        )
        self.writing = threading.BoundedSemaphore(_WRITING)
        self.numbers: dict[str, int] = {}
        self.lock = threading.Lock()

    @contextlib.contextmanager
    def one(self) -> Iterator[_Held]:
        held = self.take()
        try:
            yield held
        finally:
            self.give_back(held)

    def take(self) -> _Held:
        with _reachable():
            return kept.living(self.connections, self.connections.getconn)

    def give_back(self, held: _Held) -> None:
        self.connections.putconn(held)


def _configure(held: _Held) -> None:
    held.adapters.register_dumper(str, _Text)
    for name, value in _SETTINGS:
        held.execute("SELECT set_config($1, $2, false)", (name, value))


_pools: dict[tuple[int, str], _Pool] = {}
_pools_lock = threading.Lock()


def _pool(url: str) -> _Pool:
    """The pool for a database, its tables brought up to date when this process first comes to it."""
    name = (os.getpid(), url)  # a process that was forked makes connections of its own
    with _pools_lock:
        if (found := _pools.get(name)) is None:
            found = _Pool(url)
            try:
                with _reachable():
                    found.connections.open(wait=True, timeout=WAIT_S)
                    with found.one() as held:
                        server_tables.prepare(held)
            except BaseException:
                found.connections.close()
                raise
            _pools[name] = found
            atexit.register(_close, name)
        return found


def _close(name: tuple[int, str]) -> None:
    with _pools_lock:
        pool = _pools.pop(name, None)
    if pool is not None and name[0] == os.getpid():
        pool.connections.close()


def open_conflicts(url: str) -> int:
    """How many messages that devices have differently nobody has looked at, in all archives of a database."""
    with _pool(url).one() as held, _reachable():
        return int(held.execute("SELECT count(*) FROM conflicts WHERE settled = ''").fetchone()[0])  # type: ignore[index]


def close_all() -> None:
    """Lets go of all connections of this process; the next use makes new ones."""
    for name in list(_pools):
        _close(name)


# ------------------------------------------------------------------ errors


def _explained(error: Exception) -> ChatkeepError | None:
    if isinstance(error, errors.DiskFull):
        return QuotaFull("The disk with the database is full")
    if isinstance(error, errors.LockNotAvailable):
        return Busy("Another program is writing to the archive")
    if isinstance(error, errors.ProgramLimitExceeded):
        return Refused("An id or a hash in there is longer than the database can keep")
    if isinstance(error, psycopg.OperationalError):
        return Unavailable("The database with the archives cannot be reached")
    return None


@contextlib.contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as wrong:
        raise _explained(wrong) or wrong from wrong


# ------------------------------------------------------------------ one archive


class Server:
    """The rows of one archive on PostgreSQL."""

    def __init__(self, url: str, archive: str) -> None:
        """Raises Unavailable, WrongUse when the address makes no sense, and VaultTooNew."""
        try:
            self._pool = _pool(url)
        except psycopg.ProgrammingError as wrong:
            raise WrongUse("The address of the database makes no sense", hint="Write it postgresql://…") from wrong
        self.key = self._number(archive)

    def _number(self, archive: str) -> int:
        """The number of an archive, made up at its first use."""
        pool = self._pool
        with pool.lock:
            if (known := pool.numbers.get(archive)) is None:
                with pool.one() as held, _reachable():
                    known = server_tables.number_of(held, archive)
                if known > _LAST_ARCHIVE:
                    raise VaultTooNew(f"A database holds at most {_LAST_ARCHIVE} archives")
                pool.numbers[archive] = known
        return known

    def connect(self, *, cache_kib: int = 0) -> Connection:
        return Connection(self._pool, self.key)

    def destroy(self) -> None:
        """Delete every row of the archive, found by the columns that say whose a row is."""
        least, most = self.key << _NUMBER_BITS, ((self.key + 1) << _NUMBER_BITS) - 1
        with self._pool.lock:
            self._pool.numbers = {id: key for id, key in self._pool.numbers.items() if key != self.key}
        with self._pool.one() as held, _reachable(), held.transaction():
            tables = held.execute(
                "SELECT table_name::text, column_name::text FROM information_schema.columns "
                "WHERE table_schema = 'archive' AND column_name IN ('archive', 'document', 'row')"
            ).fetchall()
            for table, column in tables:
                theirs = "= $1" if column == "archive" else "BETWEEN $1 AND $2"
                values = (self.key,) if column == "archive" else (least, most)
                held.execute(f'DELETE FROM "{table}" WHERE "{column}" {theirs}', values)
            held.execute("DELETE FROM archives WHERE number = $1", (self.key,))


class Connection:
    """A handle on the rows of one archive; it holds a connection between `begin` and `commit` only."""

    numbers = "unnest(?::bigint[]) AS value"
    texts = "unnest(?::text[]) AS value"
    labels = "each_label(d.labels)"
    same_person = (
        "archive = ?1 AND id = ?2::text AND name = ?3::text AND role = ?4::text "
        "AND person_key(id, name, role) = person_key(?2::text, ?3::text, ?4::text)"
    )
    newest_first = "ORDER BY s.row DESC"
    batch_bytes = 3 << 20

    def __init__(self, pool: _Pool, archive: int) -> None:
        self.archive = archive
        self.first, self.last = archive << _NUMBER_BITS, (archive + 1) << _NUMBER_BITS
        self.months, self.row_bits = archive << _MONTH_BITS, _NUMBER_BITS - _MONTH_BITS
        self._pool = pool
        self._held: _Held | None = None
        self._is_writing = False
        self._is_together = False
        self.index = Vectors(self)

    @property
    def damage(self) -> type[Exception]:
        return psycopg.InternalError

    @property
    def in_transaction(self) -> bool:
        return self._held is not None

    # -------------------------------------------------------------- statements

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        with self._writing.pipeline():
            self._is_together = True
            try:
                yield
            finally:
                self._is_together = False

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> _Rows | _Later:
        if self._is_together:
            return _Later(self._writing.execute(_numbered(statement), values))
        if self._held is not None:
            return _Rows(self._held.execute(_numbered(statement), values))
        return self._read(lambda held: _Rows(held.execute(_numbered(statement), values)))

    def _read(self, ask: Callable[[_Held], _Rows]) -> _Rows:
        """Asks by itself; once more when only the connection was at fault, as after a restart of the server."""
        with self._pool.one() as held:
            try:
                return ask(held)
            except psycopg.OperationalError:
                if not held.closed:
                    raise
        with self._pool.one() as held, _reachable():
            return ask(held)

    def executemany(self, statement: str, values: Iterable[Sequence[Any]], /) -> None:
        rows = list(values)
        if rows:
            self._writing.cursor().executemany(_numbered(statement), rows)

    def many(self, values: Iterable[int] | Iterable[str]) -> object:
        return list(values)

    @property
    def _writing(self) -> _Held:
        assert self._held is not None, "rows are written within a transaction"
        return self._held

    def people(self, people: Collection[tuple[str, str, str]]) -> _Rows | _Later:
        ids, names, roles = zip(*people, strict=True) if people else ((), (), ())
        return self.execute(
            "SELECT p.id, p.name, p.role, p.number FROM unnest(?::text[], ?::text[], ?::text[]) AS v (id, name, role) "
            "JOIN people p ON p.archive = ? AND (p.id, p.name, p.role) = (v.id, v.name, v.role) "
            "AND person_key(p.id, p.name, p.role) = person_key(v.id, v.name, v.role)",
            (list(ids), list(names), list(roles), self.archive),
        )

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        columns = server_tables.COPIED[table]
        if self._is_together:
            self._insert_some(table, columns, rows)
        else:
            binary = f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
            self.copy(binary, rows, types=[*columns.values()])

    def _insert_some(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """COPY would have to wait for an answer."""
        if not rows:
            return
        into = f"INSERT INTO {table} ({', '.join(columns)}) "
        if len(rows) == 1:
            self.execute(f"{into} VALUES ({', '.join('?' * len(columns))})", rows[0])
        else:
            arrays = ", ".join(f"?::{kind}[]" for kind in columns.values())
            self.execute(f"{into} SELECT * FROM unnest({arrays})", [list(column) for column in zip(*rows, strict=True)])

    def insert_words(self, vectors: Sequence[tuple[int, int, str]]) -> None:
        """Adds rows to `found`: (row, part, what PostgreSQL reads as a tsvector)."""
        if self._is_together:
            self._insert_some("found", {"row": "int8", "part": "int4", "words": "tsvector"}, vectors)
        else:
            self.copy("COPY found (row, part, words) FROM STDIN", vectors)

    def insert_contents(self, contents: Sequence[tuple[int, bytes | None, bytes]]) -> None:
        self.insert("contents", contents)

    def copy(self, statement: str, rows: Sequence[Sequence[Any]], *, types: Sequence[str] = ()) -> None:
        """Adds rows by COPY. types: of the columns, for its binary form."""
        if rows:
            with self._writing.cursor().copy(statement) as copy:
                if types:
                    copy.set_types(types)
                for row in rows:
                    copy.write_row(row)

    def piece(self, number: int, start: int, length: int) -> bytes:
        found = self.execute("SELECT substr(data, ?, ?) FROM contents WHERE document = ?", (start + 1, length, number))
        return bytes(found.fetchone()[0])

    # -------------------------------------------------------------- transactions

    def begin(self) -> None:
        """Whoever writes to an archive holds the row of its counters, so that changes commit in their order."""
        if not self._pool.writing.acquire(timeout=WAIT_S):
            raise Busy("Too much is being written at this moment")
        self._is_writing = True
        try:
            with _reachable():
                self._hold(f"BEGIN; SELECT change FROM counters WHERE archive = {self.archive:d} FOR UPDATE")
        except BaseException:
            self.rollback()
            raise

    def begin_snapshot(self) -> None:
        try:
            with _reachable():
                self._hold("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        except BaseException:
            self.rollback()
            raise

    def _hold(self, beginning: str) -> None:
        """Takes a connection and begins; takes another one when only the connection was at fault."""
        self._held = self._pool.take()
        try:
            self._held.execute(beginning)
        except psycopg.OperationalError:
            if not self._held.closed:
                raise
            self._pool.give_back(self._held)
            self._held = self._pool.take()
            self._held.execute(beginning)

    def commit(self) -> None:
        self._writing.execute("COMMIT")
        self._let_go()

    def rollback(self) -> None:
        if self._held is not None:
            with contextlib.suppress(psycopg.OperationalError):
                self._held.rollback()
        self._let_go()

    def _let_go(self) -> None:
        self.index.unstage()
        held, self._held = self._held, None
        if held is not None:
            self._pool.give_back(held)
        if self._is_writing:
            self._is_writing = False
            self._pool.writing.release()

    def explain(self, error: Exception) -> ChatkeepError | None:
        return _explained(error)

    def close(self) -> None:
        self.rollback()

    # -------------------------------------------------------------- what SQLite does otherwise

    def overwrite_freed(self) -> None:
        """What is freed is overwritten when the server's vacuum has given it to other rows."""

    def wipe(self) -> None:
        """The server's log is not ours to empty."""

    def check(self) -> Iterator[Problem]:
        """The server looks after its own files (data checksums, amcheck)."""
        yield from ()
