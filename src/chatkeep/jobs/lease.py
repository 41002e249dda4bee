"""The right to work on a subject: given to one run at a time, kept by renewing it, lost by silence.

Every change of a running row names the token of its run. A run whose token was taken over changes nothing any more:
that is the fence against a process that was frozen and woke up.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone

from chatkeep.errors import ChatkeepError
from chatkeep.jobs.models import Job, State

LASTS = timedelta(seconds=90)
MOST_CRASHES = 3


class LostLease(ChatkeepError):
    """Another run has taken over, because this one was silent for too long."""

    standing_hint = "Nothing is lost: the other run does the work."


def new_token() -> str:
    """A token for one run."""
    return secrets.token_hex(16)


def take(job: Job, *, now: datetime | None = None) -> str:
    """Start a run of a waiting job: the token of the run, or "" when somebody else has the job or its subject."""
    now = now or timezone.now()
    token = new_token()
    changes = {
        "state": State.RUNNING,
        "run_token": token,
        "lease_until": now + LASTS,
        "started_at": now,
        "progress": {},
        "what": "",
        "hint": "",
    }
    try:
        with transaction.atomic():
            taken = Job.objects.filter(pk=job.pk, state=State.WAITING, cancel_asked=False).update(**changes)
    except IntegrityError:  # the subject has a run already
        return ""
    return token if taken else ""


def renew(pk: int, token: str, *, now: datetime | None = None, **changes: Any) -> bool:
    """Keep the lease and write progress with it. True when the run was asked to stop.

    Raises LostLease when this run no longer has the lease: then it may change nothing more.
    """
    now = now or timezone.now()
    _change(pk, token, lease_until=now + LASTS, **changes)
    return bool(Job.objects.filter(pk=pk, cancel_asked=True).exists())


def note(pk: int, token: str, line: str, *, now: datetime | None = None) -> None:
    """Add a line to the log of a run. Raises LostLease."""
    _change(pk, token, log=_with_line(line, now or timezone.now()))


def end(pk: int, token: str, state: State, *, line: str, now: datetime | None = None, **changes: Any) -> None:
    """Give the lease back and say how the run ended. Raises LostLease."""
    now = now or timezone.now()
    log = _with_line(line, now)
    _change(pk, token, state=state, run_token="", lease_until=None, ended_at=now, log=log, **changes)


def put_off(pk: int, token: str, until: datetime, *, line: str, **changes: Any) -> None:
    """Give the lease back and wait until a later moment. An equal request that waits already takes its place."""
    now = timezone.now()
    log = _with_line(line, now)
    try:
        with transaction.atomic():
            _change(pk, token, state=State.WAITING, run_token="", lease_until=None, due_at=until, log=log, **changes)
    except IntegrityError:
        end(pk, token, State.FAILED, line=f"{line} The same was asked for again meanwhile.", now=now, **changes)


def recover(*, now: datetime | None = None) -> int:
    """Put back what died: running jobs whose lease is over wait again, or pause after three crashes. How many."""
    now = now or timezone.now()
    died = Job.objects.filter(state=State.RUNNING, lease_until__lt=now)
    return sum(_bury(job, now) for job in died)


def _bury(job: Job, now: datetime) -> bool:
    crashes = job.crash_count + 1
    line = f"The run ended without a word (crash {crashes} of {MOST_CRASHES})."
    try:
        with transaction.atomic():
            return _change_dead(job, now, crashes, line)
    except IntegrityError:  # the same was asked for again meanwhile, and waits
        gone = Job.objects.filter(pk=job.pk, run_token=job.run_token, lease_until__lt=now)
        log = _with_line(f"{line} The same was asked for again meanwhile.", now)
        return bool(gone.update(state=State.FAILED, run_token="", ended_at=now, crash_count=crashes, log=log))


def _change_dead(job: Job, now: datetime, crashes: int, line: str) -> bool:
    changes: dict[str, Any] = {"state": State.WAITING, "due_at": now}
    if job.cancel_asked:
        changes = {"state": State.CANCELLED, "ended_at": now}
    elif job.attached:
        changes = {"state": State.FAILED, "ended_at": now, "what": "The command ended before its work was done."}
    elif crashes >= MOST_CRASHES:
        line += " It is paused until somebody resumes it."
        changes = {
            "state": State.PAUSED,
            "what": f"The run died {crashes} times, so it was paused.",
            "hint": "Look at the log. If the machine was short of memory or switched off, resume it.",
        }
    log = _with_line(line, now)
    dead = Job.objects.filter(pk=job.pk, state=State.RUNNING, run_token=job.run_token, lease_until__lt=now)
    return bool(dead.update(run_token="", lease_until=None, crash_count=crashes, log=log, **changes))


def _change(pk: int, token: str, **changes: Any) -> None:
    if not token or not Job.objects.filter(pk=pk, run_token=token, state=State.RUNNING).update(**changes):
        raise LostLease("This run was silent for too long and another one took over.")


def _with_line(line: str, now: datetime) -> Concat:
    one_line = " ".join(line.split())
    return Concat(F("log"), Value(f"{now:%Y-%m-%d %H:%M:%S} {one_line}\n"))
