"""What a person gave us: whose export it is, or a helpful no."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from chatkeep.errors import Problem, UnknownFormat
from chatkeep.importers import Importer, claude, peek
from chatkeep.importers.registry import ALL
from chatkeep.source import Member, Source

Detected = list[tuple[Importer, Source]]


def detect(paths: Sequence[Path], *, importers: Sequence[Importer] = ALL) -> Detected:
    """The importers that claim something of these paths, each with the one source that all paths make together.

    Several zips of one account are one source. A given path of which nobody claims anything is told in the source's
    problems, as long as another path is claimed. The caller closes the sources.
    Raises UnknownFormat, which says what was found and what is expected, and what `Source.open` raises.
    """
    source = Source.open(paths)
    try:
        claims = [(importer, importer.sniff(source)) for importer in importers]
        claims = [(importer, names) for importer, names in claims if names]
        if not claims:
            raise UnknownFormat(_found(source), hint=_expected(importers))
        claimed = frozenset[str]().union(*(names for _, names in claims))
        source.problems += _left_aside(source, claimed, len(paths))
    except BaseException:
        source.close()
        raise
    return [(importer, source) for importer, _ in claims]


def _left_aside(source: Source, claimed: frozenset[str], given: int) -> list[Problem]:
    """A problem for each of several given paths that nobody claims anything of."""
    if given < 2:
        return []
    used = {name.partition("/")[0] for name in claimed}
    unused: dict[str, Member] = {}
    for member in source:
        if (top := member.name.partition("/")[0]) not in used:
            unused.setdefault(top, member)
    return [
        Problem(top, f"This is not a chat export that Chatkeep knows: {seems(source, member)}. It was left aside.")
        for top, member in unused.items()
    ]


def _found(source: Source) -> str:
    members = list(source)
    if explanation := claude.explain(source):
        return explanation
    if not members:
        return f"{source.label} holds no files."
    if len(members) == 1:
        return f"{source.label} is not a chat export that Chatkeep knows: {seems(source, members[0])}."
    some = ", ".join(member.base for member in members[:5])
    more = f" and {len(members) - 5} more" if len(members) > 5 else ""
    return f"No chat export that Chatkeep knows is in {source.label}; it holds {some}{more}."


def _expected(importers: Sequence[Importer]) -> str:
    return "Chatkeep reads: " + "; ".join(f"{one.title} ({one.expects})" for one in importers) + "."


_SIGNATURES = (
    (b"\xff\xd8\xff", "it is a JPEG picture"),
    (b"\x89PNG\r\n", "it is a PNG picture"),
    (b"GIF8", "it is a GIF picture"),
    (b"%PDF", "it is a PDF document"),
    (b"PK\x03\x04", "it is a zip in which nothing is known"),
    (b"SQLite format 3\0", "it is an SQLite database"),
    (b"Rar!", "it is a RAR archive; unpack it and give the folder"),
    (b"7z\xbc\xaf", "it is a 7z archive; unpack it and give the folder"),
    (b"\x1f\x8b", "it is a gzip file; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is a zstd file; unpack it first"),
    (b"OggS", "it is an Ogg sound"),
    (b"ID3", "it is an MP3 sound"),
)


_PLAIN_NAME = re.compile(r"[a-z][a-zA-Z_]{0,30}")  # no key that could be a name or a number of somebody


def seems(source: Source, member: Member) -> str:
    """What a file seems to be, by its first bytes, as half a sentence. Says nothing of what people wrote in it."""
    data = peek.head(source, member)
    if not data:
        return "it is empty" if member.size == 0 else "it cannot be read"
    for signature, words in _SIGNATURES:
        if data.startswith(signature):
            return words
    if data[4:8] == b"ftyp":
        return "it is a video or a picture of a phone"
    if data.startswith(b"RIFF"):
        return "it is a WebP picture" if data[8:12] == b"WEBP" else "it is a sound or a video"
    return _seems_text(peek.text(data))


def _seems_text(text: str) -> str:
    value = peek.beginning(text)
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, dict) and first:
        kind = "a list of objects" if isinstance(value, list) else "an object"
        names = [repr(name) for name in sorted(first) if _PLAIN_NAME.fullmatch(name)]
        return f"it is JSON, {kind}" + (f" with {', '.join(names[:6])}" if names else "")
    if value is not None:
        return "it is JSON, but no list of conversations"
    if "\0" in text[:4096]:
        return "it is a binary file of a kind that is not known"
    start = text.lstrip()[:200].lower()
    if start.startswith(("<!doctype html", "<html")):
        return "it is a web page without conversations in it"
    return "it is a text, but no chat was found in it"
