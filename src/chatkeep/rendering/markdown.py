"""Markdown as assistants write it, as HTML: GitHub's tables, task lists, strikethrough, formulas; HTML stays text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from chatkeep.rendering import citations, code, links, maths

MAX_LENGTH = 65_536  # characters; the parser takes up to 20 microseconds for each of a hostile text
MAX_NESTING = 30

WriteNote = Callable[[int], str]
_TASK = re.compile(r"\[([ xX])\][ \u00a0]")
_SIDE = re.compile(r"text-align:(right|center)")


def to_html(text: str, write_note: WriteNote) -> str:
    """The HTML of a text of at most MAX_LENGTH; it must still pass the gate.

    write_note: the HTML of the reference to a note, by its number.
    """
    return str(_PARSER.render(text, {"write_note": write_note}))


def _finish(state: StateCore) -> None:
    """Give blocks their own direction, and put links and notes where they belong."""
    if any(token.level >= MAX_NESTING - 1 for token in state.tokens):
        raise ValueError("nested so deeply that the parser leaves text out")
    for at, token in enumerate(state.tokens):
        if token.type == "inline":
            _mark_task(state.tokens, at)
            token.children = _finish_line(token.children or [], state.env["write_note"])
        elif token.type.endswith("_open") and token.tag not in ("table", "thead", "tbody", "tr"):
            token.attrSet("dir", "auto")
            if token.tag in ("th", "td") and (side := _SIDE.fullmatch(str(token.attrs.pop("style", "")))):
                token.attrSet("class", side[1])


def _mark_task(tokens: Sequence[Token], at: int) -> None:
    children = tokens[at].children
    if at < 2 or tokens[at - 2].type != "list_item_open" or not children or children[0].type != "text":
        return
    if found := _TASK.match(children[0].content):
        children[0].content = ("☐ " if found[1] == " " else "☑ ") + children[0].content[found.end() :]
        tokens[at - 2].attrSet("class", "chat-task")


def _finish_line(tokens: Sequence[Token], write_note: WriteNote) -> list[Token]:
    finished: list[Token] = []
    inside = 0
    for token in tokens:
        inside += {"link_open": 1, "link_close": -1}.get(token.type, 0)
        if token.type == "text":
            finished += _texts(token.content, write_note, is_link=inside > 0)
        elif token.type == "image":
            finished.append(_html(_picture(token, is_link=inside > 0)))
        else:
            token.content = citations.replace(token.content, lambda _: "")
            finished.append(token)
    return finished


def _texts(text: str, write_note: WriteNote, *, is_link: bool) -> list[Token]:
    tokens = []
    for piece, number in citations.number_marks(text):
        if number:
            tokens.append(_html(write_note(number)))
        elif is_link:
            tokens.append(_html(escape(piece)))
        else:
            tokens += [_html(_anchor(run, address)) for run, address in links.pieces(piece)]
    return tokens


def _picture(token: Token, *, is_link: bool) -> str:
    """A picture elsewhere as a link to it: loading it would tell its server who reads this, and when."""
    address = links.safe(str(token.attrs.get("src", "")))
    name = escape(citations.replace(token.content, lambda _: "") or "picture")
    return name if is_link or not address else f'<a href="{escape(address)}">{name}</a>'


def _anchor(text: str, address: str) -> str:
    return f'<a href="{escape(address)}">{escape(text)}</a>' if address else escape(text)


def _html(content: str) -> Token:
    return Token("html_inline", "", 0, content=content)


def _render_code(_self: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    return code.to_html(citations.replace(tokens[at].content, lambda _: "").rstrip("\n"), tokens[at].info)


def _is_safe(address: str) -> bool:
    return links.safe(address) is not None


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": MAX_NESTING})
    parser.enable(["table", "strikethrough"])
    parser.validateLink = _is_safe  # type: ignore[assignment,method-assign]
    maths.plug_in(parser)
    parser.core.ruler.push("finish", _finish)
    parser.add_render_rule("fence", _render_code)
    parser.add_render_rule("code_block", _render_code)
    return parser


_PARSER = _parser()
