"""A plain loop over the rows that are due, in threads of the process that serves the pages."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.db.models import Q
from django.utils import timezone

from chatkeep.connections.installation import OWN
from chatkeep.errors import ChatkeepError, SignInAgain, SlowDown, Stopped, Unavailable
from chatkeep.jobs import lease, schedules
from chatkeep.jobs.models import Job, State, Why
from chatkeep.jobs.port import Work
from chatkeep.jobs.run import PausedByPerson, Run
from chatkeep.rollout.flags import SwitchedOff

MOST_ATTEMPTS = 8
FIRST_WAIT_S = 15.0
LONGEST_WAIT_S = 3600.0
LOOK_EVERY_S = 3.0

_log = logging.getLogger(__name__)


class Worker:
    """Runs due jobs of the kinds it knows, one at a time for each subject.

    Promises: a job that is waiting is run, also after this or another worker died; no effect of a run is recorded by
    two runs; stopping asks running work to stop at its next step, and that work waits for the next start.
    """

    def __init__(
        self,
        kinds: Mapping[str, Work],
        *,
        threads: int = 2,
        idle_s: float = 0.5,
        lasts: timedelta = lease.LASTS,
    ) -> None:
        self._kinds = kinds
        self._idle_s = idle_s
        self._lasts = lasts
        self._silence = lease.SILENCE if lasts == lease.LASTS else lease.Silence(lasts=lasts)
        self._look_at = 0.0
        self._at_work: dict[int, str] = {}
        self._at_work_lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, name=f"worker-{number}", daemon=True) for number in range(threads)
        ]

    def start(self) -> None:
        """Begin to work, in threads of this process."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, patience_s: float = 10.0) -> None:
        """Take no new work, and let running work go back to waiting at its next step."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(patience_s)

    @property
    def is_closing(self) -> bool:
        """Whether no new work is taken any more."""
        return self._stop.is_set()

    def close(self) -> None:
        """Take no new work, and ask running work to stop at its next step; without waiting for it."""
        self._stop.set()

    def give_back(self) -> None:
        """Let others do what did not stop when it was asked to: it may write nothing more, and it is no crash."""
        with self._at_work_lock:
            left = dict(self._at_work)
        for pk, token in left.items():
            with contextlib.suppress(lease.LostLease):
                lease.put_off(pk, token, timezone.now(), line="The worker was closed.")

    def run_one(self) -> bool:
        """Run the job that has been due the longest. False when none could be taken."""
        self.recover()
        return any(self.run_job(job) for job in self._due())

    def run_job(self, job: Job) -> bool:
        """Run a job that waits, as it was seen. False when somebody else has it or its subject."""
        token = lease.take(job)
        if token:
            self._run(job, token)
        return bool(token)

    def forget(self) -> None:
        """Take nobody for dead by what was seen until now: for a while nobody could write."""
        self._silence.forget()

    def recover(self) -> None:
        """Look for the dead now and then: it costs more than to look for work."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + min(LOOK_EVERY_S, self._lasts.total_seconds() / 3)
            lease.recover(self._silence)

    def _due(self) -> list[Job]:
        busy = Job.objects.filter(state=State.RUNNING).values("subject")
        now = timezone.now()
        waiting = Job.objects.filter(state=State.WAITING, kind__in=list(self._kinds))
        # Nothing is put off for longer than that: where it seems so, the clock was set back meanwhile.
        due = waiting.filter(Q(due_at__lte=now) | Q(due_at__gt=now + 2 * timedelta(seconds=LONGEST_WAIT_S)))
        return list(due.exclude(subject__in=busy).order_by("due_at", "id")[:10])

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                close_old_connections()
                worked = self.run_one()
            except Exception:  # a full or locked disk must not end the worker
                _log.exception("The worker could not look for work")
                worked = False
            if not worked:
                self._stop.wait(self._idle_s)
        connection.close()

    def _run(self, job: Job, token: str) -> None:
        run = StoppableRun(job.pk, token, self._stop, archive=job.archive)
        with self._at_work_lock:
            self._at_work[job.pk] = token
        try:
            with contextlib.suppress(lease.LostLease), run.beating(self._lasts / 6):
                self._do(run, job)
        except Exception:  # the row could not be written: its lease runs out and the job runs again
            _log.exception("The end of job %s could not be recorded", job.pk)
        finally:
            with self._at_work_lock:
                self._at_work.pop(job.pk, None)

    def _do(self, run: StoppableRun, job: Job) -> None:
        try:
            run.reports(self._kinds[job.kind](run, json.loads(job.arguments)))
        except lease.LostLease:
            raise
        except ClosingDown as error:
            run.put_off(error, timezone.now())
        except PausedByPerson as error:
            run.paused(error, Why.PERSON)
        except SwitchedOff as error:
            run.paused(error, Why.SWITCH)
        except SignInAgain as error:
            run.paused(error, Why.SIGN_IN)
            schedules.pause(job.subject, Why.SIGN_IN, what=error.what, hint=error.hint)
        except Exception as error:
            self._failed(run, job, error)
        else:
            run.succeeded()

    def _failed(self, run: Run, job: Job, error: Exception) -> None:
        if _is_the_database(error):
            error = Unavailable("The database went away meanwhile.")
        if not isinstance(error, ChatkeepError):
            _log.exception("Job %s (%s) failed", job.pk, job.kind)
        if not isinstance(error, ChatkeepError) or not error.temporary or job.attempts + 1 >= MOST_ATTEMPTS:
            run.failed(error)
            return
        wait_s = min(FIRST_WAIT_S * 2.0**job.attempts, LONGEST_WAIT_S)
        if isinstance(error, SlowDown):
            wait_s = max(wait_s, min(error.wait_s, LONGEST_WAIT_S))
        run.put_off(error, timezone.now() + timedelta(seconds=wait_s), attempts=job.attempts + 1)


def _is_the_database(error: Exception) -> bool:
    """Whether the database of a server went away: that passes."""
    return connection.vendor == "postgresql" and isinstance(error, OperationalError | InterfaceError)


class ClosingDown(Stopped):
    """The program that does the work is being closed."""


class StoppableRun(Run):
    """A run that also stops when its program is being closed."""

    def __init__(self, pk: int, token: str, closing: threading.Event, *, archive: str = OWN) -> None:
        super().__init__(pk, token, archive=archive)
        self._closing = closing

    def progress(self, step: Any) -> None:
        if self._closing.is_set():
            raise ClosingDown("Chatkeep was closed while this was at work.")
        super().progress(step)
