"""Devices in any order of imports, edits, trash, deletions, undoing, restores and syncs come to the same.

Nothing that was not taken away is lost, and nothing that was taken away with nothing new in it comes back.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from archive.talks import said, talk
from chatkeep import operations, vault
from chatkeep.merge import version_names
from chatkeep.model import Conversation
from chatkeep.vault import keys
from laws.devices import Device, devices, settle

NAMES = ("garden", "sea")
TEXTS = ("peas", "beans", "lentils")


def _variant(name: str, which: int) -> Conversation:
    """One of the exports of a talk: some of its messages, one of two versions of the first, one of two titles."""
    messages = [said(name, n, TEXTS[n]) for n in range(3) if which >> n & 1]
    if which & 8 and messages:
        messages[0] = said(name, int(messages[0].sent_at[8:10]) - 1, "edited", edited_at="2024-06-01T00:00:00Z")
    title = "Later" if which & 4 else "First"
    return talk(name, messages=messages, title=title, updated_at=f"2024-05-{which + 1:02}T00:00:00Z")


class Machines(RuleBasedStateMachine):
    """Three devices. What must hold is kept beside: what nobody took away, and what is gone for good."""

    number = 3

    def __init__(self) -> None:
        super().__init__()
        self._scratch = tempfile.TemporaryDirectory()
        self.devices = devices(Path(self._scratch.name), self.number)
        self.receipts: dict[tuple[int, str], set[str]] = {}
        self.snapshots: list[tuple[str, str]] = []
        self.kept: dict[str, set[str]] = {}  # by id, the versions that nobody took away
        self.touched: set[str] = set()  # ids of which something was undone or replaced: what is left is not modelled
        self.dead: set[str] = set()  # ids that were deleted when nobody had anything that was not seen
        self.erased: set[str] = set()

    which = st.integers(0, 2)

    def _device(self, which: int) -> Device:
        return self.devices[which % self.number]

    @rule(which=which, name=st.sampled_from(NAMES), variant=st.integers(1, 15))
    def take_in(self, which: int, name: str, variant: int) -> None:
        export = _variant(name, variant)
        device = self._device(which)
        self.receipts[which % self.number, device.take(export)] = {export.id}
        there = device.says(export.id)
        if there:
            self.kept.setdefault(export.id, set()).update(version_names(export))
            assert version_names(export) <= there
            self.dead.discard(export.id)

    @rule(which=which, name=st.sampled_from(NAMES), title=st.sampled_from(["Mine", "Yours"]))
    def rename(self, which: int, name: str, title: str) -> None:
        self._edit(which, name, "title", title)

    @rule(which=which, name=st.sampled_from(NAMES), trashed=st.booleans())
    def trash(self, which: int, name: str, trashed: bool) -> None:
        self._edit(which, name, "trashed", "2024-01-01T00:00:00Z" if trashed else None)
        self.kept.pop(talk(name).id, None)  # it has been there for more than thirty days
        self.touched.add(talk(name).id)
        if not trashed and self._device(which).says(talk(name).id):
            self.dead.discard(talk(name).id)  # whoever takes it out of the trash wants it, and no deletion saw that

    def _edit(self, which: int, name: str, field: str, value: object) -> None:
        device, id = self._device(which), talk(name).id
        if device.says(id):
            device.archive.edit(id, field, value)

    @rule(which=which, name=st.sampled_from(NAMES))
    def delete(self, which: int, name: str) -> None:
        device, id = self._device(which), talk(name).id
        seen = device.says(id)
        if not seen:
            return
        operations.delete(device.archive, [id])
        self.kept.pop(id, None)
        self.touched.add(id)  # what the others have may come back

    @precondition(lambda self: bool(self.receipts))
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        which, receipt = data.draw(st.sampled_from(sorted(self.receipts)))
        for id in self.receipts.pop((which, receipt)):
            self.touched.add(id)
            self.kept.pop(id, None)
        self.devices[which].archive.undo(receipt)

    @rule(which=which)
    def synced(self, which: int) -> None:
        report = self._device(which).sync(accept_deletions=True)
        self.snapshots.append((report.snapshot, self._device(which).name))

    @precondition(lambda self: bool(self.snapshots))
    @rule(data=st.data(), which=which, name=st.sampled_from(NAMES), replace=st.booleans())
    def restore(self, data: st.DataObject, which: int, name: str, replace: bool) -> None:
        device, id = self._device(which), talk(name).id
        snapshot, _ = data.draw(st.sampled_from(self.snapshots))
        opened = vault.open_with_master_key(device.storage, device.key)
        chosen = next(one for one in opened.snapshots() if one.id == snapshot)
        if id not in opened.conversations(chosen, prefix=id) or id in self.erased:
            return
        report = device.restore(snapshot, id, replace=replace)
        assert (report.restored, report.problems) == (1, [])
        if replace:
            self.touched.add(id)
            self.kept.pop(id, None)
        self.dead.discard(id)
        if report.receipt:
            self.receipts[which % self.number, report.receipt] = {id}

    @rule(name=st.sampled_from(NAMES))
    def all_delete(self, name: str) -> None:
        """Everybody knows everything, one deletes: it must stay away until somebody brings it again."""
        settle(self.devices)
        id = talk(name).id
        if self.devices[0].says(id):
            operations.delete(self.devices[0].archive, [id])
            self.kept.pop(id, None)
            self.touched.add(id)
            self.dead.add(id)

    @rule(which=which, name=st.sampled_from(NAMES))
    def erase(self, which: int, name: str) -> None:
        id = talk(name).id
        if name == "sea" and self._device(which).says(id):
            self._device(which).archive.erase([id])
            self.erased.add(id)

    @invariant()
    def nothing_dead_or_erased_is_where_it_was_taken_away(self) -> None:
        for id in self.dead:
            assert not self.devices[0].says(id)

    def teardown(self) -> None:
        try:
            settle(self.devices)
            first = self.devices[0]
            assert {device.root() for device in self.devices} == {first.root()}
            for device in self.devices:
                assert device.archive.check() == []
                assert device.documents() == first.documents()
                assert list(device.archive.tombstones()) == list(first.archive.tombstones())
            for id, kept in self.kept.items():
                if id not in self.touched | self.erased:
                    assert kept <= first.says(id)
            for id in self.dead | self.erased:
                assert not first.says(id)
        finally:
            for device in self.devices:
                device.archive.close()
            self._scratch.cleanup()


class TwoMachines(Machines):
    number = 2


_EXAMPLES = int(os.environ.get("LAW_EXAMPLES", "12"))  # more by hand; the simulator of the vault goes further
_SETTINGS = settings(
    max_examples=_EXAMPLES,
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestThreeDevices = Machines.TestCase
TestThreeDevices.settings = _SETTINGS
TestTwoDevices = TwoMachines.TestCase
TestTwoDevices.settings = _SETTINGS


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)
