"""Tidying as an operation, and by itself after backups."""

from __future__ import annotations

import pytest
from tests.operations.conftest import Machine

from archive.talks import take, talk
from chatkeep import operations
from chatkeep.operations import BackupReport
from chatkeep.vault.lock import SharedLock


def grow(machine: Machine, runs: int) -> BackupReport:
    for number in range(runs):
        take(machine.archive, talk(f"talk {number}", ["peas"]))
        report = machine.back_up()
    return report


def small_files(machine: Machine) -> int:
    return len(machine.counting.listing("Vault/"))


def test_nothing_is_tidied_before_it_is_worth_it(machine: Machine) -> None:
    report = grow(machine, 3)
    before = small_files(machine)
    assert operations.tidy_if_due(report, machine.vault, host=machine.name) == report
    assert small_files(machine) == before


def test_after_many_backups_small_files_become_few(machine: Machine) -> None:
    report = grow(machine, 17)
    assert operations.tidy_if_due(report, machine.vault, host=machine.name) == report
    assert len(machine.counting.listing("Vault/index/")) == 1
    assert machine.vault.check(read_data=True).ok
    assert not machine.vault.needs_tidying(host=machine.name)


def test_that_somebody_else_is_at_work_is_no_problem_of_a_backup(machine: Machine) -> None:
    report = grow(machine, 17)
    with SharedLock(machine.vault._objects, host="phone-2"):
        assert operations.tidy_if_due(report, machine.vault, host=machine.name) == report
    assert len(machine.counting.listing("Vault/index/")) == 17


def test_what_cannot_be_read_is_a_problem_of_the_backup(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    report = grow(machine, 17)
    index = machine.vault._objects.index
    trees = [n for n, row in index.packs_by_name().items() if next(index.blobs_of(row))[0] == "tree"]
    for name in trees[:3]:
        machine.counting.delete(f"Vault/data/{name[:2]}/{name}")
    told = operations.tidy_if_due(report, machine.vault, host=machine.name)
    assert told.problems
    assert "nothing is removed" in told.problems[0].what


def test_a_preview_names_what_would_go(machine: Machine) -> None:
    grow(machine, 3)
    told = operations.tidy(machine.vault, host=machine.name, dry_run=True)
    assert (told.dry_run, told.kept, told.forgotten) == (True, 3, [])
