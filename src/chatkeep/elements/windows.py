"""Splitting many elements at once: a window of the text is cut at a guess, and msgspec says if the guess is true.

The guess is a boundary as seen between elements before: the bytes from the end of one to the first key of the
next, '}, {"title"'. Lists inside elements can look alike (conversations and messages that both begin with
"uuid"), so the second key is remembered as well.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator

import msgspec

from chatkeep.elements.text import Text

WINDOW = 1 << 19  # measured: 256 KiB 0.31 s, 512 KiB 0.24 s, 1 to 8 MiB 0.28 to 0.33 s for 272 MB
SMALLEST_REACH = 1 << 16
LARGEST_REACH = 1 << 23
TRIES = 6
REMEMBERED = 8
OVERHANG = 4096  # a boundary may have been cut off by the end of what was read

_SPACE = rb"[ \t\r\n]*+"
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_KEY_AND_VALUE = rb"%b:%b(?:%b|[^\"\[\]{},]++)%b,%b" % (_SPACE, _SPACE, _STRING, _SPACE, _SPACE)
_HEAD = re.compile(rb"(\{%b%b)(?:%b(%b))?" % (_SPACE, _STRING, _KEY_AND_VALUE, _STRING), re.DOTALL)
_SEPARATOR = re.compile(rb"%b,%b" % (_SPACE, _SPACE))
_END_OF_OBJECT = 0x7D

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Boundary:
    """What stands between two elements.

    literal: from the end of one to the first key of the next. after: how the next goes on to its second key.
    """

    def __init__(self, literal: bytes, second_key: bytes | None) -> None:
        self.literal = literal
        rest = _KEY_AND_VALUE + re.escape(second_key) if second_key else b""
        self._after = re.compile(rest, re.DOTALL).match
        self.same = (literal, second_key)
        self.is_sharp = second_key is not None

    def last(self, data: bytearray, limit: int) -> int:
        """Where it last begins before this place, or -1."""
        at = data.rfind(self.literal, 0, limit)
        while at >= 0 and not self._after(data, at + len(self.literal)):
            at = data.rfind(self.literal, 0, at)
        return at

    def is_at(self, data: bytearray, at: int) -> bool:
        return data.startswith(self.literal, at) and bool(self._after(data, at + len(self.literal)))

    def all(self, data: bytearray, begin: int) -> Iterator[int]:
        """Where it stands in the data from this place on, in order."""
        at = data.find(self.literal, begin)
        while at >= 0:
            if self._after(data, at + len(self.literal)):
                yield at
            at = data.find(self.literal, at + 1)


class Windows:
    """Takes windows from a text that stands at the beginning of an element."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._reach = SMALLEST_REACH
        self.boundaries: list[Boundary] = []

    def learn(self, at: int) -> None:
        """Remember the boundary at this place, if the object at the beginning ends there and another follows.

        Both objects are looked at: the next one may be malformed, or begin with a key of its own.
        """
        data = self._text.data
        separator = _SEPARATOR.match(data, at)
        if not separator or data[at - 1] != _END_OF_OBJECT:
            return
        for head in (_HEAD.match(data), _HEAD.match(data, separator.end())):
            if head:
                boundary = Boundary(b"}" + separator[0] + head[1], head[2])
                self.boundaries = [boundary, *(known for known in self.boundaries if known.same != boundary.same)]
        if any(boundary.is_sharp for boundary in self.boundaries):
            self.boundaries = [boundary for boundary in self.boundaries if boundary.is_sharp]
        del self.boundaries[REMEMBERED:]

    def batch(self) -> list[msgspec.Raw]:
        """As many elements as a window holds, or none when they can not be had this way.

        A window that failed is followed by a small one, so that a list with much to object to costs little.
        """
        text, reach = self._text, self._reach
        found = not self.boundaries
        while not found and reach <= LARGEST_REACH:
            text.fill(reach)
            if text.ended and len(text.data) <= reach and (batch := _tried(text.data, b"")):
                return batch
            for cut in self._cuts(reach):
                found = True
                if batch := _tried(memoryview(text.data)[:cut], b"]"):
                    self._reach = min(2 * reach, WINDOW)
                    return batch
            found = found or (text.ended and len(text.data) <= reach)
            reach *= 2
        self._reach = SMALLEST_REACH
        return []

    def is_known_end(self, at: int) -> bool:
        """Whether an element ends here as others did before, with the next one following."""
        return any(boundary.is_at(self._text.data, at - 1) for boundary in self.boundaries)

    def ends(self, begin: int) -> Iterator[int]:
        """Where elements seem to end from this place on, as far as the text was read."""
        data, begin = self._text.data, max(begin - OVERHANG, 0)
        if self.boundaries:
            for at in heapq.merge(*(boundary.all(data, begin) for boundary in self.boundaries)):
                yield at + 1
        else:
            for found in _like_the_first(data).finditer(bytes(data), begin):
                yield found.start() + 1

    def _cuts(self, limit: int) -> Iterator[int]:
        """Where an element may end before this place, the last such place first."""
        data = self._text.data
        for _ in range(TRIES):
            limit = max(boundary.last(data, limit) for boundary in self.boundaries)
            if limit < 0:
                return
            yield limit + 1


def _like_the_first(data: bytearray) -> re.Pattern[bytes]:
    """A boundary before an element that begins with the same two keys as the one at the beginning of the data."""
    head = _HEAD.match(data)
    if not head:
        return re.compile(rb"\}(?=%b,%b\{)" % (_SPACE, _SPACE))
    rest = _KEY_AND_VALUE + re.escape(head[2]) if head[2] else b""
    return re.compile(rb"\}%b,%b%b%b" % (_SPACE, _SPACE, re.escape(head[1]), rest), re.DOTALL)


def _tried(window: bytearray | memoryview, closing: bytes) -> list[msgspec.Raw]:
    try:
        return _split(b"".join((b"[", window, closing)))
    except (msgspec.DecodeError, RecursionError):
        return []
