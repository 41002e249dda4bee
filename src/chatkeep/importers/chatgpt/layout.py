"""Which files of a ChatGPT export are what: conversations, what is told beside them, and everything else.

Classic (2023 to 2026): conversations.json. Sharded (since about February 2026): conversations-000.json and so on, in
the order of export_manifest.json. Only chat.html, if that is all somebody kept. All may lie below other folders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chatkeep import exact
from chatkeep.errors import ChatkeepError, Problem
from chatkeep.importers import peek
from chatkeep.importers.chatgpt.assets import FileFacts
from chatkeep.importers.chatgpt.page import MARK
from chatkeep.importers.fields import Json
from chatkeep.model import identify
from chatkeep.source import Member, Source

SHARD = re.compile(r"conversations(-\d+)?\.json")
_ASSET = re.compile(r"file[-_][A-Za-z0-9]+.*|.+\.dat")
_BESIDE = frozenset(
    {
        "export_manifest.json",
        "user.json",
        "message_feedback.json",
        "shared_conversations.json",
        "conversation_asset_file_names.json",
        "library_files.json",
    }
)
# Seen in exports, and nothing in them is a conversation that we know how to read.
_LEFT_ASIDE = re.compile(
    r"(model_comparisons|group_chats|shopping|sora|basispoints|user_settings|ads|sectioned_conversations)\.json"
)
_SMALLEST_WITH_SOMETHING = 16


@dataclass(slots=True)
class Layout:
    """The files of an export, and what those beside the conversations say.

    accounts: by folder. feedback and shared: by conversation. facts: of files, by id and by name in the export.
    """

    conversations: list[Member]
    page: bool = False
    problems: list[Problem] = field(default_factory=list)
    accounts: dict[str, str] = field(default_factory=dict)
    feedback: dict[str, list[Json]] = field(default_factory=dict)
    shared: dict[str, list[Json]] = field(default_factory=dict)
    facts: dict[str, FileFacts] = field(default_factory=dict)
    left_aside: list[str] = field(default_factory=list)

    def account(self, member: Member) -> str:
        """The account of the conversations in this file: of its folder, else the only one there is."""
        folder = _folder(member)
        only = next(iter(self.accounts.values()), "") if len(set(self.accounts.values())) == 1 else ""
        return self.accounts.get(folder, only)


def claimed(source: Source) -> frozenset[str]:
    """The members that belong to ChatGPT exports; none when there are no conversations."""
    conversations, _ = _conversations(source)
    if not conversations:
        return frozenset()
    assets = [member for member in source if _ASSET.fullmatch(member.base)]
    return frozenset(member.name for member in [*conversations, *_beside(source, conversations), *assets])


def _beside(source: Source, conversations: list[Member]) -> list[Member]:
    """The files of known names that lie in a folder with conversations."""
    folders = {_folder(member) for member in conversations}
    return [
        member
        for member in source
        if (member.base in _BESIDE or _is_left_aside(member))
        and _folder(member).removesuffix("textdocs").rstrip("/") in folders
    ]


def _folder(member: Member) -> str:
    return member.name.rpartition("/")[0]


def _is_left_aside(member: Member) -> bool:
    return bool(_LEFT_ASIDE.fullmatch(member.base)) or f"/{_folder(member)}".endswith("/textdocs")


def layout(source: Source) -> Layout:
    """What is where. Files beside the conversations that cannot be read become problems."""
    conversations, is_page = _conversations(source)
    found = Layout(conversations, page=is_page)
    for member in _beside(source, conversations):
        if member.base in _BESIDE:
            _READ[member.base](found, member, _content(found, member))
        elif member.size > _SMALLEST_WITH_SOMETHING:
            found.left_aside.append(member.base)
    return found


# ------------------------------------------------------------------ conversations


def _conversations(source: Source) -> tuple[list[Member], bool]:
    """The members that hold conversations, in order, and whether they are pages."""
    by_structure = [source.members[name] for name in peek.judged(source, holds_conversations)]
    own = [member for member in by_structure if not _LEFT_ASIDE.fullmatch(member.base)]
    if own:
        # A shard that is cut to nothing has no structure, but it lies beside the others and has their name.
        folders = {_folder(member) for member in own}
        more = [one for one in source.find(SHARD) if _folder(one) in folders and one not in own]
        return sorted([*own, *more], key=list(source.members.values()).index), False
    pages = [one for one in source if one.base.endswith(".html") and MARK.search(peek.head(source, one))]
    return pages, True


def holds_conversations(_member: Member, value: Any) -> bool:
    """Whether the beginning of a JSON file is a list of ChatGPT conversations, or one of them."""
    return any(_is_conversation(item) for item in peek.listed(value, "conversations"))


def _is_conversation(item: Any) -> bool:
    names = peek.keys(item)
    if "inserted_at" in names or "chat_messages" in names:
        return False  # DeepSeek and Claude
    nodes = item["mapping"] if "mapping" in names else None
    messages = [node.get("message") for node in nodes.values() if peek.keys(node)] if isinstance(nodes, dict) else []
    told = [peek.keys(message) for message in messages if message is not None]
    if told:
        return any({"author", "content"} & keys for keys in told) and not any("fragments" in keys for keys in told)
    return {"title", "create_time"} <= names and bool(names & {"mapping", "conversation_id", "current_node"})


# ------------------------------------------------------------------ beside them


def _content(found: Layout, member: Member) -> Any:
    try:
        data = member.read()
        return exact.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, ChatkeepError):
        found.problems.append(Problem(member.where, "This file cannot be read; what it says is left out."))
        return None


def _manifest(found: Layout, member: Member, value: Any) -> None:
    """Put the shards into the order of the manifest, and tell those that are missing or not listed."""
    listed = _listed_shards(value)
    here = {one.base: one for one in found.conversations if _folder(one) == _folder(member)}
    for name in listed:
        if name not in here:
            found.problems.append(Problem(member.where, f"It lists {name}, which is not in the export."))
    if listed:
        for name in sorted(here.keys() - set(listed)):
            found.problems.append(Problem(here[name].where, "The manifest does not list this file; it was read."))
        order = {here[name].name: place for place, name in enumerate(listed) if name in here}
        found.conversations.sort(key=lambda one: order.get(one.name, len(order)))


def _listed_shards(value: Any) -> list[str]:
    files = value
    for name in ("logical_files", "conversations.json", "files"):
        files = files.get(name) if isinstance(files, dict) else None
    return [name for name in files if isinstance(name, str)] if isinstance(files, list) else []


def _user(found: Layout, member: Member, value: Any) -> None:
    if isinstance(value, dict) and isinstance(own_id := value.get("id"), str) and own_id:
        found.accounts[_folder(member)] = identify("chatgpt", "account", own_id)


def _feedback(found: Layout, _member: Member, value: Any) -> None:
    for item in _objects(value):
        if isinstance(item.get("id"), str):
            found.feedback.setdefault(_text(item, "conversation_id"), []).append(item)


def _shared(found: Layout, _member: Member, value: Any) -> None:
    for item in _objects(value):
        if conversation := _text(item, "conversation_id"):
            found.shared.setdefault(conversation, []).append(item)


def _asset_names(found: Layout, _member: Member, value: Any) -> None:
    for name, original in value.items() if isinstance(value, dict) else ():
        if isinstance(original, str):
            found.facts[name] = FileFacts(original.rpartition("/")[2])


def _library(found: Layout, _member: Member, value: Any) -> None:
    for item in _objects(value):
        if own_id := _text(item, "file_id"):
            found.facts[own_id] = FileFacts(_text(item, "file_name"), _text(item, "mime_type"))


def _objects(value: Any) -> Iterator[Json]:
    yield from (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _text(item: Json, name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""


_READ = {
    "export_manifest.json": _manifest,
    "user.json": _user,
    "message_feedback.json": _feedback,
    "shared_conversations.json": _shared,
    "conversation_asset_file_names.json": _asset_names,
    "library_files.json": _library,
}
