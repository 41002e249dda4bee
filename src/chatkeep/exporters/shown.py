"""What of a conversation is written, and in which order: the same for every readable format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec

from chatkeep import exact, views
from chatkeep.exporters.customisation import Customisation
from chatkeep.exporters.exporter import Entry
from chatkeep.model import Conversation, Edit, Message, Part, Participant, instant
from chatkeep.rendering import citations

_ROLES = {"person": "Person", "assistant": "Assistant", "tool": "Tool", "system": "System"}
_SNIPPET = 80
_FOLDED = frozenset({"thinking", "tool_call", "tool_result"})


class Said(msgspec.Struct, frozen=True):
    """One message as it is written. when: "" where times are not told. notes: edited, deleted, in answer to."""

    id: str
    name: str
    role: str
    place: int
    when: str
    at: str
    notes: tuple[str, ...]
    reactions: str
    parts: tuple[Part, ...]


class Turn(msgspec.Struct, frozen=True):
    """Where another version of what follows begins, with its label, or ends, with ""."""

    label: str


class Clock:
    """Tells the times of documents as a customisation wants them."""

    def __init__(self, customisation: Customisation) -> None:
        self._zone = customisation.clock()
        self._length = {"none": 0, "date": 10, "full": 16}[customisation.times]

    def date(self, time: str) -> str:
        """The day, "2024-03-09"; "" when it is not known."""
        return self._local(time)[:10]

    def told(self, sent_at: str, local_time: str = "") -> str:
        """The time of a message: "2024-03-09 14:05"; a local one without a zone as its platform gave it."""
        return (self._local(sent_at) or local_time)[: self._length].replace("T", " ")

    def _local(self, time: str) -> str:
        if self._zone is None or not time.endswith("Z"):
            return time
        moment = instant(time)
        try:
            return moment.astimezone(self._zone).isoformat() if moment else time
        except OverflowError:
            return time


class Shown:
    """One conversation as it is written: title, people, times, and its messages in order."""

    def __init__(self, conversation: Conversation, customisation: Customisation) -> None:
        self.conversation = _redacted(conversation, customisation)
        self.title = views.title(self.conversation) or "Untitled"
        self.platform = views.platform_title(conversation.platform)
        self.names = _names(self.conversation, customisation)
        self.written = 0
        self._customisation = customisation
        self._clock = Clock(customisation)
        self._showing = customisation.showing()
        self._roles = {one.id: one.role for one in self.conversation.participants}
        self._places = {one.id: at for at, one in enumerate(self.conversation.participants)}
        self._quoted = self._answered()

    @property
    def people(self) -> list[str]:
        """The names of those who talked, each once; not of tools and the system."""
        roles = {one.id: one.role for one in self.conversation.participants}
        return list(dict.fromkeys(name for one, name in self.names.items() if roles[one] not in ("tool", "system")))

    @cached_property
    def started(self) -> str:
        """The first and the last day, "2024-03-09 to 2024-03-11"; "" where times are not told or known."""
        if self._customisation.times == "none":
            return ""
        times = sorted(when for one in self.conversation.messages if (when := one.sent_at or one.local_time))
        ends = [self.conversation.created_at or (times[0] if times else ""), times[-1] if times else ""]
        days = sorted({day for end in ends if (day := self._clock.date(end))})
        return " to ".join(days)

    @property
    def zone(self) -> str:
        """Which times these are, in words; "" where they are not told to the minute."""
        messages = self.conversation.messages
        if self._customisation.times != "full" or not any(one.sent_at or one.local_time for one in messages):
            return ""
        return f"times in {self._customisation.zone}" if any(one.sent_at for one in messages) else "local times"

    def entry(self, path: str = "") -> Entry:
        """How an index shows the conversation, once its messages were written."""
        return Entry(path, self.title, self.platform, self.started[:10], self.written)

    def told(self, time: str) -> str:
        """A time of the document as this export tells times."""
        return self._clock.told(time)

    def messages(self) -> Iterator[Said | Turn]:
        """The messages that are written, and where other versions begin and end."""
        if self._customisation.branches == "all":
            steps: Iterator[Message | str] = _walk(self.conversation)
        else:
            steps = iter(views.path(self.conversation))
        for step in steps:
            if isinstance(step, str):
                yield Turn(step)
            elif said := self._said(step):
                self.written += 1
                yield said

    def _said(self, message: Message) -> Said | None:
        role = self._roles.get(message.author, "")
        parts = message.parts
        if (message.hidden or role == "system") and not self._customisation.hidden:
            parts = tuple(part for part in parts if part.type in _FOLDED)
            notes: tuple[str, ...] = ()
        else:
            notes = self._notes(message)
        if not any(self._is_written(part) for part in parts) and not notes:
            return None
        return Said(
            id=message.id,
            name=self.names.get(message.author) or "Unknown",
            role=role,
            place=self._places.get(message.author, 0),
            when=self._clock.told(message.sent_at, message.local_time),
            at=message.sent_at,
            notes=notes,
            reactions=self._reactions(message) if message.reactions else "",
            parts=parts,
        )

    def _is_written(self, part: Part) -> bool:
        return self._showing.shows(part) and (part.type != "text" or not (part.text == "" or part.text.isspace()))

    def _notes(self, message: Message) -> tuple[str, ...]:
        if not (message.edited_at or message.status or message.reply_to):
            return ()
        notes = []
        if message.reply_to in self._quoted:
            notes.append(f"in answer to {self._quoted[message.reply_to]}")
        if message.edited_at:
            notes.append("edited")
        if message.status and message.status not in ("finished_successfully", "finished"):
            notes.append(exact.readable(message.status).replace("_", " "))
        return tuple(notes)

    def _answered(self) -> Mapping[str, str]:
        """The beginning of each message that another one answers."""
        wanted = {message.reply_to for message in self.conversation.messages if message.reply_to}
        if not wanted:
            return {}
        return {one.id: self._snippet(one) for one in self.conversation.messages if one.id in wanted}

    def _snippet(self, message: Message) -> str:
        name = self.names.get(message.author) or "Unknown"
        words = " ".join(citations.replace(views.plain_text(message), lambda _: "").split())
        return f"{name}: “{words[:_SNIPPET]}{'…' if len(words) > _SNIPPET else ''}”" if words else name

    def _reactions(self, message: Message) -> str:
        return " · ".join(self._reaction(exact.readable(one.sign), one.by, one.count) for one in message.reactions)

    def _reaction(self, sign: str, by: tuple[str, ...], count: int) -> str:
        names = [self.names.get(person) or "Unknown" for person in by]
        return " ".join([sign, ", ".join(names) or (str(count) if count > 1 else "")]).strip()


# ------------------------------------------------------------------ names


def _names(conversation: Conversation, customisation: Customisation) -> dict[str, str]:
    own = customisation.own_names
    counts: dict[str, int] = {}
    names = {}
    people = [one for one in conversation.participants if one.role in ("person", "")]
    for one in conversation.participants:
        name = exact.readable(one.name)
        if one.id in own or name in own:
            name = own[one.id if one.id in own else name]
        elif customisation.names == "roles" or not name:
            name = _role_name(one, conversation, customisation, counts, is_alone=len(people) < 2)
        names[one.id] = name
    return names


def _role_name(
    one: Participant,
    conversation: Conversation,
    customisation: Customisation,
    counts: dict[str, int],
    *,
    is_alone: bool,
) -> str:
    if customisation.names == "as-is" and one.role == "assistant":
        return views.platform_title(conversation.platform)
    name = _ROLES.get(one.role, "Person")
    if name != "Person" or is_alone:
        return "You" if name == "Person" and customisation.names == "as-is" else name
    counts[name] = counts.get(name, 0) + 1
    return f"{name} {counts[name]}"


# ------------------------------------------------------------------ the tree


def _walk(conversation: Conversation) -> Iterator[Message | str]:
    """All messages: those of the path shown, and before each step of it the other versions, each between labels."""
    children = views.children(conversation)
    on_path = {message.id for message in views.path(conversation)}
    seen: set[str] = set()
    if views.is_tree(conversation):
        yield from _branches(children, on_path, seen)
        left = [message for message in conversation.messages if message.id not in seen]
    else:
        left = list(conversation.messages)
    if left and seen:
        yield "Messages that hang on nothing"
    for message in left:
        yield from _versions(message)
    if left and seen:
        yield ""


def _branches(children: dict[str, list[Message]], on_path: set[str], seen: set[str]) -> Iterator[Message | str]:
    waiting: list[Message | str] = []
    _continue(children.get("", []), on_path, waiting)
    while waiting:
        step = waiting.pop()
        if isinstance(step, str):
            yield step
        elif step.id not in seen:
            seen.add(step.id)
            yield from _versions(step)
            _continue(children.get(step.id, []), on_path, waiting)


def _continue(found: list[Message], on_path: set[str], waiting: list[Message | str]) -> None:
    """Put on the stack what follows: last the version shown, before it the others between their labels."""
    if not found:
        return
    shown = next((at for at, message in enumerate(found) if message.id in on_path), len(found) - 1)
    waiting.append(found[shown])
    for at in reversed(range(len(found))):
        if at != shown:
            waiting += ["", found[at], f"Another version: {at + 1} of {len(found)}"]


def _versions(message: Message) -> Iterator[Message | str]:
    for version in message.previous:
        yield "An earlier version of the next message"
        yield version
        yield ""
    yield message


# ------------------------------------------------------------------ redaction


def _redacted(conversation: Conversation, customisation: Customisation) -> Conversation:
    pattern = customisation.redacted()
    if pattern is None:
        return conversation
    redact = _redacting(pattern, customisation.redaction)
    title = exact.mark(redact(views.title(conversation)))
    return msgspec.structs.replace(
        conversation,
        title=title,
        project=redact(conversation.project),
        user=_redact_labels({name: edit for name, edit in conversation.user.items() if name != "title"}, redact),
        participants=tuple(msgspec.structs.replace(one, name=redact(one.name)) for one in conversation.participants),
        messages=tuple(_redact_message(message, redact) for message in conversation.messages),
    )


def _redacting(pattern: re.Pattern[str], instead: str) -> Callable[[str], str]:
    def redact(text: str) -> str:
        return pattern.sub(lambda found: instead if found[0] else "", text)

    return redact


def _redact_message(message: Message, redact: Callable[[str], str]) -> Message:
    return msgspec.structs.replace(
        message,
        parts=tuple(_redact_part(part, redact) for part in citations.anchored(message.parts)),
        previous=tuple(_redact_message(version, redact) for version in message.previous),
    )


def _redact_labels(user: dict[str, Edit], redact: Callable[[str], str]) -> dict[str, Edit]:
    edit = user.get("labels")
    if edit is None or not isinstance(edit.value, list):
        return user
    return user | {"labels": msgspec.structs.replace(edit, value=_redact_value(edit.value, redact))}


_TEXTS = ("caption", "kind", "language", "name", "text", "title", "transcript", "url")


def _redact_part(part: Part, redact: Callable[[str], str]) -> Part:
    changes: dict[str, Any] = {name: redact(text) for name in _TEXTS if (text := getattr(part, name))}
    for name in ("input", "raw"):
        if (value := getattr(part, name)) is not msgspec.UNSET:
            changes[name] = _redact_value(value, redact)
    if part.parts:
        changes["parts"] = tuple(_redact_part(inner, redact) for inner in part.parts)
    return msgspec.structs.replace(part, **changes)


def _redact_value(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_redact_value(item, redact) for item in value]
    if isinstance(value, dict):
        return {redact(key): _redact_value(item, redact) for key, item in value.items()}
    return value
