"""Formulas in Markdown: where they stand, and LaTeX as MathML, which browsers show without scripts.

`$…$` and `\\(…\\)` within a line, `$$…$$` and `\\[…\\]` displayed. A dollar is money unless the text beside it looks
like a formula: no space inside the dollars, no digit after the second, no words after a leading number.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

MAX_LENGTH = 4000  # characters of one formula; the converter takes about 20 microseconds for each
MAX_DEPTH = 40  # braces and environments within one another

_CLOSERS = {"$$": "$$", r"\[": r"\]", r"\(": r"\)", "$": "$"}
_PROSE = re.compile(r"\d[\d.,]*\s+[^\W\d_]{2}")
_DEEPER = re.compile(r"\\(?:begin|left|sqrt|frac)\b|[{}]|\\(?:end|right)\b")


def plug_in(markdown: MarkdownIt) -> None:
    """Teach the parser formulas, as tokens `formula` (in a line) and `formula_block`."""
    markdown.inline.ruler.before("escape", "formula", _inline)
    markdown.block.ruler.before("fence", "formula_block", _block, {"alt": ["paragraph", "blockquote", "list"]})
    markdown.add_render_rule("formula", _render)
    markdown.add_render_rule("formula_block", _render)


def _render(_self: Any, tokens: Any, at: int, _options: Any, _env: Any) -> str:
    token = tokens[at]
    html = to_mathml(token.content, display=token.meta["display"])
    return f'<div class="chat-maths">{html}</div>' if token.block else html


@lru_cache(maxsize=1024)
def to_mathml(latex: str, *, display: bool) -> str:
    """MathML of a formula; its source text when it is no LaTeX that we know."""
    latex = latex.strip()
    if len(latex) <= MAX_LENGTH and _depth(latex) <= MAX_DEPTH:
        from latex2mathml.converter import convert  # takes 20 ms to load, and most texts have no formula

        try:
            return convert(latex, display="block" if display else "inline")
        except Exception:  # noqa: S110  the converter raises whatever its tables raise; the source is shown then
            pass
    return f'<span class="chat-tex">{escape(latex)}</span>'


def _depth(latex: str) -> int:
    depth = deepest = 0
    for found in _DEEPER.finditer(latex):
        depth += -1 if found[0] in ("}", r"\end", r"\right") else 1
        deepest = max(deepest, depth)
    return deepest


# ------------------------------------------------------------------ in a line


def _inline(state: StateInline, silent: bool) -> bool:
    text, start = state.src, state.pos
    opener = text[start : start + 2]
    if opener not in _CLOSERS:
        opener = text[start]
        if opener != "$":
            return False
    inside = start + len(opener)
    end = _closing(text, opener, inside, state.posMax)
    if end < 0 or (opener == "$" and not _is_formula(text, start, end)):
        return False
    if not silent:
        token = state.push("formula", "math", 0)
        token.content = text[inside:end]
        token.meta = {"display": opener in ("$$", r"\[")}
    state.pos = end + len(_CLOSERS[opener])
    return True


def _closing(text: str, opener: str, inside: int, limit: int) -> int:
    """Where the formula ends; -1 when it does not, is empty, or goes on into another paragraph."""
    end = text.find(_CLOSERS[opener], inside, min(inside + MAX_LENGTH, limit))
    content = text[inside:end] if end > 0 else ""
    return end if content.strip() and "\n\n" not in content else -1


def _is_formula(text: str, start: int, end: int) -> bool:
    inside = text[start + 1 : end]
    before, after = text[start - 1 : start], text[end + 1 : end + 2]
    if before.isalnum() or before in ("$", "\\") or inside[0].isspace() or inside[-1].isspace() or inside[-1] == "\\":
        return False
    return not after.isdigit() and after != "$" and "\n" not in inside and not _PROSE.match(inside)


# ------------------------------------------------------------------ on lines of their own


def _block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    start = state.bMarks[start_line] + state.tShift[start_line]
    opener = state.src[start : start + 2]
    if opener not in ("$$", r"\[") or state.is_code_block(start_line):
        return False
    end = _closing(state.src, opener, start + 2, state.eMarks[end_line - 1])
    if end < 0:
        return False
    last = start_line
    while last < end_line and state.eMarks[last] < end:
        last += 1
        if last >= end_line or state.sCount[last] < state.blkIndent:
            return False
    if state.src[end + 2 : state.eMarks[last]].strip():
        return False
    if not silent:
        lines = state.getLines(start_line, last + 1, state.tShift[start_line], False).strip()
        token = state.push("formula_block", "math", 0)
        token.block, token.content, token.meta = True, lines[2:-2], {"display": True}
        token.map = [start_line, last + 1]
    state.line = last + 1
    return True
