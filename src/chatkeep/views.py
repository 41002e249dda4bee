"""What a reader sees of a conversation: its title, its people, the path that is shown, the text of a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from chatkeep import exact
from chatkeep.merge import has_content
from chatkeep.model import Conversation, Message, Part, Participant, time_key

# Kinds of parts whose text is what was said, in the order of their fields.
_SAID = frozenset({"text", "code", "tool_result", "citation"})


def edited(conversation: Conversation, field: str, default: Any = None) -> Any:
    """What a person set here for a field of `user`, else the default."""
    edit = conversation.user.get(field)
    return default if edit is None or edit.value is msgspec.UNSET else edit.value


def title(conversation: Conversation) -> str:
    """The title as a person set it here, else as the platform had it; "" when there is none."""
    chosen = edited(conversation, "title")
    return exact.readable(chosen if isinstance(chosen, str) and chosen else conversation.title)


def labels(conversation: Conversation) -> list[str]:
    """The labels that people put on the conversation here, sorted."""
    found = edited(conversation, "labels", [])
    return sorted(label for label in found if isinstance(label, str)) if isinstance(found, list) else []


def is_trashed(conversation: Conversation) -> bool:
    """Whether the conversation lies in the trash."""
    return bool(edited(conversation, "trashed"))


def people(conversation: Conversation) -> dict[str, Participant]:
    """The participants by id."""
    return {one.id: one for one in conversation.participants}


def is_visible(message: Message, role: str) -> bool:
    """Whether a message belongs to what people said to one another: not hidden, not the system's, not empty."""
    return not message.hidden and role != "system" and has_content(message)


def plain_text(message: Message) -> str:
    """What a message says, as plain readable text: texts, code, results of tools, transcripts and captions."""
    return exact.readable("\n\n".join(_texts(message.parts)))


def _texts(parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        if part.type in _SAID and part.text:
            yield part.text
        for text in (part.transcript, part.caption):
            if text:
                yield text
        yield from _texts(part.parts)


# ------------------------------------------------------------------ the tree


def is_tree(conversation: Conversation) -> bool:
    """Whether the platform keeps this conversation as a tree of messages rather than a line."""
    return any(message.parent for message in conversation.messages)


def children(conversation: Conversation) -> dict[str, list[Message]]:
    """The messages under each parent id, in document order; the roots under ""."""
    ids = {message.id for message in conversation.messages}
    found: dict[str, list[Message]] = {}
    for message in conversation.messages:
        found.setdefault(message.parent if message.parent in ids else "", []).append(message)
    return found


def leaf(conversation: Conversation) -> str:
    """The id of the last message of the path that is shown; "" for a line.

    What a person chose here, else what the platform showed, else the newest message without an answer.
    """
    ids = {message.id for message in conversation.messages}
    for wanted in (edited(conversation, "shown_leaf"), conversation.shown_leaf):
        if wanted in ids:
            return str(wanted)
    if not is_tree(conversation):
        return ""
    parents = {message.parent for message in conversation.messages}
    ends = [message for message in conversation.messages if message.id not in parents] or conversation.messages
    return max(reversed(ends), key=lambda message: time_key(message.sent_at)).id


def path(conversation: Conversation, end: str = "") -> list[Message]:
    """The messages from the root to a leaf, the one shown if none is named; all messages of a line."""
    end = end or leaf(conversation)
    if not end or not is_tree(conversation):
        return list(conversation.messages)
    by_id = {message.id: message for message in conversation.messages}
    found: dict[str, Message] = {}
    while end in by_id and end not in found:
        found[end] = by_id[end]
        end = by_id[end].parent
    return list(reversed(found.values()))


# What people call platforms whose name is more than its id with capitals.
_PLATFORMS = {
    "aistudio": "AI Studio",
    "chatbotui": "Chatbot UI",
    "chatgpt": "ChatGPT",
    "claude-code": "Claude Code",
    "deepseek": "DeepSeek",
    "librechat": "LibreChat",
    "openwebui": "Open WebUI",
    "sharegpt": "ShareGPT",
    "whatsapp": "WhatsApp",
}


def platform_title(platform: str) -> str:
    """What people call a platform: "ChatGPT" for chatgpt."""
    return _PLATFORMS.get(platform) or exact.readable(platform).replace("-", " ").replace("_", " ").title()
