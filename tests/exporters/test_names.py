"""File names that every file system takes, and that say what is in the file."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.exporters.customisation import Customisation
from chatkeep.exporters.names import Names, safe
from chatkeep.model import Conversation
from chatkeep.testing import museum
from chatkeep.testing.exporter_suite import wrong_name


def named(conversation: Conversation, pattern: str = "", zone: str = "UTC") -> str:
    wish = Customisation(zone=zone, **({"name_pattern": pattern} if pattern else {}))
    return Names(wish, suffix=".md").name(conversation)


def titled(title: str) -> Conversation:
    return msgspec.structs.replace(museum.group(), title=title)


@given(st.text())
def test_any_text_gives_one_safe_step(text: str) -> None:
    step = safe(text)
    assert "/" not in step
    assert not wrong_name(step)


@given(st.text(), st.integers(20, 255))
def test_a_step_is_as_short_as_asked(text: str, most: int) -> None:
    assert 0 < len(safe(text, most=most).encode()) <= most


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("console", "console"),
        ("..", "_"),
        ("../../etc", "-..-etc"),
        ("a/b\\c:d", "a-b-c-d"),
        (" name. ", "name"),
        ("", "_"),
        ("e\u0301", "é"),
        ("exe.\u202egpj", "exe. gpj"),
        ("a\tb\r\nc", "a b c"),
        ("attachments", "_attachments"),
        ("👩‍👧", "👩‍👧"),
    ],
)
def test_what_becomes_of_a_name(text: str, step: str) -> None:
    assert safe(text) == step


def test_the_usual_name_says_platform_year_day_title_and_id() -> None:
    assert named(titled("Lunch")) == "WhatsApp/2024/2024-05-04 Lunch [8620382e].md"


def test_the_id_is_added_where_a_pattern_leaves_it_out() -> None:
    assert named(titled("Lunch"), "{title}") == "Lunch [8620382e].md"
    assert named(titled("Lunch"), "{full_id}") == "8620382e-6d35-5f30-b1c1-222d608a1964.md"


def test_days_are_those_of_the_zone() -> None:
    late = msgspec.structs.replace(titled("Late"), created_at="2024-12-31T23:30:00Z")
    assert named(late, "{year}/{date} [{id}]", "Europe/Berlin") == "2025/2025-01-01 [8620382e].md"


def test_a_conversation_without_a_time_is_undated() -> None:
    empty = msgspec.structs.replace(titled("Empty"), messages=())
    assert named(empty, "{year}/{date} [{id}]") == "undated/undated [8620382e].md"


def test_a_long_title_gives_way_to_the_id_and_the_ending() -> None:
    for title in ("字" * 500, "😀" * 500, "a\u0300" * 500, "x" * 500):
        name = named(titled(title), "{date} {title} {title} {title} [{id}]")
        assert name.endswith("[8620382e].md")
        assert len(name.encode()) <= 255


def test_two_ids_that_begin_alike_get_two_names_even_where_case_is_folded() -> None:
    names = Names(Customisation(name_pattern="{title}"), suffix=".md")
    ids = ("8620382e-0000", "8620382e-0001", "8620382e-0001")
    found = [
        names.name(msgspec.structs.replace(titled(title), id=one))
        for title, one in zip(("a", "A", "a"), ids, strict=True)
    ]
    assert found == ["a [8620382e].md", "A [8620382e-0001].md", "a [8620382e-0001-2].md"]


def test_an_id_that_is_no_name_becomes_one() -> None:
    for odd in ("../../x", "", "a/b", "CON", "x" * 300):
        assert not wrong_name(named(msgspec.structs.replace(titled("T"), id=odd), "{full_id}"))
