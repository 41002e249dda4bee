"""What a Claude export holds beside conversations, as documents, so that it is kept and found: projects, the memory,
design chats.

A project is a document with a message for its description, its instructions and each of its files. Nothing in an
export links a conversation to its project, so nothing is guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from chatkeep.errors import Problem
from chatkeep.importers import Keep
from chatkeep.importers.blocks import unknown_part
from chatkeep.importers.claude.blocks import Saying, document, parts_of
from chatkeep.importers.claude.conversation import BY, CLAUDE, HUMAN, PLATFORM, account_of, take_time
from chatkeep.importers.fields import Json, record_of, take_list, take_text
from chatkeep.importers.listed import Built
from chatkeep.merge import settle
from chatkeep.model import FORMAT, Conversation, Message, Part, Participant, fingerprint, identify


def project(record: Json, *, keep: Keep, where: str) -> Built:
    """A project: its description, its instructions, its files."""
    own_uuid = take_text(record, "uuid")
    own_id = identify(PLATFORM, "project", own_uuid or fingerprint(record))
    creator = record.get("creator")
    name = creator.get("full_name") if type(creator) is dict else None
    person = Participant(id=HUMAN.id, name=name if type(name) is str else "", role="person")
    record["kind"] = "project"
    messages = [*_instructions(own_id, record), *_files(own_id, record, keep)]
    problems = []
    if type(record.get("docs")) is list:
        problems.append(Problem(where, "Some of its files are not in a form that is known; they were kept raw."))
    found = Conversation(
        created_at=take_time(record, "created_at"),
        format=FORMAT,
        id=own_id,
        messages=tuple(messages),
        participants=(person,) if messages else (),
        platform=PLATFORM,
        source_id=own_uuid,
        title=take_text(record, "name"),
        unknown=record,
        updated_at=take_time(record, "updated_at"),
    )
    return Built(settle(found), problems)


def _instructions(own_id: str, record: Json) -> Iterator[Message]:
    for order, name in enumerate(("description", "prompt_template")):
        if text := take_text(record, name):
            part = Part(type="text", kind=name, markup="plain", text=text)
            yield _message(own_id, name, HUMAN, [part], raw=fingerprint(text), order=order)


def _files(own_id: str, record: Json, keep: Keep) -> Iterator[Message]:
    odd = []
    for value in take_list(record, "docs"):
        raw, item = fingerprint(value), record_of(value)
        if item is None or type(item.get("content")) is not str:
            odd.append(value)
            continue
        own, name, text = take_text(item, "uuid"), take_text(item, "filename"), take_text(item, "content")
        part = document(text, name=name, keep=keep, source_id=own, unknown={})
        yield _message(own_id, own or f"file {name} {raw}", HUMAN, [part], raw=raw, left=item)
    if odd:
        record["docs"] = odd


def _message(
    own_id: str,
    name: str,
    author: Participant,
    parts: list[Part],
    *,
    raw: str,
    left: Json | None = None,
    order: int = 0,
) -> Message:
    left = {} if left is None else left
    return Message(
        author=author.id,
        by=BY,
        id=identify(own_id, name),
        order=order,
        parts=tuple(parts),
        raw=raw,
        sent_at=take_time(left, "created_at"),
        source_id=name,
        unknown=left,
    )


# ------------------------------------------------------------------ memory


def memory(value: Any, *, account: str) -> Built | None:
    """What Claude remembers, a message for each memory; None when it remembers nothing.

    value: rows (until 2026), or an object with one text for all conversations and one for each project.
    account: the account's id, if another file tells it.
    """
    record: Json = record_of(value) or {}
    account = take_text(record, "account_uuid") or account
    own_id = identify(PLATFORM, "memory", account)
    unknown: Counter[str] = Counter()
    messages = [*_rows(own_id, value, unknown)] if type(value) is list else [*_texts(own_id, record)]
    if not messages and not record:
        return None
    record["kind"] = "memory"
    found = Conversation(
        account=account_of(account),
        format=FORMAT,
        id=own_id,
        messages=tuple(messages),
        participants=(CLAUDE,) if messages else (),
        platform=PLATFORM,
        source_id=f"memory {account}".strip(),
        title="Memory",
        unknown=record,
    )
    return Built(settle(found), unknown=unknown)


def _rows(own_id: str, rows: list[Any], unknown: Counter[str]) -> Iterator[Message]:
    for value in rows:
        raw, item = fingerprint(value), record_of(value)
        if item is None or type(item.get("content")) is not str:
            unknown["memory"] += 1
            part = Part(type="unknown", kind="memory", raw=value)
            yield _message(own_id, f"memory {raw}", CLAUDE, [part], raw=raw)
            continue
        own, title, text = take_text(item, "uuid"), take_text(item, "title"), take_text(item, "content")
        heading = [Part(type="text", kind="title", markup="plain", text=title)] if title else []
        parts = [*heading, Part(type="text", markup="markdown", text=text)]
        yield _message(own_id, own or f"memory {raw}", CLAUDE, parts, raw=raw, left=item)


def _texts(own_id: str, record: Json) -> Iterator[Message]:
    if text := take_text(record, "conversations_memory"):
        part = Part(type="text", markup="markdown", text=text)
        yield _message(own_id, "conversations_memory", CLAUDE, [part], raw=fingerprint(text))
    projects = record.get("project_memories")
    if type(projects) is dict:
        for own in [own for own, text in projects.items() if type(text) is str]:
            text = projects.pop(own)
            part = Part(type="text", markup="markdown", text=text)
            left = {"project_uuid": own}
            yield _message(own_id, f"project {own}", CLAUDE, [part], raw=fingerprint([own, text]), left=left)
        if not projects:
            del record["project_memories"]


# ------------------------------------------------------------------ design chats


def design_chat(record: Json, *, keep: Keep, where: str) -> Built:
    """A chat with the design tool; its messages hold `content` with `contentBlocks`."""
    own_uuid = take_text(record, "uuid") or take_text(record, "id")
    own_id = identify(PLATFORM, "design chat", own_uuid or fingerprint(record))
    listed, unknown = take_list(record, "messages"), Counter[str]()
    record["kind"] = "design chat"
    people: dict[str, Participant] = {}
    messages = [_design_message(own_id, value, at, keep, unknown, people) for at, value in enumerate(listed)]
    found = Conversation(
        created_at=take_time(record, "created_at"),
        format=FORMAT,
        id=own_id,
        messages=tuple(messages),
        participants=tuple(people.values()),
        platform=PLATFORM,
        source_id=own_uuid,
        title=take_text(record, "title") or take_text(record, "name"),
        unknown=record,
        updated_at=take_time(record, "updated_at"),
    )
    return Built(settle(found), [], unknown)


def _design_message(
    own_id: str, value: Any, at: int, keep: Keep, unknown: Counter[str], people: dict[str, Participant]
) -> Message:
    raw, record = fingerprint(value), record_of(value)
    saying = Saying(is_human=False, keep=keep, unknown=unknown)
    if record is None:
        parts, own, author, sent_at, record = [unknown_part(value, "message", saying)], "", "", "", {}
    else:
        own = take_text(record, "uuid") or take_text(record, "id")
        role = take_text(record, "role") or take_text(record, "sender")
        person = HUMAN if role in ("human", "user") else CLAUDE
        people[person.id] = person
        author, sent_at = person.id, take_time(record, "created_at")
        saying.is_human = person is HUMAN
        parts = _design_parts(record, saying)
    return Message(
        author=author,
        by=BY,
        id=identify(own_id, own or f"message {at} {raw}"),
        order=at,
        parts=tuple(parts),
        raw=raw,
        sent_at=sent_at,
        source_id=own,
        unknown=record,
    )


def _design_parts(record: Json, saying: Saying) -> list[Part]:
    content = record.get("content")
    if type(content) is str:
        return [Part(type="text", markup=saying.markup, text=record.pop("content"))] if content else []
    if type(content) is not dict:
        return []
    blocks = take_list(content, "contentBlocks")
    if not content:
        del record["content"]
    parts: list[Part] = []
    for block in blocks:
        if type(block) is dict and block.get("type") == "tool_call":
            block["type"] = "tool_use"
        parts += parts_of([block], saying)
    return parts
