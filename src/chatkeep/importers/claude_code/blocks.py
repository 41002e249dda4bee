"""The blocks of a message of Claude Code as parts of a document. What is not understood stays whole."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from chatkeep.errors import Damaged
from chatkeep.importers import Keep, media
from chatkeep.importers.claude_code.injected import injected_tag
from chatkeep.importers.fields import Json, record_of, take_text
from chatkeep.model import Part
from chatkeep.source import Member

_STUB = "tool-results/"
_LONG = 1000


class Blocks:
    """Reads blocks. Knows the names of tools that were called, and the files that hold output too big for its line.

    damaged: why files or pictures could not be kept. used: the files that were taken.
    """

    def __init__(self, keep: Keep, outputs: Mapping[str, Member]) -> None:
        self.damaged: list[str] = []
        self.used: set[str] = set()
        self._keep = keep
        self._outputs = outputs
        self._tools: dict[str, str] = {}

    def parts_of(self, content: Any, *, markup: str) -> list[Part]:
        """The parts of a content: a text, or a list of blocks."""
        if type(content) is str:
            return [Part(type="text", text=content, markup=markup)] if content else []
        if type(content) is not list:
            return [] if content is None else [self.raw("content", content)]
        return [part for block in content for part in self._block(block, markup)]

    def raw(self, kind: str, value: Any) -> Part:
        """A block that is not understood."""
        return Part(type="unknown", kind=kind, raw=value)

    def kept(self, member: Member) -> Part:
        """The output of a tool that lies in a file of its own."""
        self.used.add(member.name)
        part = Part(type="attachment", kind="tool output", name=member.base, missing=True)
        try:
            with member.open() as stream:
                found = self._keep(stream)
        except Damaged as error:
            self.damaged.append(error.what)
            return part
        kind = media.media_type(found.head, name=member.base)
        return Part(
            type="attachment",
            kind="tool output",
            media_type=kind,
            name=member.base,
            sha256=found.sha256,
            size=found.size,
        )

    # -- one block

    def _block(self, value: Any, markup: str) -> list[Part]:
        if type(value) is str:
            return [Part(type="text", text=value, markup=markup)]
        block = record_of(value)
        if block is None or block is not value:
            return [self.raw("block", value)]
        kind = block.get("type")
        read = self._readers().get(kind) if type(kind) is str else None
        if read is None:
            return [self.raw(kind if type(kind) is str else "block", value)]
        return read(dict(block), markup)

    def _readers(self) -> dict[str, Callable[[Json, str], list[Part]]]:
        return {
            "text": self._text,
            "thinking": self._thinking,
            "redacted_thinking": self._redacted,
            "tool_use": self._tool_use,
            "server_tool_use": self._tool_use,
            "tool_result": self._tool_result,
            "image": self._file,
            "document": self._file,
        }

    def _text(self, block: Json, markup: str) -> list[Part]:
        if type(block.get("text")) is not str:
            return [self.raw("text", block)]
        del block["type"]
        text = take_text(block, "text")
        if markup == "plain" and (tag := injected_tag(text)):
            # What the program put beside a prompt is no part of what the person said.
            return [Part(type="unknown", kind=tag, raw=text)]
        return [Part(type="text", text=text, markup=markup, unknown=block)] if text or block else []

    def _thinking(self, block: Json, markup: str) -> list[Part]:
        if type(block.get("thinking")) is not str:
            return [self.raw("thinking", block)]
        del block["type"]
        return [Part(type="thinking", text=take_text(block, "thinking"), unknown=block)]

    def _redacted(self, block: Json, markup: str) -> list[Part]:
        del block["type"]
        return [Part(type="thinking", title="redacted", unknown=block)]

    def _tool_use(self, block: Json, markup: str) -> list[Part]:
        if block["type"] == "tool_use":
            del block["type"]
        call, name = take_text(block, "id"), take_text(block, "name")
        self._tools[call] = name
        if "input" in block:
            return [Part(type="tool_call", call_id=call, name=name, input=block.pop("input"), unknown=block)]
        return [Part(type="tool_call", call_id=call, name=name, unknown=block)]

    def _tool_result(self, block: Json, markup: str) -> list[Part]:
        del block["type"]
        call = take_text(block, "tool_use_id")
        is_error = block.get("is_error") is True
        if block.get("is_error") in (True, False, None):
            block.pop("is_error", None)
        content = block.pop("content", None)
        text = ""
        inner: tuple[Part, ...] = ()
        if type(content) is str:
            text = content
        else:
            inner = tuple(_without_markup(part) for part in self.parts_of(content, markup="result"))
            if len(inner) == 1 and inner[0] == Part(type="text", text=inner[0].text):
                text, inner = inner[0].text, ()
        inner = (*inner, *self._outside(call, text))
        return [
            Part(
                type="tool_result",
                call_id=call,
                name=self._tools.get(call, ""),
                text=text,
                parts=inner,
                is_error=is_error,
                unknown=block,
            )
        ]

    def _outside(self, call: str, text: str) -> list[Part]:
        """The file with the whole output, where the line has only a stub or the file is named for the call."""
        found = self._outputs.get(call) if call else None
        if found is None and _STUB in text[:_LONG].replace("\\", "/"):
            after = text[:_LONG].replace("\\", "/").partition(_STUB)[2]
            name = after.split("\n", 1)[0].split(" ", 1)[0].strip("\"'`<>.,")
            found = self._outputs.get(name) or self._outputs.get(name.rpartition(".")[0])
        return [self.kept(found)] if found is not None else []

    def _file(self, block: Json, markup: str) -> list[Part]:
        """A picture or a document: kept when its bytes are there."""
        kind = block.pop("type")
        whole = dict(block, type=kind)
        source = block.pop("source", None)
        if type(source) is not dict:
            return [self.raw(kind, whole)]
        source = dict(source)
        shape, declared = source.pop("type", ""), take_text(source, "media_type")
        title = take_text(block, "title")
        data = source.get("data")
        if shape in ("base64", "text") and type(data) is str:
            content = _decoded(data) if shape == "base64" else data.encode("utf-8", "replace")
            if content is None:
                self.damaged.append(f"A {kind} is not in the form that its line says; it was kept raw.")
                return [self.raw(kind, whole)]
            del source["data"]
            found = self._keep(io.BytesIO(content))
            part = Part(
                type="attachment",
                kind=kind,
                media_type=media.media_type(found.head, name=title, declared=declared),
                name=title,
                sha256=found.sha256,
                size=found.size,
                unknown=block | source,
            )
            return [part]
        if shape == "content":
            inner = self.parts_of(source.get("content"), markup=markup)
            return [Part(type="tool_result", name=title, parts=tuple(inner), unknown=block)]
        if shape in ("url", "file"):
            name = take_text(source, "file_id")
            url = take_text(source, "url")
            part = Part(
                type="attachment",
                kind=kind,
                media_type=declared,
                missing=True,
                name=title,
                source_id=name,
                unknown=block | source,
                url=url,
            )
            return [part]
        return [self.raw(kind, whole)]


def _decoded(data: str) -> bytes | None:
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _without_markup(part: Part) -> Part:
    if part.type == "text" and part.markup == "result":
        return Part(type="text", text=part.text, unknown=part.unknown)
    return part


def unknown_in(parts: Iterable[Part]) -> Iterator[str]:
    """The kinds of blocks among parts that no rule here understands, of those inside others too."""
    for part in parts:
        # What the program put beside a prompt is raw text, and is known.
        if part.type == "unknown" and type(part.raw) is not str:
            yield part.kind
        yield from unknown_in(part.parts)


def texts_in(parts: list[Part]) -> list[str]:
    """All texts of parts, of those inside others too."""
    found = []
    for part in parts:
        if part.text:
            found.append(part.text)
        found += texts_in(list(part.parts))
    return found


def slimmed(value: Any, said: list[str]) -> Any:
    """A structured output without what its message says already: `{"same": "text"}` stands for that.

    Source: `toolUseResult` repeats the text of the result, and whole pictures (seen in versions 1.0 to 2.1).
    """
    if type(value) is str:
        if len(value) > 64 and any(value in text for text in said):
            return {"same": "text"}
        if len(value) > _LONG and _decoded(value[:1000]) is not None and " " not in value[:1000]:
            return {"same": "attachment"} if _decoded(value) is not None else value
        return value
    if type(value) is list:
        return [slimmed(item, said) for item in value]
    if type(value) is dict and not {"$number", "$object"} & value.keys():
        return {key: slimmed(item, said) for key, item in value.items()}
    return value
