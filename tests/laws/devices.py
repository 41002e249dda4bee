"""Devices that share one vault, for laws and simulators: each has an archive, a name and a cache of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archive.talks import take
from chatkeep import operations, vault
from chatkeep.archive import Archive
from chatkeep.merge import pieces, version_names
from chatkeep.model import Conversation
from chatkeep.operations import SyncReport
from chatkeep.providers.memory import Memory
from chatkeep.storage import Counting, Storage
from chatkeep.vault import MasterKey


@dataclass
class Device:
    """One machine. Its archive lies in `folder`; `storage` is its way to the vault."""

    name: str
    folder: Path
    storage: Storage
    key: MasterKey
    archive: Archive = field(init=False)
    names: int = 0

    def __post_init__(self) -> None:
        self.archive = Archive.open(self.folder / "archive", device=self.name)

    def sync(self, **more: Any) -> SyncReport:
        """Syncs as a process does that remembers nothing but the archive and its cache."""
        counting = Counting(self.storage)
        opened = vault.open_with_master_key(counting, self.key, cache=self.folder / "cache")
        report = operations.sync(
            self.archive, opened, host=self.name, counting=counting, new_host=self._renamed, **more
        )
        assert report.problems == []
        return report

    def _renamed(self) -> str:
        self.names += 1
        self.name = f"{self.name.partition('.')[0]}.{self.names}"
        return self.name

    def restore(self, snapshot: str, conversation: str, *, replace: bool) -> operations.RestoreReport:
        """One conversation back as it was in a snapshot."""
        opened = vault.open_with_master_key(self.storage, self.key, cache=self.folder / "cache")
        return operations.restore(
            self.archive,
            opened,
            beside=self.folder / "beside",
            snapshot=snapshot,
            conversations=[conversation],
            replace=replace,
        )

    def take(self, *conversations: Conversation) -> str:
        """Imports conversations; the receipt."""
        return take(self.archive, *conversations, importer=f"test/{self.archive.number}").id

    def documents(self) -> dict[str, bytes]:
        """What it has, by id."""
        return {entry.id: self.archive.document(entry.id) for entry in self.archive.entries()}

    def says(self, id: str) -> set[str]:
        """The names of the versions of messages that a conversation has here; nothing when it is not here."""
        return version_names(self.archive.load(id)) if id in self.documents() else set()

    def pieces(self, id: str) -> set[str]:
        """The names of all that was observed of a conversation that is here."""
        return pieces(self.archive.load(id)) if id in self.documents() else set()

    def root(self) -> str:
        """The tree of its newest snapshot."""
        opened = vault.open_with_master_key(self.storage, self.key, cache=self.folder / "cache")
        newest = opened.newest(self.name)
        assert newest is not None
        return newest.tree


def devices(folder: Path, number: int, storage: Storage | None = None) -> list[Device]:
    """So many empty devices around a new vault."""
    shared = storage or Memory()
    made, _ = vault.create(shared, passphrase=None, hostname="laws")
    return [Device(f"device-{n}", folder / str(n), shared, made.master_key) for n in range(number)]


def settle(all_of_them: list[Device]) -> None:
    """Syncs in turn until nobody has anything new, accepting deletions. Fails when that does not come."""
    for _ in range(6):
        quiet = True
        for device in all_of_them:
            report = device.sync(accept_deletions=True)
            quiet = quiet and not report.merged and not report.deleted and report.unchanged
        if quiet:
            return
    raise AssertionError("The devices do not come to rest.")
