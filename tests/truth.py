"""What documents hold, counted the way a corpus counts itself, to be compared with the truth file beside it.

`count` takes the conversations from wherever they are: an importer, an archive, an export read back. bench/corpus
says what the figures mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from chatkeep import exact, views
from chatkeep.model import Conversation, Message, instant
from corpus.truth import NEEDLES, Truth

_NOT_COUNTED = ("format", "layout", "seed", "start", "tame", "content_bytes", "content_sha256")
_INTERNAL = frozenset(
    {
        "thoughts",
        "reasoning_recap",
        "tether_browsing_display",
        "system_error",
        "user_editable_context",
        "model_editable_context",
    }
)


class Said(NamedTuple):
    """One message as a corpus sees it. key: what its text is summed with. text: "" when it is not to be seen."""

    key: str
    kind: str
    text: str


Rules = Callable[[Conversation, Message], Said]


def count(conversations: Iterable[Conversation], rules: Rules) -> dict[str, Any]:
    """The fields of a truth file, found in these conversations."""
    truth = Truth()
    pointers: dict[str, bool] = {}
    for conversation in conversations:
        truth.conversation(_title(conversation))
        shown = {message.id for message in views.path(conversation)}
        for message in conversation.messages:
            _count_message(truth, message, rules(conversation, message), message.id in shown)
            for part in message.parts:
                if part.type == "attachment" and part.source_id:
                    pointers[part.source_id] = not part.missing
    truth.assets_referenced, truth.assets_present = len(pointers), sum(pointers.values())
    return {name: value for name, value in truth.as_dict().items() if name not in _NOT_COUNTED}


def _title(conversation: Conversation) -> str:
    """The title; a generated WhatsApp chat has its number in the name of its file as well."""
    title = exact.unmark(conversation.title)
    return re.sub(r" \d{6}$", "", title) if conversation.platform == "whatsapp" else title


def _count_message(truth: Truth, message: Message, said: Said, current: bool) -> None:
    if not said.text.strip():
        truth.hidden(said.kind)
        return
    truth.visible(said.key, said.text, kind=said.kind, when=_seconds(message), current=current)
    truth.needles.update(term for term in NEEDLES if term in said.text.split())


def _seconds(message: Message) -> float:
    """When it was sent, in seconds since 1970; a local time is read as UTC."""
    when = instant(message.sent_at or f"{message.local_time}Z")
    assert when is not None, message.id
    return when.timestamp()


def expected(corpus: Path) -> dict[str, Any]:
    """What the truth file beside a corpus says."""
    truth = json.loads(corpus.with_name(corpus.name + ".truth.json").read_text(encoding="utf-8"))
    return {name: value for name, value in truth.items() if name not in _NOT_COUNTED}


# ------------------------------------------------------------------ rules, one for each format


def chatgpt(_conversation: Conversation, message: Message) -> Said:
    """Visible is what is neither marked as hidden, nor the system's, nor of an internal content type."""
    role = message.author.partition("/")[0]
    content = message.unknown.get("content", {})
    kind = content.get("content_type", "text")
    metadata = message.unknown.get("metadata", {})
    is_hidden = metadata.get("is_visually_hidden_from_conversation") is True or role == "system" or kind in _INTERNAL
    return Said(message.source_id, f"{role}/{kind}", "" if is_hidden else _texts(message))


def claude(_conversation: Conversation, message: Message) -> Said:
    """Only the text blocks count."""
    text = "".join(exact.unmark(part.text) for part in message.parts if part.type == "text")
    return Said(message.source_id, f"{message.author}/text", text)


def whatsapp(conversation: Conversation, message: Message) -> Said:
    """Messages have no ids: the sender stands for them. Media are left out, and their places hold no text."""
    sender = views.people(conversation)[message.author]
    if sender.role == "system":
        return Said("", "system/notice", "")
    kind = "deleted" if message.status == "deleted" else "media" if message.parts[0].type == "attachment" else "text"
    return Said(sender.name, f"person/{kind}", views.plain_text(message))


def claude_code(_conversation: Conversation, message: Message) -> Said:
    """Only what is written between the person and Claude counts, not thoughts and tools."""
    kind = {"tool_call": "tool_use"}.get(message.parts[0].type, message.parts[0].type)
    role = "assistant" if message.author == "assistant" else "user"
    return Said(message.source_id, f"{role}/{kind}", _texts(message) if kind == "text" else "")


def _texts(message: Message) -> str:
    """The texts of a message; in a corpus there is never more than one."""
    return "".join(exact.unmark(part.text) for part in message.parts)


RULES: dict[str, Rules] = {
    "chatgpt": chatgpt,
    "claude": claude,
    "claude-code": claude_code,
    "whatsapp": whatsapp,
}
