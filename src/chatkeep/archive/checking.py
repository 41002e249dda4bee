"""Whether the archive is sound, and making its index again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from chatkeep.archive import index
from chatkeep.archive.files import Files
from chatkeep.archive.rows import unpack
from chatkeep.archive.schema import INDEX_VERSION, begin, configure, connect, index_table, transaction
from chatkeep.archive.values import Reindexed
from chatkeep.errors import ChatkeepError, Problem
from chatkeep.model import revision

_SLICE = 500  # conversations indexed in one transaction


def check(db: sqlite3.Connection, archive: str, files: Files) -> list[Problem]:
    problems: list[Problem] = []
    try:
        for found in (_check_database(db), _check_documents(db, archive), _check_attachments(db, files)):
            problems += found
    except sqlite3.DatabaseError as wrong:
        problems.append(Problem("archive.sqlite3", f"The database is damaged, and the check could not go on: {wrong}"))
    return problems


def _check_database(db: sqlite3.Connection) -> Iterator[Problem]:
    for (text,) in db.execute("PRAGMA integrity_check"):
        if text != "ok":
            yield Problem("archive.sqlite3", f"The database is damaged: {text}")
    for table in index.tables(db)[:1]:
        try:
            with transaction(db):
                db.execute(f"INSERT INTO {table}({table}) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as wrong:
            yield Problem("archive.sqlite3: index", f"The search index is damaged ({wrong}); make it again")


def _check_documents(db: sqlite3.Connection, archive: str) -> Iterator[Problem]:
    rows = db.execute(
        "SELECT id, revision, messages, frames, data, "
        "(SELECT count(*) FROM messages WHERE document = number AND position >= 0) FROM documents "
        "LEFT JOIN contents ON document = number WHERE archive = ?",
        (archive,),
    )
    for id, wanted, messages, frames, data, there in rows:
        try:
            sound = data is not None and revision(unpack(frames, data)) == wanted
        except ChatkeepError:
            sound = False
        if not sound:
            yield Problem(f"conversation {id}", "The document is not what was written")
        elif there != messages:
            yield Problem(f"conversation {id}", f"{there} of {messages} messages can be listed")


def _check_attachments(db: sqlite3.Connection, files: Files) -> Iterator[Problem]:
    for sha256, size in db.execute("SELECT sha256, size FROM attachments ORDER BY sha256"):
        path = files.path(sha256)
        if not path.is_file() or path.stat().st_size != size:
            yield Problem(f"attachments/{sha256[:2]}/{sha256}", "The file is missing or has another size")


# ------------------------------------------------------------------ the index


def reindex(path: Path, progress: Callable[[int, int], None]) -> Reindexed:
    db = connect(path)
    try:
        _begin_next(db)
        total = db.execute("SELECT count(*) FROM documents").fetchone()[0]
        done = db.execute("SELECT count(*) FROM documents WHERE number <= ?", (index.reached(db),)).fetchone()[0]
        while more := _index_some(db):
            done += more
            progress(done, total)
        while _merge_slice(db):
            pass
        _swap(db)
        messages = db.execute("SELECT count(*) FROM texts").fetchone()[0]
        return Reindexed(total, messages)
    finally:
        db.close()


def _begin_next(db: sqlite3.Connection) -> None:
    """Makes the empty index beside the old one, unless there is one that was cut off."""
    with transaction(db):
        tables = index.tables(db)
        version = db.execute("SELECT value FROM about WHERE name = 'next index version'").fetchone()
        if len(tables) == 2 and version and version[0] == str(INDEX_VERSION):
            return
        if len(tables) == 2:
            db.execute(f"DROP TABLE {tables[1]}")
        name = f"found_{int(tables[0].rpartition('_')[2]) + 1}"
        db.execute(index_table(name))
        configure(db, name)
        db.executemany(
            "INSERT OR REPLACE INTO about VALUES (?, ?)",
            [("next index", name), ("next index version", str(INDEX_VERSION)), ("next index reached", "0")],
        )


def _index_some(db: sqlite3.Connection) -> int:
    """Indexes the next conversations; says how many. Those written meanwhile, up to there, go into both (`index`)."""
    begin(db)
    try:
        rows = db.execute(
            "SELECT number, trashed FROM documents WHERE number > ? ORDER BY number LIMIT ?",
            (index.reached(db), _SLICE),
        ).fetchall()
        for_index = [
            row
            for number, trashed in rows
            if not trashed
            for (row,) in db.execute("SELECT row FROM messages WHERE document = ?", (number,))
        ]
        index.put_in(db, index.tables(db)[1], for_index)
        if rows:
            db.execute("UPDATE about SET value = ? WHERE name = 'next index reached'", (str(rows[-1][0]),))
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return len(rows)


def _merge_slice(db: sqlite3.Connection) -> bool:
    with transaction(db):
        return index.merge_some(db, index.tables(db)[1], 500)


def _swap(db: sqlite3.Connection) -> None:
    with transaction(db):
        old, new = index.tables(db)
        db.execute("UPDATE about SET value = ? WHERE name = 'index'", (new,))
        db.execute("INSERT OR REPLACE INTO about VALUES ('index version', ?)", (str(INDEX_VERSION),))
        db.execute("DELETE FROM about WHERE name LIKE 'next index%'")
        db.execute(f"DROP TABLE {old}")
