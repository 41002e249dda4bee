"""Nothing that people or machines wrote runs, loads, submits or leads astray where it is shown."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatkeep.model import Part
from chatkeep.rendering import message_to_html, to_html, to_markdown
from chatkeep.testing.hostile import FAMILIES, Payload, payloads, unguarded, wrongs

PAYLOADS = payloads()


@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_texts_are_inert_as_html(family: str) -> None:
    found = {
        (one.number, markup): wrong
        for one in PAYLOADS
        if one.family == family
        for markup in ("plain", "whatsapp", "markdown", "html")
        if (wrong := wrongs(to_html(one.text, markup)))
    }
    assert found == {}


@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_texts_are_inert_in_every_field_of_a_message(family: str) -> None:
    found = {
        one.number: wrong
        for one in PAYLOADS
        if one.family == family and (wrong := wrongs(message_to_html(everywhere(one.text)), sources=is_ours))
    }
    assert found == {}


def is_ours(address: str) -> bool:
    return address.startswith("ours/")


def everywhere(text: str) -> list[Part]:
    fields: dict[str, Any] = {"name": text, "title": text, "language": text, "kind": text, "media_type": text}
    return [
        Part(type="code", text=text, language=text),
        Part(type="thinking", text=text, **fields),
        Part(type="tool_call", input={text: [text]}, **fields),
        Part(type="tool_result", text=text, parts=(Part(type="text", text=text, markup="html"),), **fields),
        Part(type="attachment", missing=True, caption=text, transcript=text, **fields),
        Part(type="attachment", sha256="0" * 64, caption=text, **{**fields, "media_type": "image/png"}),
        Part(type="citation", url=text, text=text, **fields),
        Part(type="unknown", raw=[text], **fields),
    ]


def test_without_the_gate_most_of_them_would_do_harm() -> None:
    harmful = [one for one in PAYLOADS if wrongs(unguarded(one))]
    assert len(PAYLOADS) >= 400
    assert len(harmful) >= 0.4 * len(PAYLOADS)
    assert set(Counter(one.family for one in harmful)) == set(FAMILIES)


READERS = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


@pytest.mark.parametrize("family", FAMILIES)
def test_exported_markdown_holds_no_live_html_and_loads_no_picture(family: str) -> None:
    def shown(one: Payload) -> list[str]:
        html = READERS.render(to_markdown([Part(type="text", text=one.text, markup=one.markup)]))
        return [wrong for wrong in wrongs(html) if " href" not in wrong]

    assert {one.number: wrong for one in PAYLOADS if one.family == family and (wrong := shown(one))} == {}


def test_without_escaping_exported_markdown_would_be_live() -> None:
    assert sum(bool(wrongs(READERS.render(one.text))) for one in PAYLOADS) > 300


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PAYLOADS).map(lambda one: one.text), min_size=2, max_size=5).map("\n".join))
def test_hostile_texts_in_any_mixture_are_inert(text: str) -> None:
    for markup in ("markdown", "html", "whatsapp"):
        assert wrongs(to_html(text, markup)) == []


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("<>/\"'`=!-[]()*_~$\\|#&;: \n\tabhijklnoprstvx\u202e\ue200\ue201")))
def test_any_text_is_inert_and_shown(text: str) -> None:
    for markup in ("markdown", "html", "plain"):
        assert wrongs(to_html(text, markup)) == []
