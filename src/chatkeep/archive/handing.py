"""Receipts that go with an archive to another one, so that what was imported there can be undone here.

What undoing goes by are numbers: of the receipt that brought a conversation, of the receipts of its contributions, and
their order, which is that of time. So receipts come only into an archive that has none of its own, all of them in their
order, and speak only of conversations that came as they were: what was joined with something else is left alone.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

from chatkeep.archive.database import Database, Key, transaction

_AT_ONCE = 200  # rows with documents in them

_BROUGHT = "SELECT d.id, d.revision, d.receipt FROM documents d WHERE d.archive = ?"
_CONTRIBUTED = (
    "SELECT d.id, c.receipt, c.replaces, c.data FROM contributions c JOIN documents d ON d.number = c.document "
    "WHERE d.archive = ? ORDER BY c.number"
)
_CONFIRMED = (
    "SELECT d.id, c.receipt, c.earlier FROM confirmed c JOIN documents d ON d.number = c.document WHERE d.archive = ?"
)
_FREE = (
    "SELECT id, revision, number FROM documents d WHERE archive = ? AND receipt = 0 "
    "AND NOT EXISTS (SELECT 1 FROM contributions WHERE document = d.number)"
)


def hand_over(given: Database, key: Key, db: Database) -> bool:
    """Bring all receipts of one archive, and what they brought, into another; all of it or nothing.

    False, and nothing is brought, when the other one has receipts already.
    """
    with transaction(db):
        if db.execute("SELECT 1 FROM receipts WHERE archive = ? LIMIT 1", (db.archive,)).fetchone():
            return False
        numbers = _receipts(given, key, db)
        documents = _documents(given, key, db, numbers)
        _rows(
            db,
            "INSERT INTO contributions (document, receipt, replaces, data) VALUES (?, ?, ?, ?)",
            (
                (documents[id], numbers.get(receipt, 0), bool(replaces), data)
                for id, receipt, replaces, data in given.execute(_CONTRIBUTED, (key,))
                if id in documents
            ),
        )
        _rows(
            db,
            "INSERT INTO confirmed VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (
                (documents[id], numbers[receipt], numbers.get(earlier, 0))
                for id, receipt, earlier in given.execute(_CONFIRMED, (key,))
                if id in documents and receipt in numbers
            ),
        )
    return True


def _receipts(given: Database, key: Key, db: Database) -> dict[int, int]:
    """Brings the receipts: the number that each had → the one that it has."""
    rows = given.execute("SELECT number, at, undone_at, body FROM receipts WHERE archive = ? ORDER BY number", (key,))
    numbers = {}
    for number, at, undone_at, body in rows.fetchall():
        made = db.execute(
            "INSERT INTO receipts (archive, at, undone_at, body) VALUES (?, ?, ?, ?) RETURNING number",
            (db.archive, at, undone_at, body),
        )
        numbers[number] = int(made.fetchone()[0])
    return numbers


def _documents(given: Database, key: Key, db: Database, numbers: dict[int, int]) -> dict[str, int]:
    """Says of conversations that are the same in both which receipt brought them: the id of each → its number here."""
    free = {id: (revision, number) for id, revision, number in db.execute(_FREE, (db.archive,))}
    same = [
        (id, free[id][1], receipt)
        for id, revision, receipt in given.execute(_BROUGHT, (key,))
        if free.get(id, ("", 0))[0] == revision
    ]
    changes = ((numbers[receipt], number) for _, number, receipt in same if receipt in numbers)
    _rows(db, "UPDATE documents SET receipt = ? WHERE number = ?", changes)
    return {id: number for id, number, _ in same}


def _rows(db: Database, statement: str, rows: Any) -> None:
    waiting = iter(rows)
    while some := list(islice(waiting, _AT_ONCE)):
        db.executemany(statement, some)
