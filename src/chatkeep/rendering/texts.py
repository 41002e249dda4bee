"""One text of a part as safe HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from chatkeep import exact
from chatkeep.model import Part
from chatkeep.rendering import citations, foreign, gate, markdown, plain
from chatkeep.rendering.citations import Note

# Beyond these a text is shown as it stands, without links or marks: parsers take microseconds for a sign that might
# mean something, and a second for a page is too long. Measured on families of hostile texts, two cores, 2026.
MAX_LENGTH = 200_000
MAX_SIGNS = 20_000  # of "<" and "&" together, and of "["

# Controls have no look of their own; their pictures say that they are there.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029]")


def to_html(text: str, markup: str = "plain", *, notes: Sequence[Note] = ()) -> str:
    """The text as HTML that is safe to put into a page.

    markup: plain, whatsapp, markdown or html; every other one is plain.
    notes: what the marks of `resolve` in the text refer to; other marks of citations are left out.

    Never raises. The time is linear in the length: at most a second for a million characters. Markdown that is
    longer than `markdown.MAX_LENGTH`, or that the parser stumbles over, is shown as plain text.
    """
    visible = _CONTROLS.sub(_picture, exact.readable(text))
    known = {note.number: note for note in notes}
    shown = citations.replace(visible, lambda number: f"{citations.OPEN}{number}{citations.CLOSE}")

    def write_note(number: int) -> str:
        return _reference(known[number]) if number in known else ""

    if _is_heavy(shown):
        return _bare(citations.replace(shown, lambda _: ""))
    if markup == "markdown" and len(shown) <= markdown.MAX_LENGTH:
        try:
            return gate.pass_through(markdown.to_html(shown, write_note))
        except Exception:  # noqa: S110  whatever a parser stumbles over is shown as it stands
            pass
    if markup == "html":
        return gate.pass_through(foreign.to_html(citations.replace(shown, lambda _: "")))
    return gate.pass_through(_plain(shown, markup, write_note))


def _is_heavy(text: str) -> bool:
    return len(text) > MAX_LENGTH or text.count("<") + text.count("&") > MAX_SIGNS or text.count("[") > MAX_SIGNS


def _bare(text: str) -> str:
    """The text escaped, which needs no gate."""
    lines = escape(text).replace("\r\n", "\n").replace("\n", "<br>")
    return f'<p class="chat-plain" dir="auto">{lines}</p>'


def _plain(text: str, markup: str, write_note: markdown.WriteNote) -> str:
    html = plain.whatsapp_to_html(text) if markup == "whatsapp" else plain.to_html(text)
    return citations.replace(html, write_note)


def _reference(note: Note) -> str:
    title = escape(note.title)
    if note.url:
        return f'<sup class="chat-note"><a href="{escape(note.url)}" title="{title}">{note.number}</a></sup>'
    return f'<sup class="chat-note">{note.number}</sup>'


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "\n" if code >= 0x2028 else "␡" if code == 0x7F else chr(0x2400 + code)


def markup_of(part: Part, platform: str) -> str:
    """The markup to show a text with: its own, or that of a platform where everybody writes marks."""
    return "whatsapp" if platform == "whatsapp" and part.markup in ("", "plain") else part.markup or "plain"
