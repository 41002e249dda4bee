"""A storage in memory, gone with the process: for tests, trials and rehearsals."""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime

from chatkeep.errors import NotFound
from chatkeep.providers.provider import Provider
from chatkeep.storage import Changes, StoredObject, Traits, check_name, check_put, check_range


class Memory:
    """Named bytes in a dictionary, and a feed of what changed. A second handle to the same bytes is Memory(first)."""

    traits = Traits()

    def __init__(self, shared: Memory | None = None) -> None:
        self._objects: dict[str, tuple[bytes, datetime]] = shared._objects if shared else {}
        self._told: list[str] = shared._told if shared else []
        self._feed: str = shared._feed if shared else secrets.token_hex(8)
        self._lock: threading.Lock = shared._lock if shared else threading.Lock()

    def _of(self, name: str) -> tuple[bytes, datetime]:
        check_name(name)
        with self._lock:
            if name not in self._objects:
                raise NotFound(f"{name} is not there.")
            return self._objects[name]

    def put(self, name: str, data: bytes) -> StoredObject:
        check_put(name, data)
        now = datetime.now(UTC)
        with self._lock:
            self._objects[name] = (bytes(data), now)
            self._told.append(name)
        return StoredObject(name, len(data), now)

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        data, _ = self._of(name)
        return data[start : None if length is None else start + length]

    def stat(self, name: str) -> StoredObject:
        data, modified = self._of(name)
        return StoredObject(name, len(data), modified)

    def listing(self, prefix: str = "") -> list[StoredObject]:
        with self._lock:
            found = [(name, kept) for name, kept in self._objects.items() if name.startswith(prefix)]
        return [StoredObject(name, len(data), modified) for name, (data, modified) in sorted(found)]

    def delete(self, name: str) -> None:
        check_name(name)
        with self._lock:
            if self._objects.pop(name, None):
                self._told.append(name)

    def changes(self, cursor: str) -> Changes:
        """What happened since the cursor; a cursor of another memory tells nothing. See storage.changes."""
        feed, _, at = cursor.partition(":")
        with self._lock:
            now = f"{self._feed}:{len(self._told)}"
            if feed != self._feed or not at.isdecimal() or int(at) > len(self._told):
                return Changes(frozenset(), frozenset(), now, complete=False)
            names = frozenset(self._told[int(at) :])
            changed = names & self._objects.keys()
        return Changes(changed, names - changed, now, complete=True)

    def close(self) -> None:
        """Nothing is held open."""


MEMORY = Provider(
    name="memory",
    title="This program's memory (for trials)",
    needs=(),
    open=lambda settings, new, means: Memory(),
)
