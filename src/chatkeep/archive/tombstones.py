"""What is left of a deleted conversation: its id, and what was seen of it when it was deleted."""

from __future__ import annotations

import sqlite3

import msgspec

from chatkeep import exact
from chatkeep.errors import Damaged
from chatkeep.model import Conversation, Message


def make(conversation: Conversation) -> bytes:
    """The tombstone of a conversation: canonical JSON of its id and of the messages that go with it."""
    seen = sorted({_name(version) for message in conversation.messages for version in (message, *message.previous)})
    return exact.encode({"format": 1, "id": conversation.id, "seen": seen})


def seen(db: sqlite3.Connection, archive: str, id: str) -> frozenset[str] | None:
    """The messages that the tombstone of a conversation lists; None when there is none. Raises Damaged."""
    found = db.execute("SELECT data FROM tombstones WHERE archive = ? AND id = ?", (archive, id)).fetchone()
    if found is None:
        return None
    try:
        return frozenset(msgspec.json.decode(found[0])["seen"])
    except (msgspec.DecodeError, KeyError, TypeError) as wrong:
        raise Damaged(f"The mark of the deleted conversation {id} cannot be read") from wrong


def unseen(seen: frozenset[str], conversation: Conversation) -> int:
    """How many messages, or versions of messages, the tombstone does not list."""
    return sum(
        _name(version) not in seen for message in conversation.messages for version in (message, *message.previous)
    )


def _name(message: Message) -> str:
    return f"{message.id}/{message.raw}"
