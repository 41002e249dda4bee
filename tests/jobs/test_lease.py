"""One run at a time has a subject; silence loses it; a run that lost it changes nothing."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from chatkeep.jobs import lease, queue
from chatkeep.jobs.models import Job, State

pytestmark = pytest.mark.django_db(transaction=True)


def _later() -> object:
    return timezone.now() + lease.LASTS + timedelta(seconds=1)


def test_a_second_run_of_a_job_is_refused() -> None:
    job = queue.enqueue("back_up", "connection:a")
    assert lease.take(job)
    assert lease.take(job) == ""


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


def test_a_run_that_was_silent_too_long_is_taken_over_and_may_write_nothing_more() -> None:
    job = queue.enqueue("back_up", "connection:a")
    frozen = lease.take(job)
    assert lease.recover(now=_later()) == 1
    second = lease.take(job)
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


def test_a_run_that_reports_in_time_keeps_its_lease() -> None:
    job = queue.enqueue("back_up", "connection:a")
    token = lease.take(job)
    soon = timezone.now() + lease.LASTS - timedelta(seconds=1)
    lease.renew(job.pk, token, now=soon)
    assert lease.recover(now=soon + timedelta(seconds=2)) == 0


def test_after_three_crashes_a_job_pauses_and_says_why() -> None:
    job = queue.enqueue("back_up", "connection:a")
    for crash in range(1, 4):
        assert lease.take(job), crash
        assert lease.recover(now=_later()) == 1
    job.refresh_from_db()
    assert job.state == State.PAUSED
    assert "3 times" in job.what
    assert job.hint
    assert job.log.count("ended without a word") == 3


def test_a_command_that_died_is_not_run_again_by_a_worker() -> None:
    with queue.holding("back_up", "connection:a", by="a test") as run:
        assert lease.recover(now=_later()) == 1
        with pytest.raises(lease.LostLease):
            run.log("too late")
        assert queue.find(run.pk).state == State.FAILED
        Job.objects.filter(pk=run.pk).update(state=State.RUNNING, run_token=run._token)


def test_a_dead_run_gives_way_to_an_equal_request_that_waits() -> None:
    dead = queue.enqueue("back_up", "connection:a")
    lease.take(dead)
    waiting = queue.enqueue("back_up", "connection:a")
    assert waiting.pk != dead.pk
    assert lease.recover(now=_later()) == 1
    dead.refresh_from_db()
    assert dead.state == State.FAILED
    assert lease.take(waiting)
