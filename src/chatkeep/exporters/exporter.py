"""What an export format is: the contract that txt, json, markdown and html keep, and a stranger's would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import msgspec

from chatkeep.exporters.customisation import Customisation
from chatkeep.model import Conversation
from chatkeep.rendering import AttachmentUrl


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the output a conversation stands.

    number: from 0, within its file. alone: the file has no other conversation.
    up: from the folder of its file to the top of the output, "" or "../../". attachment_url: see rendering.
    index: whether a page lists all files (`Exporter.index`).
    """

    number: int
    alone: bool
    up: str
    attachment_url: AttachmentUrl
    index: bool = False


class Entry(msgspec.Struct, frozen=True):
    """What an index says about one conversation. path: below the output, or "#…" within the same file."""

    path: str
    title: str
    platform: str
    day: str
    messages: int


@dataclass(frozen=True, slots=True)
class Written:
    """What was written of one conversation: its messages, and how an index shows it."""

    messages: int
    entry: Entry


class Exporter(Protocol):
    """Writes conversations in one format. Holds nothing between calls: what it is told, it writes.

    A file is `opening`, each conversation, `closing`; joined they are one whole file, for one conversation and for a
    million. All text is UTF-8.
    """

    name: str
    """What people choose it by, "markdown"."""
    title: str
    """What people call it, "Markdown"."""
    suffix: str
    """The ending of its files, ".md"."""
    media_type: str
    pattern: str
    """The names of its files, where they are not for people to choose; else ""."""
    lossless: bool
    """Whether it writes documents as they are, so that nothing can be left out or written otherwise."""
    embeds: bool
    """Whether attachments may stand inside a file, as `data:` addresses."""

    def check(self, customisation: Customisation) -> None:
        """Raises WrongUse for a wish that the format cannot fulfil and that must not be forgotten silently."""
        ...

    def attachment_name(self, sha256: str, media_type: str) -> str:
        """Where an attachment is put below the output."""
        ...

    def opening(self, customisation: Customisation, *, alone: bool) -> str:
        """What a file begins with. alone: it will hold one conversation."""
        ...

    def each(self, conversation: Conversation, customisation: Customisation, place: Place) -> Iterator[str | Written]:
        """One conversation in pieces, and last what was written of it."""
        ...

    def closing(self, customisation: Customisation, entries: Iterable[Entry], *, alone: bool) -> Iterator[str]:
        """What a file ends with. entries: the conversations in it, in order."""
        ...

    def index(self, entries: Iterable[Entry]) -> tuple[str, Iterator[str]] | None:
        """A file that lists all files of an export, as name and pieces; None for formats that have none."""
        ...
