"""Django with app.sqlite3, for a program that is no web server: set up once, tables brought up to date at once."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from chatkeep.errors import Unavailable

CONFIGURATION = "chatkeep.web.configuration"
PATIENCE_S = 60.0
LOCK_WAIT = "3s"
TRIES = 40
_MIGRATING = 0x43686174  # the number of the lock that whoever migrates holds: "Chat"
_LOCK_NOT_AVAILABLE = "55P03"
_LATER = "Nothing is half changed. Run chatkeep server migrate again at a quieter time."


def start(home: Path) -> None:
    """Make models usable in this process, with the data folder's app.sqlite3. Calling twice is quiet and quick.

    Everything that imports models is imported after this.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    _set_up()
    bring_up_to_date()


def _set_up() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", CONFIGURATION)
    import django
    from django.apps import apps

    if not apps.ready:
        django.setup()


def bring_up_to_date() -> None:
    """Run the migrations that app.sqlite3 does not have yet; each is whole or absent.

    A server's database is changed by `migrate` alone, a step of its own: this waits for it, for at most PATIENCE_S.
    Raises Unavailable when that step was not taken meanwhile.
    """
    from django.core.management import call_command
    from django.db import connection

    if connection.vendor == "postgresql":
        _wait_for_the_migration()
    elif missing():
        call_command("migrate", interactive=False, verbosity=0)


def missing() -> list[str]:
    """The migrations that the database does not have yet, as "jobs.0004_archive". One that is newer lacks none."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def _wait_for_the_migration() -> None:
    from django.db import OperationalError, connection

    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            if not missing():
                return
            what = "The database is older than this Chatkeep."
        except OperationalError:  # it may be starting, as everything is after a power cut
            connection.close()
            what = "The database does not answer."
        if time.monotonic() > until:
            raise Unavailable(what, hint="Look at DATABASE_URL, and run: chatkeep server migrate.")
        time.sleep(1.0)


def migrate() -> list[str]:
    """Bring a server's database up to date, while older processes work on it: the migrations that were run, in order.

    Of several that do so at once, one does it and the others wait. No change waits for its lock longer than LOCK_WAIT,
    because all that comes after it would wait too; it is tried again. Raises Unavailable when it never gets it.
    """
    _set_up()
    from django.core.management import call_command
    from django.db import OperationalError, connection

    with connection.cursor() as cursor:
        # Asked again and again: who waits within a statement is waited for by an index that is built calmly.
        while not _has_the_lock(cursor):
            time.sleep(0.2)
        try:
            wanted = missing()
            cursor.execute(f"SET lock_timeout = '{LOCK_WAIT}'")
            for attempt in range(TRIES):
                try:
                    call_command("migrate", interactive=False, verbosity=0)
                    return wanted
                except OperationalError as error:
                    if attempt == TRIES - 1:
                        raise Unavailable("The database is too busy to be changed now.", hint=_LATER) from error
                    if getattr(error.__cause__, "sqlstate", "") != _LOCK_NOT_AVAILABLE:
                        raise
                    time.sleep(1.0)
            return wanted
        finally:
            cursor.execute("RESET lock_timeout")
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_MIGRATING])


def _has_the_lock(cursor: Any) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [_MIGRATING])
    return bool(cursor.fetchone()[0])
