"""ChatGPT's exports: the questions of the suite, and what only ChatGPT has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatkeep.importers.chatgpt import CHATGPT
from chatkeep.merge import merge
from chatkeep.model import Conversation, Part
from chatkeep.testing.importer_suite import ImporterSuite
from chatkeep.testing.reading import Reading, read, source_of


class TestChatGPT(ImporterSuite):
    importer = CHATGPT
    samples = Path(__file__).parents[1] / "samples" / "chatgpt"
    SHARED = {  # noqa: RUF012
        "chatgpt-branch-int-times/conversations.json": (1, 6, 0),
        "chatgpt-export-2024-01/conversations.json": (2, 21, 0),
        "chatgpt-japanese-missing-current-node/conversations.json": (1, 4, 0),
        "chatgpt-native-conversation-object.json": (1, 8, 0),
        "chatgpt-single-conversation-2025-06/conversations.json": (1, 12, 0),
    }


PICTURE = b"\x89PNG\r\n\x1a\n and so on"
POINTER = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-A1", "size_bytes": 20}


def _export(content: Any) -> dict[str, bytes]:
    """An export of one conversation with one question."""
    message = {"id": "m", "author": {"role": "user"}, "create_time": 1, "content": content}
    node = {"id": "m", "message": message, "parent": None, "children": []}
    record = {"conversation_id": "c", "title": "One", "create_time": 1, "mapping": {"m": node}, "current_node": "m"}
    return {"conversations.json": json.dumps([record]).encode()}


def _read(files: dict[str, bytes]) -> Reading:
    return read(CHATGPT, source_of(files))


def _only(found: Reading) -> tuple[Conversation, Part]:
    [conversation] = found.conversations
    return conversation, conversation.messages[0].parts[0]


def _picture() -> dict[str, Any]:
    return {"content_type": "multimodal_text", "parts": [POINTER]}


@pytest.mark.parametrize(
    "name", ["file-A1.png", "file-A1-cat.png", "dalle-generations/file-A1-x.webp", "u/file-A1.dat"]
)
def test_a_pointer_finds_its_file_wherever_it_lies(name: str) -> None:
    found = _read({**_export(_picture()), name: PICTURE})
    _, part = _only(found)
    assert part.sha256 in found.kept
    assert part.media_type == "image/png"


@pytest.mark.parametrize("name", ["file-A12.png", "file-A.png", "xfile-A1.png"])
def test_a_pointer_does_not_take_the_file_of_another(name: str) -> None:
    _, part = _only(_read({**_export(_picture()), name: PICTURE}))
    assert part.missing


def test_of_two_files_with_one_id_the_one_of_the_conversation_is_taken() -> None:
    found = _read({**_export(_picture()), "a/file-A1-1.png": b"another", "c/file-A1-2.png": PICTURE})
    assert found.kept[_only(found)[1].sha256] == PICTURE


def test_a_missing_picture_is_filled_by_a_later_export() -> None:
    before, after = _read(_export(_picture())), _read({**_export(_picture()), "file-A1.png": PICTURE})
    assert (before.incomplete, after.incomplete) == (1, 0)
    assert before.digests == after.digests
    joined = merge(before.conversations[0], after.conversations[0])
    assert joined.messages[0].parts[0].sha256 == after.conversations[0].messages[0].parts[0].sha256
    assert joined == merge(after.conversations[0], before.conversations[0])


def test_a_new_thumb_makes_a_conversation_be_read_again_and_only_that_one() -> None:
    text = {"content_type": "text", "parts": ["Hello"]}
    thumb = [{"id": "m", "conversation_id": "c", "rating": "thumbs_up"}, {"id": "x", "conversation_id": "other"}]
    plain = _read(_export(text))
    rated = _read({**_export(text), "message_feedback.json": json.dumps(thumb).encode()})
    others = _read({**_export(text), "message_feedback.json": json.dumps(thumb[1:]).encode()})
    assert plain.digests == others.digests != rated.digests
    [conversation] = rated.conversations
    assert conversation.messages[0].unknown["feedback"][0]["rating"] == "thumbs_up"


def test_the_same_message_keeps_its_version_when_the_order_of_its_keys_changes() -> None:
    files = _export({"content_type": "text", "parts": ["Hello"]})
    turned = json.loads(files["conversations.json"], object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    again = _read({"conversations.json": json.dumps(turned).encode()})
    assert again.conversations == _read(files).conversations


def test_a_file_that_cannot_be_read_beside_the_conversations_is_told_and_the_rest_is_read() -> None:
    found = _read({**_export({"content_type": "text", "parts": ["Hello"]}), "user.json": b"{cut"})
    assert [problem.where for problem in found.problems] == ["memory: user.json"]
    assert found.messages == 1


def test_files_that_are_left_aside_are_named_if_they_hold_something() -> None:
    files = _export({"content_type": "text", "parts": ["Hello"]})
    others = {
        "group_chats.json": b'{"chats":[]}',
        "sora.json": b'{"videos": ["a long list"]}',
        "textdocs/68a.json": b'{"content": "a document"}',
        "elsewhere/ads.json": b'{"of": "something else entirely"}',
    }
    [note] = _read({**files, **others}).notes
    assert "68a.json, sora.json" in note
    assert "group_chats" not in note
    assert "ads" not in note
