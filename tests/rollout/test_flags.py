"""Asking about flags: as declared until somebody changes them, quickly seen by every process, killed at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chatkeep.errors import NotFound, WrongUse
from chatkeep.rollout import changing, flags
from chatkeep.rollout.declared import CLOUD_WRITES, FLAGS, SYNC_DELETIONS, WRITES, Rule
from chatkeep.rollout.flags import Remembered, SwitchedOff
from chatkeep.rollout.rings import Person

pytestmark = pytest.mark.django_db

ALICE = Person("a" * 32)
TEAM = Person("b" * 32, ("team",))


class Log:
    """An audit log that is looked at."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []

    def __call__(self, *line: Any) -> None:
        self.lines.append(line)


@pytest.fixture
def note() -> Log:
    return Log()


def test_on_a_laptop_everything_is_there_from_the_start() -> None:
    assert flags.on_for(ALICE) == {"tidying", "readable-copies", "inbox"}
    for kind in WRITES:
        flags.ask(kind, ALICE)
    assert flags.may_delete_by_sync()


@pytest.mark.usefixtures("server")
def test_on_a_server_what_is_staged_is_first_for_the_team() -> None:
    assert flags.on_for(ALICE) == set()
    assert flags.on_for(TEAM) == {"tidying", "readable-copies", "inbox"}
    flags.ask("backup", ALICE)
    with pytest.raises(SwitchedOff, match="not open to you") as caught:
        flags.ask("publish", ALICE)
    assert caught.value.flag == "readable-copies"
    flags.ask("publish", TEAM)


def test_a_flag_that_nobody_declared_is_no_flag() -> None:
    with pytest.raises(NotFound):
        flags.enabled("typo", ALICE)


def test_every_change_is_noted_with_what_it_was_before(note: Log) -> None:
    changing.move("inbox", "5%", by="olga", note=note)
    changing.kill("inbox", by="olga", why="it imports twice", note=note)
    changing.lift("inbox", by="otto", note=note)
    changing.watch_by("inbox", Rule(hours=2), by="otto", note=note)
    assert [line[:3] for line in note.lines] == [
        ("olga", "flag.moved", "flag:inbox"),
        ("olga", "flag.killed", "flag:inbox"),
        ("otto", "flag.lifted", "flag:inbox"),
        ("otto", "flag.rule", "flag:inbox"),
    ]
    assert note.lines[0][3] == {"from": "100%", "to": "5%"}
    assert note.lines[1][3] == {"why": "it imports twice"}
    assert note.lines[3][3]["rule"]["hours"] == 2


def test_a_change_that_cannot_be_noted_does_not_happen() -> None:
    def full(*line: Any) -> None:
        raise OSError("the disk is full")

    for change in (
        lambda: changing.move("inbox", "off", by="olga", note=full),
        lambda: changing.kill(CLOUD_WRITES, by="olga", why="why", note=full),
    ):
        with pytest.raises(OSError, match="full"):
            change()
    assert flags.enabled("inbox", ALICE)
    flags.ask("backup", ALICE)


def test_of_two_who_decide_on_the_same_state_the_second_is_told(note: Log) -> None:
    seen = flags.state("inbox").number
    changing.move("inbox", "team", by="olga", note=note, seen=seen)
    with pytest.raises(WrongUse, match="meanwhile"):
        changing.move("inbox", "25%", by="otto", note=note, seen=seen)
    assert flags.state("inbox").ring == "team"
    assert len(note.lines) == 1


def test_a_kill_wins_over_every_ring_and_the_ring_stays(note: Log) -> None:
    changing.move("inbox", "25%", by="olga", note=note)
    changing.kill("inbox", by="olga", why="it imports twice", note=note)
    assert not flags.enabled("inbox", TEAM)
    with pytest.raises(SwitchedOff):
        flags.ask("inbox", TEAM)
    changing.lift("inbox", by="olga", note=note)
    assert flags.enabled("inbox", TEAM)
    assert flags.state("inbox").ring == "25%"


def test_killed_writing_stops_what_writes_and_nothing_else(note: Log) -> None:
    changing.kill(CLOUD_WRITES, by="olga", why="a provider loses data", note=note)
    for kind in WRITES:
        with pytest.raises(SwitchedOff, match="Writing to places is switched off") as caught:
            flags.ask(kind, TEAM)
        assert caught.value.flag == CLOUD_WRITES
        assert "by itself" in caught.value.hint
    for kind in ("restore", "check", "drill", "look", "import", "export"):
        flags.ask(kind, TEAM)


def test_deletions_by_sync_have_a_switch_of_their_own(note: Log) -> None:
    changing.kill(SYNC_DELETIONS, by="olga", why="too many go", note=note)
    assert not flags.may_delete_by_sync()
    flags.ask("sync", ALICE)
    changing.lift(SYNC_DELETIONS, by="olga", note=note)
    assert flags.may_delete_by_sync()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda note: changing.move(CLOUD_WRITES, "5%", by="olga", note=note),
        lambda note: changing.move("inbox", "3.5%", by="olga", note=note),
        lambda note: changing.move("inbox", "100%", by="olga", note=note),
        lambda note: changing.kill("inbox", by="olga", why=" ", note=note),
        lambda note: changing.lift("inbox", by="olga", note=note),
        lambda note: changing.watch_by("inbox", Rule(fewest=0), by="olga", note=note),
        lambda note: changing.watch_by(CLOUD_WRITES, Rule(), by="olga", note=note),
    ],
)
def test_changes_without_sense_are_refused_and_not_noted(note: Log, wrong: Callable[[Log], object]) -> None:
    with pytest.raises(WrongUse):
        wrong(note)
    assert note.lines == []


def test_another_process_sees_a_kill_within_seconds_and_asks_no_more_often(note: Log) -> None:
    now, looks = [1000.0], []

    def look() -> dict[str, flags.State]:
        looks.append(now[0])
        return flags.states()

    other = Remembered(fresh_s=3, look=look, clock=lambda: now[0])
    for _ in range(100):
        assert not other.states()["inbox"].killed
    changing.kill("inbox", by="olga", why="it imports twice", note=note)
    now[0] += 2.9
    assert not other.states()["inbox"].killed
    now[0] += 0.1
    assert other.states()["inbox"].killed
    assert len(looks) == 2


def test_work_that_writes_does_not_trust_what_is_remembered(note: Log) -> None:
    """In the process that works nobody told it to forget: the change was made by another one."""
    assert flags.on_for(ALICE)
    remembered = flags.REMEMBERED._seen
    changing.kill(CLOUD_WRITES, by="olga", why="now", note=note)
    flags.REMEMBERED._seen = remembered
    assert not flags.REMEMBERED.states()[CLOUD_WRITES].killed
    with pytest.raises(SwitchedOff):
        flags.ask("backup", ALICE)


def test_every_flag_says_what_it_does() -> None:
    for name, flag in FLAGS.items():
        assert name == flag.name
        assert flag.does.endswith(".")
        assert flag.since
        assert flag.is_switch == (flag.rule is None)
