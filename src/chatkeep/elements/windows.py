"""Splitting many elements at once: a window of the text is cut at a guess, and msgspec says if the guess is true.

The guess is a boundary as seen between elements before: the bytes from the end of one to the first key of the
next, '}, {"title"'. Lists inside elements can look alike (conversations and messages that both begin with
"uuid"), so the second key is remembered as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from chatkeep.elements.text import Text

WINDOW = 4 << 20
SMALLEST_REACH = 1 << 16
TRIES = 6
REMEMBERED = 8

_SPACE = rb"[ \t\r\n]*+"
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_KEY_AND_VALUE = rb"%b:%b(?:%b|[^\"\[\]{},]++)%b,%b" % (_SPACE, _SPACE, _STRING, _SPACE, _SPACE)
_HEAD = re.compile(rb"(%b,%b\{%b%b)(?:%b(%b))?" % (_SPACE, _SPACE, _SPACE, _STRING, _KEY_AND_VALUE, _STRING), re.DOTALL)
_FIRST_KEY = re.compile(rb"\{%b%b" % (_SPACE, _STRING), re.DOTALL)

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

    def last(self, data: bytearray, limit: int) -> int:
        """Where it last begins before this place, or -1."""
        at = data.rfind(self.literal, 0, limit)
        while at >= 0 and not self._after(data, at + len(self.literal)):
            at = data.rfind(self.literal, 0, at)
        return at


class Windows:
    """Takes windows from a text that stands at the beginning of an element."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._reach = SMALLEST_REACH
        self.boundaries: list[Boundary] = []

    def learn(self, at: int) -> None:
        """Remember the boundary at this place, if an object ends there and another begins."""
        data = self._text.data
        head = _HEAD.match(data, at)
        if not head or data[at - 1] != 0x7D:
            return
        boundary = Boundary(b"}" + head[1], head[2])
        self.boundaries = [boundary, *(known for known in self.boundaries if known.same != boundary.same)]
        del self.boundaries[REMEMBERED:]

    def batch(self) -> list[msgspec.Raw]:
        """As many elements as a window holds, or none when they can not be had this way.

        A window that failed is followed by a small one, so that a list with much to object to costs little.
        """
        text, found = self._text, False
        while self.boundaries:
            text.fill(self._reach)
            if text.ended and len(text.data) <= self._reach and (batch := _tried(text.data, b"")):
                return batch
            for cut in self._cuts():
                found = True
                if batch := _tried(memoryview(text.data)[:cut], b"]"):
                    self._reach = min(2 * self._reach, WINDOW)
                    return batch
            if found or text.ended or self._reach == WINDOW:
                break
            self._reach = min(2 * self._reach, WINDOW)
        self._reach = SMALLEST_REACH
        return []

    def ends(self) -> Iterator[int]:
        """Where elements seem to end after the one at the beginning of the text, as far as it was read."""
        data = self._text.data
        head = _FIRST_KEY.match(data)
        known = [re.escape(boundary.literal) for boundary in self.boundaries]
        own = [rb"\}%b,%b%b" % (_SPACE, _SPACE, re.escape(head[0]))] if head else []
        if known or own:
            for found in re.finditer(b"|".join(known or own), bytes(data)):
                yield found.start() + 1

    def _cuts(self) -> Iterator[int]:
        """Where an element may end, the last such place first."""
        data, limit = self._text.data, self._reach
        for _ in range(TRIES):
            limit = max(boundary.last(data, limit) for boundary in self.boundaries)
            if limit < 0:
                return
            yield limit + 1


def _tried(window: bytearray | memoryview, closing: bytes) -> list[msgspec.Raw]:
    try:
        return _split(b"".join((b"[", window, closing)))
    except (msgspec.DecodeError, RecursionError):
        return []
