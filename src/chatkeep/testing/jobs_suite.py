"""The questions every backend of jobs must answer alike, whatever carries a request to a worker.

A backend's own test is a subclass with a fixture `backend`; `second`, another one at the same place, as another process
or machine would have it; and `hasty`, one that takes a run for dead after a moment of silence:

    class TestLaptop(JobsSuite):
        @pytest.fixture
        def backend(self):
            return Laptop(idle_s=0.01)
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from chatkeep.errors import NotFound, Refused, SignInAgain, Unavailable
from chatkeep.jobs import lease, queue
from chatkeep.jobs.models import Job, State, Why
from chatkeep.jobs.port import Backend, Wanted, Work
from chatkeep.jobs.run import Run
from chatkeep.operations.progress import Step

PATIENCE_S = 30.0


class Notebook:
    """Notes who works on what, so that a test can see what ran, in which order, and whether anything overlapped."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, Mapping[str, Any]]] = []
        self.ended = 0
        self.overlaps: list[str] = []
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()

    def work(self, run: Run, arguments: Mapping[str, Any]) -> None:
        """A kind of job that notes its beginning and its end."""
        subject = str(arguments.get("subject", ""))
        with self._lock:
            self.begun.append((subject, arguments))
            self._now[subject] += 1
            if self._now[subject] > 1:
                self.overlaps.append(subject)
        run.progress(Step("Working"))
        with self._lock:
            self._now[subject] -= 1
            self.ended += 1


def until(seen: Callable[[], bool]) -> None:
    """Wait until something is so; a test that hangs here for long has failed."""
    limit = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)


@contextlib.contextmanager
def working(backend: Backend, kinds: Mapping[str, Work], *, threads: int = 2) -> Iterator[None]:
    """A worker of this backend, in a thread, while the block runs."""
    stop = threading.Event()

    def run() -> None:
        backend.run_worker(kinds, stop=stop, threads=threads)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "the worker did not stop"


def ended(*ids: int) -> Callable[[], bool]:
    """Whether nothing of these is open any more."""
    return lambda: not any(job.is_open for job in Job.objects.filter(pk__in=ids))


@pytest.mark.django_db(transaction=True)
class JobsSuite:
    """Asked of every backend."""

    many = 300

    @pytest.fixture
    def second(self, backend: Backend) -> Backend:
        return backend

    @pytest.fixture
    def hasty(self, backend: Backend) -> Backend:
        return backend

    # -- asking

    def test_installing_again_is_quiet(self, backend: Backend) -> None:
        backend.install()
        backend.install()

    def test_what_is_asked_for_is_there_in_order(self, backend: Backend) -> None:
        wanted = [Wanted("check", f"connection:{n}", {"n": n}, by="a test") for n in range(self.many)]
        ids = backend.enqueue_many(wanted)
        rows = {job.pk: job for job in Job.objects.all()}
        assert [rows[pk].subject for pk in ids] == [one.subject for one in wanted]
        assert {(job.kind, job.by, job.state) for job in rows.values()} == {("check", "a test", State.WAITING)}
        assert backend.stats().waiting == self.many

    def test_equal_requests_are_one_while_it_waits(self, backend: Backend, second: Backend) -> None:
        first = backend.enqueue_many([Wanted("check", "a", {"x": 1, "y": 2}), Wanted("check", "a", {"y": 2, "x": 1})])
        again = second.enqueue_many([Wanted("check", "a", {"x": 1, "y": 2}), Wanted("check", "a", {"x": 2})])
        assert first[0] == first[1] == again[0] != again[1]
        assert Job.objects.count() == 2

    def test_asking_for_nothing_is_quiet(self, backend: Backend) -> None:
        assert backend.enqueue_many([]) == []

    def test_many_that_ask_at_once_get_the_same_answer(self, backend: Backend) -> None:
        found: set[tuple[int, ...]] = set()

        def ask() -> None:
            found.add(tuple(backend.enqueue_many([Wanted("check", "a"), Wanted("check", "b")])))
            connection.close()

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 1
        assert Job.objects.count() == 2

    # -- running

    def test_every_job_runs_once_and_a_subject_one_at_a_time(self, backend: Backend, second: Backend) -> None:
        notes = Notebook()
        subjects = [f"{n % 5}" for n in range(60)]
        wanted = [Wanted("check", s, {"n": n, "subject": s}) for n, s in enumerate(subjects)]
        ids = backend.enqueue_many(wanted)
        kinds = {"check": notes.work}
        with working(backend, kinds, threads=3), working(second, kinds, threads=3):
            until(ended(*ids))
        assert sorted(arguments["n"] for _, arguments in notes.begun) == list(range(60))
        assert notes.overlaps == []
        assert Job.objects.filter(state=State.DONE).count() == 60

    def test_what_has_waited_longest_comes_first(self, backend: Backend) -> None:
        notes = Notebook()
        ids = [backend.enqueue_many([Wanted("check", "a", {"n": n})])[0] for n in range(6)]
        with working(backend, {"check": notes.work}, threads=1):
            until(ended(*ids))
        assert [arguments["n"] for _, arguments in notes.begun] == list(range(6))

    def test_the_same_asked_for_during_a_run_is_run_after_it(self, backend: Backend) -> None:
        ids: list[int] = []

        def work(run: Run, arguments: Mapping[str, Any]) -> None:
            if len(ids) == 1:
                ids.extend(backend.enqueue_many([Wanted("check", "a")] * 2))

        ids += backend.enqueue_many([Wanted("check", "a")])
        with working(backend, {"check": work}):
            until(lambda: len(ids) == 3 and ended(*ids)())
        assert ids[0] != ids[1] == ids[2]
        assert Job.objects.filter(state=State.DONE).count() == 2

    def test_kinds_a_worker_does_not_know_are_left_to_others(self, backend: Backend) -> None:
        notes = Notebook()
        strange, known = backend.enqueue_many([Wanted("of_a_later_version", "a"), Wanted("check", "b")])
        with working(backend, {"check": notes.work}):
            until(ended(known))
        assert queue.find(strange).state == State.WAITING

    # -- failing

    def test_an_error_that_may_pass_is_tried_again(self, backend: Backend) -> None:
        tries: list[int] = []

        def work(run: Run, arguments: Mapping[str, Any]) -> None:
            tries.append(1)
            if len(tries) < 3:
                raise Unavailable("Not now.")

        (pk,) = backend.enqueue_many([Wanted("check", "a")])
        with working(backend, {"check": work}):
            for number in (1, 2):
                until(lambda number=number: Job.objects.filter(pk=pk, attempts=number, state=State.WAITING).exists())  # type: ignore[misc]
                assert queue.find(pk).due_at > timezone.now()
                Job.objects.filter(pk=pk).update(due_at=timezone.now())
            until(ended(pk))
        assert (len(tries), queue.find(pk).state) == (3, State.DONE)

    def test_an_error_that_will_not_pass_ends_the_job(self, backend: Backend) -> None:
        def work(run: Run, arguments: Mapping[str, Any]) -> None:
            raise Refused("It is read-only.", hint="Unlock it.")

        (pk,) = backend.enqueue_many([Wanted("check", "a")])
        with working(backend, {"check": work}):
            until(ended(pk))
        job = queue.find(pk)
        assert (job.state, job.what, job.hint) == (State.FAILED, "It is read-only.", "Unlock it.")
        assert backend.stats().failed == 1

    def test_a_sign_in_that_ended_pauses_all_that_waits_for_it(self, backend: Backend) -> None:
        def work(run: Run, arguments: Mapping[str, Any]) -> None:
            raise SignInAgain("The sign-in has ended.")

        first, other = backend.enqueue_many([Wanted("check", "a"), Wanted("check", "a", {"more": True})])
        with working(backend, {"check": work}):
            until(lambda: backend.stats().paused == 2)
        assert {job.paused_for for job in (queue.find(first), queue.find(other))} == {Why.SIGN_IN}
        assert queue.resume_subject("a", Why.SIGN_IN) == 2
        assert backend.stats().waiting == 2

    def test_a_run_that_died_is_run_again_by_another(self, backend: Backend, hasty: Backend) -> None:
        (pk,) = backend.enqueue_many([Wanted("check", "a")])
        dead = lease.take(queue.find(pk))
        notes = Notebook()
        with working(hasty, {"check": notes.work}):
            until(ended(pk))
        job = queue.find(pk)
        assert (job.state, job.crash_count, len(notes.begun)) == (State.DONE, 1, 1)
        with pytest.raises(lease.LostLease):
            lease.end(pk, dead, State.FAILED, line="Too late.")

    def test_a_job_whose_runs_die_again_and_again_is_paused(self, hasty: Backend) -> None:
        (pk,) = hasty.enqueue_many([Wanted("check", "a")])
        with working(hasty, {"export": Notebook().work}):
            for crashes in range(1, lease.most_crashes() + 1):
                assert queue.find(pk).state == State.WAITING
                assert lease.take(queue.find(pk))  # and dies
                until(lambda crashes=crashes: queue.find(pk).crash_count == crashes)  # type: ignore[misc]
        job = queue.find(pk)
        assert (job.state, job.paused_for) == (State.PAUSED, Why.CRASHES)
        assert job.what
        assert job.log.count("without a word") == lease.most_crashes() >= 3

    # -- stopping

    def test_cancelling_what_waits_ends_it_at_once(self, backend: Backend) -> None:
        notes = Notebook()
        gone, other = backend.enqueue_many([Wanted("check", "a"), Wanted("check", "b")])
        backend.cancel(gone)
        assert queue.find(gone).state == State.CANCELLED
        with working(backend, {"check": notes.work}):
            until(ended(other))
        assert len(notes.begun) == 1

    def test_cancelling_what_runs_ends_it_at_its_next_step(self, backend: Backend) -> None:
        asked = threading.Event()

        def work(run: Run, arguments: Mapping[str, Any]) -> None:
            run.progress(Step("Reading"))
            assert asked.wait(PATIENCE_S)
            run.progress(Step("Writing"))
            raise AssertionError("it went on")

        (pk,) = backend.enqueue_many([Wanted("check", "a")])
        with working(backend, {"check": work}):
            until(lambda: queue.find(pk).progress != {})
            backend.cancel(pk)
            asked.set()
            until(ended(pk))
        assert queue.find(pk).state == State.CANCELLED
        backend.cancel(pk)

    def test_cancelling_what_never_was_is_said(self, backend: Backend) -> None:
        with pytest.raises(NotFound):
            backend.cancel(4711)

    def test_a_worker_that_stops_puts_its_work_back(self, backend: Backend, second: Backend) -> None:
        begun, notes = threading.Event(), Notebook()

        def work(run: Run, arguments: Mapping[str, Any]) -> None:
            while True:
                begun.set()
                run.progress(Step("Reading"))

        (pk,) = backend.enqueue_many([Wanted("check", "a")])
        with working(backend, {"check": work}):
            assert begun.wait(PATIENCE_S)
        job = queue.find(pk)
        assert (job.state, job.crash_count) == (State.WAITING, 0)
        with working(second, {"check": notes.work}):
            until(ended(pk))
        assert queue.find(pk).state == State.DONE

    def test_stats_say_how_long_the_first_has_waited(self, backend: Backend) -> None:
        assert backend.stats().oldest_s == 0
        (pk,) = backend.enqueue_many([Wanted("check", "a")])
        Job.objects.filter(pk=pk).update(due_at=timezone.now() - timedelta(minutes=5))
        stats = backend.stats()
        assert (stats.waiting, stats.running) == (1, 0)
        assert 299 < stats.oldest_s < 400
