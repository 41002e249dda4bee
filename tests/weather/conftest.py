"""A sky for each cloud, and the count of what it did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.weather.skies import SKIES, Sky
from tests.weather.tally import TALLY, WEATHER

from chatkeep.vault import keys
from chatkeep.vault.objects import Objects


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key files that cost little."""
    monkeypatch.setattr(keys, "COST_N", 2**10)


@pytest.fixture(params=sorted(SKIES))
def sky(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sky]:
    kind = SKIES[request.param]
    found = kind(request.getfixturevalue(kind.fixture))
    waits = Objects.__init__.__kwdefaults__
    assert waits
    monkeypatch.setitem(waits, "sleep", found.time.sleep)
    yield found
    found.close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells whoever began the run."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        told[WEATHER] = [(provider, what, times) for (provider, what), times in TALLY.counts.items()]
