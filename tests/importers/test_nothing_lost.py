"""Every text and every name of a field that an export says is in its documents, understood or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatkeep import exact
from chatkeep.importers import Importer
from chatkeep.importers.chatgpt import CHATGPT
from chatkeep.importers.claude import CLAUDE
from chatkeep.importers.librechat import LIBRECHAT
from chatkeep.importers.openwebui import OPENWEBUI
from chatkeep.model import encode
from chatkeep.source import Source
from chatkeep.testing.reading import Reading, read

SAMPLES = Path(__file__).parents[1] / "samples"
CASES = [
    (CHATGPT, "chatgpt/classic", "conversations.json"),
    (CHATGPT, "chatgpt/content-types", "conversations.json"),
    (CHATGPT, "chatgpt/citations", "conversations.json"),
    (CLAUDE, "claude/export", "conversations.json"),
    (CLAUDE, "claude/blocks", "conversations.json"),
    (CLAUDE, "claude/web-client", "tea.json"),
    (CLAUDE, "claude/projects", "projects/p-1.json"),
    (CLAUDE, "claude/projects", "memories.json"),
    (CLAUDE, "claude/projects", "design_chats/d-1.json"),
    (LIBRECHAT, "librechat/nested", "Sourdough.json"),
    (LIBRECHAT, "librechat/contents", "agent.json"),
    (LIBRECHAT, "librechat/records", "conversations.json"),
    (OPENWEBUI, "openwebui/all-chats", "chat-export-1760000000000.json"),
    (OPENWEBUI, "openwebui/outputs", "chats.json"),
    (OPENWEBUI, "openwebui/older", "list.json"),
]
# What has become the structure of a document, or a time, or is the same in all exports.
STRUCTURE = {
    "client-created-root",
    "root-b",
    "00000000-0000-4000-8000-000000000000",
    "5e000000-0000-4000-a000-000000000001",  # an account, of which documents have a hash
    "u-100",  # another
    "u-200",
    "00000000-0000-0000-0000-000000000000",
    "completed",
    "<think>",
    "</think>",
}
FIELDS_MAPPED = {
    "type",
    "content_type",
    "account",
    "uuid",
    "sender",
    "role",
    "exportAt",
    "createdAt",
    "updatedAt",
    "$date",
}


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value that is neither a time nor the kind of a block."""
    waiting = [("", value)]
    while waiting:
        name, one = waiting.pop()
        if isinstance(one, str):
            if name not in FIELDS_MAPPED and not name.endswith(("_at", "timestamp")):
                yield one
        elif isinstance(one, dict):
            waiting += [(key, item) for key, item in one.items()]
        elif isinstance(one, list):
            waiting += [("", item) for item in one]


def _all_documents(importer: Importer, case: str) -> tuple[Reading, str]:
    with Source.open([SAMPLES / case / "input"]) as source:
        found = read(importer, source)
    documents = [json.loads(encode(one)) for one in found.conversations]
    return found, json.dumps(documents, ensure_ascii=False)


@pytest.mark.parametrize(("importer", "case", "name"), CASES)
def test_every_text_of_the_source_is_in_its_documents(importer: Importer, case: str, name: str) -> None:
    _, documents = _all_documents(importer, case)
    source = json.loads((SAMPLES / case / "input" / name).read_text(encoding="utf-8"))
    lost = [text for text in _texts(source) if json.dumps(text, ensure_ascii=False)[1:-1] not in documents]
    pictures = ("R0lGOD", "data:")  # the bytes of a picture in a text are kept as a file
    read_as_json = (
        "<details type=",
        '{"city": "Oslo"',
        '{"q": "rain"',
    )  # what is folded into a text, what a tool was given
    assert [text for text in lost if text not in STRUCTURE and not text.startswith((*pictures, *read_as_json))] == []


def test_a_number_that_no_float_keeps_is_kept() -> None:
    _, documents = _all_documents(CHATGPT, "chatgpt/odd-values")
    assert "123456789012345678901234567890" in documents
    assert r"\"$x\": 1.10, \"a\": 1, \"a\": 2" in documents


def test_halves_of_pairs_and_nothing_are_kept_as_they_were() -> None:
    found, _ = _all_documents(CHATGPT, "chatgpt/odd-values")
    [conversation] = found.conversations
    assert exact.unmark(conversation.title) == "\ud83d \\ TITLE"
    text = conversation.messages[0].parts[0].text
    assert exact.unmark(text) == "half a pair: \ud800, nothing: \0, our mark: \ufdd0"
