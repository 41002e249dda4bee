"""One conversation of a Claude export as a document."""

from __future__ import annotations

from collections import Counter
from typing import Any

from chatkeep.errors import Problem
from chatkeep.importers import Keep
from chatkeep.importers.claude.blocks import Saying, attached, named, parts_of
from chatkeep.importers.fields import Json, record_of, take_list, take_text
from chatkeep.importers.listed import Built
from chatkeep.importers.threads import cut_cycles
from chatkeep.merge import has_content, settle
from chatkeep.model import (
    FORMAT,
    Conversation,
    Message,
    Part,
    Participant,
    fingerprint,
    from_iso,
    identify,
    time_key,
)

PLATFORM = "claude"
BY = "claude/1"
HUMAN = Participant(id="human", role="person")
CLAUDE = Participant(id="assistant", name="Claude", role="assistant")
NO_PARENT = "00000000-0000-4000-8000-000000000000"

_SENDERS = {"human": HUMAN, "assistant": CLAUDE}


def account_of(own_id: Any) -> str:
    """The hash that stands for an account, "" when the export does not say."""
    return identify(PLATFORM, "account", own_id) if type(own_id) is str and own_id else ""


def take_time(record: Json, name: str) -> str:
    """The time under a name, taken out; what is no time stays."""
    found = from_iso(record.get(name))
    if found or record.get(name) is None:
        record.pop(name, None)
    return found


def conversation(record: Json, *, keep: Keep, where: str) -> Built:
    """The document of one conversation; takes the record apart."""
    listed = record.pop("chat_messages")
    own_uuid = take_text(record, "uuid")
    own_id = identify(PLATFORM, "conversation", own_uuid or "message " + fingerprint(listed))
    reader = _Messages(own_id, keep, take_model(record))
    messages = reader.all(listed)
    account = record.get("account")
    found = Conversation(
        account=account_of(account.get("uuid")) if type(account) is dict else "",
        created_at=take_time(record, "created_at"),
        format=FORMAT,
        id=own_id,
        messages=tuple(messages),
        participants=tuple(reader.people.values()),
        platform=PLATFORM,
        project=_project(record),
        shown_leaf=reader.shown_leaf(record),
        source_flags={"starred": record.pop("is_starred")} if type(record.get("is_starred")) is bool else {},
        source_id=own_uuid,
        title=take_text(record, "name"),
        unknown=record,
        updated_at=take_time(record, "updated_at"),
    )
    if type(account) is dict and len(account) == 1 and found.account:
        del record["account"]
    is_shell = not found.title and not any(has_content(message) for message in messages)
    return Built(settle(found), reader.problems(where), reader.unknown, is_shell)


def take_model(record: Json) -> str:
    """The model of all answers, which the web client's form names once."""
    value = record.get("model")
    return value if type(value) is str else ""


def _project(record: Json) -> str:
    """The project a conversation belonged to, by its name if that is told."""
    project = record.get("project")
    about = project if type(project) is dict else {}
    for value in (about.get("name"), about.get("uuid"), record.get("project_uuid")):
        if type(value) is str and value:
            return value
    return ""


class _Messages:
    """The messages of one conversation while they are read."""

    def __init__(self, own_id: str, keep: Keep, model: str) -> None:
        self.people: dict[str, Participant] = {}
        self.unknown: Counter[str] = Counter()
        self._own_id = own_id
        self._keep = keep
        self._model = model
        self._ids: dict[str, str] = {}
        self._doubled = 0
        self._odd = 0

    def all(self, listed: Any) -> list[Message]:
        if type(listed) is not list:
            self._odd += listed is not None
            return []
        records = [record_of(value) for value in listed]
        self._doubled = sum(
            record is not None and record is not value for record, value in zip(records, listed, strict=True)
        )
        uuids = [_uuid(record, value) for record, value in zip(records, listed, strict=True)]
        self._ids = {own: identify(self._own_id, own) for own in uuids}
        above = _parents(records, uuids)
        order = _siblings(uuids, above) if above else _in_line(records)
        return [
            self._message(record, value, uuids[at], above.get(uuids[at], ""), *order[at])
            for at, (record, value) in enumerate(zip(records, listed, strict=True))
        ]

    def shown_leaf(self, record: Json) -> str:
        leaf = record.get("current_leaf_message_uuid")
        if type(leaf) is not str or leaf not in self._ids:
            return ""
        del record["current_leaf_message_uuid"]
        return self._ids[leaf]

    def problems(self, where: str) -> list[Problem]:
        found = []
        if self._odd:
            found.append(Problem(where, "Its messages are not in a form that is known; they were left out."))
        if self._doubled:
            what = f"Fields stand twice in {self._doubled} of its messages; the last was read, and all were kept raw."
            found.append(Problem(where, what))
        return found

    # -- one message

    def _message(self, record: Json | None, value: Any, own: str, parent: str, sorts_at: str, order: int) -> Message:
        raw = fingerprint(value)
        if record is None:
            return self._not_an_object(value, own, raw, sorts_at=sorts_at, order=order)
        if record is not value:
            record["$object"] = value["$object"]
        is_known = record.get("uuid") == own
        if is_known:
            del record["uuid"]
        sender = take_text(record, "sender")
        parts = self._parts(record, Saying(self._keep, self.unknown, is_human=sender == "human"))
        author = self._author(sender, parts)
        sent_at = take_time(record, "created_at")
        edited_at = take_time(record, "updated_at")
        if parent or record.get("parent_message_uuid") in (None, NO_PARENT):
            record.pop("parent_message_uuid", None)
        return Message(
            author=author.id if author else "",
            by=BY,
            edited_at=edited_at if edited_at != sent_at else "",
            hidden=author is not None and author.role == "tool",
            id=self._ids[own],
            model=self._model if sender == "assistant" else "",
            order=order,
            parent=self._ids.get(parent, ""),
            parts=tuple(parts),
            raw=raw,
            sent_at=sent_at,
            sorts_at=sorts_at,
            source_id=own if is_known else "",
            unknown=record,
        )

    def _not_an_object(self, value: Any, own: str, raw: str, *, sorts_at: str, order: int) -> Message:
        self.unknown["message"] += 1
        whole = Part(type="unknown", kind="message", raw=value)
        return Message(by=BY, id=self._ids[own], order=order, parts=(whole,), raw=raw, sorts_at=sorts_at)

    def _parts(self, record: Json, saying: Saying) -> list[Part]:
        """What the message says, then its files. `text` is a copy of the blocks; it counts where they say nothing."""
        content = record.get("content")
        parts: list[Part] = []
        if type(content) is list:
            del record["content"]
            parts = parts_of(content, saying)
        elif type(content) is str and content.strip():
            parts = [Part(type="text", markup=saying.markup, text=record.pop("content"))]
        elif content is None:
            record.pop("content", None)
        text = record.get("text")
        if type(text) is str and text.strip() and not any(part.type != "text" or part.text.strip() for part in parts):
            parts = [Part(type="text", markup=saying.markup, text=record.pop("text"))]
        elif not text or _is_copy(text, parts):
            record.pop("text", None)
        for name, read in (("attachments", lambda found: attached(found, saying)), ("files", named)):
            files, rest = read(take_list(record, name))
            parts += files
            if rest:
                record[name] = rest
        return parts

    def _author(self, sender: str, parts: list[Part]) -> Participant | None:
        """Who said it. A result of a tool may come under the name of the human, who did not type it."""
        results = [part for part in parts if part.type == "tool_result"]
        if sender == "human" and results and len(results) == len(parts):
            name = results[0].name
            author = Participant(id=f"tool/{name}" if name else "tool", name=name, role="tool")
        elif sender in _SENDERS:
            author = _SENDERS[sender]
        elif sender:
            self.unknown[f"sender {sender}"] += 1
            author = Participant(id=sender, role="tool")
        else:
            return None
        self.people.setdefault(author.id, author)
        return author


def _is_copy(text: Any, parts: list[Part]) -> bool:
    """Whether a message's `text` only repeats its text blocks."""
    if type(text) is not str:
        return False
    texts = [part.text for part in parts if part.type == "text"]
    return text == (texts[0] if len(texts) == 1 else "") or text.split() == " ".join(texts).split()


def _uuid(record: Json | None, value: Any) -> str:
    """The platform's id of a message, or one made of what it says."""
    own = record.get("uuid") if record is not None else None
    return own if type(own) is str and own else "message " + fingerprint(value)


# ------------------------------------------------------------------ tree or line


def _parents(records: list[Json | None], uuids: list[str]) -> dict[str, str]:
    """The parent of each message; empty when the export has no tree. No cycle is left.

    Where an id stands twice, what its first message says holds for both.
    """
    named = [None if record is None else record.get("parent_message_uuid") for record in records]
    if not any(type(parent) is str for parent in named):
        return {}
    known = frozenset(uuids)
    above: dict[str, str] = {}
    for own, parent in zip(uuids, named, strict=True):
        above.setdefault(own, parent if type(parent) is str and parent in known else "")
    cut_cycles(above)
    return above


def _siblings(uuids: list[str], above: dict[str, str]) -> list[tuple[str, int]]:
    """For each message of a tree its place among its siblings, as listed."""
    counts: Counter[str] = Counter()
    found = []
    for own in uuids:
        found.append(("", counts[above[own]]))
        counts[above[own]] += 1
    return found


def _in_line(records: list[Json | None]) -> list[tuple[str, int]]:
    """For each message of a line what keeps it in place: a time to sort by, where its own would not, and a number."""
    found: list[tuple[str, int]] = []
    latest, order = "", 0
    for record in records:
        own = from_iso(record.get("created_at")) if record is not None else ""
        if time_key(own) > time_key(latest):
            latest, order = own, 0
        elif found:
            order += 1
        found.append(("" if own == latest else latest, order))
    return found
