"""One at a time, across threads and processes: a lock on a file that the system drops when its holder dies."""

from __future__ import annotations

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
    """Wait until nobody else on this machine is in such a block of the same name and data folder; then be in it.

    It does not nest: a thread that takes the same name twice waits for itself.
    """
    folder = home / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock(handle)  # each opening of the file has a lock of its own, so threads exclude one another too
        yield
    finally:
        os.close(handle)
