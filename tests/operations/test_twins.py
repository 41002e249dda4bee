"""A WhatsApp chat has no id. Two machines that imported it each gave it one, and have one chat after they synced."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.operations.conftest import Machine

from chatkeep import operations
from chatkeep.archive import Archive
from chatkeep.selection import Selection

_LINES = [
    "the plums on the north side are ripe already",
    "then we should pick them before the weekend",
    "I will bring the long ladder and two baskets",
    "do not forget the gloves this time please",
    "the wasps remember you from last year, I think",
    "very funny, I still have the marks on my hand",
    "grandmother wants ten jars, not one fewer",
    "so we need sugar, about six kilograms of it",
    "the shop at the corner has an offer this week",
    "good, I go there after work on Thursday",
]


def _chat(folder: Path, first: int, last: int, *, english: bool = True) -> Path:
    """Lines first to last of the chat, as an Android phone writes them, in British or in German."""
    folder.mkdir(exist_ok=True)
    lines = []
    for number in range(first, last):
        name, text = ("Ada", "Ben")[number % 2], _LINES[number % 10] + f" ({number // 10})"
        day, minute = 13 + number // 10, number % 10
        date = f"{day}/08/2023, 09:4{minute} - " if english else f"{day}.08.23, 09:4{minute} - "
        lines.append(f"{date}{name}: {text}\n")
    name = "WhatsApp Chat with Ben.txt" if english else "WhatsApp Chat mit Ben.txt"
    (folder / name).write_text("".join(lines))
    return folder / name


def _take(machine: Machine, export: Path) -> None:
    report = operations.import_from(machine.archive, [export])
    assert (report.added, report.problems) == (1, [])


def _chats(archive: Archive) -> list[tuple[str, int]]:
    return [(one.id, one.messages) for one in archive.listing(Selection(platforms=("whatsapp",)))]


def _settle(*machines: Machine) -> None:
    for _ in range(4):
        for machine in machines:
            machine.sync(accept_deletions=True)
    assert len({machine.root() for machine in machines}) == 1
    assert [machine.archive.check() for machine in machines] == [[] for _ in machines]


@pytest.mark.parametrize("backed_up_before", [False, True])
def test_two_machines_that_imported_one_chat_have_one_chat(
    machine: Machine, other: Machine, tmp_path: Path, backed_up_before: bool
) -> None:
    _take(machine, _chat(tmp_path / "a", 0, 30))
    _take(other, _chat(tmp_path / "b", 10, 45, english=False))
    ids = {_chats(machine.archive)[0][0], _chats(other.archive)[0][0]}
    assert len(ids) == 2, "the control: each gave it an id of its own"
    other.archive.edit(_chats(other.archive)[0][0], "starred", True)
    if backed_up_before:  # both pushed before either pulled
        machine.back_up()
        other.back_up()
    _settle(machine, other)
    assert _chats(machine.archive) == _chats(other.archive) == [(min(ids), 45)]
    assert machine.archive.listed(max(ids)).id == min(ids), "the other id still leads to it"
    assert machine.archive.listed(min(ids)).starred
    assert machine.archive.search("gloves").total == 5


def test_what_came_to_one_meanwhile_is_in_the_joined_chat(machine: Machine, other: Machine, tmp_path: Path) -> None:
    _take(machine, _chat(tmp_path / "a", 0, 30))
    _take(other, _chat(tmp_path / "b", 10, 35, english=False))
    machine.back_up()
    other.sync()
    operations.import_from(machine.archive, [_chat(tmp_path / "c", 0, 50)])
    _settle(machine, other)
    ((_, messages),) = _chats(machine.archive)
    assert (messages, _chats(other.archive)) == (50, _chats(machine.archive))


def test_an_import_of_a_joined_chat_can_be_undone(machine: Machine, other: Machine, tmp_path: Path) -> None:
    _take(machine, _chat(tmp_path / "a", 0, 30))
    _take(other, _chat(tmp_path / "b", 20, 45, english=False))
    stays, goes = sorted((machine, other), key=lambda one: _chats(one.archive))
    before = _chats(stays.archive)
    stays.sync()
    goes.sync()
    assert _chats(goes.archive)[0][1] == 45
    goes.archive.undo(goes.archive.receipts()[0].id)
    _settle(stays, goes)
    assert _chats(goes.archive) == _chats(stays.archive) == before


def test_the_next_export_goes_to_the_joined_chat_on_both(machine: Machine, other: Machine, tmp_path: Path) -> None:
    _take(machine, _chat(tmp_path / "a", 0, 30))
    _take(other, _chat(tmp_path / "b", 10, 45, english=False))
    _settle(machine, other)
    for one in (machine, other):
        report = operations.import_from(one.archive, [_chat(tmp_path / "c", 5, 60, english=one is machine)])
        assert (report.added, report.updated) == (0, 1)
    _settle(machine, other)
    ((_, messages),) = _chats(machine.archive)
    assert (messages, _chats(other.archive)) == (60, _chats(machine.archive))


def test_two_chats_with_other_people_stay_two(machine: Machine, other: Machine, tmp_path: Path) -> None:
    _take(machine, _chat(tmp_path / "a", 0, 30))
    (tmp_path / "b").mkdir()
    strange = tmp_path / "b" / "WhatsApp Chat with Cyn.txt"
    strange.write_text("".join(f"1{n}/08/2023, 10:00 - Cyn: about the boat, number {n}\n" for n in range(1, 9)))
    _take(other, strange)
    _settle(machine, other)
    assert len(_chats(machine.archive)) == len(_chats(other.archive)) == 2
