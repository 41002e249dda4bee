"""A first look at members: what the beginning of a file says about it, without reading the rest.

Claims are made by structure, never by a name alone; names only say which files are not worth a look.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from chatkeep.errors import Damaged, UnsafeSource
from chatkeep.source import Member, Source

HEAD = 1 << 16
REMEMBERED = 256  # beginnings of a source, 16 MiB; an export may have 100,000 members
PARSED = 1 << 14
DEEPEST = 64

_BINARY = re.compile(
    r".*\.(7z|aac|avi|bmp|dat|db|docx|gif|gz|heic|ico|jpe?g|m4a|mov|mp3|mp4|ogg|opus|pdf|png|pptx|rar|sqlite3?|tiff?|wav|"
    r"webm|webp|xlsx|zip|zst)",
    re.IGNORECASE,
)
_TOKEN = re.compile(r'\s*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"(\s*+:)?|([\[{])|([\]}])|(,)|[^\s"\[\]{},:]++)', re.DOTALL)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_heads: WeakKeyDictionary[Source, dict[str, bytes]] = WeakKeyDictionary()
_verdicts: WeakKeyDictionary[Source, dict[Any, dict[str, Any]]] = WeakKeyDictionary()
T = TypeVar("T")


def head(source: Source, member: Member) -> bytes:
    """The first 64 KiB of a member, read once; b"" when they cannot be read."""
    known = _heads.setdefault(source, {})
    if member.name not in known:
        if len(known) >= REMEMBERED:
            known.clear()
        try:
            known[member.name] = member.head(HEAD)
        except (Damaged, UnsafeSource, OSError):
            known[member.name] = b""
    return known[member.name]


def text(data: bytes) -> str:
    """The beginning of a text, whatever Unicode encoding its mark names; a character cut in half is left out."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    return data.decode("utf-8", "replace")


def is_text(member: Member) -> bool:
    """Whether the name does not rule out a text file."""
    return not _BINARY.fullmatch(member.base)


def jsons(source: Source) -> Iterator[tuple[Member, Any]]:
    """The members that begin as JSON, a list or an object, each with the value of its first 16 KiB (`beginning`)."""
    for member in source:
        if is_text(member) and (data := head(source, member)):
            value = beginning(text(data)[:PARSED])
            if isinstance(value, dict | list):
                yield member, value


def judged(source: Source, judge: Callable[[Member, Any], T]) -> dict[str, T]:
    """What a judge says of each member that begins as JSON, by name; asked once for each source. Falsy is left out."""
    known = _verdicts.setdefault(source, {})
    if judge not in known:
        known[judge] = {member.name: said for member, value in jsons(source) if (said := judge(member, value))}
    found: dict[str, T] = known[judge]
    return found


def beginning(start: str) -> Any:
    """The JSON value that a text begins with, as far as it goes; None when it is not JSON.

    What is cut off, or lies deeper than 64 levels, is left out, so that the beginning of a file has the same shape as
    the whole. Numbers are floats here; nothing of this is ever kept.
    """
    if start.lstrip()[:1] not in ("[", "{"):
        return None
    try:
        return json.loads(_closed(start))
    except (ValueError, RecursionError):
        return None


def _closed(start: str) -> str:
    """The text up to the last value that is whole, with what is open then closed."""
    open_now: list[str] = []
    good, closing, at = 0, "", 0
    while (found := _TOKEN.match(start, at)) and len(open_now) <= DEEPEST:
        colon, opening, closed, comma = found.groups()
        at = found.end()
        if opening:
            open_now.append("]" if opening == "[" else "}")
        elif closed and open_now:
            open_now.pop()
        cut = at == len(start) and not closed and not opening  # a number may go on, a string may be a key
        if not (colon or comma or cut):
            good, closing = at, "".join(reversed(open_now))
        if not open_now:
            break
    return start[:good] + closing


def listed(value: Any, inside: str = "") -> list[Any]:
    """The first twenty things that the beginning of a file lists; what lists nothing is itself the one thing.

    inside: the name under which an object at the top may have the list.
    """
    inner = value.get(inside) if inside and isinstance(value, dict) else None
    things = value if isinstance(value, list) else inner if isinstance(inner, list) else [value]
    return things[:20]


def keys(value: Any) -> frozenset[str]:
    """The keys of an object; none of anything else."""
    return frozenset(value) if isinstance(value, dict) else frozenset()
