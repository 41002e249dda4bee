"""The dispatcher and the worker together, as one process runs them beside its pages or alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from django.db import connection

from chatkeep import providers
from chatkeep.connections.database import POSTGRESQL
from chatkeep.jobs import kinds
from chatkeep.jobs.laptop import Laptop
from chatkeep.jobs.port import Backend, Work
from chatkeep.jobs.rota import Rota
from chatkeep.jobs.schedules import Dispatcher
from chatkeep.jobs.worker import Worker

PATIENCE_S = 10.0
THREADS, SLOTS = 2, 6
"""How many jobs at once on a laptop, and in a worker of a server."""
AT_ONCE = 100
"""How many runs may ask one provider at the same time, on all machines of a server together."""


class Workshop:
    """Asks for what is due and does it, in threads of this process, until it is stopped."""

    def __init__(
        self,
        backend: Backend,
        works: Mapping[str, Work],
        *,
        dispatcher: Dispatcher | Rota,
        threads: int = THREADS,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._stop = threading.Event()
        self._backend = backend
        self._works = works
        self._threads_at_work = threads
        self._patience_s = patience_s
        self.dispatcher = dispatcher
        self._threads = [
            threading.Thread(target=self.dispatcher.run, args=(self._stop,), name="dispatcher", daemon=True),
            threading.Thread(target=self._work, name="worker", daemon=True),
        ]

    def start(self) -> None:
        """Begin, once the backend has what it needs."""
        self._backend.install()
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        self._backend.run_worker(self._works, stop=self._stop, threads=self._threads_at_work)

    def stop(self) -> None:
        """Ask for nothing more, and let running work go back to waiting at its next step."""
        self._stop.set()
        until = time.monotonic() + self._patience_s + 1
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))

    def lives(self) -> bool:
        """Whether all that works and asks is still at it."""
        return all(thread.is_alive() for thread in self._threads)

    def once(self) -> int:
        """Do what is due now, and end. How many jobs were run."""
        self._backend.install()
        self.dispatcher.tick()
        worker, done = Worker(self._works), 0
        while not self._stop.is_set() and worker.run_one():
            done += 1
        return done


def workshop(means: kinds.Means, *, threads: int = 0) -> Workshop:
    """The workshop of this process: the kinds of jobs over all archives, with the backend of a laptop or of a server.

    threads: how many jobs at once, 0 for as many as is usual there.
    """
    works = kinds.kinds(means)
    if connection.vendor != POSTGRESQL:
        laptop = Laptop()
        dispatcher = Dispatcher(laptop, kinds=works, changes=means.changes)
        return Workshop(laptop, works, dispatcher=dispatcher, threads=threads or THREADS)
    from chatkeep.jobs.crew import PATIENCE_S, Crew

    threads = threads or SLOTS
    connection.settings_dict["OPTIONS"]["pool"]["max_size"] = 2 * threads + 8  # a run and its beat need one each
    crew = Crew(at_once={provider.name: AT_ONCE for provider in providers.providers() if provider.sign_in})
    rota = Rota(crew, kinds=works)
    return Workshop(crew, works, dispatcher=rota, threads=threads, patience_s=2 * PATIENCE_S)
