"""Texts that were HTML at their platform: cleaned, or turned into Markdown and plain text."""

from __future__ import annotations

import re
from html import escape, unescape
from html.parser import HTMLParser

from chatkeep.rendering import gate, links

MAX_TAGS = 20_000  # and signs in all; of texts with more only the words are kept
_IMAGE = re.compile(r"<img\b[^<>]*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\b(src|alt)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def to_html(text: str) -> str:
    """The HTML with its pictures as links. It must still pass the gate, and is nothing but words if it is too much."""
    if _is_heavy(text):
        return escape(_words_of(text))
    return _IMAGE.sub(_picture, text)


def _is_heavy(text: str) -> bool:
    return text.count("<") + text.count("&") > MAX_TAGS


def _words_of(text: str) -> str:
    return unescape(_TAG.sub(" ", text))


def _picture(found: re.Match[str]) -> str:
    fields = {name.lower(): unescape(value.strip("\"'")) for name, value in _ATTRIBUTE.findall(found[0])}
    name = escape(fields.get("alt") or "picture")
    address = links.safe(fields.get("src", ""))
    return f'<a href="{escape(address)}">{name}</a>' if address else name


def to_markdown(text: str) -> str:
    """The same as Markdown: paragraphs, lists, links, emphasis and code; anything else as its words."""
    return _written(text, _Markdown())


def to_text(text: str) -> str:
    """The words alone, with line breaks where paragraphs end."""
    return _written(text, _Words())


def _written(text: str, reader: _Words) -> str:
    if _is_heavy(text):
        return reader.data(_words_of(text))
    reader.feed(gate.pass_through(to_html(text)))
    reader.close()
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", "".join(reader.written))).strip()


_BLOCKS = frozenset({"blockquote", "div", "dl", "figure", "h1", "h2", "h3", "h4", "h5", "h6"})
_BLOCKS |= {"hr", "ol", "p", "pre", "table", "ul"}
_LINES = frozenset({"br", "dd", "dt", "figcaption", "li", "tr"})


class _Words(HTMLParser):
    """Reads HTML that has passed the gate, so it is well formed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.written: list[str] = []
        self.inside_pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside_pre += tag == "pre"
        self._space(tag)

    def handle_endtag(self, tag: str) -> None:
        self.inside_pre -= tag == "pre"
        if tag in _BLOCKS:
            self._space(tag)

    def handle_data(self, data: str) -> None:
        self.written.append(self.data(data if self.inside_pre else re.sub(r"\s+", " ", data)))

    def data(self, text: str) -> str:
        return text

    def _space(self, tag: str) -> None:
        if tag in _BLOCKS or tag in _LINES:
            self.written.append("\n\n" if tag in _BLOCKS else "\n")


_SIGNS = {"b": "**", "strong": "**", "i": "*", "em": "*", "code": "`", "s": "~~", "del": "~~", "strike": "~~"}
_SPECIAL = re.compile(r"[\\`*_\[\]<|~$]")


class _Markdown(_Words):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        if tag == "a":
            self.addresses.append(dict(attrs).get("href") or "")
            self.written.append("[" if self.addresses[-1] else "")
        elif tag == "pre":
            self.written.append("```\n")
        elif tag == "li":
            self.written.append("- ")
        elif tag[0] == "h" and tag[1:].isdigit():
            self.written.append("#" * int(tag[1]) + " ")
        elif not self.inside_pre:
            self.written.append(_SIGNS.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self.addresses and (address := self.addresses.pop()):
            self.written.append(f"](<{address}>)")
        elif tag == "pre":
            self.written.append("\n```")
        elif not self.inside_pre:
            self.written.append(_SIGNS.get(tag, ""))
        super().handle_endtag(tag)

    def data(self, text: str) -> str:
        return text.replace("```", "` ` `") if self.inside_pre else _SPECIAL.sub(r"\\\g<0>", text)
