"""A place at a provider that keeps named bytes for us: the protocol, its promises, and what wraps around one.

Everything above (the vault, readable copies, the inbox) speaks to a provider through these five verbs. What some
providers can do beside them (tell what changed, take many objects in one request) is asked through the functions
`changes`, `put_many`, `delete_many`, `move`, `watch` and `link`, which make do with the five verbs elsewhere. Retrying,
counting, pacing, read-only and "below a folder" wrap a storage and are storages, so they can be put in any order.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from chatkeep import happenings
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
    parallel: how many calls at once are worth their while; 1 where waiting is no part of a call.
    """

    folds_case: bool = False
    doubles: bool = False
    settles: float = 0.0
    parallel: int = 1


class StoredObject(msgspec.Struct, frozen=True):
    """One named object as the storage has it. size [bytes]; modified is None where the provider does not
    say.
    """

    name: str
    size: int
    modified: datetime | None = None


class Changes(msgspec.Struct, frozen=True):
    """What happened in a storage since a cursor was given.

    changed, gone: names of objects that were put, and that are no longer there. A name may be told again that was
        told before; none is left out.
    cursor: where to ask from next time. Any text; it may be kept for months.
    complete: False when the storage cannot tell (there was no cursor, or it is no longer known): list everything
        once, and use the new cursor from then on. What happens during that listing is told by the cursor.
    """

    changed: frozenset[str]
    gone: frozenset[str]
    cursor: str
    complete: bool


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


def links(storage: Storage) -> bool:
    """Whether the storage keeps objects as files of this machine, so that `link` may work."""
    return hasattr(_bare(storage), "link")


def link(storage: Storage, name: str, path: Path) -> bool:
    """Give the file of an object a second name, `path`, where nothing is yet: no byte of it is copied.

    False when the storage keeps no files, or keeps them on another disk or on one without such names; then there is
    nothing at `path`.
    """
    linking: Callable[[str, Path], bool] | None = getattr(storage, "link", None)
    return linking(name, path) if linking else False


def changes(storage: Storage, cursor: str = "") -> Changes | None:
    """What happened since the cursor, or None if this storage has no such feed.

    cursor: from the Changes before; "" for the first call, which only gives a cursor to begin with. Where nothing
    happened it costs one request.
    """
    asking: Callable[[str], Changes | None] | None = getattr(storage, "changes", None)
    return asking(cursor) if asking else None


def put_many(storage: Storage, objects: Mapping[str, bytes]) -> list[StoredObject]:
    """Put several objects, in as few requests as the storage can; given back in the order of `objects`.

    All are there whole when it returns. After an error some may be there, each of them whole. Which of them is
    written first is not promised: what must come last (a snapshot) is a put of its own.
    """
    putting: Callable[[Mapping[str, bytes]], list[StoredObject]] | None = getattr(storage, "put_many", None)
    if putting:
        return putting(objects)
    return each(lambda name: storage.put(name, objects[name]), objects, storage.traits.parallel)


def delete_many(storage: Storage, names: Iterable[str]) -> None:
    """Delete several objects, in as few requests as the storage can. Names that are not there are quiet."""
    deleting: Callable[[list[str]], None] | None = getattr(storage, "delete_many", None)
    if deleting:
        deleting(list(names))
    else:
        each(storage.delete, names, storage.traits.parallel)


def move(storage: Storage, old: str, new: str) -> None:
    """Give an object another name; what had that name is replaced. Raises NotFound when there is no such object.

    A storage that can do it itself moves objects of any size at once. Elsewhere it is a put and a delete: a crash
    between them leaves both names, never neither.
    """
    moving: Callable[[str, str], None] | None = getattr(storage, "move", None)
    if moving:
        moving(old, new)
    elif old != new:
        storage.put(new, storage.get(old))
        storage.delete(old)


def each(call: Callable[[str], T], names: Iterable[str], parallel: int) -> list[T]:
    """The results of one call per name, several at once where that helps. After an error no further one is begun."""
    listed = list(names)
    if parallel == 1 or len(listed) < 2:
        return [call(name) for name in listed]
    with ThreadPoolExecutor(min(parallel, len(listed))) as pool:
        there = happenings.carried(call)
        waiting = [pool.submit(there, name) for name in listed]
        try:
            return [one.result() for one in waiting]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _bare(storage: Storage) -> Storage:
    """The storage itself, without what is wrapped around it."""
    while isinstance(storage, Around):
        storage = storage.inner
    return storage


class Around:
    """A storage that hands every call to another one, through `_through`; the wrappers below change that.

    A verb that the inner storage does not offer by itself is made of the five verbs of this wrapper, so that each
    single call passes through it.
    """

    def __init__(self, inner: Storage) -> None:
        self.inner = inner

    def _through(self, verb: str, name: str, call: Callable[[], T]) -> T:
        """Every call comes by here. verb: "put", "get", ...; name: of the object, or what the verb has instead."""
        return call()

    def _offers(self, verb: str) -> bool:
        return hasattr(_bare(self), verb)

    @property
    def traits(self) -> Traits:
        return self.inner.traits

    def put(self, name: str, data: bytes) -> StoredObject:
        return self._through("put", name, lambda: self.inner.put(name, data))

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        return self._through("get", name, lambda: self.inner.get(name, start=start, length=length))

    def stat(self, name: str) -> StoredObject:
        return self._through("stat", name, lambda: self.inner.stat(name))

    def listing(self, prefix: str = "") -> list[StoredObject]:
        return self._through("listing", prefix, lambda: self.inner.listing(prefix))

    def delete(self, name: str) -> None:
        self._through("delete", name, lambda: self.inner.delete(name))

    def watch(self, name: str) -> Callable[[], None]:
        return watch(self.inner, name)

    def link(self, name: str, path: Path) -> bool:
        return link(self.inner, name, path)

    def changes(self, cursor: str) -> Changes | None:
        if not self._offers("changes"):
            return None
        return self._through("changes", cursor, lambda: changes(self.inner, cursor))

    def put_many(self, objects: Mapping[str, bytes]) -> list[StoredObject]:
        if not self._offers("put_many"):
            return each(lambda name: self.put(name, objects[name]), objects, self.traits.parallel)
        return self._through("put_many", "", lambda: put_many(self.inner, objects))

    def delete_many(self, names: Iterable[str]) -> None:
        listed = list(names)
        if not self._offers("delete_many"):
            each(self.delete, listed, self.traits.parallel)
        else:
            self._through("delete_many", "", lambda: delete_many(self.inner, listed))

    def move(self, old: str, new: str) -> None:
        if self._offers("move"):
            self._through("move", old, lambda: move(self.inner, old, new))
        elif old != new:
            self.put(new, self.get(old))
            self.delete(old)

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

    def _through(self, verb: str, name: str, call: Callable[[], T]) -> T:
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
        self._before = self._made()

    def _made(self) -> int | None:
        """The requests that the storage itself says it made, all in all; None where a call is no request."""
        made: Any = getattr(_bare(self), "requests", None)
        return None if made is None else int(made)

    @property
    def requests(self) -> int:
        """Real requests so far, repeated ones and those for signing in too; where there are none, all calls."""
        made = self._made()
        return self.calls.total() if made is None else made - (self._before or 0)

    def _through(self, verb: str, name: str, call: Callable[[], T]) -> T:
        with self._lock:
            self.calls[verb] += 1
        return call()

    def _sending(self, size: int) -> None:
        with self._lock:
            self.sent += size

    def put(self, name: str, data: bytes) -> StoredObject:
        self._sending(len(data))
        return super().put(name, data)

    def put_many(self, objects: Mapping[str, bytes]) -> list[StoredObject]:
        if self._offers("put_many"):  # else each of them is counted by put
            self._sending(sum(len(data) for data in objects.values()))
        return super().put_many(objects)

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        data = super().get(name, start=start, length=length)
        with self._lock:
            self.received += len(data)
        return data


class ReadOnly(Around):
    """A storage that can be looked at and not changed: every verb that writes or deletes raises Refused."""

    def _through(self, verb: str, name: str, call: Callable[[], T]) -> T:
        if verb in ("put", "put_many", "delete", "delete_many", "move"):
            raise Refused("This place was opened for reading only.")
        return call()


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

    def _through(self, verb: str, name: str, call: Callable[[], T]) -> T:
        with self._lock:
            now = self._clock()
            self._next = max(self._next, now - self._slack) + self._gap
            wait = self._next - now
        if wait > 0:
            self._sleep(wait)
        return call()


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

    def link(self, name: str, path: Path) -> bool:
        return link(self.inner, self._name(name), path)

    def changes(self, cursor: str) -> Changes | None:
        told = changes(self.inner, cursor)
        if told is None:
            return None
        return msgspec.structs.replace(told, changed=self._ours(told.changed), gone=self._ours(told.gone))

    def _ours(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(name.removeprefix(self._root) for name in names if name.startswith(self._root))

    def put_many(self, objects: Mapping[str, bytes]) -> list[StoredObject]:
        stored = put_many(self.inner, {self._name(name): data for name, data in objects.items()})
        return [self._inside(one) for one in stored]

    def delete_many(self, names: Iterable[str]) -> None:
        delete_many(self.inner, [self._name(name) for name in names])

    def move(self, old: str, new: str) -> None:
        move(self.inner, self._name(old), self._name(new))
