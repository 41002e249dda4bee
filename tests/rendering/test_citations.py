"""Marks that a platform leaves where it cites something become numbers that lead to the source, or nothing."""

from __future__ import annotations

from chatkeep.model import Part
from chatkeep.rendering import message_to_html, to_html, to_markdown, to_text

MARK = "\ue200cite\ue202turn0search1\ue201"
SKY = {"title": "The sky", "url": "https://sky.example/a?b=1&c=2"}


def text(said: str) -> Part:
    return Part(type="text", text=said, markup="markdown")


def test_a_mark_at_the_place_of_a_citation_becomes_its_number() -> None:
    parts = [text(f"Blue{MARK}."), Part(type="citation", start=4, end=4 + len(MARK), **SKY)]
    assert to_text(parts) == "Blue[1].\n\n[1] The sky <https://sky.example/a?b=1&c=2>"
    assert to_markdown(parts, footnote="3-") == "Blue[^3-1].\n\n[^3-1]: [The sky](<https://sky.example/a?b=1&c=2>)"
    html = message_to_html(parts)
    assert '<sup class="chat-note"><a href="https://sky.example/a?b=1&amp;c=2" title="The sky"' in html
    assert "\ue200" not in html


def test_a_mark_that_the_importer_kept_is_found_wherever_it_stands() -> None:
    parts = [text(f"Blue{MARK}, very{MARK}."), Part(type="citation", unknown={"matched_text": MARK}, **SKY)]
    assert to_text(parts).startswith("Blue[1], very[1].")
    group = [text(f"Blue{MARK}."), Part(type="citation", unknown={"reference": {"matched_text": MARK}}, **SKY)]
    assert to_text(group).startswith("Blue[1].")


def test_one_mark_may_stand_for_several_sources_and_one_source_gets_one_number() -> None:
    place = {"start": 4, "end": 4 + len(MARK)}
    other = {"title": "Other", "url": "https://other.example"}
    parts = [text(f"Blue{MARK}."), *(Part(type="citation", **place, **one) for one in (SKY, other, SKY))]
    assert to_text(parts).startswith("Blue[1][2].\n\n[1] The sky")
    assert "[3]" not in to_text(parts)


def test_older_marks_are_resolved_too() -> None:
    parts = [text("Blue【12†source】."), Part(type="citation", start=4, end=15, **SKY)]
    assert to_text(parts).startswith("Blue[1].")


def test_a_citation_of_a_span_without_a_mark_stands_at_its_end() -> None:
    parts = [text("Blue sky."), Part(type="citation", start=0, end=4, **SKY)]
    assert to_text(parts).startswith("Blue[1] sky.")


def test_marks_that_nobody_can_resolve_are_dropped() -> None:
    said = f"A{MARK}b【3†source】c\ue203d\ue204 \ue200navlist\ue202x\ue201e\ue200cite\ue202cut off"
    assert to_text([text(said)]) == "Abcd e"
    assert to_html(said, "markdown") == '<p dir="auto">Abcd e</p>\n'
    assert to_html(said, "plain").count("e") >= 1


def test_marks_that_say_something_by_themselves_say_it() -> None:
    said = '\ue200entity\ue202["city","Paris","France"]\ue201 and \ue200url\ue202Le Monde\ue202https://x.example\ue201'
    assert to_text([text(said)]) == "Paris and Le Monde"


def test_chinese_brackets_stay() -> None:
    assert to_text([text("【注意】价格【12】")]) == "【注意】价格【12】"


def test_a_place_beyond_the_text_is_a_source_without_a_place() -> None:
    parts = [text("Blue"), Part(type="citation", start=90, end=99, **SKY)]
    assert to_text(parts) == "Blue\n\n[1] The sky <https://sky.example/a?b=1&c=2>"


def test_an_address_that_leads_astray_is_no_link() -> None:
    parts = [text("x"), Part(type="citation", title="bad", url="javascript:ran()")]
    assert "href" not in message_to_html(parts)
    assert "javascript" not in to_markdown(parts)


def test_a_number_that_somebody_forged_refers_to_nothing() -> None:
    assert to_html("a\ue2007\ue201b &#xE200;1&#xE201;", "markdown").count("<sup") == 0


def test_marks_inside_code_are_dropped() -> None:
    parts = [text(f"`a{MARK}`\n\n```\nb{MARK}\n```"), Part(type="citation", text=MARK, **SKY)]
    html = message_to_html(parts)
    assert "\ue200" not in html
    assert "<code>a</code>" in html


def test_what_a_source_says_is_quoted_by_its_beginning() -> None:
    parts = [Part(type="citation", text="It is <b>blue</b>.\n" + "word " * 100, **SKY)]
    assert "The sky <https://sky.example/a?b=1&c=2> “It is <b>blue</b>. word" in to_text(parts)
    assert to_text(parts).endswith("…”")
    assert len(to_text(parts)) < 400
    assert "<q>It is &lt;b&gt;blue" in message_to_html(parts)
    assert "“It is \\<b>blue\\</b>. word" in to_markdown(parts)
