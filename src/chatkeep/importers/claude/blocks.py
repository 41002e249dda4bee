"""What a Claude message says, block by block, as parts.

A block is taken apart: what is understood goes into the fields of a part, the rest stays as the part's unknown fields.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatkeep import exact
from chatkeep.importers import Keep, blocks, media
from chatkeep.importers.blocks import read_block, unknown_part
from chatkeep.importers.fields import Json, take_list, take_text, take_whole
from chatkeep.model import Part


@dataclass(slots=True)
class Saying(blocks.Saying):
    """One message of Claude's while its parts are made."""

    is_human: bool = False

    @property
    def markup(self) -> str:
        """How Claude shows a text of this author."""
        return "plain" if self.is_human else "markdown"


def parts_of(listed: list[Any], saying: Saying) -> list[Part]:
    """The parts of a list of content blocks; a text with nothing in it gives none."""
    return [part for block in listed for part in read_block(block, saying, _BY_TYPE)]


def _text(block: Json, saying: Saying) -> list[Part]:
    if type(block.get("text")) is not str:
        return [] if block.get("text") is None else [unknown_part(block, "text", saying)]
    del block["type"]
    text = block.pop("text")
    citations, block_rest = _citations(block), block
    if not text and not citations:
        return []
    return [Part(type="text", markup=saying.markup, text=text, unknown=block_rest), *citations]


def _citations(block: Json) -> list[Part]:
    listed = block.get("citations")
    if type(listed) is not list:
        return []
    known = [item for item in listed if type(item) is dict]
    block["citations"] = [item for item in listed if type(item) is not dict]
    if not block["citations"]:
        del block["citations"]
    return [_citation(item) for item in known]


def _citation(item: Json) -> Part:
    details = item.get("details")
    where = details if type(details) is dict else {}
    url = take_text(item, "url") or take_text(where, "url")
    title = take_text(item, "title") or take_text(where, "title")
    start, end = take_whole(item, "start_index"), take_whole(item, "end_index")
    return Part(type="citation", start=start, end=end, title=title, url=url, unknown=item)


def _thinking(block: Json, saying: Saying) -> list[Part]:
    if type(block.get("thinking")) is not str:
        return [unknown_part(block, "thinking", saying)]
    del block["type"]
    return [Part(type="thinking", text=block.pop("thinking"), unknown=block)]


def _voice_note(block: Json, _saying: Saying) -> list[Part]:
    del block["type"]
    title, text = take_text(block, "title"), take_text(block, "text")
    return [Part(type="text", kind="voice_note", markup="plain", text=text, title=title, unknown=block)]


def _tool_use(block: Json, _saying: Saying) -> list[Part]:
    del block["type"]
    call_id, name = take_text(block, "id"), take_text(block, "name")
    if "input" in block:
        return [Part(type="tool_call", call_id=call_id, name=name, input=block.pop("input"), unknown=block)]
    return [Part(type="tool_call", call_id=call_id, name=name, unknown=block)]


def _tool_result(block: Json, saying: Saying) -> list[Part]:
    del block["type"]
    inner = Saying(saying.keep, saying.unknown, is_human=True)  # what tools give is shown as it is
    parts = [part for item in take_list(block, "content") for part in _of_result(item, inner)]
    text = take_text(block, "content")
    call_id, name = take_text(block, "tool_use_id"), take_text(block, "name")
    is_error = block.get("is_error") is True
    if type(block.get("is_error")) is bool:
        del block["is_error"]
    return [
        Part(
            type="tool_result",
            call_id=call_id,
            is_error=is_error,
            name=name,
            parts=tuple(parts),
            text=text,
            unknown=block,
        )
    ]


def _of_result(item: Any, saying: Saying) -> list[Part]:
    if type(item) is str:
        return [Part(type="text", markup="plain", text=item)]
    return read_block(item, saying, _IN_RESULT)


def _knowledge(item: Json, _saying: Saying) -> list[Part]:
    del item["type"]
    url, title = take_text(item, "url"), take_text(item, "title")
    return [Part(type="citation", text=take_text(item, "text"), title=title, url=url, unknown=item)]


def _image(item: Json, saying: Saying) -> list[Part]:
    source = item.get("source")
    source = source if type(source) is dict else {}
    data = source.get("data") if source.get("type") == "base64" else None
    try:
        picture = base64.b64decode(data, validate=True) if type(data) is str and data else b""
    except (binascii.Error, ValueError):
        picture = b""
    if not picture:
        return [_missing(item, kind="image")]
    source.pop("data")
    declared = take_text(source, "media_type")
    kept = saying.keep(io.BytesIO(picture))
    found = media.media_type(kept.head, declared=declared)
    return [
        Part(type="attachment", kind="image", media_type=found, sha256=kept.sha256, size=kept.size, unknown=item),
    ]


def _local_resource(item: Json, _saying: Saying) -> list[Part]:
    return [_missing(item, kind="")]


def _missing(item: Json, *, kind: str) -> Part:
    """A file that a tool gave and that the export does not hold."""
    source_id = take_text(item, "file_uuid") or take_text(item, "uuid")
    name = take_text(item, "name") or take_text(item, "file_path").rpartition("/")[2]
    media_type = media.media_type(b"", name=name, declared=take_text(item, "mime_type"))
    return Part(
        type="attachment",
        kind=kind or media.kind(media_type),
        media_type=media_type,
        missing=True,
        name=name,
        source_id=source_id,
        unknown=item,
    )


_BY_TYPE: dict[str, Callable[[Json, Saying], list[Part]]] = {
    "text": _text,
    "thinking": _thinking,
    "voice_note": _voice_note,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
_IN_RESULT: dict[str, Callable[[Json, Saying], list[Part]]] = {
    "text": _text,
    "knowledge": _knowledge,
    "image": _image,
    "local_resource": _local_resource,
}


# ------------------------------------------------------------------ files


def attached(listed: list[Any], saying: Saying) -> tuple[list[Part], list[Any]]:
    """The parts of `attachments`, whose text is the only copy there is, and what of the list is not understood."""
    items = [item for item in listed if type(item) is dict]
    return [_attachment(item, saying.keep) for item in items], [item for item in listed if type(item) is not dict]


def _attachment(item: Json, keep: Keep) -> Part:
    name, text = take_text(item, "file_name"), take_text(item, "extracted_content")
    if text:
        if name and item.get("file_size") == len(text):
            del item["file_size"]
        return document(text, name=name, keep=keep, source_id=take_text(item, "id"), unknown=item)
    return Part(
        type="attachment",
        kind="file",
        media_type=media.media_type(b"", name=name),
        missing=True,
        name=name,
        size=take_whole(item, "file_size"),
        source_id=take_text(item, "id"),
        unknown=item,
    )


def document(text: str, *, name: str, keep: Keep, source_id: str, unknown: Json) -> Part:
    """A text that a person gave as a file: kept as a file, and readable and searchable where it stands."""
    kept = keep(io.BytesIO(exact.unmark(text).encode("utf-8", "surrogatepass")))
    return Part(
        type="attachment",
        kind="file",
        media_type="text/plain",
        name=name,
        sha256=kept.sha256,
        size=kept.size,
        source_id=source_id,
        transcript=text,
        unknown=unknown,
    )


def named(listed: list[Any]) -> tuple[list[Part], list[Any]]:
    """The parts of `files`, of which an export has the names alone, and what of the list is not understood."""
    parts, rest = [], []
    for item in listed:
        if type(item) is not dict:
            rest.append(item)
            continue
        source_id, name = take_text(item, "file_uuid"), take_text(item, "file_name")
        kind = item.get("file_kind")
        media_type = media.media_type(b"", name=name)
        is_kind = kind in ("image", "audio", "video")
        parts.append(
            Part(
                type="attachment",
                kind=kind if type(kind) is str and is_kind else media.kind(media_type),
                media_type=media_type,
                missing=True,
                name=name,
                source_id=source_id,
                unknown=item,
            )
        )
    return parts, rest
