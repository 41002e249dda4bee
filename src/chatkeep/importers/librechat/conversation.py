"""One conversation of LibreChat as a document."""

from __future__ import annotations

from collections import Counter
from typing import Any

from chatkeep.errors import Problem
from chatkeep.importers import Keep, threads
from chatkeep.importers.blocks import Saying
from chatkeep.importers.fields import Json, record_of, take_text
from chatkeep.importers.librechat.content import parts_of
from chatkeep.importers.librechat.flat import UNDER
from chatkeep.importers.listed import Built, NotAConversationError
from chatkeep.merge import settle
from chatkeep.model import (
    FORMAT,
    Conversation,
    Message,
    Part,
    Participant,
    Reaction,
    fingerprint,
    from_iso,
    identify,
)

PLATFORM = "librechat"
BY = "librechat/1"
LISTS = ("messages", "messagesTree")
NO_PARENT = "00000000-0000-0000-0000-000000000000"
_THUMBS = {"thumbsUp": "👍", "thumbsDown": "👎"}
# What says how the export was made, and when in the day, rather than what the conversation is.
_OF_THE_EXPORT = ("branches", "exportAt", "recursive")
# What LibreChat adds to a message or changes in it later, while what the message says stays the same.
_LATER = frozenset(
    {
        "__v",
        "_id",
        "_meiliIndex",
        "children",
        "conversationId",
        "depth",
        "expiredAt",
        "feedback",
        "siblingIndex",
        "tokenCount",
        "updatedAt",
        "user",
        UNDER,
    }
)


def take_time(record: Json, name: str) -> str:
    """The time under a name, taken out, as the API or as the database writes it; what is no time stays."""
    value = record.get(name)
    dated = value.get("$$date") if type(value) is dict and len(value) == 1 else value
    found = from_iso(dated)
    if found or value is None:
        record.pop(name, None)
    return found


def conversation(record: Json, where: str, *, keep: Keep) -> Built:
    """The document of one conversation; takes the record apart.

    Raises NotAConversationError when it has no id and no messages.
    """
    listed = _take_messages(record)
    source_id = take_text(record, "conversationId")
    if not source_id and not listed:
        raise NotAConversationError("It is no conversation; it was left out.")
    own_id = identify(PLATFORM, "conversation", source_id or "message " + fingerprint(listed))
    reader = _Messages(own_id, source_id, keep)
    messages = reader.all(listed)
    flags = {"archived": record.pop("isArchived")} if type(record.get("isArchived")) is bool else {}
    for name in _OF_THE_EXPORT:
        if type(record.get(name)) in (bool, str):
            del record[name]
    account = take_text(record, "user") or reader.account()
    found = Conversation(
        account=identify(PLATFORM, "account", account) if account else "",
        created_at=take_time(record, "createdAt"),
        format=FORMAT,
        id=own_id,
        messages=tuple(messages),
        participants=tuple(reader.people.values()),
        platform=PLATFORM,
        source_flags=flags,
        source_id=source_id,
        title=take_text(record, "title"),
        unknown=record,
        updated_at=take_time(record, "updatedAt"),
    )
    for name in [name for name, value in record.items() if value is None or value in ("", [], {})]:
        del record[name]
    return Built(settle(found), reader.problems(where), reader.unknown)


def _take_messages(record: Json) -> list[Any]:
    listed: list[Any] = []
    for name in [name for name in record if name in LISTS]:
        if type(record[name]) is list:
            listed += record.pop(name)
        elif record[name] is None:
            del record[name]
    return listed


class _Messages:
    """The messages of one conversation while they are read."""

    def __init__(self, own_id: str, source_id: str, keep: Keep) -> None:
        self.people: dict[str, Participant] = {}
        self.unknown: Counter[str] = Counter()
        self._own_id = own_id
        self._source_id = source_id
        self._keep = keep
        self._ids: dict[str, str] = {"": ""}
        self._parents: dict[str, str] = {}
        self._users: set[str] = set()
        self._doubled = self._unlike = 0

    def all(self, listed: list[Any]) -> list[Message]:
        values, nested = _unnested(listed)
        records = [record_of(value) for value in values]
        keys = [_key(record, value) for record, value in zip(records, values, strict=True)]
        named: dict[str, str] = {}
        children: dict[str, list[str]] = {}
        for own, record, above in zip(keys, records, nested, strict=True):
            parent = record.get("parentMessageId") if record is not None else None
            named.setdefault(own, parent if type(parent) is str and parent != NO_PARENT else "")
            if above is not None:
                children.setdefault(keys[above], []).append(own)
        self._parents = threads.parents(named, children)
        order = threads.places(self._parents, children)
        self._ids |= {own: identify(self._own_id, own) for own in named}
        return [
            self._message(own, record, value, order[own])
            for own, record, value in zip(keys, records, values, strict=True)
        ]

    def account(self) -> str:
        """The account that all messages name; "" when they name several or none."""
        return next(iter(self._users)) if len(self._users) == 1 else ""

    def problems(self, where: str) -> list[Problem]:
        found = []
        if self._unlike:
            found.append(Problem(where, f"{self._unlike} of its messages name another conversation; they were kept."))
        if self._doubled:
            what = f"Fields stand twice in {self._doubled} of its messages; the last was read, and all were kept raw."
            found.append(Problem(where, what))
        return found

    # -- one message

    def _message(self, own: str, record: Json | None, value: Any, order: int) -> Message:
        parent = self._parents[own]
        if record is None:
            self.unknown["message"] += 1
            whole = Part(type="unknown", kind="message", raw=value)
            own_id, raw = self._ids[own], fingerprint(value)
            return Message(by=BY, id=own_id, order=order, parent=self._ids[parent], parts=(whole,), raw=raw)
        raw = fingerprint({name: one for name, one in record.items() if name not in _LATER and not _is_nothing(one)})
        if record is not value:
            record["$object"] = value["$object"]
            self._doubled += 1
        is_known = record.get("messageId") == own
        if is_known:
            del record["messageId"]
        author = self._author(record)
        parts = parts_of(record, Saying(self._keep, self.unknown))
        sent_at, edited_at = take_time(record, "createdAt"), take_time(record, "updatedAt")
        status = "error" if record.get("error") is True else "unfinished" if record.get("unfinished") is True else ""
        model = take_text(record, "model")
        reactions = _reactions(record)
        self._drop_structure(record, parent)
        return Message(
            author=author.id,
            by=BY,
            edited_at=edited_at if edited_at != sent_at else "",
            id=self._ids[own],
            model=model,
            order=order,
            parent=self._ids[parent],
            parts=tuple(parts),
            raw=raw,
            reactions=reactions,
            sent_at=sent_at,
            source_id=own if is_known else "",
            status=status,
            unknown=record,
        )

    def _author(self, record: Json) -> Participant:
        """Who said it. `sender` is a name, of a model or of a preset; whether a person wrote it is told beside."""
        sender = take_text(record, "sender")
        by_user = record.get("isCreatedByUser")
        if type(by_user) is bool:
            del record["isCreatedByUser"]
        else:
            by_user = sender.casefold() == "user"
        if by_user:
            name = "" if sender.casefold() == "user" else sender
            author = Participant(id=f"user/{name}" if name else "user", name=name, role="person")
        else:
            author = Participant(id=f"assistant/{sender}" if sender else "assistant", name=sender, role="assistant")
        return self.people.setdefault(author.id, author)

    def _drop_structure(self, record: Json, parent: str) -> None:
        """Leave out what has become the structure of the document, and what says nothing."""
        user = record.get("user")
        if type(user) is str and user:
            self._users.add(user)
            if len(self._users) == 1:
                del record["user"]
        conversation_id = record.get("conversationId")
        if conversation_id == self._source_id:
            del record["conversationId"]
        elif conversation_id is not None:
            self._unlike += 1
        if record.get("parentMessageId") in (parent, NO_PARENT):
            record.pop("parentMessageId", None)
        record.pop(UNDER, None)
        for name in [name for name, value in record.items() if name in _STRUCTURE or _is_nothing(value)]:
            del record[name]
        for name in ("error", "unfinished"):
            if record.get(name) is True:
                del record[name]


_STRUCTURE = frozenset({"__v", "depth", "siblingIndex"})


def _is_nothing(value: Any) -> bool:
    return value is None or value is False or value in ("", [], {})


def _unnested(listed: list[Any]) -> tuple[list[Any], list[int | None]]:
    """The messages of a list and of the lists nested in them, each before those under it, and what each is under.

    Files are made flat before they are decoded (`flat`); then a message says by number what it was under.
    """
    values: list[Any] = []
    nested: list[int | None] = []
    waiting: list[tuple[Any, int | None]] = [(value, None) for value in reversed(listed)]
    while waiting:
        value, above = waiting.pop()
        record = record_of(value)
        if record is not None:
            under = record.get(UNDER)
            if above is None and type(under) is int and under < len(values):
                above = under
            if type(children := record.get("children")) is list:
                waiting += [(child, len(values)) for child in reversed(children)]
                if record is value:
                    del record["children"]
        values.append(value)
        nested.append(above)
    return values, nested


def _key(record: Json | None, value: Any) -> str:
    """The platform's id of a message, or one made of what it says."""
    own = record.get("messageId") if record is not None else None
    return own if type(own) is str and own else "message " + fingerprint(value)


def _reactions(record: Json) -> tuple[Reaction, ...]:
    feedback = record.get("feedback")
    rating = feedback.get("rating") if type(feedback) is dict else None
    sign = _THUMBS.get(rating) if type(rating) is str else None
    return (Reaction(by=("user",), count=1, sign=sign),) if sign else ()
