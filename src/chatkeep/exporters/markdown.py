"""Markdown with front matter, as Obsidian and others read it. docs/formats/markdown.md describes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring

from chatkeep import exact, views
from chatkeep.exporters import attachments
from chatkeep.exporters.customisation import Customisation
from chatkeep.exporters.exporter import Entry, Place, Written
from chatkeep.exporters.names import started
from chatkeep.exporters.shown import Said, Shown, Turn
from chatkeep.model import Conversation
from chatkeep.rendering import to_markdown
from chatkeep.rendering.written import escape_markdown


class Markdown:
    """Front matter and a title, then each message under a heading with its author and time."""

    name = "markdown"
    title = "Markdown"
    suffix = ".md"
    media_type = "text/markdown"
    pattern = ""
    lossless = False
    embeds = False

    def check(self, customisation: Customisation) -> None:
        """Everything that can be wished for can be written."""

    def attachment_name(self, sha256: str, media_type: str) -> str:
        return attachments.name(sha256, media_type)

    def opening(self, customisation: Customisation, *, alone: bool) -> str:
        return "" if alone else "# Conversations\n"

    def each(self, conversation: Conversation, customisation: Customisation, place: Place) -> Iterator[str | Written]:
        shown = Shown(conversation, customisation)
        level = "#" if place.alone else "##"
        if place.alone:
            yield _front_matter(shown, customisation)
        yield f"\n{level} {escape_markdown(shown.title)}\n"
        if not place.alone:
            yield f"\n{' · '.join(fact for fact in (shown.platform, shown.started) if fact)}\n"
        prefix = "" if place.alone else f"{place.number + 1}-"
        yield from _messages(shown, customisation, place, level=level + "#", prefix=prefix)
        yield Written(shown.written, shown.entry())

    def closing(self, customisation: Customisation, entries: Iterable[Entry], *, alone: bool) -> Iterator[str]:
        yield from ()

    def index(self, entries: Iterable[Entry]) -> None:
        return None


def _messages(shown: Shown, customisation: Customisation, place: Place, *, level: str, prefix: str) -> Iterator[str]:
    showing, platform = customisation.showing(), shown.conversation.platform
    names: dict[str, str] = {}
    for number, one in enumerate(shown.messages(), 1):
        if isinstance(one, Turn):
            yield f"\n---\n\n*{one.label or 'It ends here; what was shown goes on'}*\n"
            continue
        text = to_markdown(
            one.parts,
            platform,
            attachment_url=place.attachment_url,
            showing=showing,
            footnote=f"{prefix}{number}-",
        )
        name = names.get(one.name) or names.setdefault(one.name, escape_markdown(one.name))
        heading = f"\n{level} {name} · {one.when}\n" if one.when else f"\n{level} {name}\n"
        aside = _aside(one) if one.notes or one.reactions else ""
        yield f"{heading}{aside}\n{text}\n" if text else f"{heading}{aside}"


def _aside(one: Said) -> str:
    facts = [escape_markdown(fact) for fact in (*one.notes, one.reactions) if fact]
    return f"\n*{' · '.join(facts)}*\n"


# ------------------------------------------------------------------ front matter


def _front_matter(shown: Shown, customisation: Customisation) -> str:
    conversation = shown.conversation
    fields: dict[str, object] = {
        "title": shown.title,
        "platform": shown.platform,
        "project": exact.readable(conversation.project),
    }
    if customisation.times != "none":
        fields |= {"created": shown.told(started(conversation)), "updated": shown.told(conversation.updated_at)}
    fields |= {
        "people": shown.people,
        "tags": [_tag(label) for label in views.labels(conversation)],
        "messages": len(conversation.messages),
        "chatkeep_id": exact.readable(conversation.id),
    }
    lines = [f"{name}: {_yaml(value)}\n" for name, value in fields.items() if value]
    return f"---\n{''.join(lines)}---\n"


# What JSON leaves as it is and YAML forbids or takes for the end of a line.
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def _yaml(value: object) -> str:
    """The value in double quotes and brackets, which YAML shares with JSON."""
    text = encode_basestring(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text.isascii() and "\x7f" not in text else _NOT_YAML.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _tag(label: str) -> str:
    """A tag without spaces, for they end one in Obsidian."""
    return re.sub(r"[^\w/-]+", "-", exact.readable(label)).strip("-") or "label"


MARKDOWN = Markdown()
