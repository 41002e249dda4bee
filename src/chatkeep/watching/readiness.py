"""Whether this process can do its work now: four questions, each with its answer."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from chatkeep.watching import signs


class Answer(msgspec.Struct, frozen=True):
    """What was asked, and whether it is so. what: a sentence when it is not."""

    name: str
    ok: bool
    what: str = ""


_migrated = False


def ready(store: Path, *, without: tuple[str, ...] = ()) -> list[Answer]:
    """Whether the database answers and is up to date, the store can be written, and a worker lives.

    without: names that are not asked. What depends on a database that does not answer is not asked either.
    """
    found: list[Answer] = []
    for name, ask in _QUESTIONS:
        if name in without:
            continue
        try:
            what = ask(store)
        except Exception:  # whatever it is, it is not ready; its words may hold addresses
            what = _WORDS[name]
        found.append(Answer(name, not what, what))
        if what and name == "database":
            break
    return found


def _database(store: Path) -> str:
    connection.ensure_connection()
    return "" if connection.is_usable() else _WORDS["database"]


def _migrations(store: Path) -> str:
    global _migrated
    if not _migrated:  # what was done once stays done
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return _WORDS["migrations"]
        _migrated = True
    return ""


def _store(store: Path) -> str:
    trial = store / f".ready-{secrets.token_hex(6)}"
    try:
        trial.write_bytes(b"x")
    finally:
        with contextlib.suppress(OSError):
            trial.unlink()
    return ""


def _worker(store: Path) -> str:
    return "" if signs.workers(timezone.now()) else _WORDS["worker"]


_WORDS = {
    "database": "The database does not answer.",
    "migrations": "The database is not up to date: chatkeep server migrate",
    "store": "The store of attachments cannot be written.",
    "worker": "No worker has given a sign of life lately.",
}
_QUESTIONS: tuple[tuple[str, Callable[[Path], str]], ...] = (
    ("database", _database),
    ("migrations", _migrations),
    ("store", _store),
    ("worker", _worker),
)
