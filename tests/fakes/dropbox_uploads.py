"""Upload sessions of the fake Dropbox: bytes that were sent and are not a file yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fakes.dropbox_tree import BLOCK, Wrong, content_hash

LIFE_S = 7 * 24 * 3600
LARGEST_FILE = 2**41 - 2**22


@dataclass
class Session:
    """The bytes of one file to be. parts: by offset, where several may be sent at once."""

    started: float
    concurrent: bool = False
    data: bytearray = field(default_factory=bytearray)
    parts: dict[int, bytes] = field(default_factory=dict)
    closed: bool = False

    def append(self, offset: int, piece: bytes, *, close: bool) -> None:
        """Take the next bytes. Raises Wrong, with the offset that would have been right."""
        if self.closed:
            raise Wrong("closed")
        if self.concurrent:
            self._aside(offset, piece, close=close)
        elif offset != len(self.data):
            raise Wrong("incorrect_offset", correct_offset=len(self.data))
        elif offset + len(piece) > LARGEST_FILE:
            raise Wrong("too_large")
        else:
            self.data += piece
        self.closed = self.closed or close

    def _aside(self, offset: int, piece: bytes, *, close: bool) -> None:
        if offset % BLOCK:
            raise Wrong("concurrent_session_invalid_offset")
        if len(piece) % BLOCK and not close:
            raise Wrong("concurrent_session_invalid_data_size")
        self.parts[offset] = piece

    def whole(self, offset: int) -> bytes:
        """What becomes the file. offset: how much the client believes there is."""
        if self.concurrent:
            self._join()
        if offset != len(self.data):
            raise Wrong("lookup_failed", "incorrect_offset", correct_offset=len(self.data))
        return bytes(self.data)

    def _join(self) -> None:
        if not self.closed:
            raise Wrong("concurrent_session_not_closed")
        self.data.clear()
        for at, piece in sorted(self.parts.items()):
            if at != len(self.data):
                raise Wrong("concurrent_session_missing_data")
            self.data += piece


def check_hash(arg: dict[str, Any], body: bytes) -> None:
    """Refuse a body that is not what its hash says."""
    if (told := arg.get("content_hash")) is not None and told != content_hash(body):
        raise Wrong("content_hash_mismatch")
