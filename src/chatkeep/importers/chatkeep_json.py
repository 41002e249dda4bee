"""Chatkeep's own lossless export: conversation documents, byte for byte, with their attachments beside them.

A file with one document, a file with a list of them, a folder or a zip of such files; attachments lie under
`attachments/`, named by their sha256. Documents keep their platform and their ids, so importing them where they came
from changes nothing, and importing them elsewhere makes the same archive.

Source: docs/formats/json.md, which is ours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from chatkeep import model
from chatkeep.elements import Element, elements
from chatkeep.errors import ChatkeepError, Damaged, Problem, VaultTooNew
from chatkeep.importers import Keep, Loaded, Record, peek
from chatkeep.merge import settle
from chatkeep.model import Conversation, Part
from chatkeep.source import Member, Source

_SHA256 = re.compile(r"[0-9a-f]{64}")


class ChatkeepJson:
    """Reads what the json exporter wrote, of every platform."""

    platform = "chatkeep"
    title = "Chatkeep"
    version = 1
    expects = "a JSON export of Chatkeep: the file, or the folder or zip with its attachments"

    def sniff(self, source: Source) -> frozenset[str]:
        """The files that hold documents, and the attachments beside them."""
        ours = frozenset(member.name for member, value in peek.jsons(source) if _is_ours(value))
        return ours | {member.name for member in source if ours and _is_attachment(member)}

    def read(self, source: Source, keep: Keep) -> Iterator[Record | Problem]:
        """The documents, file by file, each with its attachments."""
        attachments = _Attachments(source, keep)
        for member, value in peek.jsons(source):
            if not _is_ours(value):
                continue
            with member.open() as stream:
                for element in elements(stream, where=member.where):
                    if isinstance(element, Problem):
                        yield element
                        continue
                    where = f"{member.where}, conversation {element.index + 1:,}"
                    digest = hashlib.sha256(f"chatkeep/{self.version}\0".encode() + element.raw).digest()
                    yield Record(where, digest, partial(_load, element, attachments, where))


def _is_ours(value: Any) -> bool:
    """Whether a file begins as a document, or as a list of them. Of a long one only the first fields are there."""
    items = value if isinstance(value, list) else [value]
    first = items[0] if items else None
    if not isinstance(first, dict) or type(first.get("format")) is not int or type(first.get("id")) is not str:
        return False
    return isinstance(first.get("messages"), list) or type(first.get("platform")) is str


def _is_attachment(member: Member) -> bool:
    return _SHA256.fullmatch(member.base) is not None and "attachments/" in member.name


def _load(element: Element, attachments: _Attachments, where: str) -> Loaded:
    try:
        conversation = settle(model.decode(element.raw))
    except VaultTooNew as wrong:
        return Loaded(problems=[Problem(where, f"{wrong.what}. {wrong.hint}")])
    except Damaged:
        return Loaded(problems=[Problem(where, "It is not a conversation document; it was left out.")])
    if not conversation.id:
        return Loaded(problems=[Problem(where, "The document has no id; it was left out.")])
    missing, problems = attachments.keep_all(conversation, where)
    note = f"{where}: {missing} of its attachments are not in the export; its folder or zip has them."
    return Loaded(
        (conversation,),
        problems,
        unknown=_unknown(conversation),
        complete=not missing and not problems,
        notes=(note,) if missing else (),
    )


def _unknown(conversation: Conversation) -> dict[str, int]:
    counts: dict[str, int] = {}
    for message in conversation.messages:
        for part in _all_parts(message.parts):
            if part.type == "unknown":
                counts[part.kind or "unknown"] = counts.get(part.kind or "unknown", 0) + 1
    return counts


def _all_parts(parts: tuple[Part, ...]) -> Iterator[Part]:
    for part in parts:
        yield part
        yield from _all_parts(part.parts)


class _Attachments:
    """The attachments of an export, each kept once."""

    def __init__(self, source: Source, keep: Keep) -> None:
        self._source, self._keep = source, keep
        self._wrong: dict[str, str | None] = {}  # by sha256: None where it is not in the export

    def keep_all(self, conversation: Conversation, where: str) -> tuple[int, list[Problem]]:
        """Keep what the conversation names and the export holds: how many it does not hold, and what is wrong."""
        versions = [version for message in conversation.messages for version in (message, *message.previous)]
        parts = (part for version in versions for part in _all_parts(version.parts))
        named = dict.fromkeys(part.sha256 for part in parts if part.type == "attachment" and part.sha256)
        found = [self._keep_once(sha256) for sha256 in named]
        return found.count(None), [Problem(where, what) for what in found if what]

    def _keep_once(self, sha256: str) -> str | None:
        if sha256 not in self._wrong:
            self._wrong[sha256] = self._keep_one(sha256)
        return self._wrong[sha256]

    def _keep_one(self, sha256: str) -> str | None:
        members = [member for member in self._source.named(sha256) if _is_attachment(member)]
        if not members:
            return None
        try:
            with members[0].open() as stream:
                kept = self._keep(stream)
        except ChatkeepError as error:
            return f"The attachment {sha256[:12]} cannot be read. {error.what}"
        if kept.sha256 != sha256:
            return f"The attachment {sha256[:12]} was changed since it was exported, so it does not belong here."
        return ""


LOSSLESS = ChatkeepJson()
