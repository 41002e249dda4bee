"""A text cannot make the page slow: what would cost too much is shown as it stands."""

from __future__ import annotations

import time

import pytest

from chatkeep.model import Part
from chatkeep.rendering import to_html, to_markdown, to_text
from chatkeep.rendering.markdown import MAX_LENGTH as MAX_MARKDOWN
from chatkeep.rendering.texts import MAX_LENGTH
from chatkeep.testing.hostile import wrongs

MILLION = 1_000_000
FAMILIES = {
    "quotes": ">",
    "brackets": "[",
    "pictures": "![",
    "stars": "*a ",
    "stars and lines": "*_~a",
    "links": "[a](b",
    "backticks": "`a``b",
    "tags": "<a",
    "elements": "<div>",
    "tables": "|a",
    "cells": "<table><tr><td>",
    "comments": "<!--",
    "entities": "&",
    "lists": "- ",
    "formulas": "$a_{1}$ ",
    "open formulas": "\\(",
    "open blocks": "\\[\n",
    "money": "$1 ",
    "addresses": "http://a.example/(",
    "marks": "\ue200cite\ue202",
    "brackets of marks": "【1†",
    "paragraphs": "a\n\n",
    "code": "```python\n'\"",
    "definitions": "[a]: b\n",
    "escapes": "\\",
}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_million_characters_take_about_a_second(family: str) -> None:
    sign = FAMILIES[family]
    for markup, size in (("plain", MILLION), ("html", MILLION), ("whatsapp", MAX_LENGTH), ("markdown", MAX_MARKDOWN)):
        text = (sign * (size // len(sign) + 1))[:size]
        began = time.process_time()
        to_html(text, markup)
        # The promise is one second; the machine that tests may be three times slower.
        assert time.process_time() - began < 3, markup


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_writing_a_million_characters_takes_about_a_second(family: str) -> None:
    sign = FAMILIES[family]
    for markup in ("plain", "html", "whatsapp", "markdown"):
        text = (sign * (MILLION // len(sign) + 1))[:MILLION]
        began = time.process_time()
        to_markdown([Part(type="text", text=text, markup=markup)])
        to_text([Part(type="text", text=text, markup=markup)])
        assert time.process_time() - began < 3, markup


@pytest.mark.parametrize("text", ["> " * 5000 + "deep", "- " * 5000 + "deep", "*" * 5000 + "deep", "[" * 5000 + "deep"])
def test_deep_nesting_is_shown(text: str) -> None:
    html = to_html(text, "markdown")
    assert "deep" in html
    assert wrongs(html) == []


def test_a_long_text_is_shown_to_its_end() -> None:
    text = "word " * 100_000 + "<b>end</b>"
    for markup in ("plain", "markdown"):
        assert to_html(text, markup).rstrip().endswith("&lt;b&gt;end&lt;/b&gt;</p>")


def test_code_that_is_too_long_to_colour_is_shown_plain() -> None:
    html = to_html("```python\n" + "x = 1\n" * 5000 + "```", "markdown")
    assert html.count("x = 1") == 5000
    assert "<span" not in html
