"""Attachments by content: `attachments/ab/<sha256>`.

A file under its final name is whole and on disk. New ones wait under `attachments/new/`; `settle` syncs them, names
them, and syncs their folders. The archive calls it before it commits the rows that speak of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

_PIECE = 1 << 20
_AT_ONCE = 8


class Files:
    """The attachments in one folder. Two threads or programs may keep the same bytes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._new: dict[str, tuple[Path, int]] = {}

    def path(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def keep(self, stream: BinaryIO) -> tuple[str, int, bytes]:
        """Takes the bytes of a stream: their hash, size and first 64 bytes. They are safe after `settle`."""
        waiting = self.folder / "new" / secrets.token_hex(8)
        waiting.parent.mkdir(parents=True, exist_ok=True)
        try:
            sha256, size, head = _copy(stream, waiting)
        except BaseException:
            waiting.unlink(missing_ok=True)
            raise
        if sha256 in self._new:
            waiting.unlink()
        else:
            # Also when the same is in place already: until `settle`, somebody may remove that.
            self._new[sha256] = (waiting, size)
        return sha256, size, head

    def settle(self) -> list[tuple[str, int]]:
        """Puts what was kept in its place, on disk for good: (hash, size) of each. The caller holds the write lock."""
        new, self._new = self._new, {}
        moves = []
        for sha256, (waiting, size) in new.items():
            if _has(final := self.path(sha256), size):
                waiting.unlink()
            else:
                moves.append((waiting, final))
        folders = {final.parent for _, final in moves}
        for folder in folders:
            folder.mkdir(exist_ok=True)
        if moves:
            # Disks sync many files at once in little more time than one.
            with ThreadPoolExecutor(min(len(moves), _AT_ONCE), thread_name_prefix="chatkeep-sync") as pool:
                list(pool.map(_put_in_place, moves))
                list(pool.map(_sync, [*folders, self.folder]))
        return [(sha256, size) for sha256, (_, size) in new.items()]

    def forget_new(self) -> None:
        """Drops what was kept and not settled."""
        new, self._new = self._new, {}
        for waiting, _ in new.values():
            waiting.unlink(missing_ok=True)

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


def _copy(stream: BinaryIO, path: Path) -> tuple[str, int, bytes]:
    digest, size, head = hashlib.sha256(), 0, b""
    with path.open("wb") as out:
        while piece := stream.read(_PIECE):
            head += piece[: 64 - len(head)]
            digest.update(piece)
            out.write(piece)
            size += len(piece)
    return digest.hexdigest(), size, head


def _put_in_place(move: tuple[Path, Path]) -> None:
    waiting, final = move
    _sync(waiting)
    waiting.replace(final)


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
