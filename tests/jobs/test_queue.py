"""Asking for work, cancelling and resuming it, and working on a subject without a worker."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from chatkeep.errors import Busy, NotFound
from chatkeep.jobs import lease, queue
from chatkeep.jobs.models import Job, State, Why
from chatkeep.jobs.run import PausedByPerson, Run
from chatkeep.operations.progress import Cancelled, Step
from chatkeep.operations.reports import Change, RestoreReport

pytestmark = pytest.mark.django_db(transaction=True)


def test_asking_twice_for_the_same_gives_one_waiting_job() -> None:
    first = queue.enqueue("export", "archive", {"a": 1, "b": 2})
    assert queue.enqueue("export", "archive", {"b": 2, "a": 1}).pk == first.pk
    assert queue.enqueue("export", "archive", {"a": 2}).pk != first.pk


def test_the_same_may_be_asked_for_while_it_runs() -> None:
    first = queue.enqueue("back_up", "connection:a")
    lease.take(first)
    assert queue.enqueue("back_up", "connection:a").pk != first.pk


def test_asking_from_many_threads_gives_one_waiting_job() -> None:
    found: set[int] = set()

    def ask() -> None:
        found.add(queue.enqueue("back_up", "connection:a").pk)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == Job.objects.count() == 1


def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_at_its_next_step() -> None:
    waiting = queue.enqueue("check", "connection:a")
    assert queue.cancel(waiting.pk).state == State.CANCELLED
    assert lease.take(waiting) == ""
    running = queue.enqueue("back_up", "connection:a")
    run = Run(running.pk, lease.take(running))
    run.progress(Step("Reading"))
    assert queue.cancel(run.pk).state == State.RUNNING
    with pytest.raises(Cancelled) as stopped:
        run.progress(Step("Sending"))
    run.failed(stopped.value)
    job = queue.find(run.pk)
    assert job.state == State.CANCELLED
    assert job.ended_at is not None


def test_a_job_that_has_ended_is_not_cancelled_any_more() -> None:
    with queue.holding("back_up", "connection:a", by="a test") as run:
        pass
    assert queue.cancel(run.pk).state == State.DONE


def test_a_paused_job_can_be_resumed() -> None:
    job = queue.enqueue("back_up", "connection:a")
    Job.objects.update(state=State.PAUSED, crash_count=3, what="It died.")
    resumed = queue.resume(job.pk)
    assert (resumed.state, resumed.crash_count, resumed.what) == (State.WAITING, 0, "")
    assert lease.take(resumed)


def test_a_waiting_job_is_paused_at_once_and_goes_on_when_it_is_resumed() -> None:
    job = queue.enqueue("back_up", "connection:a")
    paused = queue.pause(job.pk)
    assert (paused.state, paused.paused_for) == (State.PAUSED, Why.PERSON)
    assert lease.take(paused) == ""
    resumed = queue.resume(job.pk)
    assert (resumed.state, resumed.paused_for, resumed.what) == (State.WAITING, "", "")
    assert "Paused." in resumed.log
    assert "Resumed." in resumed.log


def test_a_running_job_pauses_at_its_next_step() -> None:
    job = queue.enqueue("back_up", "connection:a")
    run = Run(job.pk, lease.take(job))
    run.progress(Step("Reading"))
    assert queue.pause(job.pk).state == State.RUNNING
    with pytest.raises(PausedByPerson) as stopped:
        run.progress(Step("Sending"))
    run.paused(stopped.value, Why.PERSON)
    assert queue.find(job.pk).state == State.PAUSED
    again = queue.resume(job.pk)
    assert (again.state, again.pause_asked) == (State.WAITING, False)
    Run(job.pk, lease.take(again)).progress(Step("Reading"))


def test_a_command_that_somebody_watches_is_not_paused_from_elsewhere() -> None:
    with queue.holding("back_up", "connection:a", by="a test") as run:
        queue.pause(run.pk)
        run.progress(Step("Sending"))
    assert queue.find(run.pk).state == State.DONE


def test_resuming_gives_way_to_an_equal_request_that_waits() -> None:
    paused = queue.pause(queue.enqueue("back_up", "connection:a").pk)
    waiting = queue.enqueue("back_up", "connection:a")
    assert queue.resume(paused.pk).state == State.CANCELLED
    assert queue.find(waiting.pk).state == State.WAITING


def test_a_job_that_is_not_there_is_said_so() -> None:
    with pytest.raises(NotFound):
        queue.cancel(4711)


def test_a_command_waits_for_the_other_run_and_says_for_whom() -> None:
    told: list[str] = []
    first = queue.holding("check", "connection:a", by="the web page")
    run = first.__enter__()

    def told_and_let_go(job: Job) -> None:
        told.append(queue.describe(job))
        lease.end(run.pk, run._token, State.DONE, line="Done.")

    with queue.holding("back_up", "connection:a", by="a test", waiting=told_and_let_go) as second:
        assert queue.find(second.pk).state == State.RUNNING
    assert len(told) == 1
    assert told[0].startswith("Check by the web page since ")
    with pytest.raises(lease.LostLease):
        first.__exit__(None, None, None)


def test_a_command_that_waited_long_enough_gives_up() -> None:
    with queue.holding("check", "connection:a", by="the web page"), pytest.raises(Busy, match="the web page"):  # noqa: SIM117
        with queue.holding("back_up", "connection:a", by="a test", wait_s=0):
            pass


def test_an_error_is_recorded_and_passed_on() -> None:
    with pytest.raises(ValueError, match="secret text"), queue.holding("check", "connection:a", by="x") as run:
        raise ValueError("secret text")
    job = queue.find(run.pk)
    assert job.state == State.FAILED
    assert "ValueError" in job.what
    assert "secret text" not in job.what + job.hint + job.log


def test_of_a_long_report_the_beginning_is_kept_and_its_counts() -> None:
    changes = [Change(id=str(number), title="", new=True, added=1, changed=0, removed=0) for number in range(2000)]
    report = RestoreReport(
        snapshot="a",
        time="2024-05-01T00:00:00Z",
        dry_run=False,
        expected=2000,
        restored=2000,
        changed=2000,
        messages=2000,
        attachments=0,
        conversations=changes,
        receipt="1",
    )
    job = queue.enqueue("restore", "archive")
    run = Run(job.pk, lease.take(job))
    run.reports(report)
    run.succeeded()
    kept = queue.find(job.pk).report
    assert isinstance(kept, dict)
    assert [one["id"] for one in kept["conversations"]] == [str(number) for number in range(1000)]
    assert kept["changed"] == 2000
