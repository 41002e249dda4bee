"""The full-text index in SQLite: what goes in, what comes out, and making it again beside the old one.

An index keeps words and places, no texts; those are in the table `texts`. To take a row out, the same text must be
given that was put in, so a row's text never changes while it is in an index: a changed message gets a new row.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from chatkeep.archive.codes import SPECIAL
from chatkeep.archive.database import Database, transaction
from chatkeep.archive.words import treated
from chatkeep.errors import Problem

if TYPE_CHECKING:
    from chatkeep.archive.query import Query, Tags, Term

VERSION = 1  # of `words.treated` and of what is chosen to be indexed; raise it when either changes
_MANY = 64  # segments; a search goes through each, at some 10 microseconds
_SLICE = 200  # pages of the index, some 50 ms

# `text` stands first, as places in the first column take the least room.
COLUMNS = "text, title, hidden, tags"
_VALUES = """
    row, CASE kind & 3 WHEN 0 THEN shown END, CASE kind & 3 WHEN 2 THEN shown END,
    CASE kind & 3 WHEN 1 THEN shown END, tags
    FROM (SELECT row, kind, tags, {shown} AS shown FROM json_each(?) CROSS JOIN texts ON row = value)"""
_STAGED = _VALUES.format(
    shown="CASE WHEN kind & 4 THEN coalesce((SELECT t.text FROM temp.treated t WHERE t.row = texts.row), "
    "treated(texts.text)) ELSE texts.text END"
)
_PLAIN = _VALUES.format(shown="CASE WHEN kind & 4 THEN treated(text) ELSE text END")


def tag(kind: str, value: str | int) -> str:
    """A word for the column `tags`: a (author, by number), p (platform), j (project), f (has an attachment)."""
    return f"{kind}{value if isinstance(value, int) else _short(value)}"


def _short(value: str) -> str:
    from hashlib import blake2b  # most searches do without the library behind it

    return blake2b(value.lower().encode(), digest_size=6).hexdigest()


def table(name: str) -> str:
    """The statement that makes a full-text index of that name. It keeps no texts: `texts` has them."""
    return (
        f"CREATE VIRTUAL TABLE {name} USING fts5(text, title, hidden, tags, content='', columnsize=0, "
        """tokenize="unicode61 remove_diacritics 2 categories 'L* N* Co M*'")"""
    )


# Segments are joined between the batches of an import and never within one.
_OPTIONS = (("automerge", 0), ("crisismerge", 1900), ("hashsize", 1 << 24), ("usermerge", 8))


def make(connection: sqlite3.Connection | Database, name: str) -> None:
    """Makes an empty index of that name."""
    connection.execute(table(name))
    for option, value in _OPTIONS:
        connection.execute(f"INSERT INTO {name}({name}, rank) VALUES (?, ?)", (option, value))


class Fts5:
    """The index of all archives in one file."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def tables(self) -> list[str]:
        """The index that is searched, and behind it the one that is being made, if any."""
        found = dict(self._db.execute("SELECT name, value FROM about WHERE name IN ('index', 'next index')"))
        return [found[name] for name in ("index", "next index") if name in found]

    # -------------------------------------------------------------- in and out

    def stage(self, texts: Sequence[tuple[int, int, str, str]]) -> None:
        self._db.executemany(
            "INSERT INTO temp.treated VALUES (?, ?)",
            [(row, treated(text)) for row, kind, _, text in texts if kind & SPECIAL],
        )

    def put_in(self, rows: Sequence[int]) -> None:
        self._for_all(rows, self._put_in)
        self._db.execute("DELETE FROM temp.treated")

    def take_out(self, rows: Sequence[int]) -> None:
        self._for_all(rows, self._take_out)

    def _for_all(self, rows: Sequence[int], do: Callable[[str, Iterable[int]], None]) -> None:
        """Does something to rows in every index that has come to their conversations."""
        if not rows:
            return
        first, *others = self.tables()
        do(first, rows)
        for table in others:
            there = self._db.execute(
                "SELECT row FROM json_each(?) CROSS JOIN messages ON row = value WHERE document <= ?",
                (_sorted(rows), self.reached()),
            )
            do(table, [row for (row,) in there])

    def _put_in(self, table: str, rows: Iterable[int]) -> None:
        """One statement, during which other threads of Python run.

        It calls back into Python only for texts that need treatment and were not staged.
        """
        self._db.execute(f"INSERT INTO {table}(rowid, {COLUMNS}) SELECT {_STAGED}", (_sorted(rows),))

    def _take_out(self, table: str, rows: Iterable[int]) -> None:
        """The texts of the rows must still be there as they were put in."""
        self._db.execute(f"INSERT INTO {table}({table}, rowid, {COLUMNS}) SELECT 'delete', {_PLAIN}", (_sorted(rows),))

    # -------------------------------------------------------------- searching

    def is_mixed(self) -> bool:
        return int(self._db.execute("SELECT count(*) FROM counters").fetchone()[0]) > 1

    def matching(
        self, query: Query, tags: Tags, *, hidden: bool, span: tuple[int, int]
    ) -> tuple[str, list[object]] | None:
        expression = query.expression(hidden=hidden, tags=tags)
        if not expression:
            return None
        table = self.tables()[0]
        return (
            f"SELECT rowid AS row FROM {table} WHERE {table} MATCH ? AND rowid >= ? AND rowid < ? ORDER BY rowid DESC",
            [expression, *span],
        )

    def count(self, term: Term, most: int) -> int:
        table = self.tables()[0]
        found = self._db.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {table} MATCH ? LIMIT {most})", (term.expression,)
        )
        return int(found.fetchone()[0])

    # -------------------------------------------------------------- keeping it quick and sound

    def segments(self) -> int:
        """How many pieces the index is in; each transaction that writes adds one."""
        return int(self._db.execute(f"SELECT count(DISTINCT segid) FROM {self.tables()[0]}_idx").fetchone()[0])

    def is_in_many_pieces(self) -> bool:
        return self.segments() > _MANY

    def join_some(self) -> bool:
        with transaction(self._db):
            return self.join_pages(self.tables()[0], _SLICE)

    def join_pages(self, table: str, pages: int) -> bool:
        """A slice of the work that joins the index's segments; False when nothing is left to do."""
        before = self._changes()
        self._db.execute(f"INSERT INTO {table}({table}, rank) VALUES ('merge', ?)", (pages,))
        return self._changes() - before >= 2

    def _changes(self) -> int:
        return int(self._db.execute("SELECT total_changes()").fetchone()[0])

    def wipe(self) -> None:
        with transaction(self._db):
            for table in self.tables():
                self._db.execute(f"INSERT INTO {table}({table}) VALUES ('optimize')")

    def check(self) -> Iterator[Problem]:
        for table in self.tables()[:1]:
            try:
                with transaction(self._db):
                    self._db.execute(f"INSERT INTO {table}({table}) VALUES ('integrity-check')")
            except sqlite3.DatabaseError as wrong:
                yield Problem("archive.sqlite3: index", f"The search index is damaged ({wrong}); make it again")

    # -------------------------------------------------------------- making it again

    def begin_again(self) -> None:
        """Makes the empty index beside the old one, unless there is one that was cut off."""
        db = self._db
        with transaction(db):
            tables = self.tables()
            version = db.execute("SELECT value FROM about WHERE name = 'next index version'").fetchone()
            if len(tables) == 2 and version and version[0] == str(VERSION):
                return
            if len(tables) == 2:
                db.execute(f"DROP TABLE {tables[1]}")
            name = f"found_{int(tables[0].rpartition('_')[2]) + 1}"
            make(db, name)
            db.executemany(
                "INSERT OR REPLACE INTO about VALUES (?, ?)",
                [("next index", name), ("next index version", str(VERSION)), ("next index reached", "0")],
            )

    def reached(self) -> int:
        """0 when no index is being made. What is written to conversations up to there goes into both."""
        found = self._db.execute("SELECT value FROM about WHERE name = 'next index reached'").fetchone()
        return int(found[0]) if found else 0

    def put_in_again(self, rows: Sequence[int], reached: int) -> None:
        self._put_in(self.tables()[1], rows)
        self._db.execute("UPDATE about SET value = ? WHERE name = 'next index reached'", (str(reached),))

    def finish_again(self) -> None:
        db = self._db
        while self._join_next():
            pass
        with transaction(db):
            old, new = self.tables()
            db.execute("UPDATE about SET value = ? WHERE name = 'index'", (new,))
            db.execute("INSERT OR REPLACE INTO about VALUES ('index version', ?)", (str(VERSION),))
            db.execute("DELETE FROM about WHERE name LIKE 'next index%'")
            db.execute(f"DROP TABLE {old}")

    def _join_next(self) -> bool:
        with transaction(self._db):
            return self.join_pages(self.tables()[1], 500)


def _sorted(rows: Iterable[int]) -> str:
    return json.dumps(sorted(rows))
