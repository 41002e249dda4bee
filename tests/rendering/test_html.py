"""What a reader sees of a text: what Markdown, formulas, code, plain text and messengers' marks become."""

from __future__ import annotations

import re

import pytest
from selectolax.lexbor import LexborHTMLParser

from chatkeep import rendering
from chatkeep.model import Part
from chatkeep.rendering import STYLE, Showing, gate, message_to_html, to_html


def words(html: str) -> str:
    tree = LexborHTMLParser(html)
    return " ".join((tree.body.text() if tree.body else "").split())


def one(html: str, selector: str) -> str:
    found = LexborHTMLParser(html).css(selector)
    assert len(found) == 1, (selector, html)
    return " ".join(found[0].text().split())


# ------------------------------------------------------------------ Markdown


def test_tables_keep_their_alignment() -> None:
    html = to_html("| a | b | c |\n|---|--:|:-:|\n| 1 | 2 | 3 |", "markdown")
    assert one(html, "td.right") == "2"
    assert one(html, "td.center") == "3"


def test_tasks_show_whether_they_are_done() -> None:
    html = to_html("- [ ] buy\n- [x] sell\n- [y] neither", "markdown")
    assert [words(item.html or "") for item in LexborHTMLParser(html).css("li.chat-task")] == ["☐ buy", "☑ sell"]
    assert "[y] neither" in html


def test_struck_out_text_is_struck_out() -> None:
    assert one(to_html("~~old~~ new", "markdown"), "s") == "old"


def test_html_in_markdown_stays_text() -> None:
    assert "&lt;b&gt;bold&lt;/b&gt;" in to_html("<b>bold</b>", "markdown")


def test_line_breaks_of_markdown_are_kept() -> None:
    assert to_html("one\ntwo", "markdown").count("<br>") == 1


def test_code_is_coloured_and_named_by_its_language() -> None:
    html = to_html("```python title=x\ndef f(): pass\n```", "markdown")
    assert one(html, "figcaption") == "python"
    assert one(html, "span.k:first-child") == "def"


def test_code_of_a_language_nobody_knows_is_shown_plain() -> None:
    html = to_html("```brainrot\n<a> & b\n```", "markdown")
    assert "&lt;a&gt; &amp; b" in html
    assert "<span" not in html


def test_every_class_that_colours_code_passes_the_gate_and_is_in_the_style_sheet() -> None:
    used = set(re.findall(r'class="(\w+)"', to_html("```python\n@f\nclass A(B):\n  x = 'a' + 1  # c\n```", "markdown")))
    assert {"k", "nc", "s1", "mi", "c1"} <= used
    assert {name for name in ("k", "nc", "s1", "mi", "c1") if f".{name}" not in STYLE} == set()
    assert gate.pass_through('<span class="k hidden">x</span>') == '<span class="k">x</span>'


def test_blocks_find_their_own_direction() -> None:
    html = to_html("# שלום\n\nhello\n\n- مرحبا", "markdown")
    assert html.count('dir="auto"') >= 4
    assert 'dir="ltr"' in to_html("```\nx\n```", "markdown")


def test_controls_are_shown_rather_than_obeyed() -> None:
    assert words(to_html("a\x1b[31mb\x07", "plain")) == "a␛[31mb␇"


# ------------------------------------------------------------------ formulas


@pytest.mark.parametrize("text", ["$a^2$", "\\(a^2\\)", "so $a^2$, and", "($a^2$)"])
def test_formulas_in_a_line_become_mathml(text: str) -> None:
    assert one(to_html(text, "markdown"), 'math[display="inline"] msup') == "a2"


@pytest.mark.parametrize("text", ["$$a^2$$", "\\[a^2\\]", "$$\na^2\n$$", "\\[\na^2\n\\]", "text\n\\[ a^2 \\]\nmore"])
def test_displayed_formulas_become_mathml(text: str) -> None:
    assert one(to_html(text, "markdown"), 'math[display="block"] msup') == "a2"


@pytest.mark.parametrize(
    "text", ["$5 and $10", "from $1,000 to $2,000", "US$5 or 6$ now", "a $ b $ c", "\\$a\\$", "`$a$`", "$5 or 6$ each"]
)
def test_money_is_no_formula(text: str) -> None:
    assert "<math" not in to_html(text, "markdown")


def test_a_formula_that_is_no_latex_is_shown_as_it_was_written() -> None:
    html = to_html("$\\left( x$", "markdown")
    assert one(html, "span.chat-tex") == "\\left( x"


def test_formulas_in_quotes_and_lists_lose_their_marks() -> None:
    assert one(to_html("> $$\n> a^2\n> $$", "markdown"), "blockquote math msup") == "a2"
    assert one(to_html("- x\n\n  $$\n  a^2\n  $$", "markdown"), "li math msup") == "a2"


def test_a_formula_that_never_ends_is_text() -> None:
    assert words(to_html("\\[ a^2", "markdown")) == "[ a^2"


# ------------------------------------------------------------------ plain text and messengers


def test_plain_text_keeps_lines_and_paragraphs() -> None:
    html = to_html("one\ntwo\n\n\nthree", "plain")
    assert html.count("<p ") == 2
    assert html.count("<br>") == 1


def test_marks_mean_nothing_in_plain_text() -> None:
    assert "<b>" not in to_html("*a* _b_ **c** # d", "plain")


def test_addresses_become_links_without_the_sentence_around_them() -> None:
    html = to_html("See (https://a.example/b_(c)), or https://d.example/?x=1&y=2. 「https://e.example」", "plain")
    links = [link.attributes["href"] for link in LexborHTMLParser(html).css("a")]
    assert links == ["https://a.example/b_(c)", "https://d.example/?x=1&y=2", "https://e.example"]


def test_links_tell_nothing_to_where_they_lead() -> None:
    for markup in ("plain", "markdown", "html"):
        text = '<a href="https://a.example">x</a>' if markup == "html" else "https://a.example"
        assert 'rel="noopener noreferrer nofollow"' in to_html(text, markup)


def test_whatsapp_marks_are_shown() -> None:
    html = to_html("*bold _both_* ~gone~ `x*y*z` ```block```", "whatsapp")
    assert (one(html, "b"), one(html, "b i"), one(html, "s")) == ("bold both", "both", "gone")
    assert "x*y*z" in html


@pytest.mark.parametrize("text", ["2*3*4", "snake_case_name", "a * b * c", "https://a.example/_b_c_", "* item", "~"])
def test_what_only_looks_like_a_mark_stays(text: str) -> None:
    html = to_html(text, "whatsapp")
    assert words(html) == text
    assert not re.search("<(b|i|s|code)>", html)


def test_marks_mean_something_on_whatsapp_alone() -> None:
    part = Part(type="text", text="*hi*", markup="plain")
    assert "<b>hi</b>" in message_to_html([part], "whatsapp")
    assert "*hi*" in message_to_html([part], "telegram")


# ------------------------------------------------------------------ HTML of platforms


def test_html_keeps_its_structure_and_loses_its_teeth() -> None:
    html = to_html('<p onclick="y">a <b>b</b></p><ul><li>c</li></ul><script>d</script>', "html")
    assert html == "<p>a <b>b</b></p><ul><li>c</li></ul>"


def test_pictures_elsewhere_become_links() -> None:
    for text, markup in (
        ("![a whale](https://a.example/w.png)", "markdown"),
        ("<img src=https://a.example/w.png>", "html"),
    ):
        html = to_html(text, markup)
        assert "<img" not in html
        assert 'href="https://a.example/w.png"' in html


# ------------------------------------------------------------------ messages


def test_a_picture_of_the_archive_is_shown_where_the_page_finds_it() -> None:
    part = Part(type="attachment", sha256="a" * 64, name="w.png", media_type="image/png", caption='a "whale"')
    html = message_to_html([part], attachment_url=lambda sha256: f"/files/{sha256}?a=1&b=2")
    assert f'src="/files/{"a" * 64}?a=1&amp;b=2"' in html
    assert 'alt="a &quot;whale&quot;"' in html
    assert "not included here" in message_to_html([part])


def test_a_drawing_is_handed_over_and_never_shown() -> None:
    part = Part(type="attachment", sha256="a" * 64, name="x.svg", media_type="image/svg+xml", size=1_234_567)
    html = message_to_html([part], attachment_url=lambda _: "/x")
    assert "<img" not in html
    assert 'download="x.svg"' in html
    assert "1.2 MB" in html


def test_the_name_of_a_file_does_not_turn_its_direction() -> None:
    part = Part(type="attachment", missing=True, name="invoice\u202egnp.exe")
    assert "\u202e" not in message_to_html([part])


@pytest.mark.parametrize(("kind", "said"), [("image", "picture"), ("audio", "recording"), ("", "attachment")])
def test_an_attachment_without_a_name_says_what_it_is(kind: str, said: str) -> None:
    assert f"<bdi>{said}</bdi>" in message_to_html([Part(type="attachment", missing=True, kind=kind)])


def test_kinds_of_parts_can_be_left_out() -> None:
    parts = [
        Part(type="text", text="said"),
        Part(type="thinking", text="mused"),
        Part(type="tool_call", name="search", input={"q": "asked"}),
        Part(type="tool_result", name="search", parts=(Part(type="text", text="found"),)),
        Part(type="citation", title="source", url="https://a.example"),
        Part(type="attachment", missing=True, name="file"),
        Part(type="unknown", kind="x", raw="odd"),
    ]
    shown = message_to_html(parts)
    for word in ("said", "mused", "asked", "found", "source", "file", "odd"):
        assert word in shown
    hidden = Showing(thinking=False, tools=False, citations=False, attachments=False, unknown=False)
    assert words(message_to_html(parts, showing=hidden)) == "said"


def test_results_within_results_end_somewhere() -> None:
    part = Part(type="text", text="deep")
    for _ in range(200):
        part = Part(type="tool_result", parts=(part,))
    assert message_to_html([part]).count("<details") < 20


def test_the_names_that_others_use_are_there() -> None:
    assert {"to_html", "message_to_html", "to_markdown", "to_text", "STYLE"} <= set(rendering.__all__)
