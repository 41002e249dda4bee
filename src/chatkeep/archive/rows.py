"""From a conversation to what the tables hold of it. Pure.

`prepare` is the one place that decides what is listed, what is found and how a message is reached without decoding
the rest: `start` and `length` say where its own canonical bytes stand in those of the document.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

import msgspec
import zstandard

from chatkeep import alignment, exact, views
from chatkeep.archive.codes import ATTACHED, HIDDEN, SPECIAL, TEXT, TITLE, TITLED, VISIBLE, month
from chatkeep.archive.words import is_special
from chatkeep.errors import Damaged
from chatkeep.frames import expand
from chatkeep.model import Conversation, Part, encode, encode_message, time_key

FRAME = 1 << 18  # bytes of a document in one frame, so that a page of a long one need not unpack all of it
GONE = -1  # the parent's position when the parent is not in the document
_PREVIEW = 160
_LEVEL = 1


class MessageRow(msgspec.Struct, gc=False):
    """What `messages` and `texts` hold of one message. month: the beginning of its row number, see `month`."""

    position: int
    id: str
    parent: int | None
    shown: int | None
    author: str
    flags: int
    sent_at: str
    start: int
    length: int
    month: int
    kind: int = TEXT
    text: str = ""


@dataclass(slots=True)
class Prepared:
    """A conversation as rows. people: (id, name, role); needs: hash → (name, media type)."""

    id: str
    data: bytes
    revision: str
    platform: str
    project: str
    trashed: bool
    listing: tuple[object, ...] = ()
    people: list[tuple[str, str, str]] = field(default_factory=list)
    messages: list[MessageRow] = field(default_factory=list)
    needs: dict[str, tuple[str, str]] = field(default_factory=dict)
    clock: int = 0
    prints: list[int] = field(default_factory=list)


LISTING = (
    *("platform", "title", "project", "created_at", "updated_at", "first_at", "last_at", "messages", "attachments"),
    *("labels", "starred", "archived", "trashed", "preview", "leaf", "bytes"),
)


def prepare(conversation: Conversation, data: bytes = b"") -> Prepared:
    """The rows of a settled conversation. data: its canonical bytes, if they are known already."""
    encoded = [encode_message(message) for message in conversation.messages]
    data = data or _spliced(conversation, encoded)
    people = {one.id: (one.id, exact.readable(one.name), one.role) for one in conversation.participants}
    prepared = Prepared(
        id=conversation.id,
        data=data,
        revision=sha256(data).hexdigest(),
        platform=conversation.platform,
        project=_project(conversation),
        trashed=views.is_trashed(conversation),
    )
    for message in conversation.messages:
        if message.author and message.author not in people:
            people[message.author] = (message.author, "", "")
    prepared.people = list(people.values())
    attachments = _message_rows(prepared, conversation, encoded, people)
    prepared.listing = _listing(conversation, prepared, attachments)
    if not conversation.source_id:
        prepared.prints = prints(conversation)
    if conversation.user:
        prepared.clock = max(edit.stamp[0] for edit in conversation.user.values())
    return prepared


def prints(conversation: Conversation) -> list[int]:
    """What its messages are recognised by where a platform has no ids, as whole numbers of 64 bits."""
    return [int.from_bytes(bytes.fromhex(one), "big", signed=True) for one in alignment.fingerprints(conversation)]


def _spliced(conversation: Conversation, encoded: list[bytes]) -> bytes:
    """The canonical bytes of the conversation, with those of its messages put in rather than made again."""
    if conversation.extra is not None or not encoded:
        return encode(conversation)
    shell = encode(msgspec.structs.replace(conversation, messages=()))
    head = b'"format":%d,"id":%s' % (conversation.format, exact.encode(conversation.id))
    at = shell.index(head) + len(head)
    return b"".join((shell[:at], b',"messages":[', b",".join(encoded), b"]", shell[at:]))


def _message_rows(
    prepared: Prepared, conversation: Conversation, encoded: list[bytes], people: dict[str, tuple[str, str, str]]
) -> int:
    """Fills in the rows of the messages and of the title; says how many attachments there are."""
    messages = conversation.messages
    places = {message.id: position for position, message in enumerate(messages)}
    end = views.leaf(conversation)
    shown = {message.id: position for position, message in enumerate(views.path(conversation, end))}
    start = prepared.data.index(b'"messages":[' + encoded[0]) + 12 if encoded else 0
    title = views.title(conversation)
    if title:
        when = conversation.created_at or (messages[0].sent_at if messages else "")
        kind = TITLED | (SPECIAL if is_special(title) else 0)
        prepared.messages.append(MessageRow(-1, "", None, None, "", TITLE, when, 0, 0, month(when), kind, title))
    attachments = 0
    for position, (message, raw) in enumerate(zip(messages, encoded, strict=True)):
        parts = message.parts
        role = people[message.author][2] if message.author else ""
        if (
            len(parts) == 1
            and (only := parts[0]).type == "text"
            and not (only.caption or only.transcript or only.parts)
        ):
            # What most messages are; the same as below in less time.
            found, text = 0, exact.readable(only.text)
            visible = not message.hidden and role != "system" and bool(only.text.strip())
        else:
            found, text = _attachments(parts, prepared.needs), views.plain_text(message)
            visible = views.is_visible(message, role)
        attachments += found
        for version in message.previous:  # they keep their attachments, but nobody sees two
            _attachments(version.parts, prepared.needs)
        if text and text.isspace():
            text = ""
        when = message.sent_at or message.local_time
        kind = TEXT if visible else HIDDEN
        if not text.isascii() and is_special(text):
            kind |= SPECIAL
        prepared.messages.append(
            MessageRow(
                position,
                message.id,
                places.get(message.parent, GONE) if message.parent else None,
                shown.get(message.id),
                message.author,
                (VISIBLE if visible else 0) | (ATTACHED if found else 0),
                when,
                start,
                len(raw),
                month(when or message.sorts_at or conversation.created_at),
                kind,
                text,
            )
        )
        start += len(raw) + 1
    return attachments


def _attachments(parts: tuple[Part, ...], needs: dict[str, tuple[str, str]]) -> int:
    count = 0
    for part in parts:
        if part.type == "attachment":
            count += 1
            if part.sha256:
                needs.setdefault(part.sha256, (part.name, part.media_type))
        if part.parts:
            count += _attachments(part.parts, needs)
    return count


def _listing(conversation: Conversation, prepared: Prepared, attachments: int) -> tuple[object, ...]:
    times = [time_key(row.sent_at) for row in prepared.messages if row.sent_at and row.position >= 0]
    created, updated = time_key(conversation.created_at), time_key(conversation.updated_at)
    return (
        conversation.platform,
        views.title(conversation),
        prepared.project,
        conversation.created_at,
        conversation.updated_at,
        min([*times, created] if created else times, default=updated),
        max([*times, updated] if updated else times, default=created),
        len(conversation.messages),
        attachments,
        *outside(conversation),
        prepared.trashed,
        _preview(prepared.messages),
        views.leaf(conversation),
        len(prepared.data),
    )


def outside(conversation: Conversation) -> tuple[str, bool, bool]:
    """What people put on a conversation that only lists show: its labels, as JSON, and whether starred and archived."""
    labels = msgspec.json.encode(views.labels(conversation)).decode()
    return labels, bool(views.edited(conversation, "starred")), bool(views.edited(conversation, "archived"))


def _project(conversation: Conversation) -> str:
    chosen = views.edited(conversation, "project")
    return exact.readable(chosen if isinstance(chosen, str) and chosen else conversation.project)


def _preview(messages: list[MessageRow]) -> str:
    for row in messages:
        if row.flags & VISIBLE and row.text:
            return " ".join(row.text[: 2 * _PREVIEW].split())[:_PREVIEW]
    return ""


# ------------------------------------------------------------------ bytes of documents


def pack(data: bytes, compressor: zstandard.ZstdCompressor | None = None) -> tuple[bytes | None, bytes]:
    """The frames of a document, one after the other, and their lengths if there are several."""
    compressor = compressor or zstandard.ZstdCompressor(level=_LEVEL)
    if len(data) <= FRAME:
        return None, compressor.compress(data)
    frames = [compressor.compress(data[at : at + FRAME]) for at in range(0, len(data), FRAME)]
    return struct.pack(f"<{len(frames)}I", *map(len, frames)), b"".join(frames)


def pack_many(documents: list[bytes], compressor: zstandard.ZstdCompressor) -> list[bytes]:
    """Each document as one frame. None is longer than FRAME. Other threads run meanwhile."""
    if "multi_compress_to_buffer" not in zstandard.backend_features:
        return [compressor.compress(data) for data in documents]
    packed = compressor.multi_compress_to_buffer([*documents])
    return [packed[at].tobytes() for at in range(len(packed))]


def unpack(frames: bytes | None, packed: bytes) -> bytes:
    """The inverse of `pack`. Raises Damaged."""
    if frames is None:
        return unpack_frame(packed)
    lengths = struct.unpack(f"<{len(frames) // 4}I", frames)
    at, result = 0, []
    for length in lengths:
        result.append(unpack_frame(packed[at : at + length]))
        at += length
    return b"".join(result)


def unpack_frame(packed: bytes) -> bytes:
    try:
        return expand(packed)
    except zstandard.ZstdError as wrong:
        raise Damaged("A document in the archive is damaged") from wrong


def roles(conversation: Conversation) -> dict[str, int]:
    """How many messages each role has said."""
    role = {one.id: one.role for one in conversation.participants}
    counted: dict[str, int] = {}
    for message in conversation.messages:
        name = role.get(message.author, "") or "unknown"
        counted[name] = counted.get(name, 0) + 1
    return counted


def attachment_keys(conversation: Conversation) -> tuple[list[str], list[str]]:
    """What names the attachments of a conversation: those that are there, and those that are missing."""
    stored: list[str] = []
    missing: list[str] = []
    for message in conversation.messages:
        for version in (message, *message.previous):
            for part in _attachment_parts(version.parts):
                key = part.source_id or part.sha256 or f"{version.id}/{part.name}"
                (stored if part.sha256 else missing).append(key)
    return stored, missing


def _attachment_parts(parts: tuple[Part, ...]) -> Iterator[Part]:
    """Not a function within the caller: one that names itself is a cycle, which an import never frees (`haste`)."""
    for part in parts:
        if part.type == "attachment":
            yield part
        if part.parts:
            yield from _attachment_parts(part.parts)
