"""Claude.ai's data export: the zips that Anthropic sends, their files, or a conversation as the web client has it.

Source: exports of 2024 to 2026 as docs/platforms/claude.md lists them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from chatkeep import exact
from chatkeep.errors import ChatkeepError, Problem
from chatkeep.importers import Keep, Loaded, Record, listed, peek
from chatkeep.importers.claude import other
from chatkeep.importers.claude.conversation import BY, conversation
from chatkeep.importers.fields import Json
from chatkeep.importers.listed import Built, NotAConversationError
from chatkeep.source import Member, Source

_OURS = re.compile(r"(conversations(-\d+)?|projects|memories)\.json")
_ACCOUNT = "users.json"
_LEFT_ASIDE = "login_history.json"
_PROJECT = frozenset({"prompt_template", "docs", "is_starter_project"})
_ROW = frozenset({"uuid", "title", "content", "created_at"})
_DOWNLOAD = re.compile(r"(conversations|projects|memories|design_chats|users)[-_]?\d*\.zip")


class Claude:
    """Reads Claude exports: conversations, projects, the memory and design chats."""

    platform = "claude"
    title = "Claude"
    version = 1
    expects = "the zips that Anthropic sent, or the JSON files in them"

    def sniff(self, source: Source) -> frozenset[str]:
        """The members of Claude exports: what holds conversations, projects or memories, and what lies beside them."""
        ours = peek.judged(source, _kind)
        if not ours:
            return frozenset()
        folders = {name.rpartition("/")[0] for name in ours}
        beside = [one for one in source if one.name.rpartition("/")[0] in folders and one.name not in ours]
        return frozenset(ours) | {one.name for one in beside if _is_beside(source, one)}

    def read(self, source: Source, keep: Keep) -> Iterator[Record | Problem]:
        """The conversations and what goes with them, file by file; then a record with notes, if there are any."""
        claimed = self.sniff(source)
        members = [member for member in source if member.name in claimed]
        account, notes = _account(members), []
        for member in members:
            if member.base == _LEFT_ASIDE:
                notes.append(f"The export also holds {member.base}, which holds no conversations; it was left aside.")
            elif member.base == "memories.json":
                yield from _memory(member, account)
            elif member.base != _ACCOUNT:
                yield from _elements(member, keep)
        if notes:
            yield Record(source.label, b"", partial(Loaded, notes=tuple(notes)))


def _kind(member: Member, value: Any) -> str:
    """What the beginning of a file says it holds; "" when it is not Claude's."""
    for item in peek.listed(value, "conversations"):
        names = peek.keys(item)
        if "chat_messages" in names and ("uuid" in names or _has_sender(item["chat_messages"])):
            return "conversations"
        if {"uuid", "name"} <= names and names & _PROJECT:
            return "projects"
        if "conversations_memory" in names or (names >= _ROW and member.base == "memories.json"):
            return "memories"
        if "messages" in names and _has_blocks(item["messages"]):
            return "design chats"
        in_projects = member.base == "projects.json" or "projects/" in member.name
        if {"uuid", "name", "created_at"} <= names and in_projects and "chat_messages" not in names:
            return "projects"
    return ""


def _has_sender(messages: Any) -> bool:
    return isinstance(messages, list) and any({"sender", "uuid"} <= peek.keys(one) for one in messages[:5])


def _has_blocks(messages: Any) -> bool:
    if not isinstance(messages, list):
        return False
    return any("contentBlocks" in peek.keys(one.get("content")) for one in messages[:5] if isinstance(one, dict))


def _is_beside(source: Source, member: Member) -> bool:
    """Whether a file without a structure of its own belongs to the export by its name and place."""
    if member.base in (_ACCOUNT, _LEFT_ASIDE):
        return True
    if not _OURS.fullmatch(member.base):
        return False
    value = peek.beginning(peek.text(peek.head(source, member)))
    return not any(peek.keys(item) & {"mapping", "current_node", "inserted_at"} for item in peek.listed(value))


def explain(source: Source) -> str:
    """What to say of a file that only links to the files of a Claude export; "" for everything else."""
    for member, value in peek.jsons(source):
        if isinstance(value, dict) and any(_DOWNLOAD.search(text) for text in _texts(value)):
            return (
                f"{member.base} only lists the downloads of a Claude export. The conversations are in the zips that it "
                "links to: download each of them and give them all together."
            )
    return ""


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one


# ------------------------------------------------------------------ records


def _elements(member: Member, keep: Keep) -> Iterator[Record | Problem]:
    with member.open() as stream:
        build = partial(_built, keep=keep)
        yield from listed.records(stream, build, by=BY, where=member.where, called="element", inside="conversations")


def _built(record: Json, where: str, *, keep: Keep) -> Built:
    if "chat_messages" in record:
        return conversation(record, keep=keep, where=where)
    if type(messages := record.get("messages")) is list and (not messages or _has_blocks(messages)):
        return other.design_chat(record, keep=keep, where=where)
    if record.keys() & _PROJECT or ("uuid" in record and "name" in record):
        return other.project(record, keep=keep, where=where)
    raise NotAConversationError("It is neither a conversation nor a project; it was left out.")


def _memory(member: Member, account: str) -> Iterator[Record | Problem]:
    try:
        raw = member.read()
    except ChatkeepError as wrong:
        yield Problem(member.where, f"It cannot be read ({wrong.what}).")
        return
    digest = hashlib.sha256(f"{BY}\0{account}\0".encode() + raw).digest()
    yield Record(member.where, digest, partial(_load_memory, raw, account, member.where))


def _load_memory(raw: bytes, account: str, where: str) -> Loaded:
    try:
        value = exact.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as wrong:
        return Loaded(problems=[Problem(where, f"It cannot be read ({wrong}); it was left out.")])
    if type(value) not in (list, dict):
        return Loaded(problems=[Problem(where, "It holds no memories in a form that is known; it was left out.")])
    built = other.memory(value, account=account)
    return Loaded((built.conversation,), unknown=dict(built.unknown)) if built else Loaded()


def _account(members: list[Member]) -> str:
    """The id of the account, if users.json names just one."""
    found = set()
    for member in members:
        if member.base == _ACCOUNT:
            try:
                users = exact.decode(member.read().removeprefix(b"\xef\xbb\xbf"))
            except (ValueError, ChatkeepError):
                continue
            for user in users if type(users) is list else ():
                own = user.get("uuid") if type(user) is dict else None
                found.add(own if type(own) is str else "")
    return found.pop() if len(found) == 1 else ""


CLAUDE = Claude()
