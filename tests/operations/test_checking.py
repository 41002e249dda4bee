"""A check and a restore say so when the newest backup is gone or cannot be read, and never "all is well"."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.operations.conftest import Machine

from chatkeep import operations
from chatkeep.errors import Damaged
from chatkeep.operations import BackupReport


def _two(machine: Machine) -> tuple[BackupReport, BackupReport]:
    first = machine.back_up()
    machine.archive.edit(machine.archive.listing()[0].id, "title", "Another title")
    return first, machine.back_up()


def _fresh(machine: Machine) -> None:
    """As another machine opens the vault, which remembers nothing of it."""
    machine.name = "another-2"
    machine.restart()


def _snapshot(machine: Machine, report: BackupReport) -> Path:
    return next(machine.place.rglob(f"snapshots/{report.snapshot}"))


def _spoil(file: Path) -> None:
    data = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_a_newest_snapshot_that_cannot_be_read_is_told_by_all_that_look_for_it(machine: Machine) -> None:
    older, newer = _two(machine)
    _spoil(_snapshot(machine, newer))
    _fresh(machine)
    assert [one.id for one in operations.snapshots(machine.vault)] == [older.snapshot]
    told = [f"snapshot {newer.snapshot[:8]}"]
    assert [problem.where for problem in operations.unread(machine.vault)] == told
    report = operations.restore(machine.archive, machine.vault, beside=machine.folder / "beside")
    assert (report.snapshot, [problem.where for problem in report.problems]) == (older.snapshot, told)
    new = operations.restore_into(machine.vault, machine.folder / "new")
    assert [problem.where for problem in new.problems] == told
    rehearsed = operations.drill(machine.archive, machine.vault, beside=machine.folder / "beside")
    assert (rehearsed.ok, [problem.where for problem in rehearsed.problems]) == (False, told)
    assert not operations.check(machine.vault).ok


def test_a_snapshot_that_cannot_be_read_is_not_said_to_be_absent(machine: Machine) -> None:
    older, newer = _two(machine)
    _spoil(_snapshot(machine, newer))
    _fresh(machine)
    beside = machine.folder / "beside"
    with pytest.raises(Damaged, match="cannot be read"):
        operations.restore(machine.archive, machine.vault, beside=beside, snapshot=newer.snapshot[:10])
    _spoil(_snapshot(machine, older))
    machine.name = "third-3"
    machine.restart()
    with pytest.raises(Damaged, match="none can be read"):
        operations.restore(machine.archive, machine.vault, beside=beside)


def test_without_damage_nothing_is_told(machine: Machine) -> None:
    _, newer = _two(machine)
    _fresh(machine)
    report = operations.restore(machine.archive, machine.vault, beside=machine.folder / "beside")
    assert (operations.unread(machine.vault), report.problems) == ([], [])
    assert operations.check(machine.vault, made=newer.snapshot).ok


@pytest.mark.parametrize("gone", ["the newest", "all"])
def test_a_vault_without_the_last_backup_of_this_machine_is_not_whole(machine: Machine, gone: str) -> None:
    older, newer = _two(machine)
    for report in (newer,) if gone == "the newest" else (older, newer):
        _snapshot(machine, report).unlink()
    assert operations.check(machine.vault).ok, "the control: what is left fits together"
    report = operations.check(machine.vault, made=newer.snapshot)
    assert (report.ok, report.missing) == (False, 1)
    assert report.problems[0].where == f"snapshot {newer.snapshot[:8]}"


def test_a_snapshot_that_an_erasure_wrote_anew_counts_as_the_one_it_was(machine: Machine) -> None:
    _, newer = _two(machine)
    machine.vault.erase([machine.archive.listing()[0].id], host=machine.name)
    assert newer.snapshot not in [one.id for one in machine.vault.snapshots()]
    assert operations.check(machine.vault, made=newer.snapshot).ok
