"""Open WebUI's chats: the export of all of them, one chat, or a chat as its API gives and takes it.

Source: a chat of April 2025 and the shapes that docs/platforms/openwebui.md lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from chatkeep.errors import Problem
from chatkeep.importers import Keep, Record, listed, peek
from chatkeep.importers.openwebui.conversation import BY, PLATFORM, conversation
from chatkeep.source import Member, Source

_ROW = frozenset(
    {"user_id", "share_id", "folder_id", "archived", "pinned", "meta", "created_at", "updated_at", "title"}
)
_SAYS = frozenset({"role", "content"})


class OpenWebUI:
    """Reads Open WebUI's chats."""

    platform = PLATFORM
    title = "Open WebUI"
    version = 1
    expects = "the JSON file that Open WebUI exported, with all chats or with one"

    def sniff(self, source: Source) -> frozenset[str]:
        """The JSON files that hold chats."""
        return frozenset(peek.judged(source, _holds_chats))

    def read(self, source: Source, keep: Keep) -> Iterator[Record | Problem]:
        """The chats, file by file."""
        build = partial(conversation, keep=keep)
        for name in peek.judged(source, _holds_chats):
            member = source.members[name]
            with member.open() as stream:
                yield from listed.records(stream, build, by=BY, where=member.where, called="chat", inside="chats")


def _holds_chats(_member: Member, value: Any) -> bool:
    """Whether the beginning of a JSON file is a list of chats, or one of them."""
    return any(_is_chat(item) for item in peek.listed(value, "chats"))


def _is_chat(item: Any) -> bool:
    names = peek.keys(item)
    if "mapping" in names or "chat_messages" in names:
        return False  # ChatGPT and Claude
    inner = peek.keys(item["chat"]) if "chat" in names else frozenset()
    if inner:
        return bool(names & _ROW and inner & {"history", "messages", "models", "timestamp"})
    if "history" in names and isinstance(history := item["history"], dict):
        return isinstance(history.get("messages"), dict) and (
            "currentId" in history
            or bool(names & {"models", "messages", "params"})
            or _has_parents(history["messages"])
        )
    listed = item["messages"] if "messages" in names else None
    told = [peek.keys(one) for one in listed[:5]] if isinstance(listed, list) else []
    return "models" in names and bool(names & {"timestamp", "title"}) and any(keys >= _SAYS for keys in told)


def _has_parents(messages: dict[str, Any]) -> bool:
    return any({"role", "parentId"} <= peek.keys(one) for one in messages.values())


OPENWEBUI = OpenWebUI()
