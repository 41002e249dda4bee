"""The loop that runs due jobs: ends, retries, crashes, closing down."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from chatkeep.errors import Problem, Refused, SlowDown, Unavailable
from chatkeep.jobs import lease, queue
from chatkeep.jobs.models import Job, State
from chatkeep.jobs.run import Run
from chatkeep.jobs.worker import MOST_ATTEMPTS, Worker
from chatkeep.operations.progress import Step
from chatkeep.operations.reports import ExportReport

pytestmark = pytest.mark.django_db(transaction=True)


def _report(*problems: Problem) -> ExportReport:
    return ExportReport(files=1, conversations=2, messages=3, bytes=4, problems=list(problems))


def _work_once(work: Any, **arguments: Any) -> Job:
    job = queue.enqueue("export", "archive", arguments)
    assert Worker({"export": work}).run_one()
    return queue.find(job.pk)


def test_a_job_runs_with_its_arguments_and_its_report_is_kept() -> None:
    seen: list[Mapping[str, Any]] = []

    def work(run: Run, arguments: Mapping[str, Any]) -> ExportReport:
        seen.append(arguments)
        run.progress(Step("Writing", 1, 2, "conversations"))
        return _report()

    job = _work_once(work, out="x.zip")
    assert seen == [{"out": "x.zip"}]
    assert job.state == State.DONE
    assert job.report["conversations"] == 2
    assert job.progress == {"stage": "Writing", "done": 1, "total": 2, "unit": "conversations", "note": ""}
    assert "Writing." in job.log


def test_problems_in_the_report_are_said_in_the_log() -> None:
    job = _work_once(lambda run, arguments: _report(Problem("a.zip: chat 3", "It is cut off.")))
    assert job.state == State.PROBLEMS
    assert "a.zip: chat 3: It is cut off." in job.log


def test_an_error_that_may_pass_is_tried_again_later() -> None:
    def work(run: Run, arguments: Mapping[str, Any]) -> None:
        raise Unavailable("The disk is not plugged in.")

    job = _work_once(work)
    assert job.state == State.WAITING
    assert job.attempts == 1
    assert job.due_at > timezone.now() + timedelta(seconds=10)
    assert not Worker({"export": work}).run_one()


def test_a_provider_that_asks_for_a_pause_gets_it() -> None:
    def work(run: Run, arguments: Mapping[str, Any]) -> None:
        raise SlowDown("Too many requests.", wait_s=1000)

    assert _work_once(work).due_at > timezone.now() + timedelta(seconds=900)


def test_trying_ends_some_day() -> None:
    def work(run: Run, arguments: Mapping[str, Any]) -> None:
        raise Unavailable("The disk is not plugged in.")

    job = queue.enqueue("export", "archive")
    for _ in range(MOST_ATTEMPTS):
        Job.objects.update(due_at=timezone.now())
        assert Worker({"export": work}).run_one()
    assert queue.find(job.pk).state == State.FAILED


def test_an_error_that_will_not_pass_ends_the_job_with_its_hint() -> None:
    def work(run: Run, arguments: Mapping[str, Any]) -> None:
        raise Refused("The disk can only be read.", hint="Unlock it.")

    job = _work_once(work)
    assert (job.state, job.what, job.hint) == (State.FAILED, "The disk can only be read.", "Unlock it.")


def test_a_cancelled_job_stops_at_its_next_step() -> None:
    def work(run: Run, arguments: Mapping[str, Any]) -> None:
        queue.cancel(run.pk)
        run.progress(Step("Reading"))
        raise AssertionError("it went on")

    assert _work_once(work).state == State.CANCELLED


def test_a_run_that_lost_its_lease_records_nothing() -> None:
    def work(run: Run, arguments: Mapping[str, Any]) -> ExportReport:
        silence = lease.Silence(clock=iter((0.0, 1000.0)).__next__)
        assert [lease.recover(silence), lease.recover(silence)] == [0, 1]
        return _report()

    job = _work_once(work)
    assert job.state == State.WAITING
    assert job.report is None
    assert job.crash_count == 1


def test_closing_the_program_puts_running_work_back() -> None:
    started, go_on = threading.Event(), threading.Event()

    def work(run: Run, arguments: Mapping[str, Any]) -> None:
        started.set()
        go_on.wait(5)
        run.progress(Step("Reading"))

    job = queue.enqueue("export", "archive")
    worker = Worker({"export": work}, threads=1, idle_s=0.01)
    worker.start()
    assert started.wait(5)
    threading.Timer(0.1, go_on.set).start()
    worker.stop()
    found = queue.find(job.pk)
    assert (found.state, found.crash_count) == (State.WAITING, 0)


def test_several_threads_run_each_job_once_and_a_subject_one_at_a_time() -> None:
    lock, at_work, runs, overlaps = threading.Lock(), set[str](), list[str](), list[str]()

    def work(run: Run, arguments: Mapping[str, Any]) -> None:
        subject = arguments["subject"]
        with lock:
            overlaps.extend([subject] if subject in at_work else [])
            at_work.add(subject)
            runs.append(subject)
        run.log("Working.")
        with lock:
            at_work.discard(subject)

    for number in range(24):
        queue.enqueue("check", f"connection:{number % 3}", {"subject": f"{number % 3}", "number": number})
    worker = Worker({"check": work}, threads=4, idle_s=0.01)
    worker.start()
    done = threading.Event()
    for _ in range(400):
        if not queue.open_jobs():
            break
        done.wait(0.05)
    worker.stop()
    connection.close()
    assert len(runs) == 24
    assert not overlaps
    assert Job.objects.filter(state=State.DONE).count() == 24


def test_kinds_it_does_not_know_are_left_alone() -> None:
    queue.enqueue("of_a_later_version", "archive")
    assert not Worker({}).run_one()
