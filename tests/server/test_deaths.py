"""What a server makes of runs that die: most are innocent, so they go on; one that always dies is paused in the end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from chatkeep.jobs import lease, queue
from chatkeep.jobs.models import Job, State, Why

pytestmark = pytest.mark.django_db(transaction=True)


def die(job: Job) -> Job:
    """A run of it begins and is silent for too long."""
    assert lease.take(queue.find(job.pk))
    silence = lease.Silence(clock=iter((0.0, 1000.0)).__next__)
    assert [lease.recover(silence), lease.recover(silence)] == [0, 1]
    return queue.find(job.pk)


def test_the_first_deaths_cost_no_time_and_later_ones_longer_and_longer_rests() -> None:
    job = queue.enqueue("check", "connection:1")
    rests = []
    for _ in range(lease.MOST_CRASHES_ON_A_SERVER - 1):
        before = timezone.now()
        job = die(job)
        assert job.state == State.WAITING
        rests.append(round((job.due_at - before).total_seconds()))
    assert rests[:2] == [0, 0]
    assert [round(rest / 30) for rest in rests[2:]] == [1, 2, 4, 8, 16]


def test_a_job_whose_every_run_dies_is_paused_and_says_why() -> None:
    job = queue.enqueue("check", "connection:1")
    for _ in range(lease.MOST_CRASHES_ON_A_SERVER):
        job = die(job)
    assert (job.state, job.paused_for) == (State.PAUSED, Why.CRASHES)
    assert "8 times" in job.what


def test_rests_are_over_within_minutes() -> None:
    rests = (lease.FIRST_REST * 2**number for number in range(lease.MOST_CRASHES_ON_A_SERVER - lease.MOST_CRASHES))
    assert sum(rests, timedelta()) < timedelta(minutes=20)
