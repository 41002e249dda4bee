"""One run of a job, as the work itself sees it: where to tell progress, write the log, and learn that it shall stop."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import connection

from chatkeep import happenings
from chatkeep.connections.installation import OWN
from chatkeep.errors import ChatkeepError, SignInAgain, SlowDown, Stopped, Unavailable
from chatkeep.jobs import lease
from chatkeep.jobs.models import Job, State, Why
from chatkeep.operations.progress import Cancelled, Step
from chatkeep.operations.reports import Report

EVERY_S = 0.5
LONGEST_STEP = timedelta(hours=1)
LONGEST_LIST = 1000
"""Of a report that is kept: each look at what goes on reads it."""

_log = logging.getLogger(__name__)


class PausedByPerson(Cancelled):
    """Somebody asked the job to pause."""

    standing_hint = "What was finished is kept; resume it to go on."


class Run:
    """The right to work, as long as `progress` does not raise. Used from one thread. archive: whose work it is."""

    def __init__(self, pk: int, token: str, *, archive: str = OWN) -> None:
        self.pk = pk
        self.archive = archive
        self._token = token
        self._written = 0.0
        self._told = time.monotonic()
        self._stage = ""
        self._report: object = None
        self._facts: dict[str, str] = {}

    def progress(self, step: Step) -> None:
        """Tell how far the work is, and keep the lease. Writes at most twice a second, and at each new stage.

        Raises Cancelled when somebody asked to stop or to pause, LostLease when another run has taken over.
        """
        now = self._told = time.monotonic()
        if step.stage == self._stage and now - self._written < EVERY_S:
            return
        if step.stage != self._stage:
            lease.note(self.pk, self._token, f"{step.stage}.")
        self._written, self._stage = now, step.stage
        asked = lease.renew(self.pk, self._token, progress=msgspec.to_builtins(step))
        if asked == "pause":
            raise PausedByPerson("The job was asked to pause.")
        if asked:
            raise Cancelled("The job was asked to stop.")

    @contextlib.contextmanager
    def beating(self, every: timedelta = lease.LASTS / 6) -> Iterator[None]:
        """Keep the lease while the block runs, through steps that tell nothing for a while, up to LONGEST_STEP."""
        ended = threading.Event()
        beat = threading.Thread(target=self._beat, args=(ended, every.total_seconds()), name="beat", daemon=True)
        beat.start()
        try:
            with self._followed():
                yield
        finally:
            ended.set()

    @contextlib.contextmanager
    def _followed(self) -> Iterator[None]:
        """Around the run, for whoever follows: as a part of what it was asked for by."""
        if not happenings.is_heard():
            yield
            return
        kind, trace = Job.objects.filter(pk=self.pk).values_list("kind", "trace").first() or ("", "")
        with happenings.during("job", after=trace, kind=kind, job=str(self.pk), result="lost") as self._facts:
            yield

    def _tell(self, result: str) -> None:
        """Tell how the run ended, and at which stage if not well."""
        self._facts["result"] = result
        kind = self._facts.get("kind", "")
        stage = "end" if result in ("done", "problems") else "-".join(self._stage.lower().split()) or "opening"
        if kind:
            happenings.tell("job_runs_total", kind=kind, result=result)
        if kind in ("backup", "sync"):
            happenings.tell("backup_runs_total", result=result, stage=stage)

    def _beat(self, ended: threading.Event, every_s: float) -> None:
        beaten = False
        while not ended.wait(every_s) and time.monotonic() - self._told < LONGEST_STEP.total_seconds():
            beaten = True
            try:
                lease.renew(self.pk, self._token)
            except lease.LostLease:
                break
            except Exception:  # a full or locked disk: the next beat may get through
                _log.exception("The lease of job %s could not be renewed", self.pk)
        if beaten:
            connection.close()

    def log(self, line: str) -> None:
        """Add a line for people. It holds no chat text and no secret. Raises LostLease."""
        lease.note(self.pk, self._token, line)

    def reports(self, report: object) -> None:
        """What the work gave, to be kept when it ends well."""
        self._report = report

    def succeeded(self) -> None:
        """End the run well; with problems when the report has some. Raises LostLease."""
        problems = self._report.problems if isinstance(self._report, Report) else []
        for problem in problems[:100]:
            self.log(f"{problem.where}: {problem.what}")
        state = State.PROBLEMS if problems else State.DONE
        line = f"Done, with {len(problems)} problems." if problems else "Done."
        report = _kept(self._report)
        lease.end(self.pk, self._token, state, line=line, report=report, what="", hint="", code="")
        self._tell("problems" if problems else "done")

    def failed(self, error: BaseException) -> None:
        """End the run with what went wrong; stopping on request is no failure. Raises LostLease."""
        what, _ = told(error)
        asked = isinstance(error, Cancelled | KeyboardInterrupt)
        state = State.CANCELLED if asked else State.FAILED
        lease.end(self.pk, self._token, state, line="Stopped." if asked else what, **_words(error))
        self._tell("cancelled" if asked else _result(error))

    def paused(self, error: BaseException, why: Why) -> None:
        """Stop here and wait for a person. Raises LostLease."""
        what, _ = told(error)
        lease.pause(self.pk, self._token, why, line=f"Paused. {what}", **_words(error))
        self._tell("sign-in" if why == Why.SIGN_IN else "paused")

    def put_off(self, error: ChatkeepError, until: datetime, **changes: Any) -> None:
        """Wait and try again later. Raises LostLease."""
        what, _ = told(error)
        line = f"{what} Trying again later."
        lease.put_off(self.pk, self._token, until, line=line, **_words(error), **changes)
        self._tell("put-off" if isinstance(error, Stopped) else _result(error))


def _kept(report: object) -> object:
    """A report as JSON values for the row of its job. Lists in it that are long end early; its counts are of all."""
    if not isinstance(report, msgspec.Struct):
        return msgspec.to_builtins(report)
    fields = msgspec.structs.asdict(report).items()
    return {
        name: msgspec.to_builtins(value[:LONGEST_LIST] if isinstance(value, list) else value) for name, value in fields
    }


def _result(error: BaseException) -> str:
    """How an error counts: what the provider could not do for a while is apart, and so is what nobody foresaw."""
    if isinstance(error, SlowDown | Unavailable):
        return "outage"
    if isinstance(error, SignInAgain):
        return "sign-in"
    return "failed" if isinstance(error, ChatkeepError) else "broken"


def _words(error: BaseException) -> dict[str, str]:
    """What a row keeps of an error."""
    what, hint = told(error)
    return {"what": what, "hint": hint, "code": type(error).__name__[:60]}


def told(error: BaseException) -> tuple[str, str]:
    """An error in words for people: what happened, and what can be done.

    Of an error that is not ours only the kind is told, because its text may quote what it met.
    """
    if isinstance(error, ChatkeepError):
        return error.what, error.hint
    if isinstance(error, KeyboardInterrupt):
        return "It was stopped.", Cancelled.standing_hint
    if isinstance(error, MemoryError):
        return "The machine ran out of memory.", "Close other programs and run it again; what was finished is kept."
    if isinstance(error, OSError) and error.strerror:
        return f"The system says: {error.strerror}.", "Check the disk and its free space, then run it again."
    return (
        f"Something went wrong that should not ({type(error).__name__}).",
        "Please report it.",
    )
