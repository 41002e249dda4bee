"""The drill finds what a restore would find, before somebody needs one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.operations.conftest import Machine

from chatkeep import operations, vault
from chatkeep.errors import NotFound
from chatkeep.operations import DrillReport
from chatkeep.storage import Counting


def _drill(machine: Machine, **given: object) -> DrillReport:
    anew = vault.open_vault(Counting(machine.counting.inner), secret="open sesame")
    beside = machine.folder / "beside"
    return operations.drill(machine.archive, anew, beside=beside, **given)  # type: ignore[arg-type]


def test_a_whole_vault_passes_and_nothing_stays_behind(machine: Machine) -> None:
    change = machine.archive.number
    machine.back_up()
    report = _drill(machine, unchanged_since=change)
    assert report.ok
    assert (report.conversations, report.compared, report.as_here, report.attachments) == (2, 2, 2, 1)
    assert (report.next, report.problems) == ("", [])
    assert list((machine.folder / "beside").iterdir()) == []
    assert machine.archive.number == change


def test_the_sample_goes_round(machine: Machine) -> None:
    machine.back_up()
    first = _drill(machine, sample=1)
    second = _drill(machine, sample=1, begin=first.next)
    third = _drill(machine, sample=1, begin=second.next)
    assert (first.compared, second.compared) == (1, 1)
    assert len({first.next, second.next}) == 2
    assert third.next == first.next


def test_damage_is_found_and_names_the_conversation(machine: Machine) -> None:
    machine.back_up()
    for pack in (machine.place / "Vault" / "data").rglob("*"):
        if pack.is_file():
            data = bytearray(pack.read_bytes())
            data[: len(data) // 2] = bytes(len(data) // 2)
            pack.write_bytes(data)
    report = _drill(machine)
    assert not report.ok
    assert report.problems


def test_a_missing_attachment_is_found(machine: Machine) -> None:
    machine.back_up()
    whole = _drill(machine)
    assert whole.ok
    big = max((path for path in (machine.place / "Vault" / "data").rglob("*") if path.is_file()), key=_size)
    big.unlink()
    assert not _drill(machine).ok


def _size(path: Path) -> int:
    return path.stat().st_size


def test_what_changed_here_since_is_no_problem(machine: Machine) -> None:
    change = machine.archive.number
    machine.back_up()
    id = machine.archive.listing()[0].id
    machine.archive.edit(id, "starred", True)
    report = _drill(machine, unchanged_since=change)
    assert report.ok
    assert (report.compared, report.as_here) == (2, 1)


def test_what_differs_though_nothing_changed_here_is_a_problem(machine: Machine) -> None:
    """A backup that saved something else than what the archive held at that change."""
    machine.back_up()
    machine.archive.edit(machine.archive.listing()[0].id, "starred", True)
    report = _drill(machine, unchanged_since=machine.archive.number)
    assert not report.ok
    assert "though nothing changed here" in report.problems[0].what


def test_without_a_snapshot_there_is_nothing_to_rehearse(machine: Machine) -> None:
    with pytest.raises(NotFound):
        _drill(machine)
