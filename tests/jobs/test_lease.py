"""One run at a time has a subject; silence loses it; a run that lost it changes nothing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from chatkeep.jobs import lease, queue
from chatkeep.jobs import run as run_module
from chatkeep.jobs.models import Job, State, Why
from chatkeep.jobs.run import Run

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recover_later(clock: Clock) -> Callable[[], int]:
    """Looks at all runs, lets the time of a lease pass, and recovers what did not change meanwhile."""
    silence = lease.Silence(clock=clock)

    def recover() -> int:
        lease.recover(silence)
        clock.now += lease.LASTS.total_seconds() + 1
        return lease.recover(silence)

    return recover


def test_a_second_run_of_a_job_is_refused() -> None:
    job = queue.enqueue("back_up", "connection:a")
    assert lease.take(job)
    assert lease.take(job) == ""


def test_a_job_that_was_put_off_meanwhile_is_not_taken_before_it_is_due() -> None:
    seen = queue.enqueue("back_up", "connection:a")
    token = lease.take(queue.find(seen.pk))
    lease.put_off(seen.pk, token, timezone.now() + timedelta(hours=1), line="Later.")
    assert lease.take(seen) == ""


def test_a_second_run_of_a_subject_is_refused_whatever_its_kind() -> None:
    assert lease.take(queue.enqueue("back_up", "connection:a"))
    assert lease.take(queue.enqueue("check", "connection:a")) == ""
    assert lease.take(queue.enqueue("back_up", "connection:b"))


def test_of_many_workers_that_race_exactly_one_wins_each_time() -> None:
    wins: Counter[int] = Counter()
    for _ in range(25):
        job = queue.enqueue("back_up", "connection:a")
        barrier = threading.Barrier(4)

        def race(job: Job = job, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            if lease.take(job):
                wins[job.pk] += 1
            connection.close()

        threads = [threading.Thread(target=race) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        Job.objects.all().delete()
    assert list(wins.values()) == [1] * 25


def test_a_run_that_was_silent_too_long_is_taken_over_and_may_write_nothing_more(
    recover_later: Callable[[], int],
) -> None:
    job = queue.enqueue("back_up", "connection:a")
    frozen = lease.take(job)
    assert recover_later() == 1
    second = lease.take(queue.find(job.pk))
    assert second
    for write in (
        lambda: lease.renew(job.pk, frozen),
        lambda: lease.note(job.pk, frozen, "still here"),
        lambda: lease.end(job.pk, frozen, State.DONE, line="Done."),
        lambda: lease.put_off(job.pk, frozen, timezone.now(), line="Later."),
    ):
        with pytest.raises(lease.LostLease):
            write()
    job.refresh_from_db()
    assert job.run_token == second
    assert "still here" not in job.log


def test_a_run_that_reports_in_time_keeps_its_lease(clock: Clock) -> None:
    job = queue.enqueue("back_up", "connection:a")
    token = lease.take(job)
    silence = lease.Silence(clock=clock)
    for _ in range(5):
        assert lease.recover(silence) == 0
        clock.now += lease.LASTS.total_seconds() - 1
        lease.renew(job.pk, token)
    assert lease.recover(silence) == 0


@pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-400), timedelta(hours=8)])
def test_a_clock_that_is_set_takes_the_lease_from_nobody(
    clock: Clock, jump: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queue.enqueue("back_up", "connection:a")
    token = lease.take(job)
    silence = lease.Silence(clock=clock)
    lease.recover(silence)
    moved = timezone.now() + jump
    monkeypatch.setattr(timezone, "now", lambda: moved)
    assert lease.recover(silence) == 0
    lease.renew(job.pk, token)
    assert lease.recover(silence) == 0


def test_a_machine_that_slept_takes_the_lease_from_nobody(clock: Clock) -> None:
    """The clock on the wall has gone on for a night, the clock of the process has not."""
    job = queue.enqueue("back_up", "connection:a")
    token = lease.take(job)
    Job.objects.update(lease_until=timezone.now() - timedelta(hours=8))
    silence = lease.Silence(clock=clock)
    assert lease.recover(silence) == 0
    clock.now += 5
    assert lease.recover(silence) == 0
    lease.renew(job.pk, token)


def test_after_so_many_crashes_a_job_pauses_and_says_why(recover_later: Callable[[], int]) -> None:
    most = lease.most_crashes()  # tests/server/test_deaths.py: more on a server
    job = queue.enqueue("back_up", "connection:a")
    for crash in range(1, most + 1):
        Job.objects.filter(pk=job.pk).update(due_at=timezone.now())
        assert lease.take(queue.find(job.pk)), crash
        assert recover_later() == 1
        job.refresh_from_db()
        assert (job.state == State.PAUSED) == (crash == most)
    assert job.paused_for == Why.CRASHES
    assert f"{most} times" in job.what
    assert job.hint
    assert job.log.count("ended without a word") == most


def test_a_command_that_died_is_not_run_again_by_a_worker(recover_later: Callable[[], int]) -> None:
    with queue.holding("back_up", "connection:a", by="a test") as run:
        assert recover_later() == 1
        with pytest.raises(lease.LostLease):
            run.log("too late")
        assert queue.find(run.pk).state == State.FAILED
        Job.objects.filter(pk=run.pk).update(state=State.RUNNING, run_token=run._token)


def test_a_dead_run_gives_way_to_an_equal_request_that_waits(recover_later: Callable[[], int]) -> None:
    dead = queue.enqueue("back_up", "connection:a")
    lease.take(dead)
    waiting = queue.enqueue("back_up", "connection:a")
    assert waiting.pk != dead.pk
    assert recover_later() == 1
    dead.refresh_from_db()
    assert dead.state == State.FAILED
    assert lease.take(waiting)


def test_a_step_that_takes_long_keeps_its_lease_while_its_process_lives(clock: Clock) -> None:
    job = queue.enqueue("back_up", "connection:a")
    run = Run(job.pk, lease.take(job))
    silence = lease.Silence(clock=clock)
    with run.beating(timedelta(milliseconds=5)):
        for _ in range(4):
            assert lease.recover(silence) == 0
            seen = queue.find(job.pk).lease_until
            while queue.find(job.pk).lease_until == seen:
                pass
            clock.now += lease.LASTS.total_seconds() + 1
    run.log("still here")


def test_a_step_that_never_ends_loses_its_lease_some_day(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "LONGEST_STEP", timedelta())
    job = queue.enqueue("back_up", "connection:a")
    run = Run(job.pk, lease.take(job))
    silence = lease.Silence(clock=clock)
    with run.beating(timedelta(milliseconds=5)):
        lease.recover(silence)
        clock.now += lease.LASTS.total_seconds() + 1
        assert lease.recover(silence) == 1


def test_of_two_workers_that_race_a_thousand_times_one_wins_and_the_other_changes_nothing() -> None:
    """Both saw the row waiting; then both take it, in every order that matters: one after the other is the hard one."""
    rows = [Job(kind="check", subject=f"connection:{number}") for number in range(1000)]
    with transaction.atomic():
        Job.objects.bulk_create(rows)
        seen = [list(Job.objects.order_by("pk")) for _ in range(2)]
        won = [[lease.take(job) for job in worker] for worker in seen]
        assert all(bool(first) != bool(second) for first, second in zip(*won, strict=True))
        assert Job.objects.filter(state=State.RUNNING).count() == 1000


def test_of_two_hundred_runs_that_were_frozen_none_writes_after_it_was_taken_over(clock: Clock) -> None:
    silence = lease.Silence(clock=clock)
    with transaction.atomic():
        jobs = [queue.enqueue("check", f"connection:{number}") for number in range(200)]
        frozen = [lease.take(job) for job in jobs]
        lease.recover(silence)
        clock.now += lease.LASTS.total_seconds() + 1
        assert lease.recover(silence) == 200
        again = [lease.take(queue.find(job.pk)) for job in jobs]
        for job, token in zip(jobs, frozen, strict=True):
            with pytest.raises(lease.LostLease):
                lease.renew(job.pk, token, progress={"stage": "stale"})
        assert all(again)
        assert not Job.objects.exclude(progress={}).exists()
