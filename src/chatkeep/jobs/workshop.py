"""The dispatcher and the worker together, as one process runs them beside its pages or alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from chatkeep.jobs import kinds
from chatkeep.jobs.laptop import Laptop
from chatkeep.jobs.port import Backend, Work
from chatkeep.jobs.schedules import Dispatcher
from chatkeep.jobs.worker import Worker

PATIENCE_S = 10.0


class Workshop:
    """Asks for what is due and does it, in threads of this process, until it is stopped."""

    def __init__(
        self, backend: Backend, works: Mapping[str, Work], *, changes: Callable[[], Mapping[str, int]]
    ) -> None:
        self._stop = threading.Event()
        self._backend = backend
        self._works = works
        self.dispatcher = Dispatcher(backend, kinds=works, changes=changes)
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
        self._backend.run_worker(self._works, stop=self._stop)

    def stop(self) -> None:
        """Ask for nothing more, and let running work go back to waiting at its next step."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(PATIENCE_S + 1)

    def once(self) -> int:
        """Do what is due now, and end. How many jobs were run."""
        self._backend.install()
        self.dispatcher.tick()
        worker, done = Worker(self._works), 0
        while not self._stop.is_set() and worker.run_one():
            done += 1
        return done


def workshop(means: kinds.Means) -> Workshop:
    """The workshop of this machine: its kinds of jobs, over its archives, with the backend of a laptop."""
    return Workshop(Laptop(), kinds.kinds(means), changes=means.changes)
