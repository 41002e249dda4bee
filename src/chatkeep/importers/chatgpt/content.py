"""What a ChatGPT message says, by its content type, as parts.

A function for a content type takes out of the content what it understands. What is left stays with the message, so
nothing is lost when ChatGPT adds a field. docs/platforms/chatgpt.md has the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from chatkeep.importers.chatgpt.assets import Assets
from chatkeep.importers.fields import Json, take_list, take_text
from chatkeep.model import Part


class Saying:
    """One message while its parts are made.

    role: of the author, as ChatGPT calls it; author: the participant's id, "tool/python".
    recipient: the tool that an assistant speaks to, "" when it speaks to people.
    unknown: where blocks that nobody knows are counted by kind.
    """

    __slots__ = ("assets", "author", "metadata", "recipient", "role", "unknown")

    def __init__(
        self, role: str, author: str, recipient: Any, metadata: Json, assets: Assets, unknown: Counter[str]
    ) -> None:
        self.role = role
        self.author = author
        self.recipient: str = recipient if role == "assistant" and type(recipient) is str and recipient != "all" else ""
        self.metadata = metadata
        self.assets = assets
        self.unknown = unknown

    @property
    def name(self) -> str:
        """The name of the author: of a tool, "python"."""
        return self.author.partition("/")[2]

    @property
    def markup(self) -> str:
        """How ChatGPT shows a text of this author."""
        return "plain" if self.role == "user" else "markdown"


def parts_of(content: Any, saying: Saying) -> tuple[list[Part], Any]:
    """The parts of a content, and what is left of it for the unknown fields; None when nothing is."""
    if type(content) is str:
        return [_text(content, saying)], None
    if type(content) is not dict:
        return ([] if content is None else [_unknown("content", content, saying)]), None
    kind = content.get("content_type")
    if kind == "text" and len(content) == 2 and not saying.recipient:  # nine of ten messages are just this
        pieces = content.get("parts")
        if type(pieces) is list and len(pieces) == 1 and type(text := pieces[0]) is str:
            return ([Part(type="text", text=text, markup=saying.markup)] if text else []), None
    read = _BY_TYPE.get(kind) if type(kind) is str else None
    if read is None:
        return _of_unknown_type(content, kind, saying), None
    parts = read(content, saying)
    if kind == "text":
        del content["content_type"]
    return parts, content or None


# ------------------------------------------------------------------ text and what goes with it


def _text(text: str, saying: Saying) -> Part:
    if saying.recipient:
        return Part(type="tool_call", name=saying.recipient, text=text)
    return Part(type="text", text=text, markup=saying.markup)


def _of_pieces(content: Json, saying: Saying) -> list[Part]:
    parts: list[Part] = []
    for piece in take_list(content, "parts"):
        if type(piece) is str:
            if piece or saying.recipient:
                parts.append(_text(piece, saying))
        else:
            parts += _of_piece(piece, saying)
    return parts


def _of_piece(piece: Any, saying: Saying) -> list[Part]:
    """The parts of one object inside `parts`."""
    kind = piece.get("content_type") if type(piece) is dict else None
    if kind == "audio_transcription" and type(piece.get("text")) is str:
        text = take_text(piece, "text")
        return [Part(type="text", text=text, markup="plain", kind="transcript", unknown=piece)]
    if type(kind) is str and kind.endswith("asset_pointer") and (found := saying.assets.pointed(piece)):
        return found
    readable = _readable(piece) if type(piece) is dict else ""
    told = [_text(readable, saying)] if readable else []
    return [*told, _unknown(kind if type(kind) is str else "part", piece, saying)]


def _code(content: Json, saying: Saying) -> list[Part]:
    text, language = take_text(content, "text"), take_text(content, "language")
    if saying.recipient:
        return [Part(type="tool_call", name=saying.recipient, text=text, language=language)]
    return [Part(type="code", text=text, language=language)]


# ------------------------------------------------------------------ what tools give


def _execution_output(content: Json, saying: Saying) -> list[Part]:
    pictures = saying.assets.of_result(saying.metadata.get("aggregate_result"))
    return [Part(type="tool_result", name=saying.name, text=take_text(content, "text"), parts=tuple(pictures))]


def _result_under(field: str) -> Callable[[Json, Saying], list[Part]]:
    def read(content: Json, saying: Saying) -> list[Part]:
        return [Part(type="tool_result", name=saying.name, text=take_text(content, field))]

    return read


def _computer_output(content: Json, saying: Saying) -> list[Part]:
    screenshot = content.get("screenshot")
    pictures = saying.assets.pointed(screenshot) if type(screenshot) is dict else []
    if pictures:
        del content["screenshot"]
    return [Part(type="tool_result", name=saying.name, parts=tuple(pictures))]


def _quote(content: Json, _saying: Saying) -> list[Part]:
    url, title = take_text(content, "url"), take_text(content, "title")
    return [Part(type="citation", text=take_text(content, "text"), title=title, url=url)]


def _system_error(content: Json, _saying: Saying) -> list[Part]:
    name = take_text(content, "name")
    return [Part(type="tool_result", is_error=True, name=name, text=take_text(content, "text"))]


# ------------------------------------------------------------------ thinking and context


def _thoughts(content: Json, saying: Saying) -> list[Part]:
    parts = []
    for thought in take_list(content, "thoughts"):
        if type(thought) is dict and type(thought.get("content")) is str:
            text, title = take_text(thought, "content"), take_text(thought, "summary")
            parts.append(Part(type="thinking", text=text, title=title, unknown=thought))
        else:
            parts.append(_unknown("thought", thought, saying))
    return parts


def _recap(content: Json, _saying: Saying) -> list[Part]:
    return [Part(type="thinking", kind="recap", text=take_text(content, "content"))]


def _context(*fields: str) -> Callable[[Json, Saying], list[Part]]:
    def read(content: Json, _saying: Saying) -> list[Part]:
        found = [(field, take_text(content, field)) for field in fields]
        return [Part(type="text", kind=field, markup="plain", text=text) for field, text in found if text]

    return read


_BY_TYPE: dict[str, Callable[[Json, Saying], list[Part]]] = {
    "text": _of_pieces,
    "multimodal_text": _of_pieces,
    "code": _code,
    "execution_output": _execution_output,
    "computer_output": _computer_output,
    "citable_code_output": _result_under("output_str"),
    "tether_browsing_display": _result_under("result"),
    "tether_quote": _quote,
    "sonic_webpage": _quote,
    "system_error": _system_error,
    "thoughts": _thoughts,
    "reasoning_recap": _recap,
    "user_editable_context": _context("user_profile", "user_instructions"),
    "model_editable_context": _context("model_set_context"),
}


# ------------------------------------------------------------------ what nobody knows yet


def _of_unknown_type(content: Json, kind: Any, saying: Saying) -> list[Part]:
    if kind is None and type(content.get("parts")) is list and len(content) == 1:
        return _of_pieces(content, saying)
    readable = _readable(content)
    told = [_text(readable, saying)] if readable else []
    return [*told, _unknown(kind if type(kind) is str and kind else "content", content, saying)]


def _unknown(kind: str, raw: Any, saying: Saying) -> Part:
    saying.unknown[kind] += 1
    return Part(type="unknown", kind=kind, raw=raw)


def _readable(block: Json) -> str:
    """The text of a block of an unknown type, where blocks use to have their text."""
    for field in ("text", "parts", "content", "result"):
        value = block.get(field)
        if type(value) is str and value.strip():
            return value
        if type(value) is list and (texts := [item for item in value if type(item) is str and item.strip()]):
            return "\n\n".join(texts)
    return ""
