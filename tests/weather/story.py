"""The story that every fault is met in, and the oracle that says what became of what a person was told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.vault.small_archive import contents, documents
from tests.weather.skies import NOT_OURS, Device, Sky
from tests.weather.tally import TALLY, Tally

from chatkeep import vault
from chatkeep.errors import ChatkeepError, Problem
from chatkeep.storage import Storage
from chatkeep.vault import Saved, Vault
from chatkeep.vault.seal import MasterKey

HELD = 3


class Story:
    """A vault at one cloud, and all that reports said is in it. around: what lies between the vault and the cloud."""

    def __init__(
        self, sky: Sky, folder: Path, *, tally: Tally = TALLY, around: Callable[[Storage], Storage] = lambda it: it
    ) -> None:
        self.sky, self.tally, self.around = sky, tally, around
        self.folder = folder
        self.told: dict[str, dict[str, bytes]] = {}
        self.errors: list[ChatkeepError] = []
        self.held = documents(HELD, messages=1)
        self._numbers = HELD
        self.laptop = Device(sky, folder, name="laptop-1")
        self.phone = Device(sky, folder, name="phone-2")
        made, _ = vault.create(self.laptop.open(new=True), passphrase=None, hostname="laptop-1", clock=self.now)
        self.key: MasterKey = made.master_key
        self.others = sky.others()
        assert NOT_OURS in self.others.values()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.sky.time(), UTC)

    def opened(self, device: Device, *, attempts: int = 8) -> Vault:
        storage = self.around(device.open(attempts=attempts))
        return vault.open_with_master_key(storage, self.key, cache=device.cache, clock=self.now)

    def change(self) -> None:
        """The person writes on: one conversation is new."""
        self.held |= documents(1, first=self._numbers, messages=1)
        self._numbers += 1

    def back_up(self, device: Device | None = None, *, attempts: int = 8) -> Saved | None:
        """A run in a process of its own; None if it said that it failed."""
        device = device or self.laptop
        try:
            saved = self.opened(device, attempts=attempts).save(contents(self.held), host=device.name)
        except ChatkeepError as error:
            self.errors.append(error)
            return None
        if saved.verified and not saved.damaged and not saved.problems:
            self.told[saved.snapshot.id] = dict(self.held)
        return saved

    def look(self, device: Device | None = None, *, attempts: int = 8) -> dict[str, bytes] | None:
        """What another device is given of the newest snapshot; None if it was told that not all came."""
        try:
            seen = self.opened(device or self.phone, attempts=attempts)
            newest = seen.snapshots()[-1:]
            found = list(seen.load(newest[0])) if newest else []
        except ChatkeepError as error:
            self.errors.append(error)
            return None
        if any(isinstance(one, Problem) for one in found):
            return None
        return {one.id: one.data for one in found if not isinstance(one, Problem)}

    # The oracle

    def judge(self) -> None:
        """Count what is wrong with what people were told and with the vault, as `compare` and a whole check see it."""
        report = self.compare().check(read_data=True)
        self._count("corrupt", report.damaged)
        self._count("lost", report.missing)
        self._count("duplicated", len(self.sky.doubles()))
        self._count("corrupt", 0 if self.sky.others() == self.others else 1)

    def compare(self) -> Vault:
        """Count what is wrong with what people were told, as a new machine with nothing but the key sees it."""
        stranger = Device(self.sky, self.folder, name=f"new-{len(list(self.folder.iterdir()))}")
        seen = self.opened(stranger)
        by_id = {snapshot.id: snapshot for snapshot in seen.snapshots()}
        for id, expected in self.told.items():
            self._compare(expected, seen, by_id.get(id))
        return seen

    def _compare(self, expected: dict[str, bytes], seen: Vault, snapshot: vault.Snapshot | None) -> None:
        found = list(seen.load(snapshot)) if snapshot else []
        given = {one.id: one.data for one in found if not isinstance(one, Problem)}
        lost, corrupt = expected.keys() - given.keys(), [n for n in given if given[n] != expected.get(n)]
        self._count("lost", len(lost))
        self._count("corrupt", len(corrupt))
        self._count("falsely reported", 1 if lost or corrupt else 0)

    def _count(self, what: str, times: int) -> None:
        self.tally.add(self.sky.name, what, times)

    def met(self, *, person: bool = False, faults: int = 1) -> None:
        """Faults were met and are over: by itself, or with a person's doing."""
        self._count("faults injected", faults)
        self._count("needs a person" if person else "survived", faults)

    def clear(self) -> None:
        self.sky.cloud.faults.clear()
        self.sky.time.now += 7200

    def ends_well(self) -> None:
        """The weather is over: the next run completes, another device sees it, and nothing that was told is untrue."""
        self.clear()
        self.change()
        saved = self.back_up()
        assert saved is not None, self.errors[-1:]
        assert saved.verified
        assert self.look() == self.held
        before = self.tally.bad()
        self.judge()
        assert self.tally.bad() == before, self.tally.line(self.sky.name)


def kinds(errors: list[ChatkeepError]) -> set[str]:
    return {type(error).__name__ for error in errors}
