"""Asking for work, cancelling it, pausing and resuming it, and holding a subject without a worker."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from chatkeep.connections.installation import OWN
from chatkeep.errors import Busy, NotFound
from chatkeep.jobs import asking, lease
from chatkeep.jobs.models import OPEN, Job, State, Why
from chatkeep.jobs.run import PausedByPerson, Run

ARCHIVE = "archive"
"""The subject of work that changes the archive of a laptop and no connection."""


NEWS = "chatkeep_jobs"
"""The channel of PostgreSQL that says: look for work."""


def tell() -> None:
    """Wake the workers of a server, once the transaction is committed. On a laptop they look for themselves."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [NEWS])


def archive_subject(archive: str) -> str:
    """The subject of work that changes an archive and no connection."""
    return ARCHIVE if archive == OWN else f"{ARCHIVE}:{archive}"


def enqueue(
    kind: str, subject: str, arguments: Mapping[str, Any] | None = None, *, by: str = "", archive: str = OWN
) -> Job:
    """Ask for work on what belongs to an archive. When the same is waiting already, that is given back instead."""
    text = json.dumps(arguments or {}, sort_keys=True)
    while True:
        try:
            with transaction.atomic():
                job = Job.objects.create(kind=kind, archive=archive, subject=subject, arguments=text, by=by)
                tell()
                return job
        except IntegrityError:
            same = Job.objects.filter(kind=kind, subject=subject, arguments=text, state=State.WAITING).first()
            if same is not None:
                return same


def cancel(pk: int) -> Job:
    """Ask a job to stop. A waiting or paused one ends at once; a running one at its next step. Raises NotFound."""
    still = Job.objects.filter(pk=pk, state__in=(State.WAITING, State.PAUSED))
    ended = {"state": State.CANCELLED, "cancel_asked": True, "ended_at": timezone.now(), "run_token": ""}
    if not still.update(**ended, log=lease.with_line("Cancelled.")):
        Job.objects.filter(pk=pk, state=State.RUNNING).update(cancel_asked=True)
    return find(pk)


def pause(pk: int) -> Job:
    """Ask a job to wait until it is resumed. A running one does so at its next step. Raises NotFound."""
    what, hint = "It was paused by somebody.", PausedByPerson.standing_hint
    changes = {"state": State.PAUSED, "paused_for": Why.PERSON, "what": what, "hint": hint}
    waiting = Job.objects.filter(pk=pk, state=State.WAITING)
    if not waiting.update(**changes, log=lease.with_line("Paused.")):
        Job.objects.filter(pk=pk, state=State.RUNNING, attached=False).update(pause_asked=True)
    return find(pk)


def resume(pk: int) -> Job:
    """Let a paused job wait for its turn again, with its crashes forgotten. Raises NotFound.

    Where the same was asked for meanwhile and waits, that request is the one that goes on.
    """
    paused = Job.objects.filter(pk=pk, state=State.PAUSED)
    fresh = {"crash_count": 0, "attempts": 0, "paused_for": "", "what": "", "hint": "", "pause_asked": False}
    try:
        with transaction.atomic():
            again = {"state": State.WAITING, "due_at": timezone.now(), "carried": False}
            paused.update(**again, **fresh, log=lease.with_line("Resumed."))
            tell()
    except IntegrityError:
        ended = {"state": State.CANCELLED, "ended_at": timezone.now()}
        paused.update(**ended, log=lease.with_line("The same was asked for again meanwhile, and waits."))
    return find(pk)


def pause_subject(subject: str, why: Why, *, what: str, hint: str = "") -> int:
    """Pause everything that waits for a subject. How many."""
    changes = {"state": State.PAUSED, "paused_for": why, "what": what, "hint": hint}
    waiting = Job.objects.filter(subject=subject, state=State.WAITING)
    return waiting.update(**changes, log=lease.with_line(f"Paused. {what}"))


def resume_subject(subject: str, why: Why) -> int:
    """Resume everything of a subject that was paused for this reason. How many."""
    paused = Job.objects.filter(subject=subject, state=State.PAUSED, paused_for=why).order_by("pk")
    return len([resume(job.pk) for job in paused])


def find(pk: int, *, archive: str = "") -> Job:
    """The job as it is now. Of an archive that is given only its own jobs are found. Raises NotFound."""
    mine = Job.objects.filter(archive=archive) if archive else Job.objects.all()
    job = mine.filter(pk=pk).first()
    if job is None:
        raise NotFound(f"There is no job {pk}.")
    return job


def last_done(kind: str, subject: str) -> Job | None:
    """The last job of a kind that ended well, with problems or without."""
    ended = Job.objects.filter(kind=kind, subject=subject, state__in=(State.DONE, State.PROBLEMS))
    return ended.order_by("-ended_at").first()


def open_jobs(subject: str = "") -> list[Job]:
    """What is waiting, running or paused, of one subject or of all; the oldest request first."""
    found = Job.objects.filter(state__in=OPEN).order_by("requested_at", "id")
    return list(found.filter(subject=subject) if subject else found)


@contextlib.contextmanager
def holding(
    kind: str,
    subject: str,
    *,
    by: str,
    archive: str = OWN,
    wait_s: float = 600.0,
    waiting: Callable[[Job], None] = lambda job: None,
) -> Iterator[Run]:
    """Work on a subject in this process, under the same lease that workers take.

    While another run has the subject, `waiting` is told which, once for each, for at most wait_s [s]; then Busy.
    The row records how it ended, as for a worker's run; errors pass on to the caller. Raises SwitchedOff when work of
    this kind shall not begin now.
    """
    asking.ask(kind, archive)
    wanted = {"kind": kind, "archive": archive, "subject": subject, "by": by}
    job, token = _take_own(wanted, until=time.monotonic() + wait_s, waiting=waiting)
    run = Run(job.pk, token, archive=archive)
    asking.note_flags(run)
    try:
        with run.beating():
            yield run
    except lease.LostLease:
        raise
    except BaseException as error:
        with contextlib.suppress(lease.LostLease):
            run.failed(error)
        raise
    run.succeeded()


def _take_own(wanted: Mapping[str, str], *, until: float, waiting: Callable[[Job], None]) -> tuple[Job, str]:
    told: set[str] = set()
    while True:
        lease.recover()
        taken = _start_own(wanted)
        if taken is not None:
            return taken
        other = Job.objects.filter(subject=wanted["subject"], state=State.RUNNING).first()
        if other is not None and other.run_token not in told:
            told.add(other.run_token)
            waiting(other)
        if time.monotonic() > until:
            raise Busy(f"{describe(other)} is still at it." if other else "Another run is still at it.")
        time.sleep(0.2)


def _start_own(wanted: Mapping[str, str]) -> tuple[Job, str] | None:
    token = lease.new_token()
    job = Job(**wanted, attached=True, **lease.begun(token))
    try:
        with transaction.atomic():
            job.save(force_insert=True)
    except IntegrityError:
        return None
    return job, token


def describe(job: Job | None) -> str:
    """Who is at what since when, for a person who has to wait."""
    if job is None:
        return "Another run"
    since = f" since {timezone.localtime(job.started_at):%H:%M}" if job.started_at else ""
    return f"{job.kind.replace('_', ' ').capitalize()} by {job.by or 'the app'}{since}"
