from __future__ import annotations

from pathlib import Path

import pytest
from tests.vault.small_archive import PASSPHRASE, Restic

from chatkeep import vault
from chatkeep.providers.folder import Folder
from chatkeep.vault import Vault, keys


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key files that cost little; what a real one costs is asked once, in test_keys."""
    monkeypatch.setattr(keys, "COST_N", 2**10)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "Chatkeep"


@pytest.fixture
def storage(place: Path) -> Folder:
    return Folder(place, new=True)


@pytest.fixture
def kept(storage: Folder) -> Vault:
    """A fresh vault in a folder."""
    return vault.create(storage, passphrase=PASSPHRASE, hostname="laptop-7f3a")[0]


@pytest.fixture
def restic(place: Path) -> Restic:
    return Restic(place)
