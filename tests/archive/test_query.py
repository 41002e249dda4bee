"""What people type is understood, or refused with a sentence; never an error of syntax."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.archive.highlight import folded, pattern, snippet
from chatkeep.archive.index import table
from chatkeep.archive.query import FIELDS, MOST_TERMS, Query, Term, parse
from chatkeep.archive.words import treated
from chatkeep.errors import WrongUse

_pieces = st.sampled_from(
    ['"', "*", "-", ":", "(", ")", "^", "+", "NEAR", "AND", "OR", "NOT", "{text}", "text:", "'", "\\", "\x00", "\ud800"]
    + [f"{name}:" for name in FIELDS]
    + ["2024-05-01", "attachment", "garden", "字典", "สวัสดี", "😀", "👍🏽", "é", "e\u0301", " ", "\n", "\u200d", "کتاب"]
)


def understood(typed: str) -> Query | None:
    try:
        query = parse(typed)
        query.expression()
    except WrongUse:
        return None
    return query


@pytest.fixture(scope="module")
def index() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute(table("found"))
    connection.execute("INSERT INTO found(rowid, text) VALUES (1, 'garden')")
    return connection


@given(typed=st.one_of(st.lists(_pieces, max_size=12).map("".join), st.text(max_size=40)))
def test_whatever_is_typed_is_a_query_or_a_sentence(index: sqlite3.Connection, typed: str) -> None:
    query = understood(typed)
    if query and (expression := query.expression()):
        index.execute("SELECT rowid FROM found WHERE found MATCH ?", (expression,)).fetchall()
        pattern(query)


@given(text=st.text(max_size=60), typed=st.text(max_size=10))
def test_a_snippet_shows_text_of_the_message_and_folding_keeps_places(text: str, typed: str) -> None:
    low, places = folded(text)
    assert len(places) == len(low) + 1
    assert list(places) == sorted(places)
    assert places[-1] == len(text)
    query = understood(typed)
    wanted = pattern(query) if query else None
    assert "".join(snippet(text, wanted).text.split()) == "".join(text.split())


@given(text=st.text(alphabet="ab字典漢ก่😀 ", min_size=1, max_size=12), data=st.data())
def test_every_piece_of_a_text_without_spaces_is_found_in_it(
    index: sqlite3.Connection, text: str, data: st.DataObject
) -> None:
    runs = [run for run in text.split() if set(run) <= set("字典漢")]
    if not runs:
        return
    run = data.draw(st.sampled_from(runs))
    first = data.draw(st.integers(0, len(run) - 1))
    piece = run[first : data.draw(st.integers(first + 1, len(run)))]
    index.execute("INSERT INTO found(rowid, text) VALUES (2, ?)", (treated(text),))
    try:
        expression = parse(piece).expression()
        rows = index.execute("SELECT rowid FROM found WHERE found MATCH ?", (expression,)).fetchall()
        assert rows == [(2,)]
    finally:
        index.rollback()


def test_words_phrases_and_words_to_leave_out() -> None:
    query = parse('peas "broad beans" -salt sow* -"sea water"')
    assert query.wanted == [Term("peas"), Term("broad beans"), Term("sow", prefix=True)]
    assert query.unwanted == [Term("salt"), Term("sea water")]


def test_fields_take_values_with_spaces_in_quotes() -> None:
    query = parse('from:"Anna Bauer" -platform:ChatGPT in:Garden label:"to read" has:attachment after:2024-05-01')
    assert query.people == [("Anna Bauer", False)]
    assert query.platforms == [("ChatGPT", True)]
    assert (query.projects, query.labels) == ([("Garden", False)], [("to read", False)])
    assert (query.attachments, query.begins) == ([False], "2024-05-01T00:00:00")


def test_what_only_looks_like_a_field_is_text() -> None:
    assert parse("https://example.org note:this").wanted == [Term("https://example.org"), Term("note:this")]


def test_a_quote_that_is_not_closed_goes_to_the_end() -> None:
    assert parse('"broad beans').wanted == [Term("broad beans")]


def test_signs_alone_ask_for_nothing() -> None:
    assert parse("?! -- ...").expression() == ""


@pytest.mark.parametrize(
    "typed", ["from:", "before:soon", "has:wings", "-peas", "-after:2024-05-01", "x" * 2001, "a " * (MOST_TERMS + 1)]
)
def test_a_value_that_makes_no_sense_is_refused_with_a_sentence(typed: str) -> None:
    with pytest.raises(WrongUse) as wrong:
        parse(typed).expression()
    assert " " in wrong.value.what


def test_no_query_has_no_filters() -> None:
    assert not Query().has_filters
