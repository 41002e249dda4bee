"""Pages that stand for themselves: no scripts, nothing loaded from elsewhere. docs/formats/html.md describes them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from chatkeep.exporters import attachments
from chatkeep.exporters.customisation import Customisation
from chatkeep.exporters.exporter import Entry, Place, Written
from chatkeep.exporters.shown import Said, Shown, Turn
from chatkeep.model import Conversation
from chatkeep.rendering import STYLE, message_to_html

CSS = STYLE + Path(__file__).with_name("page.css").read_text("utf-8")
MAX_NESTING = 12  # versions within versions that are folded; browsers stop at some hundred elements

_HASH = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src 'self' file: data:; media-src 'self' file: data:; "
    "base-uri 'none'; form-action 'none'"
)
_COLOURS = 6


class Html:
    """A page for each conversation with a page that lists them, or one page with all of them."""

    name = "html"
    title = "Web page"
    suffix = ".html"
    media_type = "text/html"
    pattern = ""
    lossless = False
    embeds = True

    def check(self, customisation: Customisation) -> None:
        """Everything that can be wished for can be written."""

    def attachment_name(self, sha256: str, media_type: str) -> str:
        return attachments.name(sha256, media_type)

    def opening(self, customisation: Customisation, *, alone: bool) -> str:
        # The title of a page that stands alone is known with its conversation.
        if alone:
            return ""
        top = '<header class="top"><h1>Conversations</h1><p><a href="#contents">All conversations</a></p></header>'
        return f"{_head('Conversations')}{top}\n<main>\n"

    def each(self, conversation: Conversation, customisation: Customisation, place: Place) -> Iterator[str | Written]:
        shown = Shown(conversation, customisation)
        own = f"c{place.number + 1}"
        if place.alone:
            yield _head(shown.title)
        back = f'<nav><a href="{place.up}index.html">All conversations</a></nav>' if place.index else ""
        facts = [escape(fact) for fact in (shown.platform, shown.started, shown.zone) if fact]
        level = "h1" if place.alone else "h2"
        element = "main" if place.alone else "section"
        yield f'<{element} class="conversation" id="{own}"><header class="title">{back}'
        yield f'<{level} dir="auto">{escape(shown.title)}</{level}><p>{" · ".join(facts)}</p></header>\n'
        yield from _messages(shown, customisation, place)
        yield f"</{element}>\n"
        yield Written(shown.written, shown.entry(f"#{own}"))

    def closing(self, customisation: Customisation, entries: Iterable[Entry], *, alone: bool) -> Iterator[str]:
        if not alone:
            yield '</main>\n<nav id="contents" class="contents"><h2>All conversations</h2>\n'
            yield from _listed(entries, "h3")
            yield "</nav>\n"
        yield "</body>\n</html>\n"

    def index(self, entries: Iterable[Entry]) -> tuple[str, Iterator[str]]:
        return "index.html", _index(entries)


def _head(title: str) -> str:
    return (
        '<!doctype html>\n<html lang="und">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
    )


# ------------------------------------------------------------------ messages


def _messages(shown: Shown, customisation: Customisation, place: Place) -> Iterator[str]:
    showing, platform = customisation.showing(), shown.conversation.platform
    folded: list[bool] = []
    last = ""
    for one in shown.messages():
        if isinstance(one, Turn):
            yield _turn(one, folded)
            last = ""
            continue
        body = message_to_html(one.parts, platform, attachment_url=place.attachment_url, showing=showing)
        follows = last == one.name and not one.notes
        yield _message(one, body, follows=follows)
        last = one.name
    yield "".join("</div></details>\n" for is_folded in folded if is_folded)


def _turn(turn: Turn, folded: list[bool]) -> str:
    if not turn.label:
        return "</div></details>\n" if folded and folded.pop() else ""
    folded.append(len(folded) < MAX_NESTING)
    if not folded[-1]:
        return f'<p class="branch">{escape(turn.label)}</p>\n'
    return f'<details class="branch"><summary>{escape(turn.label)}</summary><div>\n'


def _message(one: Said, body: str, *, follows: bool) -> str:
    role = one.role if one.role in ("person", "assistant", "tool", "system") else "person"
    at = f' datetime="{escape(one.at)}"' if one.at else ""
    when = f"<time{at}>{escape(one.when)}</time>" if one.when else ""
    notes = "".join(f'<small dir="auto">{escape(note)}</small>' for note in one.notes)
    reactions = f'<footer dir="auto">{escape(one.reactions)}</footer>' if one.reactions else ""
    css = f"said {role} who{one.place % _COLOURS}{' follows' if follows else ''}"
    return (
        f'<article class="{css}"><header><b dir="auto">{escape(one.name)}</b>{when}{notes}</header>\n'
        f"{body}{reactions}</article>\n"
    )


# ------------------------------------------------------------------ lists of conversations


def _index(entries: Iterable[Entry]) -> Iterator[str]:
    yield _head("Conversations")
    yield '<main class="contents"><header class="title"><h1>Conversations</h1></header>\n'
    yield from _listed(entries, "h2")
    yield "</main>\n</body>\n</html>\n"


_MONTHS = "January February March April May June July August September October November December"


def _listed(entries: Iterable[Entry], level: str) -> Iterator[str]:
    for month, group in groupby(entries, key=lambda entry: entry.day[:7]):
        yield f"<{level}>{_month(month)}</{level}>\n<ol>\n"
        for entry in group:
            address = entry.path if entry.path.startswith("#") else quote(entry.path)
            facts = [escape(entry.platform), escape(entry.day), _count(entry.messages)]
            shown = f'<a href="{escape(address)}" dir="auto">{escape(entry.title)}</a>'
            yield f"<li>{shown}<small>{' · '.join(fact for fact in facts if fact)}</small></li>\n"
        yield "</ol>\n"


def _month(month: str) -> str:
    if len(month) != 7 or not month[5:].isdigit() or not 1 <= int(month[5:]) <= 12:
        return "No date"
    return f"{_MONTHS.split()[int(month[5:]) - 1]} {month[:4]}"


def _count(messages: int) -> str:
    return f"{messages:,} message{'' if messages == 1 else 's'}"


HTML = Html()
