"""Going into an object to the list that is wanted, and out of it again."""

from __future__ import annotations

from chatkeep.elements.scan import NOT_YET, Scan, end_of_value
from chatkeep.elements.text import Text
from chatkeep.elements.valid import key_text

_COMMA, _LIST, _OBJECT, _QUOTE, _COLON = b',[{":'


def enter(text: Text, path: tuple[str, ...], *, limit: int) -> bool:
    """Drop everything before the list of this name; leave the text as it is when there is none.

    limit: how many bytes before the list are looked through.
    """
    at = 0
    for name in path:
        at = _value_of(text, name, at, limit)
        if at == NOT_YET:
            return False
    if text.data[at] != _LIST:
        return False
    text.drop(at)
    return True


def leave(text: Text, depth: int) -> bool:
    """Drop the rest of that many objects. False when the file ends before they do."""
    scan = Scan(depth)
    while (end := scan.end(text.data, 0)) == NOT_YET:
        text.drop(len(text.data))
        if not text.more():
            return False
    text.drop(end)
    return True


def _value_of(text: Text, name: str, at: int, limit: int) -> int:
    """Where the value of this key begins in the object that begins at this place, or NOT_YET."""
    if text.data[at] != _OBJECT:
        return NOT_YET
    at = _token(text, at + 1, _QUOTE)
    while at != NOT_YET:
        key_at, at = at, end_of_value(text, at, limit)
        key = key_text(bytes(text.data[key_at:at])) if at != NOT_YET else None
        at = _token(text, at, _COLON)
        if at == NOT_YET:
            return NOT_YET
        at = text.space_after(at + 1)
        if key == name:
            return at if at < len(text.data) else NOT_YET
        at = _token(text, end_of_value(text, at, limit), _COMMA)
        at = _token(text, at + 1, _QUOTE) if at != NOT_YET else NOT_YET
    return NOT_YET


def _token(text: Text, at: int, wanted: int) -> int:
    """Where this byte stands, spaces left aside, or NOT_YET when it is not the next one."""
    if at == NOT_YET:
        return NOT_YET
    at = text.space_after(at)
    return at if at < len(text.data) and text.data[at] == wanted else NOT_YET
