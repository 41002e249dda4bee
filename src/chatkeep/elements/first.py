"""A look at how a file begins, for importers that ask whether it is theirs."""

from __future__ import annotations

import io
import json
import re
from typing import Any, Protocol

from chatkeep.elements.lines import Line, lines
from chatkeep.elements.text import Text
from chatkeep.errors import Damaged

LOOKED_AT = 1 << 20
DEEPEST = 256

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},"]', re.DOTALL)
_CLOSING = {b"[": b"]", b"{": b"}"}
_lenient = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)


class Beginning(Protocol):
    """What is needed of a member of a source: how it begins, and how it is called in problems."""

    @property
    def where(self) -> str: ...

    def head(self, n: int, /) -> bytes: ...


def first_value(member: Beginning, *, limit: int = LOOKED_AT) -> Any:
    """The first element of the JSON list in a member, or the object at its top; None when it has neither.

    limit: bytes that are read. What they cut off is left out: the last key, message or node may be missing, and
    what is given is a value all the same. Numbers are given as their text. For sniffing only.
    """
    try:
        text = _beginning(member, limit)
    except Damaged:
        return None
    if text.skip_space() == ord("["):
        text.drop(1)
        text.skip_space()
    data = bytes(text.data)
    return _decoded(_closed(data)) if data[:1] in (b"{", b"[") else None


def first_lines(member: Beginning, n: int = 10, *, limit: int = LOOKED_AT) -> list[Any]:
    """The values of the first n lines of JSON Lines that can be decoded; blank and cut-off lines are left out."""
    try:
        head = member.head(limit)
    except Damaged:
        return []
    found = []
    for line in lines(io.BytesIO(head), where=member.where):
        if isinstance(line, Line) and (line.complete or len(head) < limit):
            value = _decoded(line.raw) if _depth_is_small(line.raw) else None
            if value is not None:
                found.append(value)
        if len(found) == n:
            break
    return found


def _beginning(member: Beginning, limit: int) -> Text:
    text = Text(io.BytesIO(member.head(limit)))
    text.fill(limit)
    return text


def _depth_is_small(raw: bytes) -> bool:
    return raw.count(b"[") + raw.count(b"{") <= DEEPEST or _closed(raw) == raw


def _closed(data: bytes) -> bytes:
    """The value at the beginning of data; if it is cut off, up to its last comma and closed there."""
    open_now: list[bytes] = []
    cut, closing = 0, b""
    for token in _TOKEN.finditer(data):
        byte = token[0]
        if byte in _CLOSING:
            open_now.append(_CLOSING[byte])
            if len(open_now) > DEEPEST:
                break
        elif byte == b",":
            cut, closing = token.start(), b"".join(reversed(open_now))
        elif byte == b'"':
            break
        elif byte in (b"]", b"}"):
            if open_now:
                open_now.pop()
            if not open_now:
                return data[: token.end()]
    return data[:cut] + closing


def _decoded(raw: bytes) -> Any:
    try:
        return _lenient.decode(raw.decode("utf-8", "replace"))
    except ValueError:
        return None
