from __future__ import annotations

from pathlib import Path

import pytest

from chatkeep.connections.installation import Installation
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secrets
from chatkeep.vault import keys


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(home=tmp_path / "home", safe=Safe(Secrets(tmp_path / "home")), host="studio-1")
