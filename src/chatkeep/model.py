"""The conversation document: the unit that is imported, archived, sealed, exported and given out.

`encode` gives the canonical bytes of a conversation, `decode` reads them, `revision` is their SHA-256: the one number
of a version. The bytes are specified, with test vectors, in docs/design/document.md.

All values are frozen. Texts are in the marked form of `chatkeep.exact`; times are RFC 3339 in UTC with `Z`, local
times without a zone; an absent value is the empty one. Fields stand in the order of their names, because the
encoder writes them so and the canonical bytes are sorted.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from heapq import heapify, heappop, heappush
from typing import Any, TypeVar

import msgspec

from chatkeep import exact
from chatkeep.errors import Damaged, VaultTooNew

FORMAT = 1
LONGEST = 1000  # bytes of an id, a hash or a time
NAMESPACE = uuid.UUID("6f0a1f0e-52c5-5a0f-9f5c-8f7e2d2c41aa")
_ABSENT = msgspec.UNSET


class Extra:
    """Fields of a document that this version does not know, kept byte for byte."""

    __slots__ = ("fields",)

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Extra) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash(exact.encode(self.fields))

    def __repr__(self) -> str:
        return f"Extra({sorted(self.fields)})"


class _Value(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    repr_omit_defaults=True,
):
    extra: Extra | None = msgspec.field(default=None, name="\ufdd0extra")


class Part(_Value, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One piece of a message. `type` says which fields mean something (docs/design/document.md has the table).

    type: text, code, thinking, tool_call, tool_result, attachment, citation or unknown.
    sha256: of an attachment's bytes, which the archive holds; `missing` when the export did not have them.
    source_id: the platform's id of an attachment, by which bytes that arrive later are joined to it.
    raw, unknown: exact values, see `chatkeep.exact`; `raw` is a whole block that no importer knows.
    """

    call_id: str = ""
    caption: str = ""
    end: int | None = None
    input: Any = _ABSENT
    is_error: bool = False
    kind: str = ""
    language: str = ""
    markup: str = ""
    media_type: str = ""
    missing: bool = False
    name: str = ""
    parts: tuple[Part, ...] = ()
    raw: Any = _ABSENT
    sha256: str = ""
    size: int | None = None
    source_id: str = ""
    start: int | None = None
    text: str = ""
    title: str = ""
    transcript: str = ""
    type: str
    unknown: dict[str, Any] = {}
    url: str = ""


class Reaction(_Value, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A sign that somebody put on a message. by: participant ids, as far as the platform says."""

    by: tuple[str, ...] = ()
    count: int = 0
    sign: str


class Message(_Value, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One utterance.

    author: id of a participant of the conversation.
    by: importer and its version, "chatgpt/1"; raw: hash of the source record, see `fingerprint`.
    hidden: the platform does not show it (tool traffic, injected context).
    order: place among messages that share a time; sorts_at: the time it is sorted by, where that is not its own.
    parent: message id, only where the platform has a tree.
    previous: other versions of this message, with the same id; none of them has `previous`.
    """

    author: str = ""
    by: str = ""
    edited_at: str = ""
    hidden: bool = False
    id: str
    local_time: str = ""
    model: str = ""
    order: int = 0
    parent: str = ""
    parts: tuple[Part, ...] = ()
    previous: tuple[Message, ...] = ()
    raw: str = ""
    reactions: tuple[Reaction, ...] = ()
    reply_to: str = ""
    sent_at: str = ""
    sorts_at: str = ""
    source_id: str = ""
    status: str = ""
    unknown: dict[str, Any] = {}


class Participant(_Value, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Somebody, or something, that takes part. role: person, assistant, tool or system."""

    id: str
    name: str = ""
    role: str = ""


class Edit(_Value, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a person did to one field here. stamp: a Lamport counter and the id of the device."""

    stamp: tuple[int, str]
    value: Any = _ABSENT


class Conversation(_Value, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One conversation with its people. Two layers: what was observed in the source, and `user`, what people did here.

    stamps: for observed fields that an older export supplied, that export's `updated_at`; see `chatkeep.merge`.
    """

    account: str = ""
    created_at: str = ""
    format: int
    id: str
    messages: tuple[Message, ...] = ()
    participants: tuple[Participant, ...] = ()
    platform: str
    project: str = ""
    shown_leaf: str = ""
    source_flags: dict[str, Any] = {}
    source_id: str = ""
    stamps: dict[str, str] = {}
    title: str = ""
    unknown: dict[str, Any] = {}
    updated_at: str = ""
    user: dict[str, Edit] = {}


# ------------------------------------------------------------------ canonical bytes


class _HasExtra(Exception):
    pass


def _meet_extra(_value: Any) -> Any:
    raise _HasExtra


_ENCODER = msgspec.json.Encoder(order="deterministic", enc_hook=_meet_extra)
_DECODER = msgspec.json.Decoder(Conversation)


def encode(conversation: Conversation) -> bytes:
    """The canonical bytes. Equal conversations give equal bytes, on any machine."""
    return _encode(conversation)


def encode_message(message: Message) -> bytes:
    """The canonical bytes of one message, as they stand in its document."""
    return _encode(message)


def _encode(value: _Value) -> bytes:
    try:
        return _ENCODER.encode(value)
    except _HasExtra:
        return exact.encode(_as_dict(value))


def _as_dict(value: Any) -> Any:
    """The value as plain objects, with the fields that are not known put back in their places."""
    if isinstance(value, _Value):
        fields = {
            field.name: _as_dict(found)
            for field in msgspec.structs.fields(value)
            if field.name != "extra"
            and (found := getattr(value, field.name)) is not _ABSENT
            and (field.required or field.default is _ABSENT or found not in (field.default, (), {}))
        }
        return fields | (value.extra.fields if value.extra else {})
    if isinstance(value, tuple):
        return [_as_dict(item) for item in value]
    if isinstance(value, dict) and any(isinstance(item, _Value) for item in value.values()):
        return {key: _as_dict(item) for key, item in value.items()}
    return value


def decode(data: bytes) -> Conversation:
    """The conversation of canonical bytes; fields this version does not know are kept.

    Raises Damaged when the bytes are not a conversation document, VaultTooNew for a format after ours.
    """
    try:
        conversation = _DECODER.decode(data)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        conversation = _decode_unknown(data)
    if conversation.format > FORMAT:
        raise VaultTooNew(f"The conversation {conversation.id} is in document format {conversation.format}")
    return conversation


def _decode_unknown(data: bytes) -> Conversation:
    try:
        value = msgspec.json.decode(data)
        if isinstance(value, dict) and isinstance(number := value.get("format"), int) and number > FORMAT:
            raise VaultTooNew(f"A conversation is in document format {number}")
        return _from_dict(Conversation, value)
    except (
        msgspec.ValidationError,
        msgspec.DecodeError,
        UnicodeDecodeError,
        RecursionError,
        TypeError,
    ) as wrong:
        raise Damaged("These bytes are not a conversation document") from wrong


_V = TypeVar("_V", bound=_Value)
_NESTED: dict[tuple[type, str], type[_Value]] = {
    (Conversation, "messages"): Message,
    (Conversation, "participants"): Participant,
    (Conversation, "user"): Edit,
    (Message, "parts"): Part,
    (Message, "previous"): Message,
    (Message, "reactions"): Reaction,
    (Part, "parts"): Part,
}


def _from_dict(kind: type[_V], value: Any) -> _V:
    if not isinstance(value, dict):
        raise TypeError(f"{kind.__name__} is an object")
    known = {field.name for field in msgspec.structs.fields(kind)} - {"extra"}
    fields = {name: _nested(kind, name, item) for name, item in value.items() if name in known}
    extra = {name: item for name, item in value.items() if name not in known}
    whole = msgspec.convert({name: item for name, item in fields.items() if (kind, name) not in _NESTED}, kind)
    nested = {name: item for name, item in fields.items() if (kind, name) in _NESTED}
    return msgspec.structs.replace(whole, **nested, extra=Extra(extra) if extra else None)


def _nested(kind: type[_Value], name: str, item: Any) -> Any:
    inner = _NESTED.get((kind, name))
    if inner is None:
        return item
    if name == "user" and isinstance(item, dict):
        return {key: _from_dict(inner, found) for key, found in item.items()}
    if name != "user" and isinstance(item, list):
        return tuple(_from_dict(inner, found) for found in item)
    raise TypeError(f"{name} is of another shape")


def revision(data: bytes) -> str:
    """The number of a version: SHA-256 of its canonical bytes [64 hex digits]."""
    return hashlib.sha256(data).hexdigest()


def fingerprint(record: Any) -> str:
    """A hash of a source record that does not depend on the order of its keys [32 hex digits].

    record: an exact value (`chatkeep.exact`).
    """
    return hashlib.sha256(exact.encode(record)).hexdigest()[:32]


# ------------------------------------------------------------------ ids

_NAMESPACE_HASH = hashlib.sha1(NAMESPACE.bytes, usedforsecurity=False)


def identify(*names: str) -> str:
    """The id that these names have on every machine: a UUID of version 5 over the names, joined by NUL."""
    digest = _NAMESPACE_HASH.copy()
    digest.update("\0".join(names).encode())
    text = digest.hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


def is_too_long(text: str) -> bool:
    """Whether a text has more bytes than an id, a hash or a time may have."""
    return len(text) * 4 > LONGEST and len(text.encode("utf-8", "surrogatepass")) > LONGEST


def too_long(conversation: Conversation) -> str:
    """Which of its ids, hashes and times is longer than the format allows, in words that quote nothing; "" if none is.

    Such a document is read like any other, but an archive does not take it in.
    """
    if is_too_long(conversation.id):
        return "The id of the conversation"
    if any(map(is_too_long, (conversation.created_at, conversation.updated_at))):
        return "A time of the conversation"
    for message in conversation.messages:
        if is_too_long(message.id):
            return "The id of a message"
        if any(map(is_too_long, (message.sent_at, message.local_time))):
            return "The time of a message"
        for version in (message, *message.previous):
            if any(is_too_long(sha256) for sha256 in _hashes(version.parts)):
                return "The hash of an attachment"
    return ""


def _hashes(parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        if part.sha256:
            yield part.sha256
        if part.parts:
            yield from _hashes(part.parts)


# ------------------------------------------------------------------ times

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|z|[+-]\d\d:?\d\d)", re.ASCII)
_PLAIN_NUMBER = re.compile(r"(\d{1,15})(?:\.(\d+))?", re.ASCII)


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(days * 86400))


def from_seconds(value: Any) -> str:
    """RFC 3339 of seconds since 1970, an exact number; "" for what is no number or no time of years 1 to 9999."""
    if type(value) is int:
        whole, fraction = value, ""
    else:
        text = value.get("$number") if type(value) is dict else None
        found = _PLAIN_NUMBER.fullmatch(text) if type(text) is str else None
        if not found:
            return _from_odd_seconds(value)
        whole, fraction = int(found[1]), (found[2] or "").rstrip("0")
    return _from_whole_seconds(whole, fraction[:9].rstrip("0"))


def _from_odd_seconds(value: Any) -> str:
    seconds = exact.as_float(value)
    if seconds is None or seconds != seconds:
        return ""
    whole = int(seconds // 1)
    fraction = f"{seconds - whole:.6f}"[2:].rstrip("0") if 0 <= seconds - whole < 0.9999995 else ""
    return _from_whole_seconds(whole, fraction)


def _from_whole_seconds(whole: int, fraction: str) -> str:
    if not -62135596800 <= whole < 253402300800:
        return ""
    days, rest = divmod(whole, 86400)
    text = f"{_day(days):0>10}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{text}.{fraction}Z" if fraction else text + "Z"


def from_milliseconds(value: Any) -> str:
    """RFC 3339 of milliseconds since 1970, an exact integer; "" for anything else."""
    if type(value) is not int:
        return ""
    whole, rest = divmod(value, 1000)
    return _from_whole_seconds(whole, f"{rest:03}".rstrip("0"))


def from_iso(text: Any) -> str:
    """RFC 3339 in UTC of an ISO 8601 time with a zone; "" for anything else, also for a time without a zone."""
    found = _RFC3339.fullmatch(text) if type(text) is str else None
    if not found:
        return ""
    date, clock, fraction, zone = found.groups()
    fraction = (fraction or "")[:9].rstrip("0")
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}+00:00" if zone in "Zz" else f"{date}T{clock}{zone}")
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    text = f"{moment.year:04}-{moment.month:02}-{moment.day:02}T{moment:%H:%M:%S}"
    return f"{text}.{fraction}Z" if fraction else text + "Z"


def instant(text: str) -> datetime | None:
    """The moment of an RFC 3339 time of a document, to the microsecond; None for "" and what is no time."""
    found = _RFC3339.fullmatch(text)
    if not found:
        return None
    return datetime.fromisoformat(f"{found[1]}T{found[2]}.{(found[3] or '')[:6]:0<6}+00:00")


def time_key(text: str) -> str:
    """What times of documents, with a zone or local, are ordered by."""
    return text[:-1] if text.endswith("Z") else text


# ------------------------------------------------------------------ order of messages


def sort_key(message: Message) -> tuple[str, int, str]:
    """Place of a message among those that may stand beside it: time, source order, id."""
    when = message.sorts_at or message.sent_at or message.local_time
    return (when[:-1] if when.endswith("Z") else when, message.order, message.id)


def arrange(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The messages in document order: parents first, then time, source order, id.

    The result depends on the set alone, so arranging twice, or in pieces, changes nothing. Messages in a cycle of
    parents, and those whose parent is not there, stand where their own key puts them.
    """
    listed = tuple(messages)
    keys = [sort_key(message) for message in listed]
    return listed if _is_arranged(listed, keys) else _arranged(listed)


def _is_arranged(messages: tuple[Message, ...], keys: list[tuple[str, int, str]]) -> bool:
    if any(before > after for before, after in itertools.pairwise(keys)):
        return False
    if not any(message.parent for message in messages):
        return True
    ids = {message.id for message in messages}
    seen: set[str] = set()
    for message in messages:
        if message.parent and message.parent in ids and message.parent not in seen:
            return False
        seen.add(message.id)
    return True


def _arranged(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    waiting = {message.id: message for message in sorted(messages, key=sort_key)}
    children: dict[str, list[Message]] = {}
    for message in waiting.values():
        if message.parent in waiting:
            children.setdefault(message.parent, []).append(message)
    ready = [sort_key(message) for message in waiting.values() if message.parent not in waiting]
    heapify(ready)
    result = []
    while waiting:
        # With nothing ready, what waits hangs on a cycle: the first of it by key goes next.
        name = heappop(ready)[2] if ready else next(iter(waiting))
        if name not in waiting:
            continue
        result.append(waiting.pop(name))
        for child in children.get(name, ()):
            if child.id in waiting:
                heappush(ready, sort_key(child))
    return tuple(result)
