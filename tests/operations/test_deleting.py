"""Trash, its thirty days, and deletion."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.operations.conftest import Machine

from archive.talks import take, talk
from chatkeep import operations
from chatkeep.selection import Selection

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
