"""Whether the archive is sound, and making its index again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chatkeep.archive.database import Database, transaction
from chatkeep.archive.files import Files
from chatkeep.archive.rows import unpack
from chatkeep.archive.values import Reindexed
from chatkeep.errors import ChatkeepError, Problem
from chatkeep.model import revision

_SLICE = 500  # conversations indexed in one transaction
_READ = 100  # documents read at once


def check(db: Database, files: Files) -> list[Problem]:
    problems: list[Problem] = []
    try:
        for found in (db.check(), db.index.check(), _check_documents(db), _check_attachments(db, files)):
            problems += found
    except db.damage as wrong:
        problems.append(Problem("archive", f"The database is damaged, and the check could not go on: {wrong}"))
    return problems


def _check_documents(db: Database) -> Iterator[Problem]:
    reached = db.first
    while rows := db.execute(
        "SELECT number, id, revision, messages, frames, data, "
        "(SELECT count(*) FROM messages m WHERE m.document = number AND position >= 0) FROM documents "
        "LEFT JOIN contents ON document = number WHERE archive = ? AND number > ? ORDER BY number LIMIT ?",
        (db.archive, reached, _READ),
    ).fetchall():
        reached = rows[-1][0]
        for _, id, wanted, messages, frames, data, there in rows:
            try:
                sound = data is not None and revision(unpack(frames, data)) == wanted
            except ChatkeepError:
                sound = False
            if not sound:
                yield Problem(f"conversation {id}", "The document is not what was written")
            elif there != messages:
                yield Problem(f"conversation {id}", f"{there} of {messages} messages can be listed")


def _check_attachments(db: Database, files: Files) -> Iterator[Problem]:
    for sha256, size in db.execute(
        "SELECT sha256, size FROM attachments WHERE archive = ? ORDER BY sha256", (db.archive,)
    ):
        path = files.path(sha256)
        if not path.is_file() or path.stat().st_size != size:
            yield Problem(f"attachments/{sha256[:2]}/{sha256}", "The file is missing or has another size")


# ------------------------------------------------------------------ the index


def reindex(db: Database, progress: Callable[[int, int], None]) -> Reindexed:
    db.index.begin_again()
    total = _count(db, db.last)
    done = _count(db, db.index.reached() + 1)
    while more := _index_some(db):
        done += more
        progress(done, total)
    db.index.finish_again()
    texts = db.execute("SELECT count(*) FROM texts WHERE row > ? AND row < ?", (db.first, db.last))
    return Reindexed(total, texts.fetchone()[0])


def _count(db: Database, below: int) -> int:
    found = db.execute("SELECT count(*) FROM documents WHERE number > ? AND number < ?", (db.first, below))
    return int(found.fetchone()[0])


def _index_some(db: Database) -> int:
    """Indexes the next conversations; says how many. Those written meanwhile, up to there, go into both indexes."""
    with transaction(db):
        rows = db.execute(
            "SELECT number, trashed FROM documents WHERE number > ? AND number < ? ORDER BY number LIMIT ?",
            (db.index.reached(), db.last, _SLICE),
        ).fetchall()
        for_index = [
            row
            for number, trashed in rows
            if not trashed
            for (row,) in db.execute("SELECT row FROM messages WHERE document = ?", (number,))
        ]
        if rows:
            db.index.put_in_again(for_index, rows[-1][0])
    return len(rows)
