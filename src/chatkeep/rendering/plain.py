"""Plain text as HTML: paragraphs, line breaks and addresses; for WhatsApp also its marks for bold, italic and code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape

from chatkeep.rendering import links

_PARAGRAPHS = re.compile(r"\n(?:[ \t]*\n)+")
_MARKED = re.compile(
    r"(?P<address>https?://\S+)|```(?P<block>[^`]+)```|`(?P<code>[^`\n]+)`"
    r"|(?<![\w*])\*(?P<b>[^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])"
    r"|(?<![\w_])_(?P<i>[^\s_](?:[^_\n]*[^\s_])?)_(?![\w_])"
    r"|(?<![\w~])~(?P<s>[^\s~](?:[^~\n]*[^\s~])?)~(?![\w~])"
)
_MAX_MARKS = 3  # within one another: bold, italic and struck through


def to_html(text: str) -> str:
    """Paragraphs with their line breaks kept. Only addresses mean something."""
    return _paragraphs(text, _linked)


def whatsapp_to_html(text: str) -> str:
    """The same, with *bold*, _italic_, ~struck through~, `code` and ```blocks``` as WhatsApp shows them."""
    return _paragraphs(text, _marked)


def linked(text: str) -> str:
    """A run of text as HTML, with its addresses as links."""
    return "".join(_anchor(piece, address) if address else escape(piece) for piece, address in links.pieces(text))


def _anchor(text: str, address: str) -> str:
    return f'<a href="{escape(links.safe(address) or "")}">{escape(text)}</a>'


def _paragraphs(text: str, inner: Callable[[str], str]) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    paragraphs = (inner(paragraph) for paragraph in _PARAGRAPHS.split(lines) if paragraph.strip())
    return "\n".join(f'<p class="chat-plain" dir="auto">{paragraph}</p>' for paragraph in paragraphs)


def _linked(text: str) -> str:
    return linked(text).replace("\n", "<br>")


def _marked(text: str) -> str:
    return "".join(_runs(text, 0))


def _runs(text: str, depth: int) -> Iterator[str]:
    end = 0
    for found in _MARKED.finditer(text) if depth < _MAX_MARKS else ():
        yield _linked(text[end : found.start()])
        yield _run(found, depth)
        end = found.end()
    yield _linked(text[end:])


def _run(found: re.Match[str], depth: int) -> str:
    kind, inner = found.lastgroup or "", found[found.lastgroup or 0]
    if kind == "address":
        return _linked(inner)
    if kind in ("block", "code"):
        return f"<code>{escape(inner).replace(chr(10), '<br>')}</code>"
    return f"<{kind}>{''.join(_runs(inner, depth + 1))}</{kind}>"
