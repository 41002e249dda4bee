"""The port to the engine of jobs: what every backend promises, whatever carries a request to a worker.

Every backend keeps these promises, and `chatkeep.testing.jobs_suite` asks for each of them:
- The row of a job (`models.Job`) is the truth. What is asked for is on disk when `enqueue_many` returns.
- A waiting job is run, the one that is due the longest first, also when workers died meanwhile.
- Of one subject one job runs at a time; of equal requests at most one waits.
- No end of a job is recorded twice, and a run that was taken over records nothing.
- An error that may pass is tried again, later and later; after three runs that died without a word a job pauses.
- A cancelled job ends: at once while it waits, at its next step while it runs.

On a laptop the backend is `chatkeep.jobs.laptop`. Schedules, pausing and resuming are the product's own, the same for
every backend (`schedules`, `queue`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from chatkeep.connections.installation import OWN
from chatkeep.jobs.run import Run

Work = Callable[[Run, Mapping[str, Any]], object]
"""Does one kind of job: given its run and its arguments, gives the report to keep."""


class Wanted(msgspec.Struct, frozen=True):
    """One request: a job of this kind, with the fields of `models.Job`."""

    kind: str
    subject: str
    arguments: Mapping[str, Any] = {}
    by: str = ""
    archive: str = OWN


class Stats(msgspec.Struct, frozen=True):
    """How the queue stands. waiting includes what waits for a later try; oldest_s: since when the first is due [s]."""

    waiting: int
    running: int
    paused: int
    failed: int
    oldest_s: float


class Backend(Protocol):
    """An engine that carries requests to workers."""

    def install(self) -> None:
        """Make what the engine needs. Calling it again is quiet."""
        ...

    def enqueue_many(self, wanted: Iterable[Wanted]) -> list[int]:
        """Ask for work: the ids of the jobs, in order. All of it is asked for, or, by an error, nothing.

        An equal request that waits already is given in the place of a new one. May be part of a transaction.
        """
        ...

    def cancel(self, job: int) -> None:
        """Ask a job to stop; quiet when it has ended. Raises NotFound."""
        ...

    def run_worker(self, kinds: Mapping[str, Work], *, stop: threading.Event, threads: int = 2) -> None:
        """Work until `stop` is set. Running work is asked to stop then, and waits for the next worker."""
        ...

    def stats(self) -> Stats:
        """How the queue stands now."""
        ...
