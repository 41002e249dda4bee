"""Django with app.sqlite3, for a program that is no web server: set up once, tables brought up to date at once."""

from __future__ import annotations

import os
from pathlib import Path

CONFIGURATION = "chatkeep.web.configuration"


def start(home: Path) -> None:
    """Make models usable in this process, with the data folder's app.sqlite3. Calling twice is quiet and quick.

    Everything that imports models is imported after this.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", CONFIGURATION)
    import django
    from django.apps import apps

    if not apps.ready:
        django.setup()
    bring_up_to_date()


def bring_up_to_date() -> None:
    """Run the migrations that app.sqlite3 does not have yet; each is whole or absent."""
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)
