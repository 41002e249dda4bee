"""One named thing inside a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import BinaryIO

from chatkeep.errors import Damaged, UnsafeSource

READ_LIMIT = 64 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a source, read in place: nothing is unpacked to disk.

    name: posix path inside the source, unique there; wrapping folders are kept.
    size: bytes as declared; -1 when a cut-off zip does not say.
    modified: when it was last changed, or None. Without a zone when it comes from a zip, which holds wall-clock time.
    where: the place in words for problems, "export.zip: conversations.json".
    mark: what stands for the content in a digest, the CRC in a zip or the time of change of a file.
    """

    name: str
    size: int
    modified: datetime | None
    where: str
    mark: str
    opener: Callable[[], BinaryIO] = field(repr=False, compare=False)

    @property
    def base(self) -> str:
        """The last step of the name."""
        return self.name.rpartition("/")[2]

    def called(self, name: str) -> Member:
        """The same member under another name."""
        return self if name == self.name else replace(self, name=name)

    def open(self) -> BinaryIO:
        """A new stream from the first byte, for reading onwards only; the caller closes it.

        Reading raises Damaged when the bytes are not what was packed (at the end of the stream at the latest) and
        UnsafeSource when they become more than the limits allow. Several may be open at once, in several threads.
        """
        return self.opener()

    def head(self, n: int) -> bytes:
        """The first n bytes; fewer when there are no more, or none that are whole."""
        data = b""
        try:
            with self.open() as stream:
                while len(data) < n and (piece := _some(stream, n - len(data))):
                    data += piece
        except Damaged:
            return data
        return data

    def read(self, limit: int = READ_LIMIT) -> bytes:
        """All bytes. Raises UnsafeSource when there are more than limit [bytes], Damaged as open() does."""
        with self.open() as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise UnsafeSource(
                f"{self.where} is larger than the {limit:,} bytes expected of such a file.",
                hint="Give the export exactly as the platform made it.",
            )
        return data


def _some(stream: BinaryIO, n: int) -> bytes:
    """Up to n bytes that can be had at once, so that damage later on does not cost those before it."""
    read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
    return read(n)
