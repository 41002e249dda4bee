"""Reading a source with an importer as the archive would, but into memory, and the result in a readable form."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO

import msgspec

from chatkeep import exact, views
from chatkeep.errors import Problem
from chatkeep.importers import Importer, Kept
from chatkeep.model import Conversation, Message, Part
from chatkeep.source import Member, Source


@dataclass
class Reading:
    """All that an importer gave of one source. kept: attachments by their hash."""

    conversations: list[Conversation] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    shells: int = 0
    records: int = 0
    incomplete: int = 0
    digests: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)

    @property
    def messages(self) -> int:
        """The messages of all conversations, all branches."""
        return sum(len(conversation.messages) for conversation in self.conversations)

    def keep(self, stream: BinaryIO) -> Kept:
        """Keeps an attachment as the archive does."""
        data = stream.read()
        sha256 = hashlib.sha256(data).hexdigest()
        self.kept[sha256] = data
        return Kept(sha256, len(data), data[:64])


def read(importer: Importer, source: Source) -> Reading:
    """Everything in the source, record by record, each loaded before the next is asked for."""
    result = Reading(problems=list(source.problems))
    for record in importer.read(source, result.keep):
        if isinstance(record, Problem):
            result.problems.append(record)
            continue
        loaded = record.load()
        result.records += 1
        result.digests.append(record.digest)
        result.conversations += loaded.conversations
        result.problems += loaded.problems
        result.unknown.update(loaded.unknown)
        result.shells += loaded.shells
        result.incomplete += not loaded.complete
        result.notes += loaded.notes
    return result


def source_of(files: Mapping[str, bytes], *, label: str = "memory") -> Source:
    """A source whose members are these bytes."""
    members = [
        Member(name, len(data), None, f"{label}: {name}", hashlib.sha256(data).hexdigest(), partial(io.BytesIO, data))
        for name, data in files.items()
    ]
    return Source(label, members)


# ------------------------------------------------------------------ for the eye


def summary(reading: Reading) -> dict[str, Any]:
    """What was read in a form that a person can check and that goes into expected.json. Left out is what is empty."""
    found = {
        "conversations": [_conversation(one) for one in reading.conversations],
        "problems": [f"{one.where}: {one.what}" for one in reading.problems],
        "unknown": dict(sorted(reading.unknown.items())),
        "shells": reading.shells,
        "incomplete": reading.incomplete,
        "notes": reading.notes,
        "kept": {sha256[:12]: len(data) for sha256, data in sorted(reading.kept.items())},
    }
    return {name: value for name, value in found.items() if value}


def _conversation(conversation: Conversation) -> dict[str, Any]:
    numbers = {message.id: number for number, message in enumerate(conversation.messages, 1)}
    found = {
        "title": exact.readable(conversation.title),
        "id": conversation.source_id or f"made: {conversation.id}",
        "times": f"{conversation.created_at} {conversation.updated_at}".strip(),
        "project": conversation.project,
        "flags": conversation.source_flags,
        "participants": [f"{one.id} ({one.role}) {one.name}".strip() for one in conversation.participants],
        "messages": [_message(message, numbers) for message in conversation.messages],
        "shown": numbers.get(views.leaf(conversation), 0),
        "unknown": " ".join(sorted(conversation.unknown)),
    }
    return {name: value for name, value in found.items() if value}


def _message(message: Message, numbers: dict[str, int]) -> dict[str, Any]:
    found = {
        "n": numbers[message.id],
        "by": message.author,
        "at": message.sent_at or message.local_time,
        "edited": message.edited_at,
        "under": numbers.get(message.parent, 0),
        "reply_to": numbers.get(message.reply_to, 0),
        "hidden": message.hidden,
        "status": message.status,
        "model": message.model,
        "parts": [_part(part) for part in message.parts],
        "reactions": [f"{one.sign} {one.count} {' '.join(one.by)}".strip() for one in message.reactions],
        "versions": len(message.previous),
        "unknown": " ".join(sorted(message.unknown)),
    }
    return {name: value for name, value in found.items() if value}


def _part(part: Part) -> dict[str, Any] | str:
    """A plain text as itself, everything else with its fields."""
    if part == Part(type="text", text=part.text, markup=part.markup):
        return f"{part.markup}: {exact.readable(part.text)}"
    fields = {name: getattr(part, name) for name in part.__struct_fields__ if name != "extra"}
    found = {name: value for name, value in fields.items() if _is_told(value)}
    if part.parts:
        found["parts"] = [_part(inner) for inner in part.parts]
    if part.unknown:
        found["unknown"] = " ".join(sorted(part.unknown))
    if part.sha256:
        found["sha256"] = part.sha256[:12]
    return {"type": part.type, **{name: value for name, value in sorted(found.items()) if name != "type"}}


def _is_told(value: Any) -> bool:
    is_empty = value is None or value is False or value is msgspec.UNSET
    return not is_empty and value not in ("", (), {})
