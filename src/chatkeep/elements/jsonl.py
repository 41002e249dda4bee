"""The lines of a JSON Lines file, one by one, in flat memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from chatkeep.elements.text import Text
from chatkeep.errors import Problem

LONGEST_LINE = 64 << 20
READ = 1 << 20


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of a text file, undecoded.

    number: from 1, blank lines counted. offset: byte of the file at which it begins (of the text as UTF-8
    without its mark, if the file is UTF-16). raw: its bytes without the line end. complete: False for a last
    line without a line end, which may have been cut off.
    """

    number: int
    offset: int
    raw: bytes
    complete: bool = True


def lines(stream: BinaryIO, *, where: str) -> Iterator[Line | Problem]:
    """The lines of a file that are not blank, in order; a Problem for one that is longer than 64 MiB.

    Lines end with LF or CR LF. A byte order mark is taken off. When the stream is damaged, the lines before
    come first and then a Problem. Raises UnsafeSource when the stream does.
    """
    text = Text(stream)
    number = 0
    for number, offset, raw, complete in _raw_lines(text):
        if raw is None:
            what = f"Longer than {LONGEST_LINE >> 20} MiB; it was left out."
            yield Problem(f"{where}, line {number:,} at byte {offset:,}", what)
        elif raw.strip():
            yield Line(number, offset, raw, complete)
    if text.broken:
        yield Problem(f"{where}, line {number:,}", f"{text.broken} What came before was read.")


def _raw_lines(text: Text) -> Iterator[tuple[int, int, bytes | None, bool]]:
    """Number, offset, bytes (None when too long) and completeness of each line."""
    number, searched, begun, too_long = 1, 0, text.offset, False
    while True:
        at = 0
        while (end := text.data.find(b"\n", searched)) >= 0:
            too_long = too_long or end - at > LONGEST_LINE
            yield number, begun, None if too_long else _line(text.data, at, end), True
            number, at, too_long = number + 1, end + 1, False
            searched, begun = at, text.offset + at
        text.drop(at)
        if text.ended:
            break
        if len(text.data) > LONGEST_LINE:
            too_long = True
            text.drop(len(text.data))
        searched = len(text.data)
        text.fill(searched + READ)
    if text.data or too_long:
        yield number, begun, None if too_long else _line(text.data, 0, len(text.data)), False


def _line(data: bytearray, begin: int, end: int) -> bytes:
    return bytes(data[begin:end]).removesuffix(b"\r")
