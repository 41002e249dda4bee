"""Characters that WhatsApp puts around what people wrote: directional marks, byte order marks, odd spaces."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MARK = "\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff"
SPACE = " \\t\u00a0\u2000-\u200a\u202f\u3000"
LEADING = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"

_MARKS = re.compile(f"[{MARK}]+")
_SPACES = re.compile(r"\s+")


def without_marks(text: str) -> str:
    """The text without directional and byte order marks."""
    return text if text.isascii() else _MARKS.sub("", text)


@lru_cache(maxsize=4096)
def clean_name(name: str) -> str:
    """A name as people know it: without marks, and without the `~` of people who are not in the contacts."""
    return _SPACES.sub(" ", without_marks(name)).strip().removeprefix("~").strip()


@lru_cache(maxsize=4096)
def name_key(name: str) -> str:
    """What makes two spellings one person."""
    return unicodedata.normalize("NFC", clean_name(name))


def squeezed(text: str) -> str:
    """The text for comparing: without marks, every run of white space one space."""
    return " ".join(without_marks(text).split())
