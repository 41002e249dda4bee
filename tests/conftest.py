"""What all tests share: a data folder that is not the developer's, and a database in a file, so that threads race."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import django
import pytest
from hypothesis import settings
from pytest_django import DjangoDbBlocker

from fakes.fixtures import dropbox_fake, google_fake, microsoft_fake

__all__ = ["dropbox_fake", "google_fake", "microsoft_fake"]

# A busy machine is no failure: laws are about results, figures are measured by the bench.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_HOME = Path(tempfile.mkdtemp(prefix="chatkeep-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

# Before Django is set up: the configuration reads the environment once.
for _name in [name for name in os.environ if name.startswith("CHATKEEP_")]:
    del os.environ[_name]
os.environ["CHATKEEP_HOME"] = str(_HOME)
os.environ["DJANGO_SETTINGS_MODULE"] = "chatkeep.web.configuration"
django.setup()
# Processes that run tests beside this one would inherit it, and with it this data folder.
del os.environ["DJANGO_SETTINGS_MODULE"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    from django.db import connections

    connections.databases["default"]["TEST"]["NAME"] = str(_HOME / "test.sqlite3")
    connections["default"].settings_dict["TEST"]["NAME"] = str(_HOME / "test.sqlite3")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker) -> Iterator[Path]:
    """A data folder of its own for a command that is run in this process, with an app.sqlite3 of its own."""
    from django.db import connections

    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("CHATKEEP_HOME", str(folder))
    connection = connections["default"]
    connection.close()
    before = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = str(folder / "app.sqlite3")
    with django_db_blocker.unblock():
        yield folder
        connection.close()
    connection.settings_dict["NAME"] = before
