"""Messages as Markdown and as plain text, for files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from selectolax.lexbor import LexborHTMLParser

from chatkeep.model import Part
from chatkeep.rendering import to_markdown, to_text
from chatkeep.rendering.written import fenced

READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def part(text: str, markup: str = "plain") -> list[Part]:
    return [Part(type="text", text=text, markup=markup)]


def read(markdown: str) -> str:
    body = LexborHTMLParser(READER.render(markdown)).body
    return body.text() if body else ""


@given(st.text(st.sampled_from("ab 12.)-+*_#>=`~[]()!<&|$\\\n"), max_size=40))
def test_plain_text_reads_the_same_in_a_markdown_program(text: str) -> None:
    said = to_markdown(part(text))
    expected = [" ".join(line.split()) for line in text.split("\n") if line.strip()]
    shown = [" ".join(line.split()) for line in read(said).split("\n") if line.strip()]
    assert shown == expected


def test_markdown_stays_as_it_was_written() -> None:
    text = "# A\n\n- **b** `c`\n\n| a |\n|---|\n| 1 |\n\n```python\n<b>x</b>\n```\n\n<https://a.example> 1 < 2"
    assert to_markdown(part(text, "markdown")) == text


def test_html_outside_code_is_escaped_and_code_is_not() -> None:
    text = "Use <b> or `<i>`\n\n```\n<u>\n```\n"
    assert to_markdown(part(text, "markdown")) == "Use &lt;b> or `<i>`\n\n```\n<u>\n```"


def test_an_open_code_block_does_not_swallow_what_follows() -> None:
    for text in ("```\ncode", "~~~\ncode", "1. x\n   ```\n   code", "````\n```\ncode", "- ```\n  code"):
        after = to_markdown(part(text, "markdown")) + "\n\n## Next\n"
        assert "<h2>Next</h2>" in READER.render(after), text


def test_a_closed_code_block_is_left_alone() -> None:
    for text in ("```\ncode\n```", "1. x\n   ```\n   code\n   ```", "- ```\n  code\n  ```"):
        assert to_markdown(part(text, "markdown")) == text


def test_formulas_are_written_as_most_programs_know_them() -> None:
    text = "so \\( a^2 \\) and\n\\[\nb\n\\]\nnot `\\(c\\)`\n\n```\n\\(d\\)\n```"
    assert to_markdown(part(text, "markdown")) == "so $a^2$ and\n$$\nb\n$$\nnot `\\(c\\)`\n\n```\n\\(d\\)\n```"


def test_formulas_of_several_rows_stay_whole() -> None:
    text = "\\[\n\\begin{matrix} a \\\\[2pt]\n b \\end{matrix}\n\\]"
    assert to_markdown(part(text, "markdown")) == f"$${text[2:-2]}$$"


def test_pictures_elsewhere_become_links() -> None:
    text = "![a](https://a.example/b.png) ![c](<//d.example>) `![e](https://f.example)` vec![1](2)"
    assert to_markdown(part(text, "markdown")) == text.replace("![a]", "[a]").replace("![c]", "[c]")


def test_html_becomes_markdown_and_text() -> None:
    html = "<h2>T</h2><p>a <b>b</b> <a href='https://c.example'>c*</a></p><ul><li>d</li></ul><pre>e  f</pre>"
    assert to_markdown(part(html, "html")) == ("## T\n\na **b** [c\\*](<https://c.example>)\n\n- d\n\n```\ne  f\n```")
    assert to_text(part(html, "html")) == "T\n\na b c*\n\nd\n\ne  f"


def test_no_code_can_end_its_block() -> None:
    assert fenced("a\n````\nb", "x y") == "`````x\na\n````\nb\n`````"


def test_whatsapp_bold_becomes_bold() -> None:
    assert to_markdown(part("*hi* _there_ [x]"), "whatsapp") == "**hi** _there_ \\[x\\]"


@pytest.mark.parametrize("write", [to_markdown, to_text])
def test_every_kind_of_part_is_written(write: object) -> None:
    assert callable(write)
    parts = [
        Part(type="code", text="code here", language="sql"),
        Part(type="thinking", text="mused"),
        Part(type="tool_call", name="search", input={"q": "asked"}),
        Part(type="tool_result", text="found", is_error=True),
        Part(type="attachment", sha256="a" * 64, name="kept.pdf", size=12, caption="caption", transcript="spoken"),
        Part(type="attachment", missing=True, name="lost.pdf"),
        Part(type="unknown", kind="hologram", raw={"x": "odd"}),
    ]
    written = write(parts, attachment_url=lambda sha256: f"files/{sha256}")
    for words in (
        "code here",
        "mused",
        "search",
        "asked",
        "found",
        "files/aaa",
        "caption",
        "spoken",
        "lost.pdf",
        "odd",
    ):
        assert words in written
