"""Archives that are copies of others, by statements within the database: a thousand people in minutes.

Every table and index has as many rows as if each conversation had been taken in by itself; what is copied is what
people wrote, so many have the same words. Nothing that is measured looks at more than one archive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

SHIFT = "((target.number - target.source)::bigint << 39)"
"""Numbers of documents and rows have the number of their archive in their upper bits."""
COPIED: Mapping[str, Mapping[str, str]] = {
    "counters": {"archive": "target.number"},
    "documents": {"number": f"t.number + {SHIFT}", "archive": "target.number", "receipt": "target.receipt"},
    "contents": {"document": f"t.document + {SHIFT}"},
    "messages": {"row": f"t.row + {SHIFT}", "document": f"t.document + {SHIFT}", "person": "person.new"},
    "texts": {"row": f"t.row + {SHIFT}"},
    "found": {
        "row": f"t.row + {SHIFT}",
        "words": (
            r"regexp_replace(t.words::text, '''' || target.old || '([.,:~])', '''' || target.new || '\1', 'g')"
            "::tsvector"
        ),
    },
    "takes_part": {"document": f"t.document + {SHIFT}", "person": "person.new"},
    "needs": {"document": f"t.document + {SHIFT}"},
}
"""The tables, and the columns that say whose a row is, as they are in the copy."""
WHOSE = {"counters": "archive", "documents": "archive", "texts": "row", "found": "row", "messages": "document"}
_PREPARE = """
CREATE TEMP TABLE target (number integer PRIMARY KEY, source integer, old text, new text, receipt bigint);
CREATE TEMP TABLE person (source bigint, number integer, new bigint, PRIMARY KEY (number, source));
"""
_PEOPLE = """
INSERT INTO people (archive, id, name, role)
    SELECT target.number, t.id, t.name, t.role FROM people AS t JOIN target ON t.archive = target.source;
INSERT INTO person SELECT t.number, copy.archive, copy.number FROM target
    JOIN people AS t ON t.archive = target.source
    JOIN people AS copy ON copy.archive = target.number AND (copy.id, copy.name, copy.role) = (t.id, t.name, t.role);
INSERT INTO receipts (archive, at, undone_at, body)
    SELECT target.number, t.at, t.undone_at, t.body FROM receipts AS t JOIN target ON t.archive = target.source;
UPDATE target SET receipt = (SELECT max(number) FROM receipts WHERE archive = target.number);
"""


def copy(url: str, sources: Sequence[str], targets: Sequence[str]) -> None:
    """Fill the empty archives `targets` with what `sources` hold, in turn. Ids of archives, as people have them."""
    prefix_of = import_module("chatkeep.archive.vectors").prefix_of
    with import_module("psycopg").connect(url) as database:
        database.execute("SET search_path = archive; SET maintenance_work_mem = '512MB'; SET work_mem = '64MB'")
        numbers = dict(database.execute("SELECT id, number FROM archives").fetchall())
        database.execute(_PREPARE)
        for place, target in enumerate(targets):
            old, new = numbers[sources[place % len(sources)]], numbers[target]
            values = (new, old, prefix_of(old), prefix_of(new))
            database.execute("INSERT INTO target VALUES (%s, %s, %s, %s, 0)", values)
        database.execute("DELETE FROM counters USING target WHERE archive = target.number")
        database.execute("DROP INDEX found_by_words")
        database.execute(_PEOPLE)
        for table in COPIED:
            database.execute(_statement(database, table))
        database.execute("CREATE INDEX found_by_words ON found USING gin (words) WITH (fastupdate = off)")
    with import_module("psycopg").connect(url, autocommit=True) as database:
        database.execute("VACUUM ANALYZE")


def _statement(database: Any, table: str) -> str:
    rows = database.execute(
        "SELECT column_name::text FROM information_schema.columns WHERE table_schema = 'archive' AND table_name = %s "
        "ORDER BY ordinal_position",
        [table],
    )
    columns = [name for (name,) in rows.fetchall()]
    values = ", ".join(COPIED[table].get(name, f"t.{name}") for name in columns)
    whose = WHOSE.get(table, "document")
    mine = "t.archive" if whose == "archive" else f"t.{whose} >> 39"
    statement = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} AS t "
    statement += f"JOIN target ON {mine} = target.source"
    if "person" in columns:
        statement += " LEFT JOIN person ON person.source = t.person AND person.number = target.number"
    return statement
