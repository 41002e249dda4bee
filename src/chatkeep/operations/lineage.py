"""Whose snapshots are whose: this device's own chain in a vault, and how far each other device was followed.

Each device numbers its snapshots. The archive remembers the last number of its own and of every other device, with
what was merged. So a copy of this machine is noticed by its snapshots, a machine that was set back by its own, and a
storage that gives back an older state, or withholds a device, by numbers that went back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from chatkeep.archive import Archive
from chatkeep.errors import Problem
from chatkeep.vault import Snapshot

T = TypeVar("T")
NewHost = Callable[[], str]
"""Gives this machine a new name in vaults, for ever, and returns it."""


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """How far another device was followed. change: of this archive, when its snapshot was merged.

    seen: the highest number that was seen or heard of; merged: the snapshot that is in the archive, "" if none is.
    told: of which trouble the person knows already.
    """

    seen: int = 0
    merged: str = ""
    change: int = 0
    told: str = ""


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """The last snapshot that this machine made. saving: it is being made, so the next may be ours too."""

    host: str = ""
    snapshot: str = ""
    sequence: int = 0
    saving: bool = False


class Lineage:
    """What the archive remembers of the devices in one vault."""

    def __init__(self, archive: Archive, vault_id: str) -> None:
        self._archive = archive
        self._prefix = f"vault/{vault_id[:16]}/"

    def moved(self, vault_id: str) -> None:
        """Remember the same of a vault that this one was moved to: its snapshots are known by their first names."""
        there = f"vault/{vault_id[:16]}/"
        for name in self._archive.cursors(self._prefix):
            self._archive.set_cursor(there + name.removeprefix(self._prefix), self._archive.cursor(name))

    # -------------------------------------------------------------- this device

    @property
    def own(self) -> Own:
        return _decoded(self._archive.cursor(f"{self._prefix}own"), Own)

    def saving(self, host: str) -> None:
        """Notes that a snapshot is about to be made."""
        own = self.own if self.own.host == host else Own(host=host)
        self._keep_own(msgspec.structs.replace(own, saving=True))

    def saved(self, snapshot: Snapshot) -> None:
        """Notes the snapshot that was made, or found to be the present state."""
        self._keep_own(Own(host=snapshot.host, snapshot=snapshot.identity, sequence=snapshot.sequence))

    def _keep_own(self, own: Own) -> None:
        self._archive.set_cursor(f"{self._prefix}own", _encoded(own))

    def is_ours(self, newest: Snapshot | None) -> bool:
        """Whether the newest snapshot under our name was made by this very archive, as it remembers itself."""
        own = self.own
        if newest is None:
            return True
        if own.host != newest.host:
            return False
        known = newest.identity == own.snapshot or newest.sequence < own.sequence
        return known or (own.saving and newest.sequence == own.sequence + 1 and newest.parent == own.snapshot)

    def set_back(self, newest: Snapshot | None, host: str) -> Iterable[Problem]:
        """A problem when the place no longer has the last snapshot that this machine made."""
        own = self.own
        if own.host == host and own.snapshot and (newest.sequence if newest else 0) < own.sequence:
            what = (
                f"The last backup of this machine (number {own.sequence}) is no longer there. The place gave back an "
                "older state, or somebody removed it. Everything that is here was saved again."
            )
            yield Problem(f"device {host}", what)

    # -------------------------------------------------------------- the others

    def followed(self, host: str) -> Followed:
        return _decoded(self._archive.cursor(self._name(host)), Followed)

    def hosts(self) -> list[str]:
        """The other devices that were ever seen in this vault."""
        beginning = f"{self._prefix}host/"
        return sorted(name.removeprefix(beginning) for name in self._archive.cursors(beginning))

    def cursor(self, host: str, followed: Followed) -> tuple[str, str]:
        """What the archive keeps of a device, to be written with what was merged of it."""
        return self._name(host), _encoded(followed)

    def keep(self, host: str, followed: Followed) -> None:
        """Keeps it by itself."""
        self._archive.set_cursor(*self.cursor(host, followed))

    def _name(self, host: str) -> str:
        return f"{self._prefix}host/{host}"

    def trouble(self, snapshots: Iterable[Snapshot], host: str) -> list[Problem]:
        """What is wrong with the chains of the other devices, each thing told once.

        Compares with what was seen here, and with what the other devices say that they had merged.
        """
        newest: dict[str, Snapshot] = {}
        heard: dict[str, int] = {}
        for snapshot in snapshots:
            if snapshot.host not in newest or newest[snapshot.host].sequence < snapshot.sequence:
                newest[snapshot.host] = snapshot
            for other, number in snapshot.merged.items():
                heard[other] = max(heard.get(other, 0), number)
        found = []
        for other in sorted({*self.hosts(), *newest, *heard} - {host, self.own.host}):
            found += self._look_at(other, newest.get(other), heard.get(other, 0))
        return found

    def _look_at(self, other: str, newest: Snapshot | None, heard: int) -> list[Problem]:
        followed = self.followed(other)
        number = newest.sequence if newest else 0
        expected = max(followed.seen, heard)
        told = f"{number} of {expected}" if number < expected else ""
        if told != followed.told or number > followed.seen:
            self.keep(other, msgspec.structs.replace(followed, told=told, seen=max(expected, number)))
        if not told or told == followed.told:
            return []
        had = f"only number {number}" if number else "none"
        what = (
            f"Backup number {expected} of this device was there before, and now there is {had}. The place gave back an "
            "older state, withholds it, or somebody removed it. Nothing was deleted here because of it."
        )
        return [Problem(f"device {other}", what)]


def _decoded(text: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind) if text else kind()
    except msgspec.DecodeError:
        return kind()


def _encoded(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()
