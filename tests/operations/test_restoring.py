"""Conversations back from a vault: the same bytes, one or all, as of a snapshot, merged or replaced, and undone."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from tests import exports
from tests.operations.conftest import Machine

from chatkeep import operations, views
from chatkeep.errors import NotFound, WrongUse
from chatkeep.operations import Cancelled, Step
from chatkeep.operations.restoring import attachments_of
from chatkeep.testing import museum


def _id(machine: Machine, title: str) -> str:
    return next(one.id for one in machine.archive.listing() if one.title == title)


def _longer(machine: Machine) -> None:
    """A newer export, in which the boats went on."""
    said = ["Which boat?", "A small one.", "Thanks.", "Ahoy."]
    newer = exports.conversation(exports.BOAT, "Boats", said, at=1_710_000_000)
    operations.import_from(machine.archive, [exports.export(machine.folder / "newer.zip", [newer])])


def test_after_a_disk_died_everything_comes_back_byte_for_byte(machine: Machine, other: Machine) -> None:
    machine.back_up()
    report = other.restore()
    assert (report.expected, report.restored, report.changed, report.messages, report.attachments) == (2, 2, 2, 5, 1)
    assert report.problems == []
    assert other.documents() == machine.documents()
    ((sha256, _),) = other.archive.held()
    assert other.archive.attachment(sha256).read_bytes() == exports.PICTURE
    assert other.archive.search("forty").total == 1


def test_restoring_what_is_here_changes_nothing(machine: Machine) -> None:
    machine.back_up()
    before = machine.archive.number
    report = machine.restore()
    assert (report.expected, report.restored, report.changed, report.receipt) == (2, 2, 0, "")
    assert machine.archive.number == before


def test_a_dry_run_says_what_would_change_message_by_message(machine: Machine, other: Machine) -> None:
    _longer(machine)
    machine.back_up()
    operations.import_from(other.archive, [machine.folder / "export.zip"])
    before = other.documents()
    report = other.restore(dry_run=True)
    assert report.dry_run
    assert (report.expected, report.changed) == (2, 1)
    (change,) = report.conversations
    assert (change.title, change.new, change.added, change.changed, change.removed) == ("Boats", False, 1, 0, 0)
    assert other.documents() == before
    assert list(other.archive.held())
    assert len(other.archive.receipts()) == 1


def test_a_restore_can_be_undone(machine: Machine, other: Machine) -> None:
    machine.back_up()
    report = other.restore()
    other.archive.undo(report.receipt)
    assert other.documents() == {}


def test_by_merge_nothing_that_came_later_is_lost(machine: Machine) -> None:
    machine.back_up()
    _longer(machine)
    before = machine.documents()
    report = machine.restore()
    assert (report.restored, report.changed) == (2, 0)
    assert machine.documents() == before


def test_by_replacement_a_conversation_is_as_it_was_and_undo_brings_back_what_came_later(machine: Machine) -> None:
    machine.back_up()
    old = machine.documents()
    _longer(machine)
    newer = machine.documents()
    dry = machine.restore(replace=True, dry_run=True)
    assert [(change.title, change.removed) for change in dry.conversations] == [("Boats", 1)]
    report = machine.restore(replace=True)
    assert (report.expected, report.restored, report.changed) == (2, 2, 1)
    assert machine.documents() == old
    machine.archive.undo(report.receipt)
    assert machine.documents() == newer


def test_one_conversation_as_of_an_older_snapshot(machine: Machine, other: Machine) -> None:
    first = machine.back_up()
    old = machine.archive.document(_id(machine, "Boats"))
    _longer(machine)
    machine.back_up()
    boat = _id(machine, "Boats")
    report = other.restore(snapshot=first.snapshot[:12], conversations=[boat[:8]])
    assert (report.snapshot, report.expected, report.restored) == (first.snapshot, 1, 1)
    assert other.documents() == {boat: old}


def test_as_of_a_time_means_the_newest_snapshot_not_after_it(machine: Machine) -> None:
    first = machine.back_up()
    time = operations.snapshots(machine.vault)[0].time
    assert machine.restore(as_of=time[:10], dry_run=True).snapshot == first.snapshot
    with pytest.raises(NotFound, match="2001"):
        machine.restore(as_of="2001-01-01", dry_run=True)


def test_a_conversation_in_the_trash_comes_out_of_it(machine: Machine) -> None:
    machine.back_up()
    boat = _id(machine, "Boats")
    machine.archive.edit(boat, "trashed", True)
    report = machine.restore(conversations=[boat])
    assert (report.restored, report.changed) == (1, 1)
    assert not views.is_trashed(machine.archive.load(boat))


def test_what_a_person_did_since_stays(machine: Machine) -> None:
    machine.back_up()
    boat = _id(machine, "Boats")
    machine.archive.edit(boat, "title", "Ships")
    machine.restore()
    assert views.title(machine.archive.load(boat)) == "Ships"


def test_names_that_mean_nothing_or_several_are_refused(machine: Machine) -> None:
    with pytest.raises(NotFound, match="no backup"):
        machine.restore()
    machine.back_up()
    with pytest.raises(NotFound, match="No snapshot"):
        machine.restore(snapshot="zzzz")
    with pytest.raises(NotFound, match="no conversation"):
        machine.restore(conversations=["ffff"])
    with pytest.raises(WrongUse, match="begin with"):
        machine.restore(conversations=[""])


def test_a_restore_that_is_stopped_has_changed_nothing(machine: Machine, other: Machine) -> None:
    machine.back_up()

    def stop(step: Step) -> None:
        if step.stage == "Applying":
            raise Cancelled("Enough.")

    with pytest.raises(Cancelled):
        other.restore(progress=stop)
    assert other.documents() == {}
    assert list((machine.folder / "beside").iterdir()) == []
    assert other.restore().restored == 2


def test_damage_in_the_vault_costs_what_it_hit_and_says_so(machine: Machine, other: Machine) -> None:
    many = [
        exports.conversation(f"5e1f0f6a-0000-4000-8000-{n:012}", f"Chat {n}", ["Hm?", f"So {n}."]) for n in range(9)
    ]
    operations.import_from(machine.archive, [exports.export(machine.folder / "many.zip", many)])
    machine.back_up()
    expected = len(machine.documents())
    _flip_a_byte(_largest_pack(machine))
    found = operations.check(machine.vault, read_data=True)
    assert not found.ok
    assert found.damaged
    report = other.restore()
    assert report.expected == expected
    assert len(report.problems) > 0
    assert report.restored == len(other.documents()) >= expected - len(report.problems)
    here = machine.documents()
    assert all(here[id] == data for id, data in other.documents().items())


def _largest_pack(machine: Machine) -> Path:
    packs = [path for path in (machine.place / "Vault" / "data").rglob("*") if path.is_file()]
    return max(packs, key=lambda path: path.stat().st_size)


def _flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def test_a_whole_vault_is_called_whole(machine: Machine) -> None:
    machine.back_up()
    report = operations.check(machine.vault, read_data=True)
    assert report.ok
    assert (report.damaged, report.missing, report.snapshots, report.conversations) == (0, 0, 1, 2)
    assert report.read >= 1


def test_a_pack_that_is_gone_is_called_missing(machine: Machine) -> None:
    machine.back_up()
    _largest_pack(machine).unlink()
    report = operations.check(machine.vault)
    assert not report.ok
    assert report.missing
    assert report.problems


def test_once_it_is_applied_a_restore_is_not_stopped_half_way(machine: Machine, other: Machine) -> None:
    operations.import_from(machine.archive, [exports.many(machine.folder / "many.zip", 20)])
    machine.back_up()

    def stop(step: Step) -> None:
        if step.stage == "Applying" and step.done:
            raise Cancelled("Too late.")

    report = other.restore(progress=stop)
    assert report.restored == report.expected == 22


def test_a_restore_that_only_takes_out_of_the_trash_has_a_receipt_and_is_undone_by_it(machine: Machine) -> None:
    machine.back_up()
    boats = _id(machine, "Boats")
    operations.trash(machine.archive, [boats])
    report = machine.restore(conversations=[boats])
    assert (report.restored, report.changed, report.problems) == (1, 1, [])
    assert not machine.archive.listed(boats).trashed
    assert machine.archive.receipts()[0].id == report.receipt
    machine.archive.undo(report.receipt)
    assert machine.archive.listed(boats).trashed
    assert machine.archive.count() == 1


def test_a_deleted_conversation_comes_back_by_a_restore(machine: Machine) -> None:
    machine.back_up()
    boats = _id(machine, "Boats")
    before = machine.archive.document(boats)
    operations.delete(machine.archive, [boats])
    report = machine.restore(conversations=[boats])
    assert (report.restored, report.problems) == (1, [])
    assert machine.archive.document(boats) == before


def test_asking_documents_for_their_attachments_leaves_no_cycles_since_a_restore_frees_none() -> None:
    conversation = museum.museum()
    assert attachments_of(conversation)
    gc.collect()
    for _ in range(50):
        attachments_of(conversation)
    assert gc.collect() < 50
