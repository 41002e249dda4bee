"""The sources that an answer of ChatGPT names, old way and new way, as citation parts.

The marks in the text stay as they are; `start` and `end` say where they stand, in code points of the text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatkeep.importers.fields import Json, take_text, take_whole
from chatkeep.model import Part


def cited(metadata: Json, text: str) -> list[Part]:
    """The citations of a message, taken out of its metadata. What names no source stays there."""
    found = _taken(metadata, "citations", _old)
    return found + _taken(metadata, "content_references", lambda item: _new(item, text))


def _taken(metadata: Json, name: str, read: Callable[[Json], list[Part]]) -> list[Part]:
    listed = metadata.get(name)
    if type(listed) is not list or not listed:
        return []
    parts: list[Part] = []
    rest = []
    for item in listed:
        found = read(item) if type(item) is dict else []
        parts += found
        if not found:
            rest.append(item)
    if parts:
        metadata[name] = rest
        if not rest:
            del metadata[name]
    return parts


def _old(item: Json) -> list[Part]:
    """A citation of 2023 to 2025: {start_ix, end_ix, citation_format_type, metadata {title, url, text}}."""
    about = item.get("metadata")
    if type(about) is not dict or not (_is_text(about, "url") or _is_text(about, "title")):
        return []
    start, end = take_whole(item, "start_ix"), take_whole(item, "end_ix")
    url, title = take_text(about, "url"), take_text(about, "title")
    return [Part(type="citation", start=start, end=end, title=title, url=url, unknown=item)]


def _new(item: Json, text: str) -> list[Part]:
    """A content reference: one source, or a group of them that one mark stands for."""
    for group in ("items", "fallback_items"):
        sources = item.get(group)
        if type(sources) is list and sources and all(_is_source(source) for source in sources):
            start, end = _place(item, text)
            del item[group]
            parts = [_source(source, start, end) for source in sources]
            parts[0].unknown["reference"] = item
            return parts
    if not _is_source(item):
        return []
    start, end = _place(item, text)
    return [_source(item, start, end)]


def _source(source: Json, start: int | None, end: int | None) -> Part:
    url, title = take_text(source, "url"), take_text(source, "title") or take_text(source, "name")
    return Part(type="citation", start=start, end=end, title=title, url=url, unknown=source)


def _is_source(value: Any) -> bool:
    """Whether it says where something is to be found: a page, or a file by its name."""
    return type(value) is dict and (
        _is_text(value, "url")
        or (value.get("type") == "file" and (_is_text(value, "title") or _is_text(value, "name")))
    )


def _is_text(value: Json, name: str) -> bool:
    return type(text := value.get(name)) is str and text != ""


def _place(item: Json, text: str) -> tuple[int | None, int | None]:
    """Where the mark stands: where the export says, else where the mark is found, else nowhere."""
    start, end, matched = item.get("start_idx"), item.get("end_idx"), item.get("matched_text")
    is_place = type(start) is int and type(end) is int and 0 <= start <= end
    if type(matched) is str and matched.strip() and (not is_place or text[start:end] != matched):
        at = text.find(matched)
        return (at, at + len(matched)) if at >= 0 else (None, None)
    if not is_place:
        return None, None
    del item["start_idx"], item["end_idx"]
    return start, end
