"""The text of a JSON file as it streams in: UTF-8 bytes, the part not yet read, and where it is in the file."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import BinaryIO

from chatkeep.errors import Damaged

PIECE = 1 << 20

_SPACE = re.compile(rb"[ \t\r\n]*+")
_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Text:
    """data: what was read and is not done with. offset: byte of the file at which data begins.

    ended: nothing follows data. broken: why it ended before its time, in a sentence, or empty.
    Byte order marks are taken off. UTF-16 and UTF-32 become UTF-8, and offsets then count the UTF-8.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.data = bytearray()
        self.offset = 0
        self.ended = False
        self.broken = ""
        # read1 gives what came before the damage; read would lose it.
        self._read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
        self._decoder: codecs.IncrementalDecoder | None = None
        self._take_off_mark()

    def fill(self, size: int) -> None:
        """Read until data has this size [bytes] or the file ends."""
        while len(self.data) < size and not self.ended:
            self.data += self._next()

    def more(self) -> bool:
        """Read a piece more; whether there was one."""
        had = len(self.data)
        self.fill(had + PIECE)
        return len(self.data) > had

    def drop(self, size: int) -> None:
        """Be done with the first bytes of data."""
        del self.data[:size]
        self.offset += size

    def skip_space(self) -> int:
        """Drop spaces; the next byte, or -1 at the end."""
        while True:
            found = _SPACE.match(self.data)
            self.drop(found.end() if found else 0)
            if self.data:
                return self.data[0]
            if not self.more():
                return -1

    def space_after(self, at: int) -> int:
        """Where the next byte is that is not a space, reading on as needed; len(data) at the end."""
        while True:
            found = _SPACE.match(self.data, at)
            at = found.end() if found else at
            if at < len(self.data) or not self.more():
                return at

    def _next(self) -> bytes:
        try:
            piece = self._read(PIECE)
        except Damaged as error:
            self.broken, piece = error.what, b""
        except OSError:
            self.broken, piece = "The disk does not give the rest of this file.", b""
        self.ended = not piece
        return self._as_utf8(piece)

    def _as_utf8(self, piece: bytes) -> bytes:
        if self._decoder is None:
            return piece
        try:
            return self._decoder.decode(piece).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            self.broken, self.ended = "The rest is not the text that the beginning of the file promises.", True
            return b""

    def _take_off_mark(self) -> None:
        self.fill(4)
        if self.data.startswith(codecs.BOM_UTF8):
            self.drop(len(codecs.BOM_UTF8))
            return
        for mark, name in _WIDE:
            if self.data.startswith(mark):
                self._decoder = codecs.getincrementaldecoder(name)("surrogatepass")
                start = bytes(self.data[len(mark) :])
                self.data = bytearray(self._as_utf8(start))
                return
