"""What a program pushes, read and checked: conversation documents, or conversations as their platform has them.

A document is checked against the format (docs/design/document.md) before anything is written, so that an item is taken
whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from chatkeep import model
from chatkeep.api.problems import ApiError
from chatkeep.errors import ChatkeepError, Damaged, VaultTooNew
from chatkeep.exact import MAX_INTEGER
from chatkeep.importers.native import read_native
from chatkeep.merge import settle
from chatkeep.model import Conversation, Message, Part
from chatkeep.records import Keep, Loaded

DEEPEST = 64
LARGEST = 32 << 20
MOST_ITEMS = 1000
LONGEST_ID = 200

ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
PLATFORM = r"^[a-z0-9][a-z0-9._-]{0,39}$"
SHA256 = r"^[0-9a-f]{64}$"
_YEAR = r"(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_LEAP = r"(([02468][48]|[2468]0|[13579][26])00|[0-9]{2}(0[48]|[2468][048]|[13579][26]))"
_LONG_MONTHS, _SHORT_MONTHS = r"(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])", r"(0[469]|11)-(0[1-9]|[12][0-9]|30)"
DAY = rf"({_YEAR}-({_LONG_MONTHS}|{_SHORT_MONTHS}|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
LOCAL_TIME = rf"^{DAY}T{_CLOCK}$"
TIME = rf"^{DAY}T{_CLOCK}Z$"
SORT_TIME = rf"^{DAY}T{_CLOCK}Z?$"
TYPES = ("attachment", "citation", "code", "text", "thinking", "tool_call", "tool_result", "unknown")
ROLES = ("assistant", "person", "system", "tool")

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_FRACTION = re.compile(rb"[0-9][.eE]")
_LONG = re.compile(rb"(?<![0-9.])[0-9]{16,}(?![0-9.eE])")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_is_id = re.compile(ID).fullmatch
_is_platform = re.compile(PLATFORM).fullmatch
_is_sha256 = re.compile(SHA256).fullmatch
_is_time = re.compile(TIME).fullmatch
_is_local_time = re.compile(LOCAL_TIME).fullmatch
_is_sort_time = re.compile(SORT_TIME).fullmatch


class Native(msgspec.Struct, forbid_unknown_fields=True):
    """A conversation as its platform has it."""

    platform: str
    native: msgspec.Raw


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NATIVE = msgspec.json.Decoder(Native)


def read_item(raw: bytes, keep: Keep) -> Loaded:
    """What one pushed item holds. Raises ApiError, and what `read_native` raises; then nothing of it was taken."""
    refuse_shape(raw)
    try:
        fields = _OBJECT.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _not("This is not a JSON object.") from None
    if "native" not in fields:
        return Loaded((read_document(raw),))
    try:
        given = _NATIVE.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _not("A native conversation comes as platform and native, and nothing else.") from None
    return read_native(given.platform, bytes(given.native), keep)


def read_document(raw: bytes) -> Conversation:
    """The conversation of a document, settled. Raises ApiError when it is none, or not in the format."""
    bare = _STRINGS.sub(b"", raw)
    if any((len(found) < 400 and int(found) > MAX_INTEGER) or len(found) >= 400 for found in _LONG.findall(bare)):
        raise _not("A number in it is not within ±(2^53 - 1).", 'Write it as {"$number": "9007199254740992"}.')
    if b"\\u0000" in raw and _NUL.search(raw):
        raise _not("A text in it holds NUL.", "Write it as U+FDD0 and 0000.")
    try:
        conversation = model.decode(_exact(raw) if _FRACTION.search(bare) else raw)
    except VaultTooNew:
        raise
    except (Damaged, ValueError):
        raise _not("It is not a conversation document.") from None
    wrong = next(_wrong(conversation), "")
    if wrong:
        raise _not(f"It is not a conversation document: {wrong}.")
    return settle(conversation)


def _exact(raw: bytes) -> bytes:
    """The same with no number but integers: what is written with a fraction is one, or is kept as its text."""
    return msgspec.json.encode(_WITH_FRACTIONS.decode(raw))


def _number(text: str) -> int | dict[str, str]:
    value = float(text)
    return int(value) if value.is_integer() and abs(value) <= MAX_INTEGER else {"$number": text}


_WITH_FRACTIONS = msgspec.json.Decoder(float_hook=_number)


def refuse_shape(raw: bytes) -> None:
    """Refuse what is nested too deep, before anything recursive sees it."""
    depth = deepest = 0
    for bracket in _STRINGS.sub(b"", raw).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise _not(f"It is nested deeper than {DEEPEST} levels.")


def _wrong(one: Conversation) -> Iterator[str]:
    """What is not as the format wants it, in words that quote nothing."""
    if one.format != model.FORMAT:
        yield f"its format is not {model.FORMAT}"
    if not _is_id(one.id):
        yield "its id is no UUID in small letters"
    if not _is_platform(one.platform):
        yield "its platform is no name like chatgpt"
    yield from _wrong_times(one.created_at, one.updated_at, *one.stamps.values())
    for person in one.participants:
        if not 0 < len(person.id) <= LONGEST_ID or person.role not in ("", *ROLES):
            yield "a participant has no id, or a role that is none"
    for edit in one.user.values():
        if not 0 <= edit.stamp[0] <= MAX_INTEGER or len(edit.stamp[1]) > LONGEST_ID:
            yield "a stamp is no counter with the name of a device"
    for message in one.messages:
        yield from _wrong_message(message)


def _wrong_message(message: Message) -> Iterator[str]:
    if not 0 < len(message.id) <= LONGEST_ID:
        yield f"a message has no id of at most {LONGEST_ID} signs"
    yield from _wrong_times(message.sent_at, message.edited_at)
    if message.local_time and not _is_local_time(message.local_time):
        yield "a local time is not like 2024-05-31T10:00:00"
    if message.sorts_at and not _is_sort_time(message.sorts_at):
        yield "a time to sort by is not like 2024-05-31T10:00:00"
    if message.order < 0:
        yield "an order is below 0"
    for part in message.parts:
        yield from _wrong_part(part)
    for version in message.previous:
        if version.previous:
            yield "a previous version has previous ones itself"
        yield from _wrong_message(version)


def _wrong_part(part: Part) -> Iterator[str]:
    if part.type not in TYPES:
        yield "a part is of a type that is none"
    if part.sha256 and not _is_sha256(part.sha256):
        yield "a sha256 is not 64 hex digits in small letters"
    if any(number is not None and number < 0 for number in (part.size, part.start, part.end)):
        yield "a size or a place is below 0"
    for inner in part.parts:
        yield from _wrong_part(inner)


def _wrong_times(*times: str) -> Iterator[str]:
    if not all(not time or _is_time(time) for time in times):
        yield "a time is not like 2024-05-31T10:00:00Z"


def attachments(conversation: Conversation) -> list[str]:
    """The hashes of the attachments that a conversation names."""
    versions = (one for message in conversation.messages for one in (message, *message.previous))
    return list(dict.fromkeys(sha256 for one in versions for sha256 in _named(one.parts)))


def _named(parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        if part.sha256:
            yield part.sha256
        yield from _named(part.parts)


def items(body: bytes, content_type: str) -> list[bytes]:
    """The items of a batch, not decoded: a JSON array of them, or one on each line (ndjson).

    Raises ApiError for what is neither, and for more than MOST_ITEMS.
    """
    found = _lines(body) if content_type in ("application/x-ndjson", "application/jsonl") else _array(body)
    if len(found) > MOST_ITEMS:
        raise ApiError(413, f"There are more than {MOST_ITEMS:,} conversations in one request.", hint="Send fewer.")
    return found


def _lines(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\n") if line.strip()]


def _array(body: bytes) -> list[bytes]:
    refuse_shape(body)
    try:
        return [bytes(raw) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _not("The body is no JSON array of conversations.") from None


def _not(what: str, hint: str = "") -> ChatkeepError:
    return ApiError(422, what, hint=hint or "docs/design/document.md says what a document is.")


def as_plain(value: object) -> Any:
    """A value of the archive as plain JSON values."""
    return msgspec.to_builtins(value)
