"""What a storage must remember beyond the life of a process: uploads under way, ids of folders, cursors of feeds."""

from __future__ import annotations

import threading
from typing import Protocol


class Notes(Protocol):
    """Small values under short keys, of one connection.

    They are kept sealed, because the address of an upload under way is a secret of its own. A note may be lost: it
    then costs requests and never data. Several threads and processes may use the same notes; the last put counts.
    """

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, value: bytes) -> None: ...
    def drop(self, key: str) -> None: ...


class MemoryNotes:
    """Notes that live as long as the process: for tests, and for a look at an account before it is connected."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        with self._lock:
            return self._kept.get(key)

    def put(self, key: str, value: bytes) -> None:
        with self._lock:
            self._kept[key] = value

    def drop(self, key: str) -> None:
        with self._lock:
            self._kept.pop(key, None)
