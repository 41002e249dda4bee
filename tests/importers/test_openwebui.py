"""Open WebUI's chats: the questions of the suite, and what only Open WebUI has."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from chatkeep.importers.openwebui import OPENWEBUI
from chatkeep.importers.openwebui.conversation import moment
from chatkeep.merge import merge
from chatkeep.model import Conversation
from chatkeep.testing.importer_suite import ImporterSuite
from chatkeep.testing.reading import read, source_of
from chatkeep.views import path, plain_text


class TestOpenWebUI(ImporterSuite):
    importer = OPENWEBUI
    samples = Path(__file__).parents[1] / "samples" / "openwebui"
    SHARED = {"openwebui-single-chat-2025.json": (1, 2, 0)}  # noqa: RUF012


def _row(messages: dict[str, Any], current: str = "", **more: Any) -> dict[str, Any]:
    chat = {"title": "Tea", "models": ["m"], "history": {"messages": messages, "currentId": current}}
    return {"id": "c", "user_id": "u", "title": "Tea", "chat": chat, "updated_at": 1760000000, **more}


def _message(own: str, parent: str | None, **more: Any) -> dict[str, Any]:
    return {"id": own, "parentId": parent, "childrenIds": [], "role": "user", "content": own, **more}


def _read(value: Any) -> list[Conversation]:
    return read(OPENWEBUI, source_of({"x.json": json.dumps(value).encode()})).conversations


def test_an_answer_that_comes_later_makes_no_second_version_of_the_question() -> None:
    question = _message("q", None)
    answer = _message("a", "q", role="assistant", model="m", done=True)
    [before] = _read(_row({"q": question}))
    later = question | {"childrenIds": ["a"], "followUps": ["And?"], "annotation": {"rating": -1}}
    [after] = _read(_row({"q": later, "a": answer}, updated_at=1760000009))
    joined = merge(before, after)
    assert [len(message.previous) for message in joined.messages] == [0, 0]
    assert joined.messages[0].reactions[0].sign == "👎"


def test_a_text_that_was_edited_is_kept_beside_the_one_before() -> None:
    [before] = _read(_row({"q": _message("q", None)}))
    [after] = _read(_row({"q": _message("q", None, content="edited")}))
    [message] = merge(before, after).messages
    assert {plain_text(one) for one in (message, *message.previous)} == {"q", "edited"}


def test_a_message_whose_id_is_empty_is_a_message_like_others() -> None:
    [found] = _read(_row({"": {"role": "user", "content": "Hello"}, "a": _message("a", "")}))
    assert [(plain_text(one), one.parent) for one in found.messages] == [("Hello", ""), ("a", "")]


def test_the_path_that_was_shown_is_the_one_of_the_current_message() -> None:
    messages = {
        "q": _message("q", None),
        "a": _message("a", "q", role="assistant", model="one", timestamp=9),
        "b": _message("b", "q", role="assistant", model="two", timestamp=9),
    }
    for current in ("a", "b"):
        [found] = _read(_row(messages, current))
        assert [message.source_id for message in path(found)] == ["q", current]
    assert [one.id for one in found.participants] == ["assistant/one", "assistant/two", "user"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1760000000, "2025-10-09T08:53:20Z"),
        (1760000000123, "2025-10-09T08:53:20.123Z"),
        (1760000000123456, "2025-10-09T08:53:20.123Z"),
        (1760000000123456789, "2025-10-09T08:53:20.123Z"),
        ({"$number": "1760000000.5"}, "2025-10-09T08:53:20.5Z"),
        ({"$number": "1760000000123.0"}, "2025-10-09T08:53:20.123Z"),
        ("1760000000", ""),
        (None, ""),
        ({"$number": "NaN"}, ""),
        (True, ""),
    ],
)
def test_a_time_is_read_in_the_unit_that_its_size_tells(value: Any, expected: str) -> None:
    assert moment(value) == expected


@pytest.mark.parametrize(
    "text",
    [
        '<details type="reasoning"',
        '<details type="reasoning">',
        '<details type="tool_calls" a="',
        "<think>",
        '<details type="reasoning" ' + "a" * 60,
        '<details type="code_interpreter">```\n</details',
    ],
)
def test_a_megabyte_of_folds_that_never_end_takes_no_longer_than_reading_it(text: str) -> None:
    content = text * ((1 << 20) // len(text))
    began = time.process_time()
    [found] = _read(_row({"q": _message("q", None, content=content)}))
    assert time.process_time() - began < 2
    assert content in plain_text(found.messages[0])
