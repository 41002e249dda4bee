"""A data folder of the version before there were people and archives goes on to work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from chatkeep.connections.start import bring_up_to_date

BEFORE = [("connections", "0004_consent"), ("jobs", "0002_schedules"), ("web", "0001_initial"), ("sessions", None)]


@pytest.fixture
def old(home: Path) -> Any:
    """The tables as they were, with what a keeper had in them."""
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    for app, name in BEFORE:
        call_command("migrate", *filter(None, [app, name]), verbosity=0)
    state = MigrationLoader(connection).project_state([(app, name) for app, name in BEFORE if name])
    models = state.apps.get_model
    models("connections", "Device").objects.create(name="studio", suffix="1f0c22ab")
    models("connections", "Device").objects.create(name="studio", suffix="99999999")
    models("connections", "Connection").objects.create(uid="a" * 16, name="stick", provider="folder", master_key=b"k")
    models("jobs", "Schedule").objects.create(subject="connection:" + "a" * 16, kind="backup", every="day 03:30")
    models("jobs", "Job").objects.create(subject="archive", kind="import", arguments="{}")
    return models


@pytest.mark.usefixtures("old")
def test_everything_that_was_there_belongs_to_the_one_archive_afterwards() -> None:
    from chatkeep.connections import opening
    from chatkeep.jobs import queue, schedules

    bring_up_to_date()
    assert opening.this_device("another name").host == "studio-1f0c22ab"
    assert [one.name for one in opening.connections()] == ["stick"]
    assert [one.every for one in schedules.of(opening.connection("stick").subject)] == ["day 03:30"]
    assert queue.find(queue.open_jobs()[0].pk, archive="own").kind == "import"
    again = queue.enqueue("import", queue.archive_subject("own"))
    assert again.pk == queue.open_jobs()[0].pk  # the subject is what it was, so that what waits is not asked for twice


@pytest.mark.usefixtures("old")
def test_a_browser_that_was_signed_in_stays_so() -> None:
    bring_up_to_date()
    session = SessionStore()
    session["keeper"] = True
    session.save()
    browser = Client(headers={"host": "127.0.0.1"})
    browser.cookies["chatkeep_session"] = session.session_key
    assert browser.get("/backups/").status_code == 200
    assert browser.get("/backups/").status_code == 200  # and with the session it has now


@pytest.mark.usefixtures("old")
def test_a_session_of_nobody_is_none() -> None:
    bring_up_to_date()
    session = SessionStore()
    session["keeper"] = False
    session.save()
    browser = Client(headers={"host": "127.0.0.1"})
    browser.cookies["chatkeep_session"] = session.session_key
    assert browser.get("/backups/").status_code == 302
