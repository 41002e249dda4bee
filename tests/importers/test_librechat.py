"""LibreChat's conversations: the questions of the suite, and what only LibreChat has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatkeep.importers.librechat import LIBRECHAT
from chatkeep.importers.librechat.flat import UNDER, flattened
from chatkeep.merge import merge
from chatkeep.model import Conversation
from chatkeep.testing.importer_suite import ImporterSuite
from chatkeep.testing.reading import read, source_of
from chatkeep.views import path, plain_text

SAMPLES = Path(__file__).parents[1] / "samples" / "librechat"


class TestLibreChat(ImporterSuite):
    importer = LIBRECHAT
    samples = SAMPLES
    SHARED = {  # noqa: RUF012
        "librechat-export-recursive.json": (1, 6, 0),
        "librechat-flat-with-branches.json": (1, 5, 0),
        "librechat-linear.json": (1, 2, 0),
    }


def _read(data: bytes) -> list[Conversation]:
    return read(LIBRECHAT, source_of({"x.json": data})).conversations


def _deep(count: int) -> bytes:
    """A nested export of one line of so many messages."""
    starts = [
        f'{{"messageId":"m{at}","parentMessageId":"m{at - 1}","isCreatedByUser":{str(at % 2 == 0).lower()},'
        f'"text":"message {at}","children":['
        for at in range(count)
    ]
    head = b'{"conversationId":"c","endpoint":"openAI","title":"Long","recursive":true,"messages":['
    return head + "".join(starts).encode() + b"]}" * count + b"]}"


@pytest.mark.parametrize("count", [1, 100, 127, 128, 3000])
def test_a_line_however_long_is_read_from_a_nested_export(count: int) -> None:
    found = read(LIBRECHAT, source_of({"x.json": _deep(count)}))
    assert found.problems == []
    [conversation] = found.conversations
    assert [plain_text(one) for one in path(conversation)] == [f"message {at}" for at in range(count)]


def test_nested_and_flat_exports_of_one_conversation_are_one_document() -> None:
    nested = json.loads((SAMPLES / "nested" / "input" / "Sourdough.json").read_text())
    flat: list[Any] = []
    waiting = list(reversed(nested["messages"]))
    while waiting:
        message = waiting.pop()
        waiting += reversed(message.pop("children", []))
        flat.append(message)
    [one] = _read((SAMPLES / "nested" / "input" / "Sourdough.json").read_bytes())
    [other] = _read(json.dumps(nested | {"recursive": False, "messages": flat, "exportAt": "later"}).encode())
    assert one == other
    assert merge(one, other) == one


@pytest.mark.parametrize(
    "data",
    [
        b'{"messages":[{"children":[{"a":1}]}',
        b'{"messages":[{"children":[{"a":1}]}]]',
        b'{"messages":[{"text":"\\"children\\":[{"}]}',
        b'{"messages":[{"text":"unended "children":[{}]}]}',
        b'"children"',
        b"",
    ],
)
def test_what_is_odd_is_not_made_flat(data: bytes) -> None:
    assert flattened(data) == data


def test_only_the_nesting_changes_when_a_file_is_made_flat() -> None:
    data = (
        b'{"x":{"children":[{}]},"messages":[{"a":"]}","children":[{},null, {"b":[{"children":[1]}]}, 5],"c":2}],'
        b'"y":[]}'
    )
    expected = (
        b'{"x":{"children":[{}]},"messages":[{"a":"]}","children":[null,5],"c":2},{"%b":0},'
        b'{"%b":0,"b":[{"children":[1]}]}],"y":[]}'
    ) % (UNDER.encode(), UNDER.encode())
    assert flattened(data) == expected
    assert json.loads(expected)


def test_an_answer_that_was_unfinished_gives_way_to_the_finished_one() -> None:
    def export(text: str, updated: str, **more: Any) -> bytes:
        answer = {"messageId": "a", "createdAt": "2025-01-01T00:00:00Z", "updatedAt": updated, "text": text, **more}
        return json.dumps({"conversationId": "c", "endpoint": "x", "messages": [answer]}).encode()

    [half] = _read(export("Half", "2025-01-01T00:00:01Z", unfinished=True))
    [whole] = _read(export("Half and whole", "2025-01-01T00:00:05Z"))
    for joined in (merge(half, whole), merge(whole, half)):
        assert plain_text(joined.messages[0]) == "Half and whole"
        assert [plain_text(one) for one in joined.messages[0].previous] == ["Half"]


def test_a_count_or_a_thumb_that_comes_later_makes_no_second_version() -> None:
    message = {"messageId": "a", "createdAt": "2025-01-01T00:00:00Z", "text": "Hello", "isCreatedByUser": True}
    before, after = (
        json.dumps({"conversationId": "c", "endpoint": "x", "messages": [message | more]}).encode()
        for more in ({}, {"tokenCount": 7, "feedback": {"rating": "thumbsDown"}, "updatedAt": "2025-01-02T00:00:00Z"})
    )
    [joined] = merge(_read(before)[0], _read(after)[0]).messages
    assert joined.previous == ()
    assert joined.reactions[0].sign == "👎"
