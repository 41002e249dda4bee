"""One run of a job, as the work itself sees it: where to tell progress, write the log, and learn that it shall stop."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import msgspec

from chatkeep.errors import ChatkeepError
from chatkeep.jobs import lease
from chatkeep.jobs.models import State
from chatkeep.operations.progress import Cancelled, Step
from chatkeep.operations.reports import Report

EVERY_S = 0.5


class Run:
    """The right to work, as long as `progress` does not raise. Used from one thread."""

    def __init__(self, pk: int, token: str) -> None:
        self.pk = pk
        self._token = token
        self._written = 0.0
        self._stage = ""
        self._report: object = None

    def progress(self, step: Step) -> None:
        """Tell how far the work is, and keep the lease. Writes at most twice a second, and at each new stage.

        Raises Cancelled when somebody asked to stop, LostLease when another run has taken over.
        """
        now = time.monotonic()
        if step.stage == self._stage and now - self._written < EVERY_S:
            return
        if step.stage != self._stage:
            lease.note(self.pk, self._token, f"{step.stage}.")
        self._written, self._stage = now, step.stage
        if lease.renew(self.pk, self._token, progress=msgspec.to_builtins(step)):
            raise Cancelled("The job was asked to stop.")

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
        lease.end(self.pk, self._token, state, line=line, report=msgspec.to_builtins(self._report))

    def failed(self, error: BaseException) -> None:
        """End the run with what went wrong; stopping on request is no failure. Raises LostLease."""
        what, hint = told(error)
        asked = isinstance(error, Cancelled | KeyboardInterrupt)
        state = State.CANCELLED if asked else State.FAILED
        lease.end(self.pk, self._token, state, line="Stopped." if asked else what, what=what, hint=hint)

    def put_off(self, error: ChatkeepError, until: datetime, **changes: Any) -> None:
        """Wait and try again later. Raises LostLease."""
        what, hint = told(error)
        line = f"{what} Trying again later."
        lease.put_off(self.pk, self._token, until, line=line, what=what, hint=hint, **changes)


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
