"""What is asked for without a person: by the clock, after a change, once for all that was missed."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from chatkeep.connections.models import Connection
from chatkeep.errors import NotFound, WrongUse
from chatkeep.jobs import queue, schedules
from chatkeep.jobs.laptop import Laptop
from chatkeep.jobs.models import Job, Schedule, State, Why

pytestmark = pytest.mark.django_db(transaction=True)

KINDS = ("backup", "check", "publish", "inbox")


class World:
    """A machine with a clock on the wall, one that nobody sets, and an archive that changes."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, tzinfo=UTC)
        self.steady = 1000.0
        self.number = 0
        self.dispatcher = self.started()

    def started(self, kinds: tuple[str, ...] = KINDS) -> schedules.Dispatcher:
        return schedules.Dispatcher(
            Laptop(),
            kinds=kinds,
            changes=lambda: {"own": self.number},
            zone=UTC,
            clock=lambda: self.now,
            steady=lambda: self.steady,
        )

    def passes(self, *, ticks: int = 1, **time: float) -> int:
        """Time goes by while the program looks now and then. How many requests it made."""
        step = timedelta(**time) / ticks
        made = 0
        for _ in range(ticks):
            self.now += step
            self.steady += step.total_seconds()
            made += self.dispatcher.tick()
        return made

    def sleeps(self, **time: float) -> int:
        """The machine sleeps: the clock on the wall goes on, the program does not."""
        self.now += timedelta(**time)
        return self.dispatcher.tick()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def place() -> Connection:
    return Connection.objects.create(name="stick", provider="folder")


def asked(kind: str = "") -> list[Job]:
    return list((Job.objects.filter(kind=kind) if kind else Job.objects.all()).order_by("pk"))


def done(state: State = State.DONE) -> None:
    """Everything that waits has been done."""
    Job.objects.filter(state=State.WAITING).update(state=state)


def only(world: World, place: Connection, kind: str, **changes: object) -> Schedule:
    """A world in which nothing but this is scheduled."""
    world.dispatcher.tick()
    Schedule.objects.update(on=False)
    found = schedules.change(schedules.one(place.subject, kind), on=True, **changes)  # type: ignore[arg-type]
    world.dispatcher.tick()
    return found


# -- what a new connection gets


def test_a_new_connection_gets_a_backup_and_a_check_and_the_rest_turned_off(world: World, place: Connection) -> None:
    world.dispatcher.tick()
    found = {one.kind: one for one in schedules.of(place.subject)}
    wanted = {"backup": True, "check": True, "publish": False, "inbox": False}
    assert {kind: one.on for kind, one in found.items() if kind in wanted} == wanted
    assert found["backup"].after_change == 5
    assert found["backup"].every.startswith("day 0")
    assert found["check"].every.startswith("week ")
    assert json.loads(found["check"].arguments) == {"sample_percent": 5.0}
    assert world.now < found["backup"].next_due <= world.now + timedelta(days=1)


def test_a_kind_that_comes_with_a_later_version_is_added_and_what_was_set_stays(
    world: World, place: Connection
) -> None:
    world.dispatcher.tick()
    schedules.change(schedules.one(place.subject, "backup"), every="6h")
    world.started((*KINDS, "drill")).tick()
    assert schedules.one(place.subject, "drill").every.startswith("month ")
    assert schedules.one(place.subject, "backup").every == "6h"


def test_what_is_disconnected_is_asked_for_no_more(world: World, place: Connection) -> None:
    only(world, place, "backup", every="6h", after_change=0)
    assert world.passes(hours=7) == 1
    place.delete()
    assert world.passes(hours=7) == 0
    assert list(Schedule.objects.all()) == []
    assert asked() == []


# -- by the clock


def test_a_schedule_asks_at_its_time_with_the_name_of_the_connection(world: World, place: Connection) -> None:
    only(world, place, "check", every="day 03:30")
    assert world.passes(hours=15.4) == 0
    assert world.passes(hours=0.2) == 1
    (job,) = asked("check")
    assert (job.subject, job.by) == (place.subject, "the schedule")
    assert json.loads(job.arguments) == {"connection": "stick", "sample_percent": 5.0}


def test_it_asks_once_a_day_however_often_the_program_looks(world: World, place: Connection) -> None:
    only(world, place, "check", every="day 03:30")
    for _ in range(5):
        assert world.passes(days=1, ticks=200) == 1
        done()


def test_what_was_missed_while_the_machine_slept_is_asked_for_once(world: World, place: Connection) -> None:
    only(world, place, "check", every="6h")
    assert world.sleeps(days=9) == 1
    done()
    assert world.passes(hours=5.9, ticks=20) == 0
    assert world.passes(hours=0.2) == 1


def test_what_was_missed_while_the_program_was_closed_is_asked_for_once(world: World, place: Connection) -> None:
    only(world, place, "check", every="day 03:30")
    world.now += timedelta(days=30)
    world.dispatcher = world.started()
    assert world.dispatcher.tick() == 1
    done()
    assert world.passes(hours=1, ticks=20) == 0


def test_nothing_is_asked_for_twice_while_it_waits(world: World, place: Connection) -> None:
    only(world, place, "check", every="6h")
    assert world.passes(hours=20, ticks=100) == 3
    assert len(asked()) == 1


# -- clocks that are set


@pytest.mark.parametrize("days", [400, 1, 10 / 1440])
def test_a_clock_set_forward_asks_once_and_set_back_again_stops_nothing(
    world: World, place: Connection, days: float
) -> None:
    only(world, place, "check", every="day 12:05")
    world.now += timedelta(days=days)
    assert world.dispatcher.tick() == 1
    done()
    world.now -= timedelta(days=days)
    assert world.passes(minutes=1, ticks=10) == 0
    made = world.passes(days=2, ticks=400)
    assert 1 <= made <= 2


def test_a_clock_set_back_a_year_leaves_the_schedule_in_its_rhythm(world: World, place: Connection) -> None:
    only(world, place, "check", every="day 13:00")
    world.now -= timedelta(days=365)
    made = 0
    for _ in range(3):
        made += world.passes(days=1, ticks=200)
        done()
    assert made == 3


def test_a_clock_that_jumps_to_and_fro_over_the_time_asks_once(world: World, place: Connection) -> None:
    only(world, place, "check", every="day 12:05")
    made = 0
    for _ in range(50):
        world.now += timedelta(minutes=10)
        made += world.dispatcher.tick()
        done()
        world.now -= timedelta(minutes=10)
        world.dispatcher.tick()
    assert made == 1


# -- after a change


def test_a_change_is_backed_up_after_some_minutes_of_quiet(world: World, place: Connection) -> None:
    only(world, place, "backup", every="", after_change=5)
    world.number = 1
    assert world.passes(minutes=4.9, ticks=60) == 0
    world.number = 2
    assert world.passes(minutes=4.9, ticks=60) == 0
    assert world.passes(minutes=0.3, ticks=4) == 1
    done()
    assert world.passes(days=2, ticks=300) == 0


def test_an_archive_that_is_never_quiet_is_backed_up_too(world: World, place: Connection) -> None:
    only(world, place, "backup", every="", after_change=5)
    made = 0
    for _ in range(70):
        world.number += 1
        made += world.passes(minutes=1)
        done()
    assert made == 2


def test_a_change_made_while_the_program_was_closed_is_noticed(world: World, place: Connection) -> None:
    only(world, place, "backup", every="", after_change=5)
    world.number = 7
    world.now += timedelta(days=2)
    world.dispatcher = world.started()
    assert world.passes(minutes=4) == 0
    assert world.passes(minutes=7) == 1


def test_a_change_seen_on_a_clock_that_was_wrong_does_not_wait_for_that_time(world: World, place: Connection) -> None:
    only(world, place, "backup", every="", after_change=5)
    world.now += timedelta(days=400)
    world.number = 1
    assert world.dispatcher.tick() == 0
    world.now -= timedelta(days=400)
    assert world.passes(minutes=6, ticks=10) == 1


def test_while_it_fails_not_every_change_asks_again_but_the_clock_does(world: World, place: Connection) -> None:
    only(world, place, "backup", every="day 03:30", after_change=5)
    world.number = 1
    assert world.passes(minutes=10, ticks=10) == 1
    done(State.FAILED)
    world.number = 2
    assert world.passes(hours=2, ticks=50) == 0
    assert world.passes(days=1, ticks=200) == 1
    done()
    world.number = 3
    assert world.passes(minutes=10, ticks=10) == 1


# -- pausing


def signed_out(place: Connection, is_so: bool = True) -> None:
    trouble = "The sign-in has ended." if is_so else ""
    Connection.objects.filter(pk=place.pk).update(signed_out=is_so, trouble=trouble)


def test_a_connection_that_is_signed_out_is_asked_for_nothing_until_it_is_connected_again(
    world: World, place: Connection
) -> None:
    only(world, place, "backup", every="6h", after_change=5)
    waiting = queue.enqueue("check", place.subject, {"connection": "stick"})
    signed_out(place)
    world.number = 4
    assert world.passes(days=3, ticks=100) == 0
    assert schedules.paused(place.subject) == ("sign-in", "The sign-in has ended.")
    job = queue.find(waiting.pk)
    assert (job.state, job.paused_for, job.what) == (State.PAUSED, Why.SIGN_IN, "The sign-in has ended.")
    assert "Reconnect" in job.hint
    signed_out(place, False)
    assert world.passes(minutes=1) == 1
    assert schedules.paused(place.subject) == ("", "")
    assert queue.find(waiting.pk).state == State.WAITING


def test_what_a_person_paused_goes_on_when_the_person_says_so(world: World, place: Connection) -> None:
    only(world, place, "backup", every="6h")
    waiting = queue.enqueue("check", place.subject, {"connection": "stick"})
    schedules.pause(place.subject, Why.PERSON, what="Somebody paused it.")
    assert world.passes(days=3, ticks=100) == 0
    schedules.resume(place.subject, Why.SIGN_IN)
    assert queue.find(waiting.pk).state == State.PAUSED
    schedules.resume(place.subject, Why.PERSON)
    assert queue.find(waiting.pk).state == State.WAITING
    assert world.passes(minutes=1) == 1


def test_other_connections_go_on_meanwhile(world: World, place: Connection) -> None:
    other = Connection.objects.create(name="other", provider="folder")
    only(world, place, "check", every="6h")
    schedules.change(schedules.one(other.subject, "check"), on=True, every="6h")
    signed_out(place)
    world.passes(hours=7, ticks=10)
    assert [job.subject for job in asked()] == [other.subject]


def test_what_somebody_paused_is_not_asked_for_by_the_clock(world: World, place: Connection) -> None:
    only(world, place, "check", every="6h")
    world.passes(hours=7)
    (job,) = asked()
    queue.pause(job.pk)
    assert world.passes(days=2, ticks=50) == 0
    queue.resume(job.pk)
    done()
    assert world.passes(hours=7, ticks=2) == 1


# -- changing


def test_a_schedule_is_changed_piece_by_piece(world: World, place: Connection) -> None:
    world.dispatcher.tick()
    schedules.change(schedules.one(place.subject, "publish"), on=True, arguments={"exporter": "html"})
    schedules.change(schedules.one(place.subject, "publish"), every=" WEEK sunday 4:05 ")
    found = schedules.one(place.subject, "publish")
    assert (found.on, found.every, found.after_change) == (True, "week sun 04:05", 15)
    assert json.loads(found.arguments) == {"exporter": "html"}


def test_a_schedule_without_any_time_is_refused_unless_it_is_off(world: World, place: Connection) -> None:
    world.dispatcher.tick()
    found = schedules.one(place.subject, "backup")
    with pytest.raises(WrongUse):
        schedules.change(found, every="", after_change=0)
    with pytest.raises(WrongUse):
        schedules.change(found, after_change=-1)
    schedules.change(found, on=False, every="", after_change=0)
    with pytest.raises(NotFound):
        schedules.one(place.subject, "import")


# -- several at once


def test_of_many_dispatchers_that_look_at_once_one_asks(world: World, place: Connection) -> None:
    only(world, place, "check", every="6h")
    made: list[int] = []
    for _ in range(10):
        world.now += timedelta(hours=7)
        world.steady += 7 * 3600
        barrier = threading.Barrier(4)

        def look(barrier: threading.Barrier = barrier) -> None:
            dispatcher = world.started()
            barrier.wait()
            made.append(dispatcher.tick())
            connection.close()

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done()
    assert sum(made) == 10
    assert len(asked()) == 10


# -- what has ended


def test_the_oldest_of_many_that_ended_are_dropped_but_not_the_last_that_went_well(
    world: World, place: Connection
) -> None:
    only(world, place, "inbox", every="15m")
    rows = [
        Job(kind="inbox", subject=place.subject, by=schedules.BY, state=State.FAILED, ended_at=world.now)
        for _ in range(schedules.KEPT + 50)
    ]
    rows[0].state = State.DONE
    Job.objects.bulk_create(rows)
    asked_for = Job.objects.bulk_create(
        [Job(kind="inbox", subject=place.subject, by="the web page", state=State.FAILED) for _ in range(150)]
    )
    world.passes(minutes=30)
    assert Job.objects.filter(by=schedules.BY).count() == schedules.KEPT + 50 + 1
    world.passes(minutes=45)
    assert Job.objects.filter(by=schedules.BY).exclude(state=State.WAITING).count() == schedules.KEPT + 1
    assert Job.objects.filter(by="the web page").count() == len(asked_for)
    last = queue.last_done("inbox", place.subject)
    assert last is not None


# -- for people


def test_what_is_next_and_when_is_told_in_words(world: World, place: Connection) -> None:
    found = only(world, place, "backup", every="day 03:30", after_change=1)
    assert schedules.words(found) == "every day at 03:30, and 1 minute after a change"
    now = schedules.one(place.subject, "backup")
    assert schedules.upcoming(now) == datetime(2026, 11, 24, 3, 30, tzinfo=UTC)
    world.number = 1
    world.dispatcher.tick()
    assert schedules.upcoming(schedules.one(place.subject, "backup")) == world.now + timedelta(minutes=1)
    schedules.pause(place.subject, Why.PERSON, what="Somebody paused it.")
    assert schedules.upcoming(schedules.one(place.subject, "backup")) is None


def test_before_the_first_look_the_next_time_is_told_all_the_same(place: Connection) -> None:
    schedules.ensure()
    found = schedules.one(place.subject, "check")
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    upcoming = schedules.upcoming(found, now=now, zone=UTC)
    assert upcoming is not None
    assert now < upcoming <= now + timedelta(days=7)
    assert schedules.words(schedules.change(found, on=False, every="", after_change=0)) == "never"


def test_kinds_are_known_by_the_words_of_people() -> None:
    assert [schedules.kind_called(word) for word in ("copies", "publish", "backup")] == ["publish", "publish", "backup"]
    with pytest.raises(NotFound, match="coffee"):
        schedules.kind_called("coffee")
