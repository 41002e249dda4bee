"""A nested export made flat: the messages of one list one after another, each naming by number what it stood under.

LibreChat nests each answer in the message it answers ("recursive", as its dialog proposes), two levels of JSON for each
message, so that a conversation of 130 messages is deeper than anything that reads JSON with care will follow. Here the
text alone is walked through, once and without recursion, and nothing in the messages is changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

UNDER = "chatkeep:under"  # a field that stands in a message that was nested: the number of the one above, from 0
_LISTS = (b'"messages"', b'"messagesTree"')
_CHILDREN = b'"children"'
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)
_COLON = re.compile(rb"\s*:\s*")
_BETWEEN = b", \t\r\n"


@dataclass(slots=True)
class _Message:
    """A message whose text is being gathered: everything of it but the messages nested in it."""

    number: int
    pieces: list[bytes]


@dataclass(slots=True)
class _Box:
    """An object or list that is open. kind: what it is; start: where it or the part after what was nested begins.

    top and message are objects; messages is a list of messages; other is everything else.
    """

    kind: str
    closing: bytes
    start: int = 0
    message: _Message | None = None
    left: list[bytes] = field(default_factory=list)


def flattened(data: bytes) -> bytes:
    """The same export with every message in the list at its top; as it is when nothing is nested or it is odd.

    data: UTF-8. In flat order a message stands after the one it is under.
    """
    if _CHILDREN not in data:
        return data
    try:
        return _Walk(data).all()
    except _OddError:
        return data


class _OddError(Exception):
    """The text is no JSON in the form that is expected."""


class _Walk:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._boxes: list[_Box] = []
        self._out: list[bytes] = []
        self._done = 0  # how much of the data is in the output
        self._messages: list[_Message] = []
        self._count = 0  # of all messages so far
        self._next = ""  # what the list that a key has announced is

    def all(self) -> bytes:
        at = 0
        while found := _TOKEN.search(self._data, at):
            token, at = found[0], found.end()
            if token[:1] == b'"':
                at = self._string(token, at)
            elif token in (b"{", b"["):
                self._open(token, found.start(), at)
            else:
                self._close(token, found.start(), at)
        if self._boxes:
            raise _OddError
        return b"".join(self._out) + self._data[self._done :]

    def _string(self, token: bytes, at: int) -> int:
        """After a key that announces a list of messages, that list is the next thing to be opened."""
        box = self._boxes[-1] if self._boxes else None
        wanted = (
            (box.kind == "message" and token == _CHILDREN) or (box.kind == "top" and token in _LISTS) if box else False
        )
        colon = _COLON.match(self._data, at) if wanted else None
        if colon and self._data[colon.end() : colon.end() + 1] == b"[":
            self._next = "messages"
            return colon.end()
        return at

    def _open(self, token: bytes, start: int, at: int) -> None:
        above = self._boxes[-1] if self._boxes else None
        kind, self._next = self._next or "other", ""
        if token == b"[":
            self._boxes.append(_Box(kind, b"]", at))
            if kind == "messages" and above is not None:
                if above.message is not None:
                    above.message.pieces.append(self._data[above.start : at])
                    self._boxes[-1].message = above.message
                else:
                    self._out.append(self._data[self._done : at])
                    self._messages = []
        elif above is None:
            self._boxes.append(_Box("top", b"}", start))
        elif above.kind == "messages":
            above.left.append(self._data[above.start : start].strip(_BETWEEN))
            self._boxes.append(_Box("message", b"}", at, self._begin(above.message, at)))
        else:
            self._boxes.append(_Box("other", b"}", at))

    def _begin(self, above: _Message | None, at: int) -> _Message:
        message = _Message(self._count, [b"{"])
        if above is not None:
            is_empty = self._data[at : at + 64].lstrip()[:1] == b"}"
            message.pieces.append(b'"%b":%d%b' % (UNDER.encode(), above.number, b"" if is_empty else b","))
        self._messages.append(message)
        self._count += 1
        return message

    def _close(self, token: bytes, start: int, at: int) -> None:
        if not self._boxes or self._boxes[-1].closing != token:
            raise _OddError
        box = self._boxes.pop()
        above = self._boxes[-1] if self._boxes else None
        if box.kind == "message" and box.message is not None and above is not None:
            box.message.pieces.append(self._data[box.start : at])
            above.start = at
        elif box.kind == "messages" and above is not None:
            box.left.append(self._data[box.start : start].strip(_BETWEEN))
            left = [piece for piece in box.left if piece]
            if box.message is not None:
                box.message.pieces.append(b",".join(left))
                above.start = start
            else:
                self._out.append(b",".join([*(b"".join(one.pieces) for one in self._messages), *left]))
                self._done = start
