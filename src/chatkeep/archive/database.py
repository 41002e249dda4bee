"""What this room asks of the database that holds its rows, whichever it is.

The statements of this room are written once, with `?` for values, in the SQL that SQLite and PostgreSQL share. Where
the two truly differ, a `Database` says how: lists as parameters, inserting by the thousand, the lock for writing, and
the full-text index. `schema` is that of SQLite.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from chatkeep.errors import ChatkeepError, Problem, QuotaFull

if TYPE_CHECKING:
    from chatkeep.archive.query import Query, Tags, Term

Key = str | int  # what stands for an archive in the column `archive`: its id, or a number that is shorter


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Index(Protocol):
    """The full-text index of an archive, as one connection sees it. Rows are those of the table `texts`.

    A row's text never changes while it is findable: a changed message gets a new row.
    """

    def stage(self, texts: Sequence[tuple[int, int, str, str]]) -> None:
        """Makes ready, on the caller's thread, what `put_in` will be asked for: (row, kind, tags, text) of each."""

    def put_in(self, rows: Sequence[int]) -> None:
        """Makes rows findable that are in `texts`; then what was staged is dropped."""

    def take_out(self, rows: Sequence[int]) -> None:
        """Makes rows unfindable, before their texts go."""

    def is_mixed(self) -> bool:
        """Whether a search may give rows of another archive, so that each must be asked for its own."""

    def matching(
        self, query: Query, tags: Tags, *, hidden: bool, span: tuple[int, int]
    ) -> tuple[str, list[object]] | None:
        """A statement, and its values, for the rows that match, the newest first; None when no words are asked for.

        tags: groups of tags, of each of which one must be there, or none (see `index.tag`). span: row numbers.
        """

    def count(self, term: Term, most: int) -> int:
        """In how many rows a term occurs; `most` when there are more."""

    def join_some(self) -> bool:
        """A slice of the work that keeps searching quick; False when nothing is left to do."""

    def is_in_many_pieces(self) -> bool:
        """Whether so much of that work is due that it must be done at once."""

    def wipe(self) -> None:
        """Removes the words of erased texts from the files, as far as this can be done."""

    def check(self) -> Iterator[Problem]: ...

    def begin_again(self) -> None:
        """Begins to make the index again beside what is searched, or goes on where that was cut off."""

    def reached(self) -> int:
        """The number of the last conversation that has come into the index that is being made."""

    def put_in_again(self, rows: Sequence[int], reached: int) -> None:
        """Puts rows into the index that is being made, within a transaction of the caller, and notes how far it is."""

    def finish_again(self) -> None:
        """Has the index that was made take the place of the old one."""


class Database(Protocol):
    """A connection to the rows of one archive. Between `begin` and `commit` it may go from thread to thread.

    archive: what stands for the archive in the column of that name.
    first, last: a `number` of a document of the archive lies between them, and so does a row.
    months, row_bits: a row number is `(months + month) << row_bits | n`.
    numbers, texts: a table of one column `value`, made of the next parameter, which `many` makes.
    labels: such a table made of the column `d.labels`.
    same_person: the condition that a row of `people` is this (archive, id, name, role).
    newest_first: what has rows of a join (s) come in the order of what was joined first, if they do not anyway.
    batch_bytes: of documents in a transaction.
    damage: what is raised where the files of the database are not what was written.
    """

    first: int
    last: int
    months: int
    row_bits: int
    numbers: str
    texts: str
    labels: str
    same_person: str
    newest_first: str
    batch_bytes: int

    @property
    def archive(self) -> Key: ...
    @property
    def index(self) -> Index: ...
    @property
    def damage(self) -> type[Exception]: ...
    @property
    def in_transaction(self) -> bool: ...
    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Rows: ...
    def executemany(self, statement: str, values: Iterable[Sequence[Any]], /) -> object: ...

    def many(self, values: Iterable[int] | Iterable[str]) -> object: ...

    def together(self) -> AbstractContextManager[object]:
        """What is executed inside, within a transaction, need not wait for the answer to what was before it.

        An error of one may be raised by a later one, at the latest at the end.
        """

    def people(self, people: Collection[tuple[str, str, str]]) -> Rows:
        """(id, name, role, number) of those of these people that the archive knows."""

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Adds whole rows to a table that has none of them."""

    def insert_contents(self, contents: Sequence[tuple[int, bytes | None, bytes]]) -> None:
        """Adds rows to `contents`; other threads of Python run meanwhile."""

    def piece(self, number: int, start: int, length: int) -> bytes:
        """Some bytes of the packed document of that number."""

    def begin(self) -> None:
        """Begins to write: nobody else writes to this archive until `commit` or `rollback`. Raises Busy."""

    def begin_snapshot(self) -> None:
        """All that is read until `rollback` is of one moment."""

    def commit(self) -> None: ...
    def rollback(self) -> None: ...

    def explain(self, error: Exception) -> ChatkeepError | None:
        """What the database refused, as an error of ours, if there is one for it."""

    def overwrite_freed(self) -> None:
        """Has this connection overwrite what it frees, as far as this can be done."""

    def wipe(self) -> None:
        """Empties what still holds the bytes of erased rows, as far as this can be done."""

    def check(self) -> Iterator[Problem]: ...
    def close(self) -> None: ...


class Store(Protocol):
    """Where the rows of one archive are: gives connections to them."""

    @property
    def key(self) -> Key: ...
    def connect(self, *, cache_kib: int = ...) -> Database: ...
    def destroy(self) -> None:
        """Delete every row, as far as they are not in the folder of the archive."""
        ...


@contextmanager
def explained(db: Database) -> Iterator[None]:
    """What the database or the disk refuses, as an error of ours."""
    try:
        yield
    except OSError as wrong:
        if wrong.errno == errno.ENOSPC:
            raise QuotaFull("The disk with the archive is full") from wrong
        raise
    except Exception as wrong:
        if (better := db.explain(wrong)) is not None:
            raise better from wrong
        raise


@contextmanager
def snapshot(db: Database) -> Iterator[None]:
    """All that is read inside is of one moment."""
    db.begin_snapshot()
    try:
        yield
    finally:
        db.rollback()


@contextmanager
def transaction(db: Database) -> Iterator[None]:
    """All that is written inside, or none of it."""
    db.begin()
    try:
        with explained(db):
            yield
            db.commit()
    except BaseException:
        db.rollback()
        raise
