"""Marks that a platform leaves in a text where it cites something, and what they stand for.

ChatGPT writes U+E200, a kind, U+E202 and references, U+E201 (`cite`, `filecite`, `entity`, `url` …), wraps spans in
U+E203 to U+E206, and in older texts `【12†source】`. They are resolved through the citation parts of the message into
numbered notes. What nobody can resolve is dropped, rather than shown as boxes.

Source: ChatGPT data exports; docs/platforms/chatgpt.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import msgspec
import orjson

from chatkeep import exact
from chatkeep.model import Part
from chatkeep.rendering import links

MAX_QUOTE = 300  # characters of what a source says; a page that was read may be long

OPEN, CLOSE = "\ue200", "\ue201"
_SEPARATOR = "\ue202"
_NUMBER = re.compile(f"{OPEN}(\\d{{1,4}}){CLOSE}")
_MARK = re.compile(
    f"{OPEN}[A-Za-z_]+(?:{_SEPARATOR}[^{OPEN}{CLOSE}]*)?(?:{CLOSE}|\\Z)|【\\d[\\d:]{{0,9}}†[^【】\\n]{{0,300}}】|[\ue200-\ue206]"
)
_LEFT_OVER = re.compile("[\ue200-\ue206]")
_SIGNS = "\ue200\ue201\ue202\ue203\ue204\ue205\ue206†"


class Note(msgspec.Struct, frozen=True):
    """One thing that a message cites. number: from 1, in the order of the message; url: safe, or "".

    quote: the beginning of what it says there, if the platform kept that.
    """

    number: int
    title: str
    url: str
    quote: str = ""


def is_cited(text: str) -> bool:
    """Whether a text holds anything that looks like a mark."""
    # One look for each sign is ten times faster than a pattern, and most texts are told apart by the first line.
    return not text.isascii() and any(sign in text for sign in _SIGNS)


def resolve(parts: Sequence[Part]) -> tuple[list[Part], list[Note]]:
    """The parts of a message without its citations, and these as notes.

    In the texts, the marks of a citation, or the place its `end` says, are its number between OPEN and CLOSE; every
    other mark is gone. The texts are readable ones (`exact.readable`).
    """
    cited = [part for part in parts if part.type == "citation"]
    if not cited and not any(is_cited(part.text) for part in parts):
        return list(parts), []
    notes, marks, places = _number(cited)
    kept = []
    for part in parts:
        if part.type == "text" and part.markup != "html":
            text = _placed(exact.readable(part.text), marks, places)
            kept.append(msgspec.structs.replace(part, text=text))
        elif part.type != "citation":
            kept.append(part)
    return kept, notes


def anchored(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The same parts with marks instead of places, so that their texts may be changed before they are resolved."""
    shown, notes = resolve(parts)
    if not notes:
        return tuple(shown)
    marked = [
        msgspec.structs.replace(part, text=_NUMBER.sub(lambda found: _anchor(int(found[1])), part.text))
        if part.type == "text"
        else part
        for part in shown
    ]
    return (*marked, *(_cited(note) for note in notes))


def _cited(note: Note) -> Part:
    kept = {"matched_text": _anchor(note.number)}
    return Part(type="citation", text=note.quote, title=note.title, url=note.url, unknown=kept)


def _anchor(number: int) -> str:
    return f"{OPEN}cite{_SEPARATOR}{number}{CLOSE}"


def replace(text: str, write: Callable[[int], str]) -> str:
    """The text with the numbers of notes written another way, and without any other mark."""
    if not is_cited(text):
        return text
    pieces = _NUMBER.split(text)
    for at, piece in enumerate(pieces):
        pieces[at] = write(int(piece)) if at % 2 else _MARK.sub(_unresolved, piece)
    return "".join(pieces)


def number_marks(text: str) -> list[tuple[str, int]]:
    """The text in pieces: ("", number) for a note, (text, 0) for what is between."""
    pieces = _NUMBER.split(text)
    return [("", int(piece)) if at % 2 else (_LEFT_OVER.sub("", piece), 0) for at, piece in enumerate(pieces)]


# ------------------------------------------------------------------ from citations to notes


_Places = list[tuple[int, int, int]]  # (start, end, number) in code points of a text


def _number(cited: Iterable[Part]) -> tuple[list[Note], dict[str, list[int]], _Places]:
    """Notes, each source once; the numbers behind each mark that a citation quotes; the places that they name."""
    notes: dict[tuple[str, str], Note] = {}
    marks: dict[str, list[int]] = {}
    places: _Places = []
    for part in cited:
        note = _noted(part, notes)
        for mark in _quoted_marks(part):
            numbers = marks.setdefault(mark, [])
            if note.number not in numbers:
                numbers.append(note.number)
        if part.end is not None and part.end > 0:
            places.append((part.end if part.start is None else part.start, part.end, note.number))
    return list(notes.values()), marks, places


def _noted(part: Part, notes: dict[tuple[str, str], Note]) -> Note:
    url = links.safe(exact.readable(part.url)) or ""
    quoted = "" if _MARK.search(part.text) else exact.readable(part.text)
    title = exact.readable(part.title or part.name or part.url) or "Source"
    words = " ".join(quoted.split())
    quote = words if len(words) <= MAX_QUOTE else words[:MAX_QUOTE].rstrip() + "…"
    key = (url, "" if url else title + quote)
    return notes.setdefault(key, Note(number=len(notes) + 1, title=title, url=url, quote=quote))


def _quoted_marks(part: Part) -> list[str]:
    """The marks a citation stands for, where the importer kept them as its text or among what it does not know."""
    group = part.unknown.get("reference")
    kept = [part.text, part.unknown.get("matched_text"), group.get("matched_text") if isinstance(group, dict) else ""]
    return [exact.readable(text) for text in kept if isinstance(text, str) and _MARK.fullmatch(text)]


def _placed(text: str, marks: dict[str, list[int]], places: _Places) -> str:
    known = dict(marks)
    ends: dict[int, list[int]] = {}
    has_marks = bool(_MARK.search(text))
    for start, end, number in places:
        mark = text[start:end]
        if _MARK.fullmatch(mark):
            numbers = known[mark] = list(known.get(mark, []))
            numbers += [number] if number not in numbers else []
        elif not has_marks and start <= end <= len(text):
            ends.setdefault(end, []).append(number)
    for end in sorted(ends, reverse=True):
        text = text[:end] + _written(sorted(set(ends[end]))) + text[end:]
    if not has_marks:
        return text
    return _MARK.sub(lambda found: _written(known[found[0]]) if found[0] in known else _unresolved(found), text)


def _written(numbers: Iterable[int]) -> str:
    return "".join(f"{OPEN}{number}{CLOSE}" for number in numbers)


def _unresolved(found: re.Match[str]) -> str:
    """What a mark says by itself: the name of an entity, the title of a link; mostly nothing."""
    kind, _, rest = found[0].strip(OPEN + CLOSE).partition(_SEPARATOR)
    if kind == "url":
        return rest.partition(_SEPARATOR)[0]
    if kind == "entity":
        try:
            named = orjson.loads(rest)
        except orjson.JSONDecodeError:
            return ""
        if isinstance(named, list) and len(named) > 1 and isinstance(named[1], str):
            return named[1]
    return ""
