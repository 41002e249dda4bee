"""One chat of Open WebUI as a document: the row of its database, or the chat in it alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

from chatkeep import exact
from chatkeep.errors import Problem
from chatkeep.importers import Keep, threads
from chatkeep.importers.blocks import Saying
from chatkeep.importers.fields import Json, record_of, take_list, take_text
from chatkeep.importers.listed import Built, NotAConversationError
from chatkeep.importers.openwebui.content import parts_of
from chatkeep.merge import settle
from chatkeep.model import (
    FORMAT,
    Conversation,
    Message,
    Part,
    Participant,
    Reaction,
    fingerprint,
    from_milliseconds,
    from_seconds,
    identify,
)

PLATFORM = "openwebui"
BY = "openwebui/1"
_FLAGS = ("archived", "pinned")
_ROLES = {"user": "person", "assistant": "assistant", "system": "system", "tool": "tool"}
_THUMBS = {1: "👍", -1: "👎"}
# What Open WebUI adds to a message or changes in it later, while what the message says stays the same.
_LATER = frozenset(
    {"annotation", "childrenIds", "done", "favorite", "feedbackId", "followUps", "info", "lastSentence", "usage"}
)
_MILLI, _MICRO, _NANO = 10**11, 10**14, 10**17


def moment(value: Any) -> str:
    """RFC 3339 of a time in seconds, or in milliseconds and less, as its size says; "" for what is no time.

    Source: rows and messages have seconds, `chat.timestamp` milliseconds, imported chats any of them.
    """
    nearest = exact.as_float(value)
    if nearest is None or nearest < _MILLI:
        return from_seconds(value) if nearest is not None else ""
    whole = value if type(value) is int else int(nearest)
    return from_milliseconds(whole // (1 if whole < _MICRO else 1000 if whole < _NANO else 10**6))


def conversation(record: Json, where: str, *, keep: Keep) -> Built:
    """The document of one chat; takes the record apart.

    Raises NotAConversationError when there is nothing in it that could be a chat.
    """
    row, chat = record, record_of(record.get("chat"))
    if chat is None:
        chat = record
    elif chat is not record["chat"]:
        chat["$object"] = record["chat"]["$object"]
    if "history" not in chat and "messages" not in chat:
        raise NotAConversationError("It is no chat; it was left out.")
    reader = _Messages(keep)
    reader.gather(chat)
    source_id = _take_id(row, chat)
    begun = moment(chat.get("timestamp"))
    own_id = identify(PLATFORM, "conversation", *([source_id] if source_id else ["message " + reader.first(), begun]))
    messages = reader.all(own_id)
    found = Conversation(
        account=_account(row),
        created_at=_take_moment(row, "created_at") or _take_moment(chat, "timestamp"),
        format=FORMAT,
        id=own_id,
        messages=tuple(messages),
        participants=tuple(reader.people.values()),
        platform=PLATFORM,
        project=take_text(row, "folder_id"),
        shown_leaf=reader.shown_leaf(chat),
        source_flags={name: row.pop(name) for name in _FLAGS if type(row.get(name)) is bool},
        source_id=source_id,
        title=_title(row, chat),
        unknown=row,
        updated_at=_take_moment(row, "updated_at"),
    )
    _tidy(row, chat)
    return Built(settle(found), reader.problems(where), reader.unknown)


def _take_id(row: Json, chat: Json) -> str:
    """The id of the chat: its row's, else its own, which is often empty."""
    source_id = take_text(row, "id")
    if chat is not row and chat.get("id") in (source_id, "", None):
        chat.pop("id", None)
    return source_id or (take_text(chat, "id") if chat is not row else "")


def _account(row: Json) -> str:
    own_id = take_text(row, "user_id")
    return identify(PLATFORM, "account", own_id) if own_id else ""


def _title(row: Json, chat: Json) -> str:
    title = take_text(row, "title")
    if chat is row:
        return title
    return title if chat.get("title") == title and chat.pop("title") is not None else title or take_text(chat, "title")


def _take_moment(record: Json, name: str) -> str:
    found = moment(record.get(name))
    if found or record.get(name) is None:
        record.pop(name, None)
    return found


def _tidy(row: Json, chat: Json) -> None:
    """Leave out what is empty or null, and the chat when nothing of it is left."""
    for record in (chat, row):
        for name in [name for name, value in record.items() if value is None or value in ("", [], {})]:
            del record[name]


class _Messages:
    """The messages of one chat while they are read."""

    def __init__(self, keep: Keep) -> None:
        self.people: dict[str, Participant] = {}
        self.unknown: Counter[str] = Counter()
        self._keep = keep
        self._values: dict[str, Any] = {}  # by id, as the export has them
        self._named: dict[str, str] = {}
        self._children: dict[str, list[str]] = {}
        self._ids: dict[str, str] = {"": ""}
        self._is_line = False
        self._odd = self._twice = self._doubled = 0

    # -- what there is

    def gather(self, chat: Json) -> None:
        """Take the messages out of the chat: of its history, and of its list what the history does not have.

        The list is a copy of the path that is shown, and may be stale; what in it differs stays in the chat.
        """
        self._of_history(chat)
        listed = take_list(chat, "messages")
        self._is_line = not self._values
        left = [value for value in listed if not self._of_list(value)]
        if left:
            chat["messages"] = left

    def _of_history(self, chat: Json) -> None:
        history = record_of(chat.get("history"))
        messages = record_of(history.get("messages")) if history is not None else None
        if history is None or messages is None:
            if chat.get("history") is None:
                chat.pop("history", None)
            else:
                self._odd += 1
            return
        if messages is not history["messages"]:
            history["$object"] = history["messages"]["$object"]
            self._twice += 1
        del history["messages"]
        chat["history"] = history
        for key, value in messages.items():
            self._note(key, value)

    def _of_list(self, value: Any) -> bool:
        """Whether a message of the list needs no further place: it is one of the history's, or is now noted itself."""
        record = record_of(value)
        own = record.get("id") if record is not None else None
        known = self._values.get(own) if type(own) is str else None
        if known is not None and not self._is_line:
            return type(known) is dict and record is not None and _says_same(known, record)
        self._note(own if type(own) is str and own else "message " + fingerprint(value), value)
        return True

    def _note(self, key: str, value: Any) -> None:
        key = key or "message " + fingerprint(value)  # "" is what stands above the first message
        own, count = key, 1
        while own in self._values:
            count += 1
            own = f"{key} {count}"
        record = record_of(value)
        parent = record.get("parentId") if record is not None else None
        children = record.get("childrenIds") if record is not None else None
        if self._is_line and type(parent) is not str and self._values:
            parent = next(reversed(self._values))
        self._values[own] = value
        self._named[own] = parent if type(parent) is str else ""
        self._children[own] = [one for one in children if type(one) is str] if type(children) is list else []

    def first(self) -> str:
        """What stands for a chat without an id: its first message."""
        return next(iter(self._values), "")

    # -- messages

    def all(self, own_id: str) -> list[Message]:
        above = threads.parents(self._named, self._children)
        order = threads.places(above, self._children)
        self._ids |= {key: identify(own_id, key) for key in self._values}
        return [self._message(key, value, above[key], order[key]) for key, value in self._values.items()]

    def shown_leaf(self, chat: Json) -> str:
        history = chat.get("history")
        if type(history) is not dict:
            return ""
        key = history.get("currentId")
        if type(key) is not str or key not in self._values:
            return ""
        del history["currentId"]
        return self._ids[key]

    def problems(self, where: str) -> list[Problem]:
        found = []
        if self._odd:
            found.append(Problem(where, "Its history is not in a form that is known; it was kept raw."))
        if self._twice:
            found.append(Problem(where, "Two messages have the same id; the last was read, and all were kept raw."))
        if self._doubled:
            what = f"Fields stand twice in {self._doubled} of its messages; the last was read, and all were kept raw."
            found.append(Problem(where, what))
        return found

    def _message(self, key: str, value: Any, parent: str, order: int) -> Message:
        record = record_of(value)
        if record is None:
            self.unknown["message"] += 1
            whole = Part(type="unknown", kind="message", raw=value)
            return Message(
                by=BY, id=self._ids[key], order=order, parent=self._ids[parent], parts=(whole,), raw=fingerprint(value)
            )
        raw = fingerprint({name: one for name, one in record.items() if name not in _LATER and one is not None})
        if record is not value:
            record["$object"] = value["$object"]
            self._doubled += 1
        is_known = record.get("id") == key
        if is_known:
            del record["id"]
        author = self._author(record)
        model = take_text(record, "model") if author and author.role == "assistant" else ""
        is_done = record.get("done")
        parts = parts_of(record, Saying(self._keep, self.unknown))
        sent_at = _take_moment(record, "timestamp")
        _drop_structure(record, self._named[key] == parent)
        return Message(
            author=author.id if author else "",
            by=BY,
            hidden=author is not None and author.role == "system",
            id=self._ids[key],
            model=model,
            order=order,
            parent=self._ids[parent],
            parts=tuple(parts),
            raw=raw,
            reactions=_reactions(record),
            sent_at=sent_at,
            source_id=key if is_known else "",
            status="error" if record.get("error") else "in_progress" if is_done is False else "",
            unknown=record,
        )

    def _author(self, record: Json) -> Participant | None:
        """Who said it; each model is somebody, because several may answer side by side."""
        role = take_text(record, "role")
        if not role:
            return None
        if role not in _ROLES:
            self.unknown[f"role {role}"] += 1
        model = record.get("model")
        if role == "assistant" and type(model) is str and model:
            name = record.get("modelName")
            author = Participant(id=f"assistant/{model}", name=name if type(name) is str else model, role="assistant")
            if self.people.get(author.id, author).name == name:
                del record["modelName"]
        else:
            author = Participant(id=role, role=_ROLES.get(role, "tool"))
        return self.people.setdefault(author.id, author)


def _says_same(known: Json, copied: Json) -> bool:
    """Whether a message of the list says nothing that the one of the history does not say."""
    return all(known.get(name) == value for name, value in copied.items() if name not in _LATER and value is not None)


def _drop_structure(record: Json, has_parent: bool) -> None:
    """Leave out what has become the structure of the document, and what is null. has_parent: the one it names."""
    if record.get("done") is True or (record.get("done") is False and not record.get("error")):
        del record["done"]
    if type(children := record.get("childrenIds")) is list and all(type(one) is str for one in children):
        del record["childrenIds"]
    if has_parent and type(record.get("parentId")) is str:
        del record["parentId"]
    for name in [name for name, value in record.items() if value is None or value is False]:
        del record[name]


def _reactions(record: Json) -> tuple[Reaction, ...]:
    annotation = record.get("annotation")
    rating = annotation.get("rating") if type(annotation) is dict else None
    sign = _THUMBS.get(rating) if type(rating) is int else None
    return (Reaction(by=("user",), count=1, sign=sign),) if sign else ()
