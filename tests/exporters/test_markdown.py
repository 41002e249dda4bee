"""Markdown with front matter."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatkeep import exact
from chatkeep.exporters import Customisation, preview
from chatkeep.exporters.markdown import MARKDOWN
from chatkeep.model import Edit
from chatkeep.testing import museum
from chatkeep.testing.exporter_suite import ExporterSuite
from chatkeep.testing.hostile import wrongs

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


class TestMarkdown(ExporterSuite):
    exporter = MARKDOWN
    golden = Path(__file__).parents[1] / "golden" / "markdown"

    def check_harmless(self, path: str, text: str) -> None:
        body = text.partition("\n---\n")[2]
        assert [wrong for wrong in wrongs(READER.render(body)) if " href" not in wrong] == [], path


def front_matter(text: str) -> dict[str, object]:
    """The fields; each line is a name and a value that JSON and YAML read alike."""
    lines = text.split("---\n")[1].splitlines()
    return {name: json.loads(value) for name, _, value in (line.partition(": ") for line in lines)}


@given(st.text(max_size=30))
@example("\ufdd0")  # the mark of what a text cannot hold (`exact`), which people never see
def test_front_matter_says_any_title_on_one_line_of_signs_that_yaml_takes(title: str) -> None:
    renamed = msgspec.structs.replace(museum.group(), user={"title": Edit(stamp=(1, "d"), value=title)}, title="")
    text = preview(renamed, MARKDOWN, Customisation())
    assert front_matter(text)["title"] == (exact.readable(title) or "Untitled")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]", text.split("---\n")[1])


def test_front_matter_holds_what_a_notes_program_can_use() -> None:
    fields = front_matter(preview(museum.museum(), MARKDOWN, Customisation()))
    assert fields["tags"] == ["family", "things-to-do"]
    assert fields["people"] == ["ChatGPT", "You"]
    assert fields["created"] == "2024-03-09 08:00"


def test_a_heading_in_a_message_does_not_hide_the_next_message() -> None:
    text = preview(museum.museum(), MARKDOWN, Customisation(branches="all"))
    html = READER.render(text.partition("\n---\n")[2])
    assert html.count("<h2>") == 7


@pytest.mark.parametrize("level", ["# ", "## "])
def test_titles_are_headings_of_the_right_level(level: str) -> None:
    alone = preview(museum.group(), MARKDOWN, Customisation())
    assert f"\n{level}{'Family' if level == '# ' else 'Ada'}" in alone
