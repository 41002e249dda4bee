"""The parts of a message as safe HTML: texts, code, thinking, tools, attachments, sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html import escape
from pathlib import Path

import msgspec

from chatkeep import exact
from chatkeep.model import Part
from chatkeep.rendering import citations, code, texts, values
from chatkeep.rendering.citations import Note

AttachmentUrl = Callable[[str], str | None]
"""Where the page finds the bytes of an attachment, by its sha256; None when it has none of them."""

STYLE = Path(__file__).with_name("style.css").read_text("utf-8")
"""The look of what this package writes, in light and dark, with the colours and sizes that a page may share."""

_KINDS = {
    "audio": "recording",
    "contact": "contact",
    "document": "document",
    "gif": "GIF",
    "image": "picture",
    "sticker": "sticker",
    "video": "video",
}

MAX_NESTING = 8  # results of tools within results of tools

_PICTURES = frozenset({"image/png", "image/jpeg", "image/jpg", "image/gif", "image/webp", "image/avif", "image/bmp"})


class Showing(msgspec.Struct, frozen=True):
    """Which kinds of parts are shown. What people and assistants said always is."""

    thinking: bool = True
    tools: bool = True
    citations: bool = True
    attachments: bool = True
    unknown: bool = True

    def shows(self, part: Part) -> bool:
        """Whether a part is of a kind that is shown."""
        if part.type == "thinking":
            return self.thinking
        if part.type in ("tool_call", "tool_result"):
            return self.tools
        if part.type == "attachment":
            return self.attachments
        return part.type in ("text", "code") or (self.citations if part.type == "citation" else self.unknown)


EVERYTHING = Showing()


def nowhere(_sha256: str) -> None:
    """No attachment has an address here."""


def message_to_html(
    parts: Sequence[Part],
    platform: str = "",
    *,
    attachment_url: AttachmentUrl = nowhere,
    showing: Showing = EVERYTHING,
) -> str:
    """All parts of a message that are shown, in their order, then what it cites. Safe to put into a page.

    platform: of the conversation, since on some everybody writes marks. attachment_url: gives addresses of our own;
    they are written into the page as they are, escaped.
    """
    shown, notes = citations.resolve(parts)
    if not showing.citations:
        notes = []
    blocks = _blocks(shown, partial(_block, platform=platform, notes=notes, url=attachment_url, showing=showing))
    return "\n".join([*blocks, *_notes(notes)])


def _blocks(parts: Sequence[Part], block: Callable[..., str], depth: int = 0) -> Iterator[str]:
    for part in parts:
        if html := block(part, depth=depth):
            yield html


def _block(
    part: Part, *, depth: int, platform: str, notes: Sequence[Note], url: AttachmentUrl, showing: Showing
) -> str:
    if not showing.shows(part) or part.type == "citation":
        return ""
    if part.type == "text":
        html = texts.to_html(part.text, texts.markup_of(part, platform), notes=notes)
        return f'<div class="chat-text">{html}</div>' if html else ""
    if part.type == "code":
        return code.to_html(exact.readable(part.text), part.language)
    if part.type == "attachment":
        return _attachment(part, url)
    again = partial(_block, platform=platform, notes=notes, url=url, showing=showing)
    inner = "".join(_blocks(part.parts, again, depth + 1)) if depth < MAX_NESTING else ""
    return _folded(part, inner)


def _folded(part: Part, inner: str) -> str:
    """What most readers skip: its first line, with the rest behind it."""
    if part.type == "thinking":
        body = texts.to_html(part.text, part.markup or "markdown")
    else:
        body = "".join(code.to_html(source, part.language) for source in sources_of(part))
    kind = part.type if part.type in ("thinking", "tool_call", "tool_result") else "unknown"
    css = f"chat-fold chat-{kind.replace('_', '-')}{' chat-failed' if part.is_error else ''}"
    summary = f'<summary dir="auto">{escape(label_of(part))}</summary>'
    return f'<details class="{css}">{summary}<div class="chat-folded">{body}{inner}</div></details>'


def label_of(part: Part) -> str:
    """What a part that is folded away is called."""
    name = exact.readable(part.name or part.title)
    if part.type == "thinking":
        return name or "Thinking"
    if part.type == "tool_call":
        return f"Used {name or 'a tool'}"
    if part.type == "tool_result":
        return f"{'Error' if part.is_error else 'Result'} of {name or 'a tool'}"
    return f"Something this version cannot show{f': {part.kind}' if part.kind else ''}"


def sources_of(part: Part) -> list[str]:
    """What a tool was given or gave, and what an unknown block holds, as text."""
    written = [exact.readable(part.text)] if part.text else []
    written += [values.pretty(value) for value in (part.input, part.raw) if value is not msgspec.UNSET]
    return [text for text in written if text]


# ------------------------------------------------------------------ attachments and sources


def _attachment(part: Part, attachment_url: AttachmentUrl) -> str:
    name = name_of(part)
    url = attachment_url(part.sha256) if part.sha256 else None
    said = "".join(f'<p class="chat-plain" dir="auto">{escape(text)}</p>' for text in spoken(part))
    if not url:
        why = "not in the export" if part.missing or not part.sha256 else "not included here"
        return f'<div class="chat-file chat-missing"><bdi>{escape(name)}</bdi> <small>{why}</small>{said}</div>'
    address, kind = escape(url), part.media_type.partition(";")[0].strip().lower()
    if kind in _PICTURES:
        alt = escape(exact.readable(part.caption) or name)
        shown = f'<a href="{address}"><img src="{address}" alt="{alt}" loading="lazy"></a>'
        caption = f"<figcaption>{said}</figcaption>" if said else ""
        return f'<figure class="chat-image">{shown}{caption}</figure>'
    player = kind.partition("/")[0]
    if player in ("audio", "video"):
        shown = f'<{player} controls preload="none" src="{address}"></{player}>'
        return f'<figure class="chat-player">{shown}<figcaption><bdi>{escape(name)}</bdi>{said}</figcaption></figure>'
    size = f" <small>{size_of(part.size)}</small>" if part.size is not None else ""
    link = f'<a href="{address}" download="{escape(name)}"><bdi>{escape(name)}</bdi></a>'
    return f'<div class="chat-file">{link}{size}{said}</div>'


def name_of(part: Part) -> str:
    """What an attachment is called, without what would make its name look like another; else what it is."""
    name = "".join(sign for sign in exact.readable(part.name) if sign.isprintable())
    return name.rpartition("/")[2].strip() or _KINDS.get(part.kind, "attachment")


def spoken(part: Part) -> list[str]:
    """What an attachment says: its caption, and the words of a recording."""
    return [exact.readable(text) for text in (part.caption, part.transcript) if text.strip()]


def size_of(size: int) -> str:
    """A size for people: "3 bytes", "1.2 MB"."""
    if size < 1000:
        return f"{size} bytes"
    exponent = min((len(str(size)) - 1) // 3, 4)
    number = size / 1000**exponent
    return f"{number:.{1 if number < 10 else 0}f} {('kB', 'MB', 'GB', 'TB')[exponent - 1]}"


def _notes(notes: Sequence[Note]) -> Iterator[str]:
    if notes:
        items = "".join(f'<li value="{note.number}" dir="auto">{_source_link(note)}</li>' for note in notes)
        yield f'<ol class="chat-notes" aria-label="Sources">{items}</ol>'


def _source_link(note: Note) -> str:
    quote = f" <q>{escape(note.quote)}</q>" if note.quote else ""
    if not note.url:
        return escape(note.title) + quote
    return f'<a href="{escape(note.url)}" rel="noopener noreferrer nofollow">{escape(note.title)}</a>{quote}'
