"""Time, chance and turns of a simulation: everything that happens in it follows from one number.

Each device runs in a thread of its own, and only one of them at a time: whoever calls the storage may have to hand on
the turn there. Waiting costs no time, it moves the clock. What happened is written down, so that two runs of one seed
can be compared.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from typing import Any

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Turn:
    """A device's place among the others: whether it may run, and from when on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready_at = 0.0
        self.ended = False
        self.error: BaseException | None = None
        self._go = threading.Semaphore(0)

    def wait(self) -> None:
        self._go.acquire()

    def go(self) -> None:
        self._go.release()


class World:
    """One run of a seed. now: seconds since its beginning."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = 0.0
        self.calls = 0
        self._turns: list[Turn] = []
        self._trace = hashlib.sha256()
        self._done = threading.Semaphore(0)

    # What happened

    def note(self, *what: object) -> None:
        """Write down what happens, for the comparison of two runs."""
        self._trace.update(f"{self.now:.3f} {what}\n".encode())

    @property
    def trace(self) -> str:
        return self._trace.hexdigest()

    def time(self, skew: timedelta = timedelta(0)) -> datetime:
        """What a clock shows that is wrong by so much."""
        return BEGIN + timedelta(seconds=self.now) + skew

    # Turns

    def run(self, programs: dict[str, Callable[[Turn], None]]) -> None:
        """Run one program for each device, until all have ended. Raises what one of them raised."""
        self._turns = [Turn(name) for name in programs]
        threads = [
            threading.Thread(target=self._program, args=(turn, programs[turn.name]), daemon=True)
            for turn in self._turns
        ]
        for thread in threads:
            thread.start()
        self._choose().go()
        self._done.acquire()
        for thread in threads:
            thread.join()
        for turn in self._turns:
            if turn.error is not None:
                raise turn.error

    def _program(self, turn: Turn, program: Callable[[Turn], None]) -> None:
        turn.wait()
        try:
            program(turn)
        except BaseException as error:  # told by run, in the thread of the test
            turn.error = error
        turn.ended = True
        if all(one.ended for one in self._turns):
            self._done.release()
        else:
            self._choose().go()

    def _choose(self) -> Turn:
        """Who is next: anybody who is ready; if nobody is, time passes until somebody is."""
        left = [turn for turn in self._turns if not turn.ended]
        ready = [turn for turn in left if turn.ready_at <= self.now]
        if ready:
            return self.chance.choice(ready)
        first = min(left, key=lambda turn: turn.ready_at)
        self.now = first.ready_at
        return first

    def pause(self, turn: Turn, seconds: float) -> None:
        """Let time pass for a device; the others may go on meanwhile."""
        turn.ready_at = self.now + seconds
        self._hand_on(turn)

    def maybe_others(self, turn: Turn) -> None:
        """A moment in which the turn may change."""
        self.calls += 1
        self.now += 0.05
        if self.chance.random() < 0.3:
            self._hand_on(turn)

    def _hand_on(self, turn: Turn) -> None:
        if turn not in self._turns or turn.ended:
            self.now = max(self.now, turn.ready_at)
            return
        following = self._choose()
        if following is not turn:
            following.go()
            turn.wait()


class Inline(Executor):
    """Does at once what it is given, so that the order of things follows from the seed alone."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers

    def submit(self, call: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args, **more))
        except Exception as error:
            future.set_exception(error)
        return future
