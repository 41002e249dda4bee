"""Two processes that speak to one account: what one is told by the provider, the other keeps to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.weather.skies import Device, Sky
from tests.weather.tally import TALLY

from chatkeep.connections import pacing
from chatkeep.connections.pacing import KeptPause
from chatkeep.errors import SlowDown, Unavailable
from chatkeep.providers.http import Gate

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def database_clock(sky: Sky, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes by the clock of the sky."""
    monkeypatch.setattr(pacing, "_now", lambda: datetime.fromtimestamp(sky.time(), UTC))


def process(sky: Sky, folder: Path, name: str, *, kept: bool) -> Device:
    """One more process for the account. kept: with the pauses of the others; the control is without."""
    shared = KeptPause(sky.name, "alice") if kept else None
    gate = Gate(clock=sky.time, sleep=sky.time.sleep, patience_s=60.0, shared=shared)
    return Device(sky, folder, name=name, gate=gate)


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "control"])
@pytest.mark.parametrize("status", [429, 503])
def test_no_process_calls_before_the_pause_that_another_was_asked_for_has_passed(
    sky: Sky, tmp_path: Path, status: int, kept: bool
) -> None:
    told = process(sky, tmp_path, "worker-1", kept=kept).open(new=True, attempts=1)
    told.put("a", b"x")
    other = process(sky, tmp_path, "worker-2", kept=kept).open()
    assert other.get("a") == b"x"
    sky.time.now += 1  # what is at work looks once a second
    sky.cloud.faults.fail("", status, headers={"Retry-After": "40"})
    began = sky.time()
    with pytest.raises((SlowDown, Unavailable)):
        told.get("a")
    sky.cloud.journal.clear()
    third = process(sky, tmp_path, "worker-3", kept=kept).open()
    assert other.get("a") == b"x"
    assert third.get("a") == b"x"
    early = sum(entry.at < began + 40 for entry in sky.cloud.journal.entries)
    if kept:
        TALLY.add(sky.name, "asked too early", early)
        TALLY.add(sky.name, "faults injected")
        TALLY.add(sky.name, "survived")
    assert bool(early) is not kept
