"""Search: which messages match, which of them are best, and what is shown of them.

Matches are taken newest first. Of a word that is everywhere only the newest COUNTED are counted and the newest RANKED
are ranked; with fewer matches the count is exact and all are ranked. Ranking reads the texts themselves, as the index
could say how often a word occurs in all only by walking through all of it.
"""

from __future__ import annotations

import heapq
import json
import math
import re
import sqlite3
from dataclasses import dataclass

from chatkeep.archive import index
from chatkeep.archive import query as queries
from chatkeep.archive.choosing import Conditions, people_like
from chatkeep.archive.highlight import pattern, snippet
from chatkeep.archive.query import Query
from chatkeep.archive.rows import ROW_BITS, TITLED, month
from chatkeep.archive.values import Found, Hit
from chatkeep.selection import Selection

COUNTED = 10_000
RANKED = 2000
SCANNED = 200_000  # matches looked at, at most, when conditions must be asked of each
_TITLE_COUNTS = 2.0
_LENGTH = 800.0  # characters; a message of this length is neither long nor short


@dataclass(slots=True)
class _Matches:
    rows: list[int]
    total: int
    exact: bool


def search(
    db: sqlite3.Connection,
    archive: str,
    text: str,
    *,
    selection: Selection,
    limit: int,
    offset: int,
    group: bool,
    hidden: bool,
) -> Found:
    query = queries.parse(" ".join(filter(None, (text, selection.query))))
    conditions = message_conditions(db, archive, query, selection)
    expression = query.expression(hidden=hidden)
    if not expression and not query.has_filters:
        return Found(0, True, [])
    found = _matches(db, expression, conditions, query, selection, hidden=hidden)
    ranked = _ranked(db, query, found.rows[:RANKED])
    if group:
        return _grouped(db, query, found, ranked, limit, offset)
    best = heapq.nlargest(limit + offset, ranked) if limit + offset < len(ranked) else sorted(ranked, reverse=True)
    chosen = [row for _, row, _ in best] + found.rows[RANKED:]
    hits = _hits(db, query, chosen[offset : offset + limit])
    return Found(found.total, found.exact, hits)


def matching_documents(db: sqlite3.Connection, archive: str, text: str) -> tuple[str, list[object]]:
    """A condition on `documents.number`: conversations in which a query is found."""
    query = queries.parse(text)
    expression = query.expression()
    conditions = message_conditions(db, archive, query, Selection())
    if not expression:
        return (
            "number IN (SELECT m.document FROM messages m JOIN documents d ON d.number = m.document "
            f"WHERE {conditions.sql()})",
            conditions.values,
        )
    table = index.tables(db)[0]
    return (
        f"number IN (SELECT m.document FROM {table} f JOIN messages m ON m.row = f.rowid "
        f"JOIN documents d ON d.number = m.document WHERE {table} MATCH ? AND {conditions.sql()})",
        [expression, *conditions.values],
    )


def message_conditions(db: sqlite3.Connection, archive: str, query: Query, selection: Selection) -> Conditions:
    """What must hold of a message (m) and its conversation (d), besides the words."""
    conditions = Conditions()
    if db.execute("SELECT count(*) FROM counters").fetchone()[0] > 1:
        conditions.add("d.archive = ?", archive)
    for name, unwanted in query.people:
        numbers = people_like(db, archive, name)
        conditions.add(
            f"coalesce(m.person, 0) {'NOT ' if unwanted else ''}IN (SELECT value FROM json_each(?))",
            json.dumps(numbers),
        )
    for column, values in (("platform", query.platforms), ("project", query.projects)):
        for value, unwanted in values:
            conditions.add(f"lower(d.{column}) {'!=' if unwanted else '='} lower(?)", value)
    for label, unwanted in query.labels:
        conditions.add(
            f"{'NOT ' if unwanted else ''}EXISTS (SELECT 1 FROM json_each(d.labels) WHERE lower(value) = lower(?))",
            label,
        )
    for unwanted in query.attachments:
        conditions.add("m.flags & 2 = 0" if unwanted else "m.flags & 2 != 0")
    conditions.select(db, archive, selection, dates=False)
    return conditions


def _matches(
    db: sqlite3.Connection,
    expression: str,
    conditions: Conditions,
    query: Query,
    selection: Selection,
    *,
    hidden: bool,
) -> _Matches:
    begins = max(query.begins, selection.begins)
    ends = min(filter(None, (query.ends, selection.ends)), default="")
    first, last = _row_range(begins, ends)
    if begins:
        conditions.add("CASE WHEN m.position < 0 THEN d.created_at ELSE m.sent_at END >= ?", begins)
    if ends:
        conditions.add("CASE WHEN m.position < 0 THEN d.created_at ELSE m.sent_at END < ?", ends)
    if expression:
        table = index.tables(db)[0]
        source = (
            f"SELECT rowid AS row FROM {table} WHERE {table} MATCH ? AND rowid >= ? AND rowid < ? ORDER BY rowid DESC"
        )
        values: list[object] = [expression, first, last]
    else:
        source = "SELECT row FROM messages WHERE row >= ? AND row < ? AND position >= 0 ORDER BY row DESC"
        values = [first, last]
        conditions.add("d.trashed = 0")
        if not hidden:
            conditions.add("m.flags & 1 != 0")
    if not conditions:
        rows = [row for (row,) in db.execute(f"{source} LIMIT {COUNTED + 1}", values)]
        return _Matches(rows, min(len(rows), COUNTED), len(rows) <= COUNTED)
    found = db.execute(
        f"SELECT s.row, s.place FROM (SELECT row, row_number() OVER () AS place FROM ({source} LIMIT {SCANNED})) s "
        "CROSS JOIN messages m ON m.row = s.row CROSS JOIN documents d ON d.number = m.document "
        f"WHERE {conditions.sql()} LIMIT {COUNTED + 1}",
        [*values, *conditions.values],
    ).fetchall()
    complete = len(found) <= COUNTED and (not found or found[-1][1] < SCANNED)
    return _Matches([row for row, _ in found], min(len(found), COUNTED), complete)


def _row_range(begins: str, ends: str) -> tuple[int, int]:
    """The row numbers that can have times in between: those of the months, and none without a time."""
    if not begins and not ends:
        return 0, 1 << 62
    return max(month(begins), 1) << ROW_BITS, (month(ends) + 1) << ROW_BITS if ends else 1 << 62


# ------------------------------------------------------------------ ranking


def _ranked(db: sqlite3.Connection, query: Query, rows: list[int]) -> list[tuple[float, int, int]]:
    """(score, row, document) of each row: more occurrences of rarer words in shorter texts are better."""
    tests = [_test(term.text) for term in query.wanted if term.expression]
    weights = _weights(db, query) if len(tests) > 1 else [1.0] * len(tests)
    scored = []
    for row, kind, text, document in db.execute(
        "SELECT row, kind, substr(text, 1, 8000), document FROM json_each(?) CROSS JOIN texts ON row = value "
        "JOIN messages USING (row)",
        (json.dumps(rows),),
    ):
        low = text.lower()
        norm = 0.3 + 0.9 * len(low) / _LENGTH
        score = 0.0
        for test, weight in zip(tests, weights, strict=True):
            times = low.count(test) or 1
            score += weight * times / (times + norm)
        scored.append((score * _TITLE_COUNTS if kind & 3 == TITLED else score, row, document))
    return scored or [(0.0, row, 0) for row in rows]


def _test(text: str) -> str:
    return max(re.split(r"\s+", text.lower()), key=len)


def _weights(db: sqlite3.Connection, query: Query) -> list[float]:
    """How much each word says: less if it is common."""
    table = index.tables(db)[0]
    result = []
    for term in query.wanted:
        if expression := term.expression:
            count = db.execute(
                f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {table} MATCH ? LIMIT {COUNTED})", (expression,)
            ).fetchone()[0]
            result.append(math.log(1 + 20 * COUNTED / (1 + count)))
    return result


def _grouped(
    db: sqlite3.Connection,
    query: Query,
    found: _Matches,
    ranked: list[tuple[float, int, int]],
    limit: int,
    offset: int,
) -> Found:
    """The best hit of each conversation. The total counts conversations, among those that were ranked."""
    best: dict[int, tuple[float, int]] = {}
    count: dict[int, int] = {}
    for score, row, document in ranked:
        count[document] = count.get(document, 0) + 1
        best[document] = max(best.get(document, (-1.0, 0)), (score, row))
    order = sorted(best.items(), key=lambda item: item[1], reverse=True)[offset : offset + limit]
    others = {row: count[document] - 1 for document, (_, row) in order}
    hits = _hits(db, query, [row for _, (_, row) in order], others)
    return Found(len(best), found.exact and len(found.rows) <= RANKED, hits)


def _hits(db: sqlite3.Connection, query: Query, rows: list[int], others: dict[int, int] | None = None) -> list[Hit]:
    wanted = pattern(query)
    found = db.execute(
        "SELECT m.row, d.id, m.id, d.title, d.platform, coalesce(t.text, ''), "
        "CASE WHEN m.position < 0 THEN d.created_at ELSE m.sent_at END, coalesce(p.name, ''), coalesce(p.role, ''), "
        "coalesce(m.shown, -1) FROM json_each(?) CROSS JOIN messages m ON m.row = value "
        "JOIN documents d ON d.number = m.document LEFT JOIN texts t ON t.row = m.row "
        "LEFT JOIN people p ON p.number = m.person",
        (json.dumps(rows),),
    )
    return [
        Hit(
            conversation=document,
            message=message,
            title=title,
            platform=platform,
            snippet=snippet(text, wanted),
            sent_at=sent_at,
            author=author,
            role=role,
            position=shown,
            others=(others or {}).get(row, 0),
        )
        for row, document, message, title, platform, text, sent_at, author, role, shown in found
    ]
