"""What goes wrong between a client and a fake on purpose, and the journal of all that was asked."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from fakes.wire import Request, Response

How = Literal["fail", "cut", "lose", "stall", "shorten", "corrupt", "garble"]


@dataclass
class Fault:
    """One thing to go wrong, from the `nth` request (from 1) that `match` finds on, `times` times.

    match: searched in "METHOD host/path?query".
    how: see the methods of Faults, which make them.
    """

    match: str
    how: How
    nth: int = 1
    times: int = 1
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    at: int = 0
    then: Callable[[], object] | None = None
    seen: int = 0

    def strikes(self, line: str) -> bool:
        if not re.search(self.match, line):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


class Faults:
    """Knobs around every fake of a front. delay_s: before each answer; bytes_per_s: how fast bodies come and go."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.bytes_per_s = 0.0
        self.released = threading.Event()
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def fail(
        self,
        match: str,
        status: int,
        *,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        nth: int = 1,
        times: int = 1,
    ) -> Fault:
        """Answer with this and have the fake not see the request."""
        return self.add(Fault(match, "fail", nth, times, status, dict(headers or {}), body))

    def cut(
        self, match: str, *, after: int, nth: int = 1, times: int = 1, then: Callable[[], object] | None = None
    ) -> Fault:
        """Drop the connection after so many bytes of the request's body; the fake sees what came (whole=False).

        then: is called when they came and before the drop, to kill who is sending.
        """
        return self.add(Fault(match, "cut", nth, times, at=after, then=then))

    def lose(self, match: str, *, nth: int = 1, times: int = 1) -> Fault:
        """Let the fake do it, and drop the connection instead of the answer."""
        return self.add(Fault(match, "lose", nth, times))

    def stall(self, match: str, *, nth: int = 1, times: int = 1) -> Fault:
        """Never answer: until `released` is set, which the end of the front does."""
        return self.add(Fault(match, "stall", nth, times))

    def shorten(self, match: str, *, to: int, nth: int = 1, times: int = 1) -> Fault:
        """Break off the answer after so many bytes of its body."""
        return self.add(Fault(match, "shorten", nth, times, at=to))

    def corrupt(self, match: str, *, at: int = 0, nth: int = 1, times: int = 1) -> Fault:
        """Change a byte of the answer's body."""
        return self.add(Fault(match, "corrupt", nth, times, at=at))

    def garble(self, match: str, *, at: int = 0, nth: int = 1, times: int = 1) -> Fault:
        """Change a byte of the request's body before the fake sees it; negative counts from its end."""
        return self.add(Fault(match, "garble", nth, times, at=at))

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def striking(self, method: str, host: str, path: str, query: str) -> Fault | None:
        """The fault for a request. Each fault counts the requests that it matches, also when another one strikes."""
        line = f"{method} {host}{path}" + (f"?{query}" if query else "")
        with self._lock:
            found = [fault for fault in self._faults if fault.strikes(line)]
        return found[0] if found else None

    def carry(self, size: int) -> None:
        """Take the time that so many bytes take on the line."""
        if self.bytes_per_s and size:
            time.sleep(size / self.bytes_per_s)


def changed_at(data: bytes, at: int) -> bytes:
    """The bytes with one of them changed."""
    if not data:
        return data
    index = max(-len(data), min(at, len(data) - 1))
    changed = bytearray(data)
    changed[index] ^= 0x01
    return bytes(changed)


def garbled(request: Request, fault: Fault | None) -> Request:
    """The request as it reaches the fake."""
    if fault and fault.how == "garble":
        return replace(request, body=changed_at(request.body, fault.at))
    return request


@dataclass(frozen=True)
class Entry:
    """One request that came. at: seconds since the journal began; status: 0 where nothing was answered; token: its
    bearer token, or none."""

    at: float
    method: str
    host: str
    path: str
    query: str
    status: int
    sent: int
    received: int
    token: str = ""

    @property
    def line(self) -> str:
        return f"{self.method} {self.host}{self.path}" + (f"?{self.query}" if self.query else "")


class Journal:
    """Every request in the order of its answers."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._entries: list[Entry] = []
        self._lock = threading.Lock()

    def note(self, request: Request, response: Response | None) -> None:
        status, size = (response.status, len(response.body)) if response else (0, 0)
        at = time.monotonic() - self._begun
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        where = (request.method, request.host, request.path, request.query)
        entry = Entry(at, *where, status, len(request.body), size, token)
        with self._lock:
            self._entries.append(entry)

    @property
    def entries(self) -> list[Entry]:
        with self._lock:
            return list(self._entries)

    def lines(self, match: str = "") -> list[str]:
        """ "METHOD host/path?query" of the requests in which `match` is found."""
        return [entry.line for entry in self.entries if re.search(match, entry.line)]

    def count(self, match: str = "") -> int:
        return len(self.lines(match))

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    @contextmanager
    def counted(self, match: str = "") -> Iterator[list[str]]:
        """Gives a list that has, at the end of the block, the lines of the requests made in it."""
        before = len(self.entries)
        lines: list[str] = []
        yield lines
        lines += [entry.line for entry in self.entries[before:] if re.search(match, entry.line)]
