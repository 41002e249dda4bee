"""Two and three machines with one vault: what one has the others get, and nothing is lost on the way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests import exports
from tests.operations.conftest import Machine

from archive.talks import said, take, talk
from chatkeep import operations
from chatkeep.archive import Archive, tombstones
from chatkeep.errors import NotFound
from chatkeep.selection import Selection


@pytest.fixture
def third(machine: Machine) -> Iterator[Machine]:
    with Archive.open(machine.folder / "three", device="tablet-3") as archive:
        yield Machine(machine.folder, archive, machine.place, "tablet-3")


def _settle(*machines: Machine) -> None:
    """Each machine syncs until none has anything new."""
    for _ in range(4):
        for machine in machines:
            machine.sync()
    assert len({machine.root() for machine in machines}) == 1
    assert all(machine.archive.check() == [] for machine in machines)


def test_what_one_machine_imported_is_on_the_other_with_its_attachments(machine: Machine, other: Machine) -> None:
    machine.sync()
    report = other.sync()
    assert (report.pulled, report.merged, report.conflicts, report.deleted, report.attachments) == (2, 2, 0, 0, 1)
    assert report.problems == []
    assert other.documents() == machine.documents()
    assert other.root() == machine.root()
    assert [sha256 for sha256, _ in other.archive.held()] == [sha256 for sha256, _ in machine.archive.held()]
    assert other.archive.search("forty").total == 1


def test_what_both_did_is_on_both(machine: Machine, other: Machine) -> None:
    machine.sync()
    other.sync()
    take(machine.archive, talk("garden", ["peas"]))
    take(other.archive, talk("garden", ["peas", "beans"]), talk("sea", ["boats"]))
    machine.archive.edit(talk("garden").id, "starred", True)
    _settle(machine, other)
    assert machine.archive.listed(talk("garden").id).messages == 2
    assert other.archive.listed(talk("garden").id).starred
    assert machine.archive.count() == 4


def test_a_sync_with_nothing_new_writes_nothing(machine: Machine, other: Machine) -> None:
    _settle(machine, other)
    report = machine.sync()
    assert (report.pulled, report.merged, report.pushed, report.unchanged) == (0, 0, 0, True)
    assert machine.counting.calls["put"] == 0


@pytest.mark.parametrize("changes", [1, 100])
def test_few_requests_bring_few_or_many_changes(machine: Machine, other: Machine, changes: int) -> None:
    take(machine.archive, *(talk(f"talk {number}", ["peas"]) for number in range(300)))
    _settle(machine, other)
    take(machine.archive, *(talk(f"talk {number}", ["peas", "beans"]) for number in range(changes)))
    machine.sync()
    stages: list[tuple[str, int]] = []
    report = other.sync(progress=lambda step: stages.append((step.stage, other.counting.requests)))
    assert (report.pulled, report.merged) == (changes, changes)
    (_, opened), (_, pulled) = [one for one in stages if one[0].startswith("Looking")]
    assert pulled - opened <= 6


def test_a_deletion_reaches_the_other_machine_and_stays(machine: Machine, other: Machine) -> None:
    take(machine.archive, talk("garden", ["peas"]))
    _settle(machine, other)
    operations.delete(other.archive, [talk("garden").id])
    other.sync()
    report = machine.sync()
    assert (report.deleted, report.conflicts) == (1, 0)
    with pytest.raises(NotFound):
        machine.archive.load(talk("garden").id)
    assert take(machine.archive, talk("garden", ["peas"])).unchanged == 1
    _settle(machine, other)
    assert machine.archive.count() == other.archive.count() == 2


def test_what_a_deletion_did_not_see_brings_the_conversation_back_as_a_conflict(
    machine: Machine, other: Machine
) -> None:
    take(machine.archive, talk("garden", ["peas"]))
    _settle(machine, other)
    operations.delete(other.archive, [talk("garden").id])
    take(machine.archive, talk("garden", ["peas", "beans"]))
    machine.sync()
    assert other.sync().conflicts == 1
    _settle(machine, other)
    for one in (machine, other):
        (conflict,) = one.archive.conflicts()
        assert (conflict.kind, conflict.id) == ("returned", talk("garden").id)
        assert one.archive.listed(conflict.id).messages == 2
    machine.archive.settle(talk("garden").id)
    _settle(machine, other)
    assert machine.archive.conflicts() == other.archive.conflicts() == []
    assert other.archive.count() == 3


def test_many_deletions_at_once_stop_and_ask(machine: Machine, other: Machine) -> None:
    many = [talk(f"talk {number}", ["peas"]) for number in range(8)]
    take(machine.archive, *many)
    _settle(machine, other)
    operations.delete(other.archive, [one.id for one in many[:3]])
    other.sync()
    report = machine.sync()
    assert (report.deleted, report.held_back, machine.archive.count()) == (0, 3, 10)
    assert "--accept-deletions" in report.problems[0].what
    assert machine.sync().held_back == 3
    assert other.sync().merged == 0
    assert other.archive.count() == 7
    report = machine.sync(accept_deletions=True)
    assert (report.deleted, report.held_back) == (3, 0)
    _settle(machine, other)


def test_an_import_that_is_undone_is_undone_everywhere_and_may_come_again(machine: Machine, other: Machine) -> None:
    take(machine.archive, talk("garden", ["peas"]))
    again = talk("garden", ["peas", "beans"], title="Vegetables")
    receipt = take(machine.archive, again, talk("sea", ["boats"]))
    _settle(machine, other)
    machine.archive.undo(receipt.id)
    _settle(machine, other)
    assert other.archive.listed(talk("garden").id).messages == 1
    assert other.archive.listed(talk("garden").id).title == "About garden"
    assert other.archive.count() == 3
    take(other.archive, again)
    _settle(machine, other)
    assert machine.archive.listed(talk("garden").id).title == "Vegetables"
    assert machine.archive.listed(talk("garden").id).messages == 2


def test_what_this_machine_imported_itself_stays_when_another_undoes_the_same_import(
    machine: Machine, other: Machine
) -> None:
    garden = talk("garden", ["peas"])
    take(other.archive, garden)
    receipt = take(machine.archive, garden)
    _settle(machine, other)
    machine.archive.undo(receipt.id)
    _settle(machine, other)
    assert machine.archive.count() == 3


def test_undoing_an_import_takes_back_what_other_machines_only_got_by_sync(machine: Machine, other: Machine) -> None:
    receipt = take(machine.archive, talk("garden", ["peas"]))
    _settle(machine, other)
    take(other.archive, talk("garden", messages=[said("garden", 7, "beans")]))
    _settle(machine, other)
    machine.archive.undo(receipt.id)
    _settle(machine, other)
    assert [one.parts[0].text for one in other.archive.load(talk("garden").id).messages] == ["beans"]


def test_a_restore_by_replacement_is_not_merged_away(machine: Machine, other: Machine) -> None:
    take(machine.archive, talk("garden", ["peas"]))
    _settle(machine, other)
    (first, *_) = [one.id for one in operations.snapshots(machine.vault)]
    take(other.archive, talk("garden", ["peas", "weeds"], title="Weeds"))
    other.archive.edit(talk("garden").id, "title", "Mine")
    _settle(machine, other)
    report = machine.restore(snapshot=first, conversations=[talk("garden").id], replace=True)
    assert (report.restored, report.problems) == (1, [])
    _settle(machine, other)
    for one in (machine, other):
        assert one.archive.listed(talk("garden").id).title == "About garden"
        assert one.archive.search("weeds").total == 0
    machine.archive.undo(report.receipt)
    _settle(machine, other)
    assert other.archive.search("weeds").total == 1
    assert other.archive.listed(talk("garden").id).title == "Mine"


def test_two_versions_of_a_message_are_both_kept_and_one_is_chosen(machine: Machine, other: Machine) -> None:
    take(machine.archive, talk("garden", ["peas"]))
    _settle(machine, other)
    take(machine.archive, talk("garden", ["red peas"]))
    take(other.archive, talk("garden", ["blue peas"]))
    machine.sync()
    assert other.sync().conflicts == 1
    (conflict,) = other.archive.conflicts()
    assert {text for _, text in conflict.versions} == {"peas", "red peas", "blue peas"}
    chosen = next(raw for raw, text in conflict.versions if text == "red peas")
    other.archive.settle(conflict.id, conflict.message, choose=chosen)
    assert other.archive.conflicts() == []
    _settle(machine, other)
    assert machine.archive.search("red").total == 1
    assert machine.archive.search("blue").total == 0
    other.archive.unsettle(conflict.id, conflict.message)
    assert len(other.archive.conflicts()) == 1
    other.archive.settle(conflict.id, conflict.message)
    assert other.archive.conflicts() == []
    _settle(machine, other)


def test_what_was_brought_back_on_one_machine_meets_what_another_had_not_yet_deleted(
    machine: Machine, other: Machine
) -> None:
    take(machine.archive, talk("garden", ["peas", "beans"]))
    _settle(machine, other)
    (first, *_) = [one.id for one in operations.snapshots(machine.vault)]
    take(other.archive, talk("garden", ["peas", "beans", "lentils"]))
    _settle(machine, other)
    operations.delete(machine.archive, [talk("garden").id])
    machine.restore(snapshot=first, conversations=[talk("garden").id])
    _settle(machine, other)
    assert machine.archive.listed(talk("garden").id).messages == 3


def test_what_lay_in_the_trash_for_thirty_days_is_deleted_and_what_was_taken_out_is_not(
    machine: Machine, other: Machine
) -> None:
    now = datetime.now(UTC)
    take(machine.archive, talk("garden", ["peas"]), talk("sea", ["boats"]))
    operations.trash(machine.archive, [talk("garden").id, talk("sea").id], now=now)
    _settle(machine, other)
    assert other.archive.count(Selection(trashed=True)) == 2
    operations.untrash(other.archive, [talk("sea").id])
    assert machine.sync(now=now + timedelta(days=31)).emptied == 2
    _settle(machine, other)
    assert other.archive.count(Selection(trashed=True)) == 0
    assert other.archive.listed(talk("sea").id).trashed is False
    assert machine.archive.count() == 3


@pytest.mark.parametrize("heeded", [True, False], ids=["as it is", "control: deletions are not heeded"])
def test_a_machine_that_comes_back_after_ninety_days_revives_nothing_and_loses_nothing(
    machine: Machine, other: Machine, third: Machine, monkeypatch: pytest.MonkeyPatch, heeded: bool
) -> None:
    now = datetime.now(UTC)
    take(machine.archive, talk("garden", ["peas"]))
    _settle(machine, other, third)
    operations.trash(machine.archive, [talk("garden").id], now=now)
    assert machine.sync(now=now + timedelta(days=31)).emptied == 1
    take(third.archive, talk("lake", ["fish"]))
    if not heeded:
        monkeypatch.setattr(tombstones, "outcome", lambda conversation, tombstone: conversation)
    for one in (third, machine, third):
        one.sync(now=now + timedelta(days=90))
    assert all(talk("lake").id in _ids(each) for each in (machine, third))
    assert (talk("garden").id in _ids(third)) is not heeded


def _ids(machine: Machine) -> set[str]:
    return {one.id for one in machine.archive.documents()}


def test_an_erased_conversation_comes_back_from_nowhere(machine: Machine, other: Machine, third: Machine) -> None:
    take(machine.archive, talk("garden", ["peas"]))
    _settle(machine, other, third)
    machine.archive.erase([talk("garden").id])
    take(third.archive, talk("garden", ["peas", "beans"]))
    _settle(machine, other, third)
    assert all(one.archive.count() == 2 for one in (machine, other, third))
    assert take(other.archive, talk("garden", ["peas", "beans", "lentils"])).problems
    _settle(machine, other, third)
    assert b"peas" not in b"".join(path.read_bytes() for path in machine.archive.folder.glob("archive.sqlite3*"))


def test_a_copy_of_a_machine_gets_a_name_of_its_own(machine: Machine, other: Machine) -> None:
    take(machine.archive, talk("garden", ["peas"]))
    machine.sync()
    other.archive.close()
    shutil.copytree(machine.archive.folder, machine.folder / "copy")
    with Archive.open(machine.folder / "copy", device=machine.name) as archive:
        clone = Machine(machine.folder, archive, machine.place, machine.name)
        take(machine.archive, talk("sea", ["boats"]))
        machine.sync()
        take(archive, talk("lake", ["fish"]))
        report = clone.sync(new_host=lambda: "laptop-9")
        clone.name = "laptop-9"
        assert report.host == "laptop-9"
        assert archive.count() == 5
        assert archive.device == "laptop-9"
        _settle(machine, clone)
        assert machine.archive.count() == 5


def test_a_device_that_is_withheld_is_told_once(machine: Machine, other: Machine) -> None:
    _settle(machine, other)
    newest = other.vault.newest(other.name)
    assert newest is not None
    (machine.place / "Vault" / "snapshots" / newest.id).unlink()
    (problem,) = machine.sync().problems
    assert problem.where == f"device {other.name}"
    assert machine.sync().problems == []
    assert machine.archive.count() == 2


def test_a_machine_notices_that_its_own_backups_are_gone(machine: Machine, other: Machine) -> None:
    _settle(machine, other)
    newest = machine.vault.newest(machine.name)
    assert newest is not None
    (machine.place / "Vault" / "snapshots" / newest.id).unlink()
    (problem,) = machine.sync().problems
    assert "no longer there" in problem.what
    assert machine.sync().problems == []


def test_importing_the_export_on_two_machines_doubles_nothing(machine: Machine, other: Machine) -> None:
    operations.import_from(other.archive, [exports.two(machine.folder / "again.zip")])
    _settle(machine, other)
    assert machine.archive.count() == 2
