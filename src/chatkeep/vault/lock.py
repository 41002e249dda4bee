"""Locks, as restic has them: a sealed object that says who works on the vault, and whether alone.

A run that writes holds a shared lock, so that stock `prune` (which must be alone) refuses while we write, and we
refuse while it runs. The lock is put first and the others are looked for afterwards: of two that come at the same
time at least one sees the other. On a storage that settles late the look is late by as much. A lock is renewed
every five minutes and means nothing after thirty. In a folder it goes with its process, so that even a killed run
leaves nothing that would keep stock restic out.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType

import msgspec

from chatkeep.errors import Busy, ChatkeepError, Damaged, NotFound, Unavailable
from chatkeep.storage import watch
from chatkeep.vault.objects import Objects
from chatkeep.vault.sealed import seal_json, unseal_json
from chatkeep.vault.snapshot import format_time, parse_time

FOLDER = "locks/"
RENEW = timedelta(minutes=5)
STALE = timedelta(minutes=30)


class LockObject(msgspec.Struct, kw_only=True):
    """The content of a lock, in restic's field names."""

    time: str
    exclusive: bool = False
    hostname: str = ""
    username: str = ""
    pid: int = 0


class SharedLock:
    """Held while a run writes. Raises Busy on entering when somebody must be alone with the vault."""

    exclusive = False

    def __init__(self, objects: Objects, *, host: str) -> None:
        self._objects = objects
        self._host = host
        self._name = ""
        self._taken = objects.clock()
        self.moment = self._taken
        """When the lock was put, by the clock of the storage where it tells."""
        self._unwatch: Callable[[], None] = lambda: None

    def __enter__(self) -> SharedLock:
        try:
            self._put()
            self._objects.sleep(self._objects.storage.traits.settles)
            self._look_for_others()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def renew(self) -> None:
        """Call often while working. Raises Unavailable when the lock was lost, because the machine slept."""
        age = self._objects.clock() - self._taken
        if age > STALE:
            raise Unavailable("The run was interrupted for longer than its lock lasts; it has to start over.")
        if age > RENEW:
            old, unwatch = self._name, self._unwatch
            self._put()
            self._objects.delete(FOLDER + old)
            unwatch()

    def _put(self) -> None:
        self._taken = self._objects.clock()
        value = LockObject(
            time=format_time(self._taken),
            exclusive=self.exclusive,
            hostname=self._host,
            username="chatkeep",
            pid=os.getpid(),
        )
        self._name, data = seal_json(self._objects.seal, value)
        self._unwatch = watch(self._objects.storage, FOLDER + self._name)  # first: it may be killed in the put
        self.moment = self._objects.put(FOLDER + self._name, data).modified or self._taken

    def _remove(self) -> None:
        with contextlib.suppress(ChatkeepError):  # it grows stale by itself
            self._objects.delete(FOLDER + self._name)
        self._unwatch()

    def _look_for_others(self) -> None:
        for name in sorted(self._objects.names.of(FOLDER)):
            found = self._read(name) if name != self._name else None
            if found is None:
                continue
            stale = self.age(name, found) > STALE
            if found.hostname == self._host and (stale or not _alive(found.pid)):
                self._objects.delete(FOLDER + name)
            elif found.exclusive and not stale:
                raise Busy(f"Another program has the vault to itself (on {found.hostname}, since {found.time[:16]}).")
            elif self.exclusive and not stale:
                raise Busy(f"Another run works on the vault (on {found.hostname}, since {found.time[:16]}).")

    def age(self, name: str, found: LockObject) -> timedelta:
        """How old a lock is: by what it says, or by the clock of the storage, if that makes it older.

        A machine whose clock runs days ahead would else keep others out for as long, should it die at work.
        """
        said = self._objects.clock() - parse_time(found.time)
        if said > STALE:
            return said
        try:
            put = self._objects.storage.stat(FOLDER + name).modified
        except NotFound:
            return timedelta.max
        return max(said, self.moment - put) if put else said

    def _read(self, name: str) -> LockObject | None:
        try:
            data = self._objects.fetch(FOLDER + name)
            return unseal_json(self._objects.seal, name, data, kind=LockObject)
        except NotFound:  # released since it was listed
            return None
        except Damaged as error:
            modified = self._objects.storage.stat(FOLDER + name).modified
            if modified and self.moment - modified > STALE:
                return None
            raise Busy("A lock in the vault cannot be read; it may be one that another program just writes.") from error


class ExclusiveLock(SharedLock):
    """Held while objects are removed. Raises Busy on entering when anybody else works on the vault."""

    exclusive = True


def _alive(pid: int) -> bool:
    if sys.platform == "win32":  # there the call below would not ask but act
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError, ValueError):
        return True
    return True
