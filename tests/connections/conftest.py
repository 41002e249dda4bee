from __future__ import annotations

from pathlib import Path

import pytest

from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import read_secret
from chatkeep.vault import keys


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)


@pytest.fixture
def safe(tmp_path: Path) -> Safe:
    return Safe(read_secret(tmp_path / "home"))
