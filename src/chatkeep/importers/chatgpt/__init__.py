"""ChatGPT's data export: the zip that OpenAI sends, its files, or conversations taken from it.

Source: exports of 2023 to 2026 as docs/platforms/chatgpt.md lists them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from chatkeep import exact
from chatkeep.elements import Element, elements
from chatkeep.errors import Problem
from chatkeep.importers import Keep, Loaded, Record
from chatkeep.importers.chatgpt import layout as files
from chatkeep.importers.chatgpt.assets import Assets, Store
from chatkeep.importers.chatgpt.conversation import BY, Beside, build, conversation_id
from chatkeep.importers.chatgpt.layout import Layout
from chatkeep.importers.chatgpt.page import Data
from chatkeep.importers.fields import Json
from chatkeep.importers.listed import Built, load
from chatkeep.source import Member, Source

_CONVERSATION_ID = re.compile(rb'"(?:conversation_id|id)"\s*:\s*"([^"\\]+)"')


class ChatGPT:
    """Reads ChatGPT exports, classic, sharded or only the page."""

    platform = "chatgpt"
    title = "ChatGPT"
    version = 1
    expects = "the zip that ChatGPT sent, or the conversations files or the chat.html in it"

    def sniff(self, source: Source) -> frozenset[str]:
        """The members of ChatGPT exports: conversations, and what lies beside them."""
        return files.claimed(source)

    def read(self, source: Source, keep: Keep) -> Iterator[Record | Problem]:
        """The conversations, file by file in the order of the manifest; then a record with notes, if there are any."""
        layout = files.layout(source)
        yield from layout.problems
        conversations = {member.name for member in layout.conversations}
        store = Store((one for one in source if one.name not in conversations), keep, facts=layout.facts)
        for member in layout.conversations:
            yield from self._conversations(member, layout, store)
        if layout.left_aside:
            names = ", ".join(sorted(set(layout.left_aside)))
            note = f"The export also holds {names}, which Chatkeep does not read. Keep the export if that matters."
            yield Record(source.label, b"", partial(Loaded, notes=(note,)))

    def _conversations(self, member: Member, layout: Layout, store: Store) -> Iterator[Record | Problem]:
        account = layout.account(member)
        with member.open() as stream:
            listed: BinaryIO = Data(stream) if layout.page else stream  # type: ignore[assignment]
            for element in elements(listed, where=member.where, inside="conversations"):
                if isinstance(element, Problem):
                    yield element
                    continue
                beside = _beside(element, account, layout)
                where = f"{member.where}, conversation {element.index + 1:,}"
                built = partial(_built, beside=beside, store=store)
                digest = _digest(element, beside)
                here = hashlib.sha256(digest + store.digest).digest()
                yield Record(where, digest, partial(load, element.raw, built, where), here)


def _beside(element: Element, account: str, layout: Layout) -> Beside:
    """What other files say of the conversation; found by its id before it is decoded, so that its digest tells it."""
    if not layout.feedback and not layout.shared:
        return Beside(account)
    ids = {found.decode("utf-8", "replace") for found in _CONVERSATION_ID.findall(element.raw)}
    feedback: dict[str, list[Json]] = {}
    for own_id in sorted(ids & layout.feedback.keys()):
        for item in layout.feedback[own_id]:
            feedback.setdefault(item["id"], []).append(item)
    shared = [item for own_id in sorted(ids & layout.shared.keys()) for item in layout.shared[own_id]]
    return Beside(account, feedback, shared)


def _digest(element: Element, beside: Beside) -> bytes:
    digest = hashlib.sha256(f"{BY}\0{beside.account}\0".encode())
    if beside.feedback or beside.shared:
        digest.update(exact.encode([beside.feedback, beside.shared]))
    digest.update(element.raw)
    return digest.digest()


def _built(record: Json, where: str, *, beside: Beside, store: Store) -> Built:
    assets = Assets(store, conversation_id(record), where)
    return build(record, beside=beside, assets=assets, where=where)


CHATGPT = ChatGPT()
