"""What is written, and how, as people wish."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatkeep.errors import WrongUse
from chatkeep.exporters import EXPORTERS, Customisation, Exporter, find, preview
from chatkeep.model import Conversation, Part
from chatkeep.testing import museum

READABLE = [one for one in EXPORTERS.values() if not one.lossless]


def text(conversation: Conversation, **wishes: Any) -> str:
    return preview(conversation, "txt", Customisation(**wishes))


@pytest.mark.parametrize(
    "wish",
    [
        {"branches": "some"},
        {"times": "often"},
        {"zone": "Mars/Olympus"},
        {"zone": "../../etc/passwd"},
        {"names": "nick"},
        {"attachments": "burn"},
        {"files": "few"},
        {"name_pattern": "{colour}"},
        {"redact_patterns": ("(",)},
    ],
)
def test_a_wish_that_means_nothing_is_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(WrongUse):
        Customisation(**wish)


def test_an_unknown_format_is_refused_with_those_there_are() -> None:
    with pytest.raises(WrongUse) as wrong:
        find("docx")
    assert "markdown" in wrong.value.hint


def test_times_are_told_as_wished() -> None:
    chat = museum.museum()
    assert "2024-03-09 23:27" in text(chat)
    assert "2024-03-10 08:27" in text(chat, zone="Asia/Tokyo")
    assert "23:27" not in text(chat, times="date")
    assert "2024" not in text(chat, times="none")


def test_local_times_are_told_as_they_are() -> None:
    shown = text(museum.group(), zone="Asia/Tokyo")
    assert "2024-05-04 21:10" in shown
    assert "local times" in shown
    assert "Tokyo" not in shown


def test_names_are_written_as_wished() -> None:
    own = text(museum.group(), own_names={"Ada": "Mum", "b": "Dad"})
    assert "[Mum" in own
    assert "[Dad" in own
    assert "Ada" not in own
    assert "Person 3" in text(museum.group(), names="roles")
    assert "[Assistant" in text(museum.museum(), names="roles")


def test_thinking_tools_and_the_hidden_are_written_on_request_alone() -> None:
    chat = museum.museum()
    wishes = {"thinking": "stairs* are hard", "tool_calls": "museum opening times", "hidden": "helpful guide"}
    for wish, words in wishes.items():
        assert words not in text(chat)
        assert words in text(chat, **{wish: True})
        assert all(other not in text(chat, **{wish: True}) for other in wishes.values() if other != words)


def test_sources_can_be_left_out_and_their_marks_with_them() -> None:
    shown = text(museum.museum(), citations=False)
    assert "Opening times" not in shown
    assert "on the left. Ask" in shown


def test_all_branches_stand_at_their_place_with_labels() -> None:
    shown = text(museum.museum(), branches="all")
    other, goes_on, guide = (shown.index(words) for words in ("Another version: 1 of 2", "goes on", "Take the stairs"))
    assert other < shown.index("Come on a Tuesday") < goes_on < guide
    assert "Tuesday" not in text(museum.museum())


def test_every_message_is_written_with_all_branches_however_odd_the_tree() -> None:
    first = museum.museum().messages[1]
    ring = [msgspec.structs.replace(first, id=str(at), parent=str((at + 1) % 3), previous=()) for at in range(3)]
    lost = msgspec.structs.replace(first, id="lost", parent="nowhere", previous=())
    chat = msgspec.structs.replace(museum.museum(), messages=(*ring, lost), shown_leaf="lost")
    assert text(chat, branches="all").count("Plan a day") == 4


def test_a_deep_tree_costs_no_stack() -> None:
    first = museum.museum().messages[1]
    many = [
        msgspec.structs.replace(first, id=f"{at}{side}", parent=f"{at - 1}a" if at else "")
        for at in range(3000)
        for side in "ab"
    ]
    chat = msgspec.structs.replace(museum.museum(), messages=tuple(many), shown_leaf="2999a")
    for exporter in READABLE:
        assert preview(chat, exporter, Customisation(branches="all")).count("Plan a day") == 6000


@pytest.mark.parametrize("exporter", READABLE, ids=lambda one: one.name)
def test_redacted_words_stand_nowhere(exporter: Exporter) -> None:
    chat = museum.museum()
    secret = [
        Part(type="text", text="A SECRET here", markup="markdown"),
        Part(type="code", text="secret()", language="secret"),
        Part(type="tool_call", name="secret", input={"secret": ["secret"]}),
        Part(type="attachment", missing=True, name="secret.pdf", caption="secret", transcript="secret"),
        Part(type="citation", title="secret", text="secret words", url="https://secret.example"),
        Part(type="thinking", text="secret"),
        Part(type="unknown", kind="secret", raw="secret"),
    ]
    message = msgspec.structs.replace(chat.messages[-1], parts=tuple(secret))
    chat = msgspec.structs.replace(chat, title="My secret", project="secret", messages=(*chat.messages[:-1], message))
    wish = Customisation(redact=("Secret", "museum"), thinking=True, tool_calls=True, hidden=True, branches="all")
    shown = preview(chat, exporter, wish).lower()
    body = shown.partition("<body>")[2] or shown
    assert "secret" not in body
    assert "museum" not in body
    assert "▇▇▇" in body


def test_redaction_takes_whole_words_and_patterns() -> None:
    chat = museum.group()
    assert "Sunday" in text(chat, redact=("Sun",))
    assert "Sunday" not in text(chat, redact_patterns=(r"S\w+y",), redaction="[redacted]")
    assert "[redacted]" in text(chat, redact_patterns=(r"S\w+y",), redaction="[redacted]")
    assert "בשמחה" not in text(chat, redact=("בשמחה",))


def test_sources_keep_their_places_when_words_before_them_are_redacted() -> None:
    shown = text(museum.museum(), redact=("whale", "nine"))
    assert "on the left.[1][2] Ask" in shown


def test_a_pattern_that_matches_everywhere_and_nothing_changes_nothing() -> None:
    assert text(museum.group(), redact_patterns=("x*",), redaction="!") == text(museum.group()).replace("x", "!")
