"""Counting that is looked at at once, a browser, a place in a folder, and a scrape that is read as samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatkeep import happenings
from chatkeep.archive import Archive
from chatkeep.connections import connecting, opening
from chatkeep.connections.installation import OWN
from chatkeep.connections.models import Connection
from chatkeep.jobs import schedules
from chatkeep.jobs.models import Schedule
from chatkeep.watching.metrics import Metrics
from chatkeep.watching.tallies import Tallies
from chatkeep.web import held
from chatkeep.web.configuration import CHATKEEP
from web.conftest import archive, example_archive, keeper, stranger, work

__all__ = ["archive", "example_archive", "keeper", "stranger", "work"]

Samples = dict[str, float]
"""By the line as Prometheus has it: 'backup_runs_total{result="done",stage="end"}'."""


@pytest.fixture(autouse=True)
def _database(transactional_db: None) -> None:
    """Every test has tables of its own."""


@pytest.fixture
def counting() -> Iterator[Tallies]:
    """Counts what happens, without a thread of its own."""
    found = Tallies()
    end = happenings.listen(found)
    yield found
    end()


@pytest.fixture
def scrape(counting: Tallies) -> Callable[[], Samples]:
    """What Prometheus would read now."""

    def now() -> Samples:
        counting.flush()
        return samples(Metrics(CHATKEEP.home, conflicts=held.open_conflicts).text(fresh=True).decode())

    return now


def samples(text: str) -> Samples:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.fixture
def place(example_archive: Archive, tmp_path: Path) -> Connection:
    """A folder that is connected, with its schedules and no backup yet."""
    path = tmp_path / "stick"
    path.mkdir()
    connecting.connect(
        "folder", {"path": str(path)}, installation=held.means().installation_of(OWN), name="stick", passphrase="x y"
    )
    schedules.ensure()
    return opening.connection("stick")


def schedule_of(place: Connection, kind: str) -> Schedule:
    return schedules.one(place.subject, kind)
