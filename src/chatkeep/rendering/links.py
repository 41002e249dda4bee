"""Which addresses a text may lead to, and where bare ones stand in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_LENGTH = 4000

# No spaces, controls, quotes or marks that turn the direction of text: none belongs in an address unescaped.
_FORBIDDEN = "\x00-\x20\x7f-\xa0<>\"'`\\\\{}|^\u200b-\u200f\u2028-\u202f\u2060-\u206f\ud800-\uf8ff\ufdd0\ufeff"
_SAFE = re.compile(rf"(?:https?://[^{_FORBIDDEN}/?#][^{_FORBIDDEN}]*|mailto:[^{_FORBIDDEN}]+)", re.IGNORECASE)
_BARE = re.compile(rf"(?<![\w.@/-])https?://[^{_FORBIDDEN}\[\]，。；：！？、（）「」『』【】《》]+", re.IGNORECASE)
_ESCAPES = {" ": "%20", '"': "%22", "'": "%27", "<": "%3C", ">": "%3E", "`": "%60"}
_ESCAPES |= {"{": "%7B", "|": "%7C", "}": "%7D", "^": "%5E"}
_TO_ESCAPE = re.compile("[ \"'<>`{|}^]")


def safe(address: str) -> str | None:
    """The address, if it leads to the web or to a mailbox; None for every other one.

    Other schemes run something, read this machine or lead into the page that shows the text.
    """
    escaped = _TO_ESCAPE.sub(lambda found: _ESCAPES[found[0]], address.strip())
    return escaped if len(escaped) <= MAX_LENGTH and _SAFE.fullmatch(escaped) else None


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """The text in pieces, each with the address it leads to, "" for most. Joined they are the text."""
    end = 0
    for found in _BARE.finditer(text) if "://" in text else ():
        address = _without_punctuation(found[0])
        if not safe(address):
            continue
        if found.start() > end:
            yield text[end : found.start()], ""
        yield address, address
        end = found.start() + len(address)
    if end < len(text):
        yield text[end:], ""


def _without_punctuation(address: str) -> str:
    """The address less what ends the sentence around it: dots, and brackets that were opened before it."""
    opened, closed = address.count("("), address.count(")")
    while address:
        last = address[-1]
        if last in ".,:;!?*_~…'\"":
            address = address[:-1]
        elif last == ")" and closed > opened:
            address, closed = address[:-1], closed - 1
        else:
            break
    return address
