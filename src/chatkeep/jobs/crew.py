"""The backend for many machines: PgQueuer carries tickets over PostgreSQL to any number of workers.

The rows of jobs stay the truth (`port`), and `tickets` says what PgQueuer has to do with them. What PgQueuer leaves to
us: the fence (`lease`), counting crashes, and going on when PostgreSQL went away and came back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.utils import timezone
from pgqueuer.errors import RetryRequested
from pgqueuer.models import Job as Ticket

from chatkeep.connections.start import bring_up_to_date
from chatkeep.jobs import queue, tickets
from chatkeep.jobs.laptop import Laptop
from chatkeep.jobs.models import Job, State
from chatkeep.jobs.port import Stats, Wanted, Work
from chatkeep.jobs.worker import Worker

LASTS = timedelta(seconds=30)
"""How long a run may be silent: no machine sleeps here."""
SHIFT_S = 1.0
"""Who has done a subject's job in less than that goes on with its next one."""
BUSY = timedelta(seconds=2)
PATIENCE_S = 25.0
LONGEST_PAUSE_S = 15.0
MEND_EVERY_S, PRUNE_EVERY_S = 60.0, 3600.0

_log = logging.getLogger(__name__)


class Crew:
    """Keeps the promises of `port.Backend` with as many workers on as many machines as there are.

    look_s: how often work that became due is looked for; what is asked for is told at once. lasts: how long a run may
    be silent. at_once: by the name of a provider, how many runs may ask it at the same time, on all machines together.
    patience_s: how long running work may take to come to its next step when a worker stops.
    """

    def __init__(
        self,
        *,
        look_s: float = 1.0,
        lasts: timedelta = LASTS,
        at_once: Mapping[str, int] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._rows = Laptop()  # asking, cancelling and counting are about rows alone
        self._look_s = look_s
        self._lasts = lasts
        self._at_once = dict(at_once or {})
        self._patience_s = patience_s

    def install(self) -> None:
        bring_up_to_date()
        asyncio.run(tickets.install())

    def enqueue_many(self, wanted: Iterable[Wanted]) -> list[int]:
        found = self._rows.enqueue_many(wanted)
        queue.tell()
        return found

    def cancel(self, job: int) -> None:
        self._rows.cancel(job)

    def stats(self) -> Stats:
        return self._rows.stats()

    def run_worker(self, kinds: Mapping[str, Work], *, stop: threading.Event, threads: int = 2) -> None:
        """Work until `stop` is set, also through ends and new starts of PostgreSQL."""
        _Member(self, kinds, stop, threads).run()


class _Member:
    """One worker: a loop that speaks with PgQueuer, a thread for each job, and one that hands out tickets."""

    def __init__(self, crew: Crew, kinds: Mapping[str, Work], stop: threading.Event, threads: int) -> None:
        self._crew = crew
        self._kinds = kinds
        self._stop = stop
        self._threads = threads
        self._worker = Worker(kinds, threads=0, lasts=crew._lasts)
        self._free = threading.Semaphore(threads)
        self._news = threading.Event()
        self._hands: set[threading.Thread] = set()

    def run(self) -> None:
        counter = threading.Thread(target=self._hand_out, name="tickets", daemon=True)
        counter.start()
        pause_s = 0.5
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                asyncio.run(self._shift())
            except Exception as error:  # nothing ends a worker but its end
                _log.warning("The queue is out of reach (%s); trying again", type(error).__name__)
                pause_s = 0.5 if time.monotonic() - begun > 60 else min(pause_s * 2, LONGEST_PAUSE_S)
                self._stop.wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all come at once
        self._worker.close()
        self._news.set()
        counter.join(self._crew._patience_s)
        limit = time.monotonic() + self._crew._patience_s
        for hand in list(self._hands):
            hand.join(max(0.0, limit - time.monotonic()))
        self._worker.give_back()

    async def _shift(self) -> None:
        """Work for as long as the line holds, or until the end."""
        async with tickets.Line.open() as line:
            manager = tickets.manager(line)
            manager.min_dequeue_poll_interval = timedelta(seconds=0.25)
            over = asyncio.Event()

            async def carry(ticket: Ticket) -> None:
                await self._carry((ticket.payload or b"").decode(), over)

            for name in tickets.entrypoints():
                manager.entrypoint(name, concurrency_limit=self._crew._at_once.get(name, 0))(carry)
            await line.add_listener(queue.NEWS, lambda _: self._news.set())
            watch = asyncio.create_task(self._watch(line, manager.shutdown, over))
            try:
                await manager.run(
                    dequeue_timeout=timedelta(seconds=10),
                    batch_size=max(1, self._threads // 2),
                    max_concurrent_tasks=max(2, self._threads),
                    heartbeat_timeout=self._crew._lasts,
                    shutdown_on_listener_failure=True,
                )
            finally:
                watch.cancel()

    async def _watch(self, line: tickets.Line, shutdown: asyncio.Event, over: asyncio.Event) -> None:
        """End the shift when somebody asks for it, or the line is dead; those at work then go on without PgQueuer."""
        while not (self._stop.is_set() or line.is_dead):
            await asyncio.sleep(0.1)
        shutdown.set()
        if self._stop.is_set():
            self._worker.close()
        if not line.is_dead:
            limit = time.monotonic() + self._crew._patience_s
            while time.monotonic() < limit and not line.is_dead:
                await asyncio.sleep(0.1)
        over.set()

    async def _carry(self, subject: str, over: asyncio.Event) -> None:
        """Do what a ticket stands for, in a thread. Raises RetryRequested while somebody else has the subject."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()

        def told(result: bool, error: BaseException | None) -> None:
            if not done.done():
                done.set_exception(error) if error else done.set_result(result)

        def work() -> None:
            result, error = True, None
            try:
                with self._free:
                    result = self._work_on(subject)
            except Exception as caught:
                error = caught
            finally:
                connection.close()
                self._hands.discard(threading.current_thread())
            with contextlib.suppress(RuntimeError):  # the shift is over
                loop.call_soon_threadsafe(told, result, error)

        hand = threading.Thread(target=work, name=f"job of {subject}", daemon=True)
        self._hands.add(hand)
        hand.start()
        ended: asyncio.Future[Any] = asyncio.ensure_future(over.wait())
        both: set[asyncio.Future[Any]] = {done, ended}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if done.done() and not done.result():
            raise RetryRequested(delay=BUSY, reason="somebody else has the subject")
        self._news.set()

    def _work_on(self, subject: str) -> bool:
        """Do what is due of a subject, for a while. False when somebody else has it."""
        begun = time.monotonic()
        try:
            while not self._worker.is_closing and time.monotonic() - begun < SHIFT_S:
                job = self._first(subject)
                if job is None:
                    return True
                if not self._worker.run_job(job) and Job.objects.filter(subject=subject, state=State.RUNNING).exists():
                    return False
            return True
        finally:
            tickets.take_back(subject)

    def _first(self, subject: str) -> Job | None:
        due = Job.objects.filter(subject=subject, state=State.WAITING, kind__in=list(self._kinds))
        found = list(due.filter(due_at__lte=timezone.now()).order_by("due_at", "id")[:100])
        return max(found, key=lambda job: (tickets.rank(job), -job.pk), default=None)

    def _hand_out(self) -> None:
        """Hand out tickets whenever somebody asks for work, and look for what became due and for the dead."""
        mended = pruned = time.monotonic()
        while not self._stop.is_set():
            try:
                close_old_connections()
                self._worker.recover()
                while tickets.hand_out(self._kinds) == tickets.BATCH:
                    pass
                mended = _now_and_then(mended, MEND_EVERY_S, tickets.mend)
                pruned = _now_and_then(pruned, PRUNE_EVERY_S, tickets.prune)
            except (DatabaseError, InterfaceError):
                self._worker.forget()  # nobody could write meanwhile, so nobody was silent
                _log.warning("Tickets could not be handed out; trying again")
                connection.close()
                self._stop.wait(1.0)
            self._news.wait(self._crew._look_s * random.uniform(0.8, 1.2))  # noqa: S311 - see above
            self._news.clear()
            self._stop.wait(0.02)  # many that ask at once are served together
        connection.close()


def _now_and_then(last: float, every_s: float, do: Callable[[], object]) -> float:
    now = time.monotonic()
    if now - last < every_s:
        return last
    do()
    return now
