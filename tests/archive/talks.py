"""Small conversations for the tests of the archive, written in one line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from chatkeep.archive import Archive, Receipt
from chatkeep.archive.intake import Intake
from chatkeep.merge import settle
from chatkeep.model import Conversation, Message, Part, Participant, fingerprint, identify
from chatkeep.records import Loaded

PEOPLE = (Participant(id="anna", name="Anna Bauer", role="person"), Participant(id="bot", role="assistant"))


def said(talk: str, number: int, text: str, **more: object) -> Message:
    """A message of a talk: Anna's if its number is even, the assistant's otherwise; one a day from 2024-05-01."""
    fields: dict[str, object] = {
        "id": identify(talk, str(number)),
        "author": "anna" if number % 2 == 0 else "bot",
        "parts": (Part(type="text", text=text),) if text else (),
        "raw": fingerprint([talk, number, text]),
        "sent_at": f"2024-05-{number % 28 + 1:02}T10:00:00Z",
        "by": "test/1",
    }
    return Message(**(fields | more))  # type: ignore[arg-type]


def talk(name: str, texts: Sequence[str] = (), *, messages: Iterable[Message] = (), **more: object) -> Conversation:
    """A conversation with an id of its platform."""
    fields: dict[str, object] = {
        "format": 1,
        "id": identify("test", name),
        "platform": "chatgpt",
        "source_id": name,
        "title": f"About {name}",
        "participants": PEOPLE,
        "created_at": "2024-05-01T10:00:00Z",
        "updated_at": f"2024-05-{len(texts) % 28 + 1:02}T12:00:00Z",
        "messages": (*(said(name, number, text) for number, text in enumerate(texts)), *messages),
    }
    return settle(Conversation(**(fields | more)))  # type: ignore[arg-type]


def take(archive: Archive, *conversations: Conversation, importer: str = "test/1") -> Receipt:
    """Imports conversations, each as a record of its own."""
    with archive.take_in("export.zip", "digest", importer) as intake:
        for conversation in conversations:
            take_one(intake, conversation)
    return intake.receipt


def take_one(intake: Intake, conversation: Conversation) -> None:
    intake.take(Loaded(conversations=(conversation,)), digest=digest(conversation))


def digest(conversation: Conversation) -> bytes:
    return hashlib.sha256(repr(conversation).encode()).digest()[:16]


def found(archive: Archive, query: str, **more: bool) -> list[str]:
    """The texts that a query finds, sorted, as their snippets show them."""
    return sorted(hit.snippet.text for hit in archive.search(query, **more).hits)
