"""Attachments by content: `attachments/ab/<sha256>`.

A file under its final name is whole and on disk. New ones wait in memory or under `attachments/new/`; `settle` syncs
them, names them, and syncs their folders. The archive calls it before it commits the rows that speak of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_PIECE = 1 << 20
_AT_ONCE = 8
_SMALL = 64 << 10
_MOST_IN_MEMORY = 8 << 20


@dataclass(slots=True)
class _Waiting:
    """Bytes that were kept: small ones in memory, as making a file is slow; others in a file."""

    size: int
    data: bytes | None
    path: Path | None

    def drop(self) -> None:
        if self.path:
            self.path.unlink(missing_ok=True)


class Files:
    """The attachments in one folder. Two threads or programs may keep the same bytes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._new: dict[str, _Waiting] = {}
        self._in_memory = 0
        # One thread keeps while another settles.
        self._lock = threading.Lock()

    def path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def keep(self, stream: BinaryIO) -> tuple[str, int, bytes]:
        """Takes the bytes of a stream: their hash, size and first 64 bytes. They are safe after `settle`."""
        start = _read(stream, _SMALL + 1)
        if len(start) <= _SMALL and self._in_memory < _MOST_IN_MEMORY:
            sha256 = hashlib.sha256(start).hexdigest()
            self._wait(sha256, _Waiting(len(start), start, None))
            return sha256, len(start), start[:64]
        waiting = self._name()
        try:
            sha256, size = _copy(start, stream, waiting)
        except BaseException:
            waiting.unlink(missing_ok=True)
            raise
        self._wait(sha256, _Waiting(size, None, waiting))
        return sha256, size, start[:64]

    def _name(self) -> Path:
        waiting = self.folder / "new" / secrets.token_hex(8)
        waiting.parent.mkdir(parents=True, exist_ok=True)
        return waiting

    def _wait(self, sha256: str, waiting: _Waiting) -> None:
        """Notes what is kept, also when the same is in place already: until `settle`, somebody may remove that."""
        with self._lock:
            kept = self._new.setdefault(sha256, waiting)
            if kept is waiting and waiting.data is not None:
                self._in_memory += waiting.size
        if kept is not waiting:
            waiting.drop()

    def _take_new(self) -> dict[str, _Waiting]:
        with self._lock:
            new, self._new, self._in_memory = self._new, {}, 0
        return new

    def settle(self) -> list[tuple[str, int]]:
        """Puts what was kept in its place, on disk for good: (hash, size) of each. The caller holds the write lock."""
        new = self._take_new()
        moves = []
        for sha256, waiting in new.items():
            if _has(final := self.path(sha256), waiting.size):
                waiting.drop()
            else:
                moves.append((waiting, final))
        if moves:
            self._put_in_place(moves)
        return [(sha256, waiting.size) for sha256, waiting in new.items()]

    def _put_in_place(self, moves: list[tuple[_Waiting, Path]]) -> None:
        """Disks sync many files at once in little more time than one."""

        def move(one: tuple[_Waiting, Path]) -> None:
            waiting, final = one
            if waiting.data is not None:
                waiting.path = self._name()
                waiting.path.write_bytes(waiting.data)
            assert waiting.path
            _sync(waiting.path)
            waiting.path.replace(final)

        folders = {final.parent for _, final in moves}
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(min(len(moves), _AT_ONCE), thread_name_prefix="chatkeep-sync") as pool:
            list(pool.map(move, moves))
            list(pool.map(_sync, [*folders, self.folder]))

    def forget_new(self) -> None:
        """Drops what was kept and not settled."""
        for waiting in self._take_new().values():
            waiting.drop()

    def sweep(self) -> None:
        """Removes what a program that was killed left behind: what has waited for more than a day."""
        for waiting in (self.folder / "new").glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if waiting.stat().st_mtime < time.time() - 86_400:
                    waiting.unlink()

    def remove(self, sha256: str) -> int:
        """Removes a file; says its size [bytes], 0 when it was not there."""
        path = self.path(sha256)
        with contextlib.suppress(FileNotFoundError):
            size = path.stat().st_size
            path.unlink()
            return size
        return 0


def _read(stream: BinaryIO, most: int) -> bytes:
    """The next bytes of a stream, as many as asked for unless it ends."""
    pieces, size = [], 0
    while size < most and (piece := stream.read(most - size)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _copy(start: bytes, stream: BinaryIO, path: Path) -> tuple[str, int]:
    digest, size, piece = hashlib.sha256(), 0, start
    with path.open("wb") as out:
        while piece:
            digest.update(piece)
            out.write(piece)
            size += len(piece)
            piece = stream.read(_PIECE)
    return digest.hexdigest(), size


def _has(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
