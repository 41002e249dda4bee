"""Reading a stretch of a file, stored or deflated, with its length, checksum and growth watched.

zipfile reads such members at the same speed but trusts their headers; here every byte is counted as it appears.
"""

from __future__ import annotations

import io
import threading
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from chatkeep.errors import Damaged
from chatkeep.source.limits import Limits, too_dense

PACKED_CHUNK = 1 << 17
BUFFER = 1 << 18


class SharedFile:
    """One open file that several streams read at their own places, also in several threads."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.size = file.seek(0, io.SEEK_END)

    def read_at(self, offset: int, n: int) -> bytes:
        """Up to n bytes from this place on; fewer at the end. Raises Damaged when the disk does not give them."""
        try:
            with self._lock:
                self._file.seek(offset)
                return self._file.read(n)
        except OSError as error:
            raise Damaged("The disk does not give the rest of a file.") from error

    def close(self) -> None:
        self._file.close()


class PartOfFile(SharedFile):
    """A file that lies as it is inside another one."""

    def __init__(self, outer: SharedFile, *, start: int, size: int) -> None:
        self._outer = outer
        self._start = start
        self.size = size

    def read_at(self, offset: int, n: int) -> bytes:
        return self._outer.read_at(self._start + offset, max(min(n, self.size - offset), 0))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where the packed bytes of one member lie, and what should come out of them.

    packed: their number, or None when the zip is cut off and does not say; then they go on to the end of the file.
    size, crc: of the content; None when not known.
    """

    file: SharedFile
    start: int
    packed: int | None
    size: int | None
    crc: int | None
    deflated: bool
    where: str

    @property
    def end(self) -> int:
        return self.file.size if self.packed is None else self.start + self.packed


def stream(stretch: Stretch, limits: Limits) -> BinaryIO:
    """The content of a stretch, for reading onwards. Raises Damaged and UnsafeSource while reading."""
    raw = _Inflated(stretch, limits) if stretch.deflated else _Stored(stretch)
    return io.BufferedReader(raw, BUFFER)


class _Watched(io.RawIOBase):
    """Counts and sums what comes out, and compares it with what was declared."""

    def __init__(self, stretch: Stretch) -> None:
        self._stretch = stretch
        self._at = stretch.start
        self._given = 0
        self._crc = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._next(len(buffer))
        if not piece:
            self._check_end()
            return 0
        self._given += len(piece)
        self._check_growth()
        self._crc = zlib.crc32(piece, self._crc)
        buffer[: len(piece)] = piece
        return len(piece)

    def _next(self, n: int) -> bytes:
        """Up to n further bytes of content; none at the end."""
        raise io.UnsupportedOperation("read")

    def _packed(self, n: int) -> bytes:
        piece = self._stretch.file.read_at(self._at, min(n, self._stretch.end - self._at))
        self._at += len(piece)
        return piece

    def _check_growth(self) -> None:
        size = self._stretch.size
        if size is not None and self._given > size:
            raise Damaged(f"{self._stretch.where} holds more than the {size:,} bytes its zip declares.")

    def _check_end(self) -> None:
        stretch = self._stretch
        if stretch.size is not None and self._given != stretch.size:
            raise Damaged(f"{stretch.where} ends after {self._given:,} of {stretch.size:,} bytes.")
        if stretch.crc is not None and self._crc != stretch.crc:
            raise Damaged(f"{stretch.where} is damaged: its checksum does not match.")


class _Stored(_Watched):
    def _next(self, n: int) -> bytes:
        piece = self._packed(n)
        if not piece and self._stretch.packed is None:
            raise Damaged(f"{self._stretch.where} is cut off after {self._given:,} bytes.")
        return piece


class _Inflated(_Watched):
    def __init__(self, stretch: Stretch, limits: Limits) -> None:
        super().__init__(stretch)
        self._limits = limits
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def _next(self, n: int) -> bytes:
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._packed(PACKED_CHUNK)
            if not packed:
                raise Damaged(f"{self._stretch.where} is cut off after {self._given:,} bytes.")
            try:
                piece = self._inflate.decompress(packed, n)
            except zlib.error as error:
                raise Damaged(f"{self._stretch.where} is damaged after {self._given:,} bytes.") from error
            if piece:
                return piece
        return b""

    def _check_growth(self) -> None:
        super()._check_growth()
        taken = self._at - self._stretch.start - len(self._inflate.unconsumed_tail)
        if self._limits.is_too_dense(self._given, taken):
            raise too_dense(self._stretch.where, self._limits)
