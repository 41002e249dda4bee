"""The right to work on a subject: given to one run at a time, kept by renewing it, lost by silence or death.

Every change of a running row names the token of its run. A run whose token was taken over changes nothing any more:
that is the fence against a process that was frozen and woke up.

Silence is measured by whoever looks, on a clock that nobody sets and that stands still while the machine sleeps: a run
is silent when its row has not changed for LASTS of that clock. So neither sleep, nor a clock that is set, nor two
machines with different times take work from a run that lives.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone

from chatkeep.errors import Stopped
from chatkeep.jobs import alive
from chatkeep.jobs.models import Job, State, Why

LASTS = timedelta(seconds=90)
MOST_CRASHES = 3
MOST_CRASHES_ON_A_SERVER = 8
"""There one that kills its worker takes five others with it, and machines are switched off: with a worker killed every
20 seconds on a busy machine, 8 of 300 backups died three times through no fault of theirs. Later ones rest first."""
FIRST_REST = timedelta(seconds=30)
PATIENCE_S = 120.0
"""So long a run waits for a database that went away, before it gives up what it did."""
Given = TypeVar("Given")


class LostLease(Stopped):
    """Another run has taken over, because this one was silent for too long."""

    standing_hint = "Nothing is lost: the other run does the work."


class Silence:
    """Remembers what the rows of running jobs looked like, and for how long they have looked so."""

    def __init__(self, *, lasts: timedelta = LASTS, clock: Callable[[], float] = time.monotonic) -> None:
        self.lasts = lasts
        self._clock = clock
        self._seen: dict[int, tuple[str, datetime | None, float]] = {}
        self._lock = threading.Lock()

    def too_long(self, running: list[Job]) -> list[Job]:
        """Which of all the jobs that run now have not changed for too long."""
        now = self._clock()
        with self._lock:
            before, self._seen = self._seen, {}
            for job in running:
                seen = before.get(job.pk)
                same = seen is not None and seen[:2] == (job.run_token, job.lease_until)
                self._seen[job.pk] = seen if seen and same else (job.run_token, job.lease_until, now)
            return [job for job in running if now - self._seen[job.pk][2] > self.lasts.total_seconds()]

    def forget(self) -> None:
        """Look anew: for a while nobody could write."""
        with self._lock:
            self._seen = {}


SILENCE = Silence()
"""What this process has seen."""


def new_token() -> str:
    """A token for one run."""
    return secrets.token_hex(16)


def begun(token: str) -> dict[str, Any]:
    """What a row says when a run with this token begins."""
    now = timezone.now()
    return {
        "state": State.RUNNING,
        "run_token": token,
        "lease_until": now + LASTS,
        "owner": alive.mine(),
        "carried": False,
        "started_at": now,
    }


def take(job: Job) -> str:
    """Start a run of a waiting job: the token of the run, or "" when somebody else has the job or its subject.

    job: as it was seen. One that ran and was put off meanwhile is due at another time, and is not taken.
    """
    token = new_token()
    try:
        with transaction.atomic():
            waiting = Job.objects.filter(pk=job.pk, state=State.WAITING, due_at=job.due_at, cancel_asked=False)
            taken = waiting.update(**begun(token), progress={}, what="", hint="")
    except IntegrityError:  # the subject has a run already
        return ""
    return token if taken else ""


def renew(pk: int, token: str, **changes: Any) -> str:
    """Keep the lease and write progress with it. Gives what was asked of the run: "cancel", "pause" or "".

    Raises LostLease when this run no longer has the lease: then it may change nothing more.
    """
    _change(pk, token, lease_until=timezone.now() + LASTS, **changes)
    asked = patiently(Job.objects.filter(pk=pk).values_list("cancel_asked", "pause_asked").first) or (False, False)
    return "cancel" if asked[0] else "pause" if asked[1] else ""


def note(pk: int, token: str, line: str) -> None:
    """Add a line to the log of a run. Raises LostLease."""
    _change(pk, token, log=with_line(line))


def end(pk: int, token: str, state: State, *, line: str, **changes: Any) -> None:
    """Give the lease back and say how the run ended. Raises LostLease."""
    _change(pk, token, state=state, **_given_back(line), ended_at=timezone.now(), **changes)


def pause(pk: int, token: str, why: Why, *, line: str, **changes: Any) -> None:
    """Give the lease back and wait for a person. Raises LostLease."""
    _change(pk, token, state=State.PAUSED, **_given_back(line), pause_asked=False, paused_for=why, **changes)


def put_off(pk: int, token: str, until: datetime, *, line: str, **changes: Any) -> None:
    """Give the lease back and wait until a later moment. An equal request that waits already takes its place."""

    def back() -> None:
        with transaction.atomic():
            _change(pk, token, state=State.WAITING, **_given_back(line), due_at=until, **changes)

    try:
        patiently(back)
    except IntegrityError:
        end(pk, token, State.FAILED, line=f"{line} The same was asked for again meanwhile.", **changes)


def _given_back(line: str) -> dict[str, Any]:
    return {"run_token": "", "lease_until": None, "owner": "", "log": with_line(line)}


def recover(silence: Silence = SILENCE) -> int:
    """Put back what died: runs of processes that ended, and runs that are silent. They wait again, or pause after
    too many crashes. How many.
    """
    running = list(Job.objects.filter(state=State.RUNNING))
    silent = {job.pk for job in silence.too_long(running)}
    return sum(_bury(job) for job in running if job.pk in silent or alive.is_dead(job.owner))


def most_crashes() -> int:
    """So many runs of a job may die without a word; then it is paused, as it may be what kills them."""
    return MOST_CRASHES_ON_A_SERVER if connection.vendor == "postgresql" else MOST_CRASHES


def _bury(job: Job) -> bool:
    crashes = job.crash_count + 1
    line = f"The run ended without a word (crash {crashes} of {most_crashes()})."
    # The same row that was seen: a run that wrote meanwhile lives.
    dead = Job.objects.filter(pk=job.pk, state=State.RUNNING, run_token=job.run_token, lease_until=job.lease_until)
    changes = _after_a_crash(job, crashes)
    try:
        with transaction.atomic():
            return bool(dead.update(**_given_back(line), crash_count=crashes, **changes))
    except IntegrityError:  # the same was asked for again meanwhile, and waits
        line = f"{line} The same was asked for again meanwhile."
        ended = {"state": State.FAILED, "ended_at": timezone.now(), "crash_count": crashes}
        return bool(dead.update(**_given_back(line), **ended))


def _after_a_crash(job: Job, crashes: int) -> dict[str, Any]:
    now = timezone.now()
    if job.cancel_asked:
        return {"state": State.CANCELLED, "ended_at": now}
    if job.attached:
        return {"state": State.FAILED, "ended_at": now, "what": "The command ended before its work was done."}
    if crashes >= most_crashes():
        return {
            "state": State.PAUSED,
            "paused_for": Why.CRASHES,
            "what": f"The run died {crashes} times, so it was paused.",
            "hint": "Look at the log. If the machine was short of memory or switched off, resume it.",
        }
    if job.pause_asked:
        return {"state": State.PAUSED, "paused_for": Why.PERSON, "pause_asked": False}
    rest = FIRST_REST * 2 ** (crashes - MOST_CRASHES) if crashes >= MOST_CRASHES else timedelta()
    return {"state": State.WAITING, "due_at": now + rest}


def patiently(do: Callable[[], Given], *, patience_s: float = PATIENCE_S) -> Given:
    """Do something with the database, again if it went away meanwhile, as a server does when it is started anew.

    Within a transaction it is done once: whoever began that has to begin it again.
    """
    until = time.monotonic() + patience_s
    pause_s = 0.2
    while True:
        try:
            return do()
        except (OperationalError, InterfaceError):
            if connection.vendor == "sqlite" or connection.in_atomic_block or time.monotonic() > until:
                raise
            connection.close()
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0)


def _change(pk: int, token: str, **changes: Any) -> None:
    def change() -> int:
        return Job.objects.filter(pk=pk, run_token=token, state=State.RUNNING).update(**changes)

    if not token or not patiently(change):
        raise LostLease("This run was silent for too long and another one took over.")


def with_line(line: str) -> Concat:
    """The log of a row with one more line, for an update."""
    one_line = " ".join(line.split())
    return Concat(F("log"), Value(f"{timezone.localtime():%Y-%m-%d %H:%M:%S} {one_line}\n"))
