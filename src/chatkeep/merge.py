"""Join what two devices, or two exports, know of one conversation. Pure, and without a base.

`merge` is commutative, associative and idempotent on settled documents, so the order in which devices meet does not
matter. It never drops a message, a version of a message, or the hash of an attachment, and never puts an emptier
value over a fuller one. docs/design/document.md says how, and tests/laws proves it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from typing import Any

import msgspec

from chatkeep import exact
from chatkeep.model import (
    Conversation,
    Edit,
    Extra,
    Message,
    Part,
    Participant,
    arrange,
    encode_message,
    time_key,
)

_FIELDS = (
    "account",
    "created_at",
    "platform",
    "project",
    "shown_leaf",
    "source_flags",
    "source_id",
    "title",
    "unknown",
)
_AT_WORK = frozenset({"in_progress", "unfinished"})  # what the status of a message is while it is still being written
CHOSEN = "version/"  # of `user`: this and a message id → the `raw` of the version a person chose


def merge(a: Conversation, b: Conversation) -> Conversation:
    """Everything that either knows. Both are settled and have the same id; so has the result.

    Raises ValueError when the ids differ.
    """
    if a.id != b.id:
        raise ValueError("only two documents of one conversation can be merged")
    if a == b:
        return a
    user = _join_edits(a.user, b.user)
    updated_at = max(a.updated_at, b.updated_at, key=time_key)
    observed, stamps = _join_observed(a, b, updated_at)
    return Conversation(
        **observed,
        extra=_join_extra(a.extra, b.extra),
        format=max(a.format, b.format),
        id=a.id,
        messages=_join_messages((*a.messages, *b.messages), user),
        stamps=stamps,
        updated_at=updated_at,
        user=user,
    )


def settle(conversation: Conversation) -> Conversation:
    """The document with its messages and participants in document order, and one message for each id.

    Several messages of one id become versions of one. Importers end with this.
    """
    participants = tuple(sorted({one.id: one for one in conversation.participants}.values(), key=lambda one: one.id))
    messages = conversation.messages
    if len({message.id for message in messages}) != len(messages) or any(message.previous for message in messages):
        messages = _join_messages(messages, conversation.user)
    else:
        messages = arrange(messages)
    return msgspec.structs.replace(conversation, messages=messages, participants=participants)


def has_content(message: Message) -> bool:
    """Whether a message says anything: it has a part that is not blank text."""
    return any(part.type != "text" or part.text.strip() for part in message.parts)


# ------------------------------------------------------------------ what can be taken back


def pieces(conversation: Conversation) -> set[str]:
    """The names of all that was observed: one for each version of a message, and one for each value of a field.

    What an operation brought is the names it added; taking them away takes it back (`without`). The same content has
    the same names on every machine. What people did here (`user`) is no piece.
    """
    fields = {_field_name(name, value) for name, (_, value) in _registers(conversation).items() if name != "platform"}
    return fields | version_names(conversation)


def version_names(conversation: Conversation) -> set[str]:
    """The names of the versions of its messages alone: what a conversation says."""
    return {_version_name(one) for message in conversation.messages for one in (message, *message.previous)}


def without(conversation: Conversation, gone: Collection[str]) -> Conversation:
    """The settled conversation with what is left when pieces of these names are taken away. `user` stays."""
    if not gone:
        return conversation
    there = _registers(conversation)
    kept = {name: one for name, one in there.items() if name == "platform" or _field_name(name, one[1]) not in gone}
    versions = [
        msgspec.structs.replace(one, previous=())
        for message in conversation.messages
        for one in (message, *message.previous)
    ]
    left = [one for one in versions if _version_name(one) not in gone]
    if len(left) == len(versions) and len(kept) == len(there):
        return conversation
    fields = {name: value for name, (_, value) in kept.items() if not name.startswith("participants/")}
    people = (value for name, (_, value) in kept.items() if name.startswith("participants/"))
    return Conversation(
        **fields,
        extra=conversation.extra,
        format=conversation.format,
        id=conversation.id,
        messages=_join_messages(left, conversation.user),
        participants=tuple(sorted(people, key=lambda one: one.id)),
        stamps={name: stamp for name, (stamp, _) in kept.items() if stamp != conversation.updated_at},
        updated_at=conversation.updated_at,
        user=conversation.user,
    )


def news(new: Conversation, known: Conversation) -> Conversation:
    """What of a conversation is not in a known state of it: its versions that differ, its fields that differ."""
    there = _records(known)
    same = pieces(new) & pieces(known) - there.keys()
    same |= {name for name, found in _records(new).items() if all(one in there.get(name, ()) for one in found)}
    return without(new, same)


def _records(conversation: Conversation) -> dict[str, list[Message]]:
    """All versions of messages by their names. Several have one name when one alone has a place for an attachment."""
    found: dict[str, list[Message]] = {}
    for message in conversation.messages:
        for one in (message, *message.previous):
            found.setdefault(_version_name(one), []).append(msgspec.structs.replace(one, previous=()))
    return found


def _version_name(message: Message) -> str:
    return f"{message.id}/{message.raw}"


def _field_name(name: str, value: Any) -> str:
    return f"{name}={hashlib.sha256(_bytes(value)).hexdigest()[:32]}"


# ------------------------------------------------------------------ what was observed


def _join_observed(a: Conversation, b: Conversation, updated_at: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Each field by itself: the one with content, then the later one, then the greater by its bytes."""
    left, right = _registers(a), _registers(b)
    joined = {name: max(_both(left, right, name), key=_weight) for name in left.keys() | right.keys()}
    fields = {name: value for name, (_, value) in joined.items() if not name.startswith("participants/")}
    people = [value for name, (_, value) in joined.items() if name.startswith("participants/")]
    fields["participants"] = tuple(sorted(people, key=lambda one: one.id))
    return fields, {name: stamp for name, (stamp, _) in joined.items() if stamp != updated_at}


_Register = tuple[str, Any]  # (updated_at of the export that said so, the value)


def _registers(conversation: Conversation) -> dict[str, _Register]:
    values: dict[str, Any] = {name: value for name in _FIELDS if (value := getattr(conversation, name))}
    values |= {f"participants/{one.id}": one for one in conversation.participants}
    return {name: (conversation.stamps.get(name, conversation.updated_at), value) for name, value in values.items()}


def _both(left: dict[str, _Register], right: dict[str, _Register], name: str) -> Iterable[_Register]:
    return [side[name] for side in (left, right) if name in side]


def _weight(register: _Register) -> tuple[bool, str, bytes]:
    stamp, value = register
    named = not isinstance(value, Participant) or bool(value.name)
    return (named, time_key(stamp), _bytes(value))


def _bytes(value: Any) -> bytes:
    if isinstance(value, Participant):
        extra = value.extra.fields if value.extra else None
        return exact.encode([value.id, value.name, value.role, extra])
    return exact.encode(value)


def _join_extra(a: Extra | None, b: Extra | None) -> Extra | None:
    if a is None or b is None:
        return a or b
    return Extra(_join_maps(a.fields, b.fields, exact.encode))


# ------------------------------------------------------------------ what people did here


def _join_edits(a: dict[str, Edit], b: dict[str, Edit]) -> dict[str, Edit]:
    return _join_maps(a, b, _edit_weight)


def _edit_weight(edit: Edit) -> tuple[tuple[int, str], bytes]:
    return (edit.stamp, b"" if edit.value is msgspec.UNSET else exact.encode(edit.value))


def _join_maps(a: dict[str, Any], b: dict[str, Any], weight: Callable[[Any], Any]) -> dict[str, Any]:
    both = {name: max(a[name], b[name], key=weight) for name in a.keys() & b.keys()}
    return a | b | both


# ------------------------------------------------------------------ messages and their versions


def _join_messages(messages: Iterable[Message], user: dict[str, Edit]) -> tuple[Message, ...]:
    by_id: dict[str, list[Message]] = {}
    for message in messages:
        by_id.setdefault(message.id, []).append(message)
    return arrange(_join_versions(found, user) for found in by_id.values())


def _join_versions(found: list[Message], user: dict[str, Edit]) -> Message:
    """One message out of several of its id: the version to show, with the others as `previous`."""
    chosen = user.get(CHOSEN + found[0].id)
    if all(message == found[0] for message in found) and (chosen is None or not found[0].previous):
        return found[0]
    groups: dict[str, list[Message]] = {}
    for message in found:
        for version in (msgspec.structs.replace(message, previous=()), *message.previous):
            groups.setdefault(version.raw, []).append(version)
    kept = [_join_records(versions) for versions in groups.values()]
    shown = max((versions[0] for versions in kept), key=lambda version: _claim(version, chosen))
    others = sorted((v for versions in kept for v in versions if v is not shown), key=lambda v: (v.raw, _rank(v)))
    return msgspec.structs.replace(shown, previous=tuple(others))


def _claim(version: Message, chosen: Edit | None) -> tuple[bool, bool, bool, str, str]:
    is_chosen = chosen is not None and chosen.value == version.raw
    is_written = version.status not in _AT_WORK
    return (is_chosen, has_content(version), is_written, time_key(version.edited_at), version.raw)


def _join_records(versions: list[Message]) -> list[Message]:
    """The versions worth keeping of one source record, the best first.

    The later importer's stands for all. A hash of an attachment that any version has fills the others; a version
    is kept beside the best only if it alone has a place for such an attachment.
    """
    hashes: dict[str, str] = {}
    for version in versions:
        for key, part in _attachments(version):
            hashes[key] = max(hashes.get(key, ""), part.sha256)
    ranked = sorted({_rank(version): version for version in versions}.items(), reverse=True, key=lambda item: item[0])
    kept: list[Message] = []
    missing = {key for key, sha256 in hashes.items() if sha256}
    for _, version in ranked:
        keys = {key for key, _ in _attachments(version)}
        if not kept or keys & missing:
            kept.append(_fill(version, hashes))
            missing -= keys
    return kept


def _rank(version: Message) -> tuple[int, bool, int, bytes]:
    """Greater for a later importer, then for one that is no longer being written, then for more detail.

    Alike for versions that differ in filled attachments only.
    """
    number = version.by.rpartition("/")[2]
    data = encode_message(_fill(version, {}))
    return (int(number) if number.isdecimal() else 0, version.status not in _AT_WORK, len(data), data)


def _attachments(message: Message) -> list[tuple[str, Part]]:
    """The attachments of a message, each under a key that the record gives it."""
    found: list[tuple[str, Part]] = []
    _collect(message.parts, found)
    return found


def _collect(parts: Iterable[Part], found: list[tuple[str, Part]]) -> None:
    for part in parts:
        if part.type == "attachment":
            found.append((part.source_id or f"{part.name}/{len(found)}", part))
        _collect(part.parts, found)


def _fill(message: Message, hashes: dict[str, str]) -> Message:
    """The message with just these hashes at its attachments."""
    keys = iter([key for key, _ in _attachments(message)])
    parts = _fill_parts(message.parts, keys, hashes)
    return message if parts == message.parts else msgspec.structs.replace(message, parts=parts)


def _fill_parts(parts: tuple[Part, ...], keys: Any, hashes: dict[str, str]) -> tuple[Part, ...]:
    filled = []
    for part in parts:
        sha256 = hashes.get(next(keys), "") if part.type == "attachment" else part.sha256
        missing = not sha256 if part.type == "attachment" else part.missing
        inner = _fill_parts(part.parts, keys, hashes) if part.parts else part.parts
        filled.append(msgspec.structs.replace(part, sha256=sha256, missing=missing, parts=inner))
    return tuple(filled)
