"""The schedules of a server: what is due is found without looking at everything, and asked for by one of many."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from chatkeep.connections.models import Connection
from chatkeep.jobs import lease, queue, rota, schedules
from chatkeep.jobs.crew import Crew
from chatkeep.jobs.models import Job, Schedule, State, Why
from chatkeep.jobs.rota import Rota

pytestmark = pytest.mark.django_db(transaction=True)
ARCHIVE = "a" * 32


@pytest.fixture
def look() -> Callable[[], int]:
    return Rota(Crew(), kinds=schedules.DEFAULTS).tick


def place(name: str = "a", *, archive: str = ARCHIVE) -> Connection:
    return Connection.objects.create(name=name, provider="folder", archive=archive)


def test_a_place_has_its_schedules_as_soon_as_it_is_connected() -> None:
    found = Schedule.objects.filter(subject=place().subject)
    assert {row.kind for row in found} == set(schedules.DEFAULTS)
    assert {row.archive for row in found} == {ARCHIVE}


def test_what_is_disconnected_asks_for_nothing_more(look: Callable[[], int]) -> None:
    gone = place()
    Schedule.objects.filter(kind="backup").update(next_due=timezone.now())
    assert look() == 1
    gone.delete()
    assert not Schedule.objects.exists()
    assert not Job.objects.exists()


def test_schedules_that_nobody_made_are_made_when_their_turn_comes(look: Callable[[], int]) -> None:
    Connection.objects.bulk_create([Connection(name=f"p{n}", provider="folder", archive=ARCHIVE) for n in range(5)])
    assert not Schedule.objects.exists()
    look(), look()
    assert Schedule.objects.count() == 5 * len(schedules.DEFAULTS)


def test_what_is_due_is_asked_for_once_and_is_due_again_later(look: Callable[[], int]) -> None:
    subject = place("Stick").subject
    assert look() == 0
    row = schedules.one(subject, "backup")
    assert row.next_due is not None
    assert row.next_due > timezone.now()
    Schedule.objects.filter(pk=row.pk).update(next_due=timezone.now() - timedelta(days=9))
    assert (look(), look()) == (1, 0)
    job = Job.objects.get()
    assert (job.kind, job.subject, job.archive, job.by) == ("backup", subject, ARCHIVE, schedules.BY)
    assert job.arguments == '{"connection": "Stick"}'
    assert schedules.one(subject, "backup").next_due > timezone.now()  # type: ignore[operator]


def test_more_than_a_batch_is_asked_for_in_one_look(look: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rota, "BATCH", 10)
    for number in range(35):
        place(f"p{number}")
    look()
    Schedule.objects.filter(kind="backup").update(next_due=timezone.now())
    assert look() == 35
    assert Job.objects.count() == 35


def test_several_dispatchers_share_what_is_due_and_ask_for_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rota, "BATCH", 7)
    for number in range(60):
        place(f"p{number}")
    Rota(Crew(), kinds=schedules.DEFAULTS).tick()
    Schedule.objects.filter(kind__in=("backup", "check")).update(next_due=timezone.now(), timed_at=None)
    asked: list[int] = []

    def dispatch() -> None:
        asked.append(Rota(Crew(), kinds=schedules.DEFAULTS).tick())
        connection.close()

    threads = [threading.Thread(target=dispatch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(asked), Job.objects.count()) == (120, 120)


def test_a_change_that_is_told_is_backed_up_once_it_is_quiet(look: Callable[[], int]) -> None:
    subject, other = place().subject, place("b", archive="b" * 32).subject
    look()
    rota.tell_change(ARCHIVE, 7)
    row = schedules.one(subject, "backup")
    assert row.settles_at is not None
    assert timedelta(minutes=4) < row.settles_at - timezone.now() <= timedelta(minutes=5)
    assert schedules.one(other, "backup").settles_at is None
    assert look() == 0
    _pass(minutes=6)
    assert (look(), look()) == (1, 0)
    rota.tell_change(ARCHIVE, 7)
    assert schedules.one(subject, "backup").settles_at is None


def test_an_archive_that_never_rests_is_backed_up_all_the_same(look: Callable[[], int]) -> None:
    place()
    look()
    for number in range(1, 30):
        rota.tell_change(ARCHIVE, number)
        _pass(minutes=1)
    assert look() == 0
    rota.tell_change(ARCHIVE, 30)
    _pass(minutes=1)
    assert look() == 1


def _pass(*, minutes: int) -> None:
    """So much time passes for what changed."""
    back = timedelta(minutes=minutes)
    for row in Schedule.objects.filter(settles_at__isnull=False):
        for name in ("settles_at", "changed_at", "first_changed_at"):
            setattr(row, name, getattr(row, name) - back)
        row.settles_at = schedules.settles(row)
        row.save()


def test_while_it_fails_changes_do_not_ask_again_and_the_clock_does(look: Callable[[], int]) -> None:
    subject = place().subject
    look()
    job = queue.enqueue("backup", subject, archive=ARCHIVE)
    lease.end(job.pk, lease.take(job), State.FAILED, line="No.")
    rota.tell_change(ARCHIVE, 1)
    _pass(minutes=10)
    assert look() == 0
    Schedule.objects.filter(kind="backup").update(next_due=timezone.now())
    assert look() == 1


def test_what_is_signed_out_waits_until_it_is_connected_again(look: Callable[[], int]) -> None:
    here = place()
    look()
    Connection.objects.filter(pk=here.pk).update(signed_out=True)
    look()
    assert schedules.paused(here.subject)[0] == Why.SIGN_IN
    Schedule.objects.update(next_due=timezone.now())
    assert look() == 0
    here.refresh_from_db()
    here.signed_out = False
    here.save()
    assert schedules.paused(here.subject) == ("", "")
    assert look() == 3


def test_a_sign_in_that_is_found_to_work_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    here = place()
    schedules.pause(here.subject, Why.SIGN_IN, what="The sign-in has ended.")
    Rota(Crew(), kinds=schedules.DEFAULTS).tick()
    assert schedules.paused(here.subject) == ("", "")


def test_what_is_due_is_found_by_an_index() -> None:
    """With many rows, neither what is timed nor what settles is found by reading them all."""
    rows = [
        Schedule(subject=f"connection:{n}", kind="backup", every="day 03:00", next_due=timezone.now() + timedelta(1))
        for n in range(20_000)
    ]
    Schedule.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_schedule")
        for condition in ("next_due <= now()", "settles_at IS NOT NULL AND settles_at <= now()"):
            cursor.execute(
                f"EXPLAIN SELECT * FROM jobs_schedule WHERE \"on\" AND paused_for = '' AND {condition} LIMIT 500"
            )
            assert "Index" in "".join(line for (line,) in cursor.fetchall()), condition
