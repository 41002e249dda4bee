"""Plain text: for reading anywhere, and for tools that know nothing else. docs/formats/txt.md describes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chatkeep.exporters import attachments
from chatkeep.exporters.customisation import Customisation
from chatkeep.exporters.exporter import Entry, Place, Written
from chatkeep.exporters.shown import Said, Shown, Turn
from chatkeep.model import Conversation
from chatkeep.rendering import to_text

_BETWEEN = "\n\n" + "=" * 72 + "\n\n"


class Txt:
    """Title and facts, then each message under a line with its author and time."""

    name = "txt"
    title = "Plain text"
    suffix = ".txt"
    media_type = "text/plain"
    pattern = ""
    lossless = False
    embeds = False

    def check(self, customisation: Customisation) -> None:
        """Everything that can be wished for can be written."""

    def attachment_name(self, sha256: str, media_type: str) -> str:
        return attachments.name(sha256, media_type)

    def opening(self, customisation: Customisation, *, alone: bool) -> str:
        return ""

    def each(self, conversation: Conversation, customisation: Customisation, place: Place) -> Iterator[str | Written]:
        shown = Shown(conversation, customisation)
        yield _BETWEEN if place.number and not place.alone else ""
        yield f"{shown.title}\n{'=' * min(72, max(3, len(shown.title)))}\n{_facts(shown)}\n"
        showing = customisation.showing()
        for one in shown.messages():
            if isinstance(one, Turn):
                yield f"\n--- {one.label or 'It ends here; what was shown goes on'} ---\n"
            else:
                text = to_text(one.parts, conversation.platform, attachment_url=place.attachment_url, showing=showing)
                yield f"\n{_head(one)}\n{text}\n" if text else f"\n{_head(one)}\n"
        yield Written(shown.written, shown.entry())

    def closing(self, customisation: Customisation, entries: Iterable[Entry], *, alone: bool) -> Iterator[str]:
        yield from ()

    def index(self, entries: Iterable[Entry]) -> None:
        return None


def _facts(shown: Shown) -> str:
    return " · ".join(fact for fact in (shown.platform, shown.started, shown.zone) if fact)


def _head(one: Said) -> str:
    facts = [one.name, one.when, *one.notes, one.reactions]
    return "[" + " · ".join(fact for fact in facts if fact) + "]"


TXT = Txt()
