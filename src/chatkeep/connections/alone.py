"""One at a time, across threads, processes and machines, by a lock that is dropped when its holder dies.

On a laptop it is a lock on a file; on a server one in the database, which all machines share.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)


@contextmanager
def alone(home: Path, name: str) -> Iterator[None]:
    """Wait until nobody else of this installation is in such a block of the same name; then be in it.

    It does not nest: a thread that takes the same name twice waits for itself.
    """
    with _with_a_file(home, name) if is_laptop() else _with_the_database(name):
        yield


@contextmanager
def _with_the_database(name: str) -> Iterator[None]:
    from django.db import connection

    # A connection of its own: the lock ends with it, whatever becomes of the transactions of the block.
    own = connection.copy()
    own.settings_dict["OPTIONS"].pop("pool", None)
    try:
        with own.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_number(name)])
        yield
    finally:
        own.close()


def is_laptop() -> bool:
    """Whether this program has no database, or one in a file."""
    from django.conf import settings

    return not settings.configured or settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")


def _number(name: str) -> int:
    """The number of a lock in the database [64 bits, signed]."""
    return int.from_bytes(hashlib.sha256(f"chatkeep/{name}".encode()).digest()[:8], "big", signed=True)


@contextmanager
def _with_a_file(home: Path, name: str) -> Iterator[None]:
    folder = home / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(handle)  # each opening of the file has a lock of its own, so threads exclude one another too
        yield
    finally:
        os.close(handle)
