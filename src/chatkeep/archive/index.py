"""The full-text index: what goes in, what comes out, and making it again beside the old one.

An index keeps words and places, no texts; those are in the table `texts`. To take a row out, the same text must be
given that was put in, so a row's text never changes while it is in an index: a changed message gets a new row.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence

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


def tables(connection: sqlite3.Connection) -> list[str]:
    """The index that is searched, and behind it the one that is being made, if any."""
    found = dict(connection.execute("SELECT name, value FROM about WHERE name IN ('index', 'next index')"))
    return [found[name] for name in ("index", "next index") if name in found]


def reached(connection: sqlite3.Connection) -> int:
    """The number of the last conversation that is in the index that is being made; 0 when there is none."""
    found = connection.execute("SELECT value FROM about WHERE name = 'next index reached'").fetchone()
    return int(found[0]) if found else 0


def put_in_all(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    """Makes rows findable in every index that has come to their conversations."""
    _for_all(connection, rows, put_in)


def take_out_all(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    """Makes rows unfindable in every index that has come to their conversations."""
    _for_all(connection, rows, take_out)


def _for_all(
    connection: sqlite3.Connection, rows: Sequence[int], do: Callable[[sqlite3.Connection, str, Iterable[int]], None]
) -> None:
    if not rows:
        return
    first, *others = tables(connection)
    do(connection, first, rows)
    for table in others:
        there = connection.execute(
            "SELECT row FROM json_each(?) CROSS JOIN messages ON row = value WHERE document <= ?",
            (_sorted(rows), reached(connection)),
        )
        do(connection, table, [row for (row,) in there])


def put_in(connection: sqlite3.Connection, table: str, rows: Iterable[int]) -> None:
    """Makes rows of `texts` findable.

    One statement, during which other threads of Python run. It calls back into Python only for texts that need
    treatment and were not staged in `temp.treated`.
    """
    connection.execute(f"INSERT INTO {table}(rowid, {COLUMNS}) SELECT {_STAGED}", (_sorted(rows),))


def take_out(connection: sqlite3.Connection, table: str, rows: Iterable[int]) -> None:
    """Makes rows unfindable; their texts must still be there as they were put in."""
    connection.execute(f"INSERT INTO {table}({table}, rowid, {COLUMNS}) SELECT 'delete', {_PLAIN}", (_sorted(rows),))


def segments(connection: sqlite3.Connection) -> int:
    """How many pieces the index is in; each transaction that writes adds one."""
    table = tables(connection)[0]
    return int(connection.execute(f"SELECT count(DISTINCT segid) FROM {table}_idx").fetchone()[0])


def merge_some(connection: sqlite3.Connection, table: str, pages: int) -> bool:
    """A slice of the work that joins the index's segments; False when nothing is left to do."""
    before = connection.total_changes
    connection.execute(f"INSERT INTO {table}({table}, rank) VALUES ('merge', ?)", (pages,))
    return connection.total_changes - before >= 2


def _sorted(rows: Iterable[int]) -> str:
    return json.dumps(sorted(rows))
