"""A place at a provider that keeps named bytes for us: the protocol, its promises, and what wraps around one.

Everything above (the vault, readable copies, the inbox) speaks to a provider through these five verbs. Retrying,
counting, pacing, read-only and "below a folder" wrap a storage and are storages, so they can be put in any
order.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from chatkeep.errors import ChatkeepError, Refused, SlowDown, WrongUse

MAX_OBJECT = 32 * 1024 * 1024
"""The largest object a storage must take [bytes]. Values are whole bytes because of it."""

LONGEST_PART = 255
LONGEST_NAME = 1024

T = TypeVar("T")


class Traits(msgspec.Struct, frozen=True):
    """How a storage differs from an ordinary one. Declared, so that nobody asks for a provider by name.

    folds_case: "A" and "a" are one name.
    doubles: two objects may bear one name after a race; delete removes all of them.
    settles: how long after a put a get or listing may still miss it [s].
    """

    folds_case: bool = False
    doubles: bool = False
    settles: float = 0.0


class StoredObject(msgspec.Struct, frozen=True):
    """One named object as the storage has it. size [bytes]; modified is None where the provider does not
    say.
    """

    name: str
    size: int
    modified: datetime | None = None


class Storage(Protocol):
    """A place at a provider that keeps named bytes for us.

    Callers may rely on this:
    - An object is whole or absent. A failed or interrupted put leaves nothing to be seen.
    - Once put has returned, get and listing show the object within traits.settles [s], and it survives a
      crash.
    - A listing is complete or it raises. Pruning by a shortened list would delete good data.
    - Objects are at most MAX_OBJECT [bytes], so values are bytes and every verb can be repeated.
    - Nothing outside our folder is read, changed or listed.
    - Several threads may call at once.

    Names are parts joined by "/", see check_name; a name is kept exactly or refused, never bent.
    put replaces what has the name. get gives b"" past the end; get and stat raise NotFound for what is not
    there. listing gives every object whose name starts with prefix (any string), in the order of names.
    Deleting what is not there and closing twice are quiet.
    """

    @property
    def traits(self) -> Traits: ...

    def put(self, name: str, data: bytes) -> StoredObject: ...
    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes: ...
    def stat(self, name: str) -> StoredObject: ...
    def listing(self, prefix: str = "") -> list[StoredObject]: ...
    def delete(self, name: str) -> None: ...
    def close(self) -> None: ...


def check_name(name: str) -> None:
    """Refuse a name that no storage may take: one that could leave the folder, or that systems bend.

    Raises Refused for an empty name or part, ".", "..", a backslash, a control character, a lone surrogate,
    a part longer than 255 or a name longer than 1024 bytes of UTF-8.
    """
    try:
        parts = [part.encode() for part in name.split("/")]
    except UnicodeEncodeError:
        raise Refused("A name for a stored object holds half a character.") from None
    if any(not part or part in (b".", b"..") or len(part) > LONGEST_PART for part in parts):
        raise Refused("A name for a stored object has an empty, dotted or too long part.")
    if len(name.encode()) > LONGEST_NAME or any(c == "\\" or c < " " or c == "\x7f" for c in name):
        raise Refused("A name for a stored object is too long or holds a character that no storage takes.")


def check_put(name: str, data: bytes) -> None:
    """Refuse a put that no storage may take. Raises Refused."""
    check_name(name)
    if len(data) > MAX_OBJECT:
        raise Refused(f"An object of {len(data)} bytes is larger than a storage takes ({MAX_OBJECT}).")


def check_range(start: int, length: int | None) -> None:
    """Refuse a range that means nothing. Raises WrongUse."""
    if start < 0 or (length is not None and length < 0):
        raise WrongUse("A range of bytes cannot start or end before its beginning.")


def watch(storage: Storage, name: str) -> Callable[[], None]:
    """Have an object removed should this process die, where the storage can do that (a folder can).

    Gives what ends the watch and removes the object; calling it twice is quiet. Elsewhere it does nothing. It is for
    locks: one that outlives its process would keep others from the vault until it grows stale.
    """
    watching: Callable[[str], Callable[[], None]] | None = getattr(storage, "watch", None)
    return watching(name) if watching else lambda: None


class Around:
    """A storage that hands every call to another one; the wrappers below change what they are about."""

    def __init__(self, inner: Storage) -> None:
        self.inner = inner

    @property
    def traits(self) -> Traits:
        return self.inner.traits

    def put(self, name: str, data: bytes) -> StoredObject:
        return self.inner.put(name, data)

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        return self.inner.get(name, start=start, length=length)

    def stat(self, name: str) -> StoredObject:
        return self.inner.stat(name)

    def listing(self, prefix: str = "") -> list[StoredObject]:
        return self.inner.listing(prefix)

    def delete(self, name: str) -> None:
        self.inner.delete(name)

    def watch(self, name: str) -> Callable[[], None]:
        return watch(self.inner, name)

    def close(self) -> None:
        self.inner.close()


class Retrying(Around):
    """Repeats a call that failed for a while, so that a short outage is not seen above.

    Only errors that say `temporary` are repeated, at most `attempts` times in all, after waits that double
    from `first_wait_s` and are spread at random. A storage that names its own wait (SlowDown) is given at
    least that; a wait above `patience_s` is passed on, for the job to be put off instead of a thread held.
    """

    def __init__(
        self,
        inner: Storage,
        *,
        attempts: int = 5,
        first_wait_s: float = 0.5,
        patience_s: float = 120.0,
        sleep: Callable[[float], None] = time.sleep,
        spread: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(inner)
        self._attempts = attempts
        self._first_wait_s = first_wait_s
        self._patience_s = patience_s
        self._sleep = sleep
        self._spread = spread

    def _again(self, call: Callable[[], T]) -> T:
        for attempt in range(1, self._attempts):
            try:
                return call()
            except ChatkeepError as error:
                wait = self._wait(error, attempt)
                if not error.temporary or wait > self._patience_s:
                    raise
                self._sleep(wait)
        return call()

    def _wait(self, error: ChatkeepError, attempt: int) -> float:
        own = self._first_wait_s * 2.0 ** (attempt - 1) * (0.5 + self._spread())
        return max(own, error.wait_s) if isinstance(error, SlowDown) else min(own, self._patience_s)

    def put(self, name: str, data: bytes) -> StoredObject:
        return self._again(lambda: self.inner.put(name, data))

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        return self._again(lambda: self.inner.get(name, start=start, length=length))

    def stat(self, name: str) -> StoredObject:
        return self._again(lambda: self.inner.stat(name))

    def listing(self, prefix: str = "") -> list[StoredObject]:
        return self._again(lambda: self.inner.listing(prefix))

    def delete(self, name: str) -> None:
        self._again(lambda: self.inner.delete(name))


class Counting(Around):
    """Counts what goes through, for reports and for figures.

    calls: how often each verb was called, also when it failed. sent, received: bytes of objects.
    """

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.calls: Counter[str] = Counter()
        self.sent = 0
        self.received = 0
        self._lock = threading.Lock()

    @property
    def requests(self) -> int:
        """All calls so far."""
        return self.calls.total()

    def _count(self, verb: str, *, sent: int = 0, received: int = 0) -> None:
        with self._lock:
            self.calls[verb] += 1
            self.sent += sent
            self.received += received

    def put(self, name: str, data: bytes) -> StoredObject:
        self._count("put", sent=len(data))
        return self.inner.put(name, data)

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        self._count("get")
        data = self.inner.get(name, start=start, length=length)
        with self._lock:
            self.received += len(data)
        return data

    def stat(self, name: str) -> StoredObject:
        self._count("stat")
        return self.inner.stat(name)

    def listing(self, prefix: str = "") -> list[StoredObject]:
        self._count("listing")
        return self.inner.listing(prefix)

    def delete(self, name: str) -> None:
        self._count("delete")
        self.inner.delete(name)


class ReadOnly(Around):
    """A storage that can be looked at and not changed: put and delete raise Refused."""

    def put(self, name: str, data: bytes) -> StoredObject:
        raise Refused("This place was opened for reading only.")

    def delete(self, name: str) -> None:
        raise Refused("This place was opened for reading only.")


class Paced(Around):
    """Lets calls through no faster than `per_second`, for all threads together; short bursts may pass at
    once.
    """

    def __init__(
        self,
        inner: Storage,
        *,
        per_second: float,
        burst: int = 10,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._gap = 1 / per_second
        self._slack = self._gap * burst
        self._sleep = sleep
        self._clock = clock
        self._next = clock() - self._slack
        self._lock = threading.Lock()

    def _wait(self) -> None:
        with self._lock:
            now = self._clock()
            self._next = max(self._next, now - self._slack) + self._gap
            wait = self._next - now
        if wait > 0:
            self._sleep(wait)

    def put(self, name: str, data: bytes) -> StoredObject:
        self._wait()
        return self.inner.put(name, data)

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        self._wait()
        return self.inner.get(name, start=start, length=length)

    def stat(self, name: str) -> StoredObject:
        self._wait()
        return self.inner.stat(name)

    def listing(self, prefix: str = "") -> list[StoredObject]:
        self._wait()
        return self.inner.listing(prefix)

    def delete(self, name: str) -> None:
        self._wait()
        self.inner.delete(name)


class Below(Around):
    """The part of a storage under one folder, seen as a storage of its own."""

    def __init__(self, inner: Storage, folder: str) -> None:
        super().__init__(inner)
        check_name(folder)
        self._root = folder + "/"

    def _inside(self, stored: StoredObject) -> StoredObject:
        return msgspec.structs.replace(stored, name=stored.name.removeprefix(self._root))

    def _name(self, name: str) -> str:
        check_name(name)
        return self._root + name

    def put(self, name: str, data: bytes) -> StoredObject:
        return self._inside(self.inner.put(self._name(name), data))

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        return self.inner.get(self._name(name), start=start, length=length)

    def stat(self, name: str) -> StoredObject:
        return self._inside(self.inner.stat(self._name(name)))

    def listing(self, prefix: str = "") -> list[StoredObject]:
        return [self._inside(stored) for stored in self.inner.listing(self._root + prefix)]

    def delete(self, name: str) -> None:
        self.inner.delete(self._name(name))

    def watch(self, name: str) -> Callable[[], None]:
        return watch(self.inner, self._name(name))
