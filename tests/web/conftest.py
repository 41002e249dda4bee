"""A signed-in browser without a browser, an archive with the example in it, and a worker that runs when told."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from chatkeep import example
from chatkeep.archive import Archive
from chatkeep.connections.installation import OWN
from chatkeep.jobs.kinds import kinds
from chatkeep.jobs.worker import Worker
from chatkeep.operations import import_from
from chatkeep.rollout import flags
from chatkeep.web import held
from chatkeep.web.configuration import CHATKEEP
from chatkeep.web.models import new_token

_means = held.means


@pytest.fixture(autouse=True)
def _database(transactional_db: None) -> None:
    """Every test of a page has tables of its own."""
    flags.REMEMBERED.forget()


@pytest.fixture
def stranger() -> Client:
    """A browser that has not used a link."""
    return Client(headers={"host": "127.0.0.1"}, enforce_csrf_checks=False)


@pytest.fixture
def keeper(stranger: Client) -> Client:
    """The keeper's browser."""
    stranger.get(f"/sign-in/{new_token()}")
    return stranger


@pytest.fixture
def archive() -> Iterator[Archive]:
    """The archive behind the pages and the jobs, empty."""
    _empty()
    yield held.means().archive_of(OWN)
    held.means().close()
    _empty()


def _empty() -> None:
    _means.cache_clear()
    for left in CHATKEEP.home.glob("archive.sqlite3*"):
        left.unlink()
    shutil.rmtree(CHATKEEP.home / "attachments", ignore_errors=True)


@pytest.fixture
def example_archive(archive: Archive) -> Archive:
    """The archive with the example in it."""
    import_from(archive, example.paths())
    return archive


@pytest.fixture
def work() -> Callable[[], None]:
    """Does all jobs that are waiting."""

    def run() -> None:
        worker = Worker(kinds(held.means()))
        while worker.run_one():
            pass

    return run
