"""A storage that fails on purpose, at a call we choose."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec

from chatkeep.errors import ChatkeepError, Unavailable
from chatkeep.storage import Around, Storage, StoredObject

T = TypeVar("T")
Verb = Literal["put", "get", "stat", "listing", "delete", "changes", "move", "any"]
How = Literal["fail", "crash", "crash after", "truncate"]


class Crash(BaseException):
    """The process died here. Not an Exception, so that no code under test recovers from it."""


class Fault(msgspec.Struct, frozen=True):
    """One thing to go wrong.

    verb, nth: at the nth call (from 1) of this verb.
    how: "fail" raises `error` once and does nothing; "crash" dies before the call has an effect, "crash
        after" when it had its effect; "truncate" keeps or gives half of the bytes and says nothing. After a
        crash every call
        crashes: a dead process does not tidy up.
    """

    verb: Verb
    nth: int
    how: How
    error: Callable[[], ChatkeepError] = lambda: Unavailable("The fault that was asked for.")


class FaultyStorage(Around):
    """Passes everything on, but for the faults it was given. `calls` has each call made, as (verb, name)."""

    def __init__(self, inner: Storage, *faults: Fault) -> None:
        super().__init__(inner)
        self.calls: list[tuple[str, str]] = []
        self.dead = False
        self._faults = faults
        self._watches: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def _offers(self, verb: str) -> bool:
        """Many objects are put and deleted one by one, so that each of these calls can fail."""
        return verb not in ("put_many", "delete_many") and super()._offers(verb)

    def _fault(self, verb: str, name: str) -> Fault | None:
        with self._lock:
            if self.dead:
                raise Crash
            self.calls.append((verb, name))
            counts = {"any": len(self.calls), verb: sum(1 for called, _ in self.calls if called == verb)}
            return next((fault for fault in self._faults if counts.get(fault.verb) == fault.nth), None)

    def _through(self, verb: str, name: str, call: Callable[[], T]) -> T:
        fault = self._fault(verb, name)
        if fault is None or fault.how == "truncate":
            return call()
        if fault.how == "fail":
            raise fault.error()
        if fault.how == "crash after":
            call()
        self.dead = True
        for removed in self._watches:  # what the system does when a process dies
            removed()
        raise Crash

    def _half(self, verb: Verb, data: bytes) -> bytes:
        count = sum(1 for called, _ in self.calls if called == verb)
        cut = any(f.how == "truncate" and f.verb == verb and f.nth == count for f in self._faults)
        return data[: len(data) // 2] if cut else data

    def put(self, name: str, data: bytes) -> StoredObject:
        return self._through("put", name, lambda: self.inner.put(name, self._half("put", data)))

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        return self._half("get", super().get(name, start=start, length=length))

    def watch(self, name: str) -> Callable[[], None]:
        self._watches.append(super().watch(name))
        return self._watches[-1]
