"""Search: which messages match, which of them are best, and what is shown of them.

Matches are taken newest first. Of a word that is everywhere only the newest COUNTED are counted and the newest RANKED
are ranked; with fewer matches the count is exact and all are ranked. Ranking reads the texts themselves, as the index
could say how often a word occurs in all only by walking through all of it.
"""

from __future__ import annotations

import heapq
import math
import re

import msgspec

from chatkeep.archive import index
from chatkeep.archive import query as queries
from chatkeep.archive.choosing import Conditions, people_like
from chatkeep.archive.codes import TITLED, month
from chatkeep.archive.database import Database, Key
from chatkeep.archive.highlight import pattern, snippet
from chatkeep.archive.query import Query
from chatkeep.archive.values import Found, Hit
from chatkeep.selection import Selection

COUNTED = 10_000
RANKED = 1500
SCANNED = 100_000  # matches looked at, at most, when conditions must be asked of each
_TITLE_COUNTS = 2.0
_READ = 8000  # characters of a long text that count for its rank
_LENGTH = 800.0  # characters; a message of this length is neither long nor short


class _Matches(msgspec.Struct):
    rows: list[int]
    total: int
    exact: bool


def search(
    db: Database,
    archive: Key,
    text: str,
    *,
    selection: Selection,
    limit: int,
    offset: int,
    group: bool,
    hidden: bool,
) -> Found:
    query = queries.parse(" ".join(filter(None, (text, selection.query))))
    source = _source(db, archive, query, selection, hidden=hidden)
    if source is None:
        return Found(0, True, [])
    found = _matches(db, source)
    ranked = _ranked(db, query, found.rows[:RANKED])
    if group:
        return _grouped(db, query, found, ranked, limit, offset)
    best = heapq.nlargest(limit + offset, ranked) if limit + offset < len(ranked) else sorted(ranked, reverse=True)
    chosen = [row for _, row in best] + found.rows[RANKED:]
    hits = _hits(db, query, chosen[offset : offset + limit])
    return Found(found.total, found.exact, hits)


def matching_documents(db: Database, archive: Key, text: str) -> tuple[str, list[object]]:
    """A condition on `documents.number`: conversations in which a query is found."""
    source = _source(db, archive, queries.parse(text), Selection(), hidden=False)
    if source is None:
        return "FALSE", []
    return f"number IN (SELECT m.document FROM ({source.sql}) s {source.joined})", source.values


class _Source(msgspec.Struct):
    """Rows that match, the newest first. sql: gives `row`; joined: the tables and conditions to ask besides, if any."""

    sql: str
    sql_values: list[object]
    conditions: Conditions

    @property
    def joined(self) -> str:
        return (
            "CROSS JOIN messages m CROSS JOIN documents d "
            f"WHERE m.row = s.row AND d.number = m.document AND {self.conditions.sql()}"
        )

    @property
    def values(self) -> list[object]:
        return [*self.sql_values, *self.conditions.values]


def _source(db: Database, archive: Key, query: Query, selection: Selection, *, hidden: bool) -> _Source | None:
    """Where the matches come from; None when nothing is asked for."""
    people = [([index.tag("a", one) for one in people_like(db, archive, name)], no) for name, no in query.people]
    begins, ends = max(query.begins, selection.begins), min(filter(None, (query.ends, selection.ends)), default="")
    span = _row_range(db, begins, ends)
    matching = db.index.matching(query, [*people, *_tags(query, selection)], hidden=hidden, span=span)
    if matching is None and not query.has_filters:
        return None
    conditions = _conditions(db, archive, query, selection)
    if begins:
        conditions.add("m.sent_at >= ?", begins)
    if ends:
        conditions.add("m.sent_at < ? AND m.sent_at != ''", ends)
    if matching is not None:
        return _Source(*matching, conditions)
    _without_words(db, archive, query, selection, conditions)
    if not hidden:
        conditions.add("m.flags & 1 != 0")
    sql = "SELECT row FROM messages WHERE row >= ? AND row < ? AND position >= 0 ORDER BY row DESC"
    return _Source(sql, [*span], conditions)


def _tags(query: Query, selection: Selection) -> list[tuple[list[str], bool]]:
    """What the index itself can tell besides the words, but for authors."""
    groups = [([index.tag("p", value)], unwanted) for value, unwanted in query.platforms]
    groups += [([index.tag("j", value)], unwanted) for value, unwanted in query.projects]
    groups += [(["f"], unwanted) for unwanted in query.attachments]
    if selection.platforms:
        groups.append(([index.tag("p", value) for value in selection.platforms], False))
    if selection.projects:
        groups.append(([index.tag("j", value) for value in selection.projects], False))
    return groups


def _conditions(db: Database, archive: Key, query: Query, selection: Selection) -> Conditions:
    """What the index cannot tell, asked of each message (m) and its conversation (d)."""
    conditions = Conditions()
    if db.index.is_mixed():
        conditions.add("d.archive = ?", archive)
    for label, unwanted in query.labels:
        conditions.add(
            f"{'NOT ' if unwanted else ''}EXISTS (SELECT 1 FROM {db.labels} l WHERE lower(l.value) = lower(?))",
            label,
        )
    conditions.select(db, archive, msgspec.structs.replace(selection, platforms=(), projects=(), since="", until=""))
    return conditions


def _without_words(db: Database, archive: Key, query: Query, selection: Selection, conditions: Conditions) -> None:
    """The conditions that stand for the tags when there are no words: messages without texts count then as well."""
    conditions.add("NOT d.trashed")
    for name, unwanted in query.people:
        numbers = db.many(people_like(db, archive, name))
        conditions.add(
            f"coalesce(m.person, 0) {'NOT ' if unwanted else ''}IN (SELECT value FROM {db.numbers})", numbers
        )
    for column, values in (("platform", query.platforms), ("project", query.projects)):
        for value, unwanted in values:
            conditions.add(f"lower(d.{column}) {'!=' if unwanted else '='} lower(?)", value)
    for unwanted in query.attachments:
        conditions.add("m.flags & 2 = 0" if unwanted else "m.flags & 2 != 0")
    conditions.select(db, archive, Selection(platforms=selection.platforms, projects=selection.projects))


def _matches(db: Database, source: _Source) -> _Matches:
    if not source.conditions:
        rows = [row for (row,) in db.execute(f"{source.sql} LIMIT {COUNTED + 1}", source.sql_values)]
        return _Matches(rows[:COUNTED], min(len(rows), COUNTED), len(rows) <= COUNTED)
    rows = [
        row
        for (row,) in db.execute(
            f"SELECT s.row FROM ({source.sql} LIMIT {SCANNED}) s {source.joined} {db.newest_first} LIMIT {COUNTED + 1}",
            source.values,
        )
    ]
    complete = (
        len(rows) <= COUNTED
        and not db.execute(f"SELECT 1 FROM ({source.sql} LIMIT 1 OFFSET {SCANNED}) AS s", source.sql_values).fetchone()
    )
    return _Matches(rows[:COUNTED], min(len(rows), COUNTED), complete)


def _row_range(db: Database, begins: str, ends: str) -> tuple[int, int]:
    """The row numbers that can have times in between: those of the months, and none without a time."""
    if not begins and not ends:
        return db.first, db.last
    first = (db.months + max(month(begins), 1)) << db.row_bits
    return first, (db.months + month(ends) + 1) << db.row_bits if ends else db.last


# ------------------------------------------------------------------ ranking


def _ranked(db: Database, query: Query, rows: list[int]) -> list[tuple[float, int]]:
    """(score, row) of each row: more occurrences of rarer words in shorter texts are better."""
    tests = [_test(term.text) for term in query.wanted if term.expression]
    if not tests:
        return [(0.0, row) for row in rows]
    weights = _weights(db, query) if len(tests) > 1 else [1.0]
    both = list(zip(tests, weights, strict=True))
    scored = []
    for row, kind, text in db.execute(
        f"SELECT row, kind, substr(text, 1, {_READ}) FROM {db.numbers} CROSS JOIN texts WHERE row = value",
        (db.many(rows),),
    ):
        low = text.lower()
        norm = 0.3 + 0.9 * len(low) / _LENGTH
        score = 0.0
        for test, weight in both:
            times = low.count(test) or 1
            score += weight * times / (times + norm)
        scored.append((score * _TITLE_COUNTS if kind & 3 == TITLED else score, row))
    return scored


def _test(text: str) -> str:
    return max(re.split(r"\s+", text.lower()), key=len)


def _weights(db: Database, query: Query) -> list[float]:
    """How much each word says: less if it is common."""
    counts = [db.index.count(term, COUNTED) for term in query.wanted if term.expression]
    return [math.log(1 + 20 * COUNTED / (1 + count)) for count in counts]


def _grouped(
    db: Database,
    query: Query,
    found: _Matches,
    ranked: list[tuple[float, int]],
    limit: int,
    offset: int,
) -> Found:
    """The best hit of each conversation. The total counts conversations, among those that were ranked."""
    best: dict[int, tuple[float, int]] = {}
    count: dict[int, int] = {}
    documents = dict(
        db.execute(
            f"SELECT row, document FROM {db.numbers} CROSS JOIN messages WHERE row = value",
            (db.many(row for _, row in ranked),),
        )
    )
    for score, row in ranked:
        document = documents[row]
        count[document] = count.get(document, 0) + 1
        best[document] = max(best.get(document, (-1.0, 0)), (score, row))
    order = sorted(best.items(), key=lambda item: item[1], reverse=True)[offset : offset + limit]
    others = {row: count[document] - 1 for document, (_, row) in order}
    hits = _hits(db, query, [row for _, (_, row) in order], others)
    return Found(len(best), found.exact and len(found.rows) <= RANKED, hits)


def _hits(db: Database, query: Query, rows: list[int], others: dict[int, int] | None = None) -> list[Hit]:
    wanted = pattern(query)
    found = db.execute(
        "SELECT m.row, d.id, m.id, d.title, d.platform, coalesce(t.text, ''), "
        "m.sent_at, coalesce(p.name, ''), coalesce(p.role, ''), "
        f"coalesce(m.shown, -1) FROM {db.numbers} CROSS JOIN messages m "
        "JOIN documents d ON d.number = m.document LEFT JOIN texts t ON t.row = m.row "
        "LEFT JOIN people p ON p.number = m.person WHERE m.row = value",
        (db.many(rows),),
    )
    by_row = {row: rest for row, *rest in found}
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
        for row in rows
        for document, message, title, platform, text, sent_at, author, role, shown in [by_row[row]]
    ]
