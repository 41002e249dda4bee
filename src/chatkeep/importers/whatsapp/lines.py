"""The lines of a text file, blank ones included, in flat memory."""

from __future__ import annotations

from collections.abc import Iterator

from chatkeep.elements.text import Text
from chatkeep.source import Member

PIECE = 1 << 20
LONGEST = 16 << 20


class Lines:
    """The lines of a member as text, without their ends (LF or CR LF). Iterate once.

    Bytes that are not UTF-8 become lone surrogates. A line longer than LONGEST [bytes] comes in pieces.
    broken: after the last line, why the file ended before its time, or "".
    """

    def __init__(self, member: Member) -> None:
        self.broken = ""
        self._member = member

    def __iter__(self) -> Iterator[str]:
        with self._member.open() as stream:
            text = Text(stream)
            while not text.ended:
                text.fill(len(text.data) + PIECE)
                end = text.data.rfind(b"\n") + 1
                if not end and len(text.data) >= LONGEST:
                    end = len(text.data)
                if end:
                    whole = bytes(text.data[:end])
                    text.drop(end)
                    yield from _split(whole.removesuffix(b"\n"))
            if text.data:
                yield from _split(bytes(text.data))
            self.broken = text.broken


def _split(whole: bytes) -> Iterator[str]:
    for line in whole.decode("utf-8", "surrogateescape").split("\n"):
        yield line.removesuffix("\r")
