"""Trash, its thirty days, and deletion."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from tests.operations.conftest import Machine

from archive.talks import take, talk
from chatkeep import operations
from chatkeep.errors import NotFound, Problem
from chatkeep.selection import Selection
from chatkeep.vault.lock import SharedLock

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def test_the_trash_is_emptied_of_what_lay_there_for_thirty_days(machine: Machine) -> None:
    take(machine.archive, talk("old", ["peas"]), talk("new", ["beans"]))
    operations.trash(machine.archive, [talk("old").id], now=NOW - timedelta(days=31))
    operations.trash(machine.archive, [talk("new").id], now=NOW - timedelta(days=29))
    assert operations.empty_trash(machine.archive, now=NOW).conversations == 1
    assert [one.title for one in machine.archive.listing(Selection(trashed=True))] == ["About new"]
    assert [id for id, _ in machine.archive.tombstones()] == [talk("old").id]


def test_a_clock_that_is_wrong_does_not_empty_a_full_trash(machine: Machine) -> None:
    many = [talk(f"talk {number}", ["peas"]) for number in range(101)]
    take(machine.archive, *many)
    operations.trash(machine.archive, [one.id for one in many], now=NOW)
    report = operations.empty_trash(machine.archive, now=NOW + timedelta(days=4000))
    assert (report.conversations, len(report.problems)) == (0, 1)
    assert machine.archive.count(Selection(trashed=True)) == 101


def test_what_was_taken_out_of_the_trash_is_not_due(machine: Machine) -> None:
    take(machine.archive, talk("old", ["peas"]))
    operations.trash(machine.archive, [talk("old").id], now=NOW)
    operations.untrash(machine.archive, [talk("old").id])
    assert operations.empty_trash(machine.archive, now=NOW + timedelta(days=99)).conversations == 0


def test_forgetting_reaches_the_backups_and_says_what_it_cannot_reach(machine: Machine) -> None:
    take(machine.archive, talk("garden", ["peas"]))
    machine.back_up()
    take(machine.archive, talk("sea", ["boats"]))
    machine.back_up()
    asked: list[str] = []

    def copies(ids: Sequence[str]) -> list[Problem]:
        asked.extend(ids)
        return [Problem("copies", "one is open in another program")]

    id = talk("garden").id
    report = operations.forget(machine.archive, {"disk": machine.vault}, [id[:8]], places=[copies])
    assert (report.conversations, report.rewritten, report.backups, asked) == (1, 2, 0, [id])
    assert [problem.where for problem in report.problems] == ["copies"]
    assert report.not_reached
    assert machine.vault.check(read_data=True).ok
    machine.back_up()
    again = operations.forget(machine.archive, {"disk": machine.vault}, [id])
    assert (again.rewritten, again.backups, again.problems) == (0, 0, [])
    assert operations.forget(machine.archive, {}, [talk("sea").id]).problems == []


def test_backups_that_somebody_works_on_are_named_and_can_be_reached_by_another_try(machine: Machine) -> None:
    take(machine.archive, talk("garden", ["peas"]))
    machine.back_up()
    id = talk("garden").id
    with SharedLock(machine.vault._objects, host="phone-2"):
        report = operations.forget(machine.archive, {"disk": machine.vault}, [id])
    assert [problem.where for problem in report.problems] == ["backups at disk"]
    assert id in report.problems[0].what
    assert operations.forget(machine.archive, {"disk": machine.vault}, [id]).rewritten == 1


def test_what_is_not_here_is_not_forgotten_by_half_an_id(machine: Machine) -> None:
    with pytest.raises(NotFound):
        operations.forget(machine.archive, {}, ["ffffffff"])
    assert list(machine.archive.tombstones()) == []
