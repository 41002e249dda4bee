"""What all tests share: a data folder that is not the developer's, and a database in a file, so that threads race."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import pytest
from hypothesis import settings
from pytest_django import DjangoDbBlocker
from tests.weather.tally import TALLY, WEATHER

import archives
import postgres
from fakes.fixtures import dropbox_fake, google_fake, microsoft_fake
from postgres import SERVER, Cluster

__all__ = ["dropbox_fake", "google_fake", "microsoft_fake"]

# A busy machine is no failure: laws are about results, figures are measured by the bench.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_HOME = Path(tempfile.mkdtemp(prefix="chatkeep-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)

ON_SERVERS_ALONE = {"server"}
ON_BOTH = {"archive", "connections", "feedback", "jobs", "laws", "operations", "people", "rollout", "test_truth.py"}
"""The directories whose tests are asked of laptop and server alike."""
ON_LAPTOPS_ALONE = {
    "jobs/test_killed.py",
    "jobs/test_laptop.py",
    "laws/test_alignment.py",
    "laws/test_merge.py",
    "operations/test_laying_out.py",
    "people/test_upgrade.py",
}
"""Files in them that are about app.sqlite3, about locks on files, or about no database at all."""

# Before Django is set up: the configuration reads the environment once. Workers of xdist read CHATKEEP_TESTS as well.
for _name in [name for name in os.environ if name.startswith("CHATKEEP_") and name != "CHATKEEP_TESTS"]:
    del os.environ[_name]
os.environ.pop("DATABASE_URL", None)
os.environ["CHATKEEP_HOME"] = str(_HOME)
if SERVER:
    os.environ["DATABASE_URL"] = "postgresql://chatkeep@/chatkeep?host=/nowhere"  # see `cluster`
    os.environ["CHATKEEP_KEY"] = "a key of the tests that nobody else has"
    os.environ["CHATKEEP_PUBLIC_URL"] = "http://127.0.0.1:8765"
os.environ["DJANGO_SETTINGS_MODULE"] = "chatkeep.web.configuration"
django.setup()
# Processes that run tests beside this one would inherit it, and with it this data folder.
del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Which directories are collected depends on what is asked about."""
    here = Path(__file__).parent
    if collection_path == here or not collection_path.is_relative_to(here):
        return None
    path = collection_path.relative_to(here)
    if SERVER:
        return str(path) in ON_LAPTOPS_ALONE or path.parts[0] not in ON_SERVERS_ALONE | ON_BOTH or None
    return path.parts[0] in ON_SERVERS_ALONE or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Which tests of a file are asked depends on it too: see `archives.about_files`."""
    other = "about_files" if SERVER else "about_servers"
    left = [item for item in items if item.get_closest_marker(other)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if not item.get_closest_marker(other)]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of these tests, whose database "chatkeep" DATABASE_URL names."""
    from django.db import connections

    with postgres.running() as found:
        if SERVER:  # on a laptop it is for the few tests that ask for a PostgreSQL, and for no program they start
            os.environ["DATABASE_URL"] = found.url("chatkeep")
        connections["default"].settings_dict["HOST"] = str(found.folder)
        yield found


@pytest.fixture(scope="session")
def database(cluster: Cluster) -> str:
    """The address of the database with the archives of these tests."""
    return cluster.fresh()


@pytest.fixture(scope="session", autouse=True)
def _where_archives_are(request: pytest.FixtureRequest) -> Iterator[None]:
    if not SERVER:
        yield
        return
    with archives.on_server(request.getfixturevalue("database")):
        yield
    from chatkeep.archive import server

    server.close_all()


@pytest.fixture(scope="session")
def template(cluster: Cluster, django_db_blocker: DjangoDbBlocker) -> str:
    """The name of a database with all tables and no rows, to be copied: `cluster.fresh(template=template)`."""
    name = postgres.database_of(cluster.fresh())
    from chatkeep.connections import start

    with django_db_blocker.unblock(), _database(name):
        start.migrate()
    return name


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request: pytest.FixtureRequest) -> None:
    from django.db import connections

    if SERVER:
        request.getfixturevalue("cluster")
        return
    connections.databases["default"]["TEST"]["NAME"] = str(_HOME / "test.sqlite3")
    connections["default"].settings_dict["TEST"]["NAME"] = str(_HOME / "test.sqlite3")


@pytest.fixture(scope="session", autouse=True)
def emptied_between_tests() -> Iterator[None]:
    """Between tests everything is emptied, also what the database itself refuses to empty otherwise."""
    from django.db.backends.base.operations import BaseDatabaseOperations

    def emptied(operations: Any, statements: list[str]) -> None:
        on_server = operations.connection.vendor == "postgresql"
        flush(operations, ["SET LOCAL session_replication_role = replica", *statements] if on_server else statements)

    flush = BaseDatabaseOperations.execute_sql_flush
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BaseDatabaseOperations, "execute_sql_flush", emptied)
        yield


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The cluster goes as a whole."""
    return SERVER


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """The log of what was done can be emptied between tests; what keeps it from that has tests of its own."""
    from django.db import connection

    if SERVER:
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("ALTER TABLE people_audit DISABLE TRIGGER USER")


@pytest.fixture
def home(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    django_db_blocker: DjangoDbBlocker,
    request: pytest.FixtureRequest,
) -> Iterator[Path]:
    """A data folder of its own for a command that is run in this process, with a database of its own."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("CHATKEEP_HOME", str(folder))
    name = str(folder / "app.sqlite3")
    if SERVER:
        found, template = request.getfixturevalue("cluster"), request.getfixturevalue("template")
        url = found.fresh(template=template)
        name = postgres.database_of(url)
        monkeypatch.setenv("DATABASE_URL", url)
    with django_db_blocker.unblock(), _database(name):
        yield folder


@contextmanager
def _database(name: str) -> Iterator[None]:
    """The database of this process is another one while the block runs."""
    from django.db import connections

    connection = connections["default"]
    before = connection.settings_dict["NAME"]
    _leave(connection)
    connection.settings_dict["NAME"] = name
    yield
    _leave(connection)
    connection.settings_dict["NAME"] = before


def _leave(connection: Any) -> None:
    connection.close()
    if connection.vendor == "postgresql":
        connection.close_pool()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What the clouds' weather did in a worker that ended."""
    for provider, what, times in getattr(node, "workeroutput", {}).get(WEATHER, []):
        TALLY.add(provider, what, times)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TALLY.counts:
        terminalreporter.write_line(f"weather: {TALLY.line()}")
        for provider in sorted({provider for provider, _ in TALLY.counts}):
            terminalreporter.write_line(f"weather at {provider}: {TALLY.line(provider)}")
