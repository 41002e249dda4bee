from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import exports

from chatkeep import operations, vault
from chatkeep.archive import Archive
from chatkeep.operations import BackupReport, RestoreReport, SyncReport
from chatkeep.providers.folder import Folder
from chatkeep.storage import Counting
from chatkeep.vault import Vault, keys


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)


@dataclass
class Machine:
    """An archive on a machine, and the vault that it backs up to."""

    folder: Path
    archive: Archive
    place: Path
    name: str = "laptop-1"
    counting: Counting = field(init=False)
    vault: Vault = field(init=False)

    def __post_init__(self) -> None:
        self.counting = Counting(Folder(self.place, new=True))
        if vault.exists(self.counting):
            self.vault = vault.open_vault(self.counting, secret="open sesame")
        else:
            self.vault, _ = vault.create(self.counting, passphrase="open sesame", hostname=self.name)

    def back_up(self) -> BackupReport:
        return operations.back_up(self.archive, self.vault, host=self.name, counting=self.counting)

    def restart(self) -> None:
        """The vault as another process of this machine opens it."""
        self.counting = Counting(Folder(self.place, new=True))
        self.vault = vault.open_with_master_key(self.counting, self.vault.master_key, cache=self.folder / self.name)

    def sync(self, **more: Any) -> SyncReport:
        """Syncs as a fresh process does: nothing but the archive is remembered."""
        self.restart()
        return operations.sync(self.archive, self.vault, host=self.name, counting=self.counting, **more)

    def root(self) -> str:
        """The tree of this machine's newest snapshot."""
        newest = self.vault.newest(self.name)
        assert newest is not None
        return newest.tree

    def restore(self, **wanted: Any) -> RestoreReport:
        return operations.restore(self.archive, self.vault, beside=self.folder / "beside", **wanted)

    def documents(self) -> dict[str, bytes]:
        return {entry.id: self.archive.document(entry.id) for entry in self.archive.entries()}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine that has imported two conversations and backed up nothing yet."""
    with Archive.open(tmp_path / "one", device="laptop-1") as archive:
        operations.import_from(archive, [exports.two(tmp_path / "export.zip")])
        yield Machine(tmp_path, archive, tmp_path / "place")


@pytest.fixture
def other(machine: Machine) -> Iterator[Machine]:
    """An empty machine with the same vault: what is left after a disk died."""
    with Archive.open(machine.folder / "two", device="laptop-2") as archive:
        yield Machine(machine.folder, archive, machine.place, "laptop-2")
