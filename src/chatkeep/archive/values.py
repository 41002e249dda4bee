"""What the archive gives out: frozen values, whose JSON is the same for the command line and the pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chatkeep.errors import Problem

if TYPE_CHECKING:
    from chatkeep.model import Message, Participant


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What one operation brought in. Every message of the source is accounted for here.

    id: number of the operation, rising. at: when it began; undone_at: when it was undone, "" if it was not.
    source, digest: name and SHA-256 of what was given. importer: importer and version, "chatgpt/1".
    added, updated, unchanged: conversations. messages, by_role: all messages of the source, visible or not.
    stored, missing: attachments that the source names, each counted once, with and without their bytes.
    shells: conversations that the platform had blanked. notes: sentences worth knowing.
    finished: false while it runs, or if it was cut off.
    """

    id: str = ""
    source: str = ""
    digest: str = ""
    importer: str = ""
    at: str = ""
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    messages: int = 0
    by_role: dict[str, int] = {}
    attachments: dict[str, int] = msgspec.field(default_factory=lambda: {"stored": 0, "missing": 0})
    unknown: dict[str, int] = {}
    shells: int = 0
    problems: list[Problem] = []
    notes: list[str] = []
    undone_at: str = ""
    finished: bool = True

    @property
    def is_restore(self) -> bool:
        """Whether it brought in what was saved, not what a platform exported."""
        return self.importer in RESTORERS.values()


RESTORERS = {False: "merge/1", True: "replace/1"}
"""What stands for the importer in the receipt of a restore: of one that merges, and of one that replaces."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation in a list. messages: all of the tree; attachments: those it names, with or without bytes.

    last_at: what lists are ordered by, without a zone: the last time that the document or one of its messages tells.
    """

    id: str
    title: str
    platform: str
    created_at: str
    updated_at: str
    messages: int
    revision: str
    project: str
    labels: list[str]
    starred: bool
    archived: bool
    trashed: bool
    preview: str
    attachments: int
    last_at: str = ""

    @property
    def went_on_at(self) -> str:
        """When it last went on, as the platform says, else by its last message; "" when neither is known."""
        return self.updated_at or (f"{self.last_at}Z" if self.last_at else "")


class Facets(msgspec.Struct, frozen=True):
    """How many of the selected conversations there are of each platform, project and label."""

    platforms: dict[str, int]
    projects: dict[str, int]
    labels: dict[str, int]


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what a reader shows of one conversation.

    messages: those on the path to `leaf` from position `start` on; positions count from 0 to `total`.
    siblings: for each of them, the ids of the messages that stand in its place on other paths, itself included, in
    document order; [] where there is no choice.
    """

    conversation: Listed
    participants: tuple[Participant, ...]
    messages: tuple[Message, ...]
    siblings: list[list[str]]
    leaf: str
    start: int
    total: int


class Place(msgspec.Struct, frozen=True):
    """Where a message stands. leaf: the end of the path, "" for the one that is shown; position: on it, from 0."""

    leaf: str
    position: int


class Snippet(msgspec.Struct, frozen=True):
    """A piece of text around what was found. pieces: (text, whether it matches) in order; join them to read."""

    pieces: tuple[tuple[str, bool], ...]

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.pieces)


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One thing found: a message, or the title of a conversation (then `message` is "").

    position: the message's place on the shown path of its conversation, -1 if it is on another branch.
    others: with grouping, how many further hits among the best the conversation has.
    """

    conversation: str
    message: str
    title: str
    platform: str
    snippet: Snippet
    sent_at: str
    author: str
    role: str
    position: int = -1
    others: int = 0


class Found(msgspec.Struct, frozen=True):
    """total: how many match; a lower bound, and ranked among the newest only, unless `exact`."""

    total: int
    exact: bool
    hits: list[Hit]


class Entry(msgspec.Struct, frozen=True):
    id: str
    revision: str
    updated_at: str


class Change(msgspec.Struct, frozen=True):
    """What happened last to a conversation: its revision now, "" if it is gone. number: of the change, rising."""

    number: int
    id: str
    revision: str


class Counts(msgspec.Struct, frozen=True):
    """bytes: of the documents, not compressed, and of the attachments together."""

    conversations: int
    messages: int
    attachments: int
    bytes: int


class Applied(msgspec.Struct, frozen=True):
    """receipt: by which this can be undone; "" when nothing changed."""

    added: int
    updated: int
    unchanged: int
    receipt: str = ""


class Joined(msgspec.Struct):
    """What joining with other devices did.

    added, updated, unchanged: conversations. removed: ids of those that others had deleted or undone. returned: ids of
    those that are here although they were deleted. conflicts: (conversation, message) with a version of each side.
    held_back: ids of those that would have gone, had they not been too many at once.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: list[str] = []
    returned: list[str] = []
    conflicts: list[tuple[str, str]] = []
    held_back: list[str] = []
    problems: list[Problem] = []


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """Something that two devices did differently, and that a person may look at.

    kind: "versions", a message of which each had another version; "returned", a conversation that was deleted and has
    something that the deletion did not see. message: of "versions". host: where the other side came from.
    versions: `raw` and text of each version of the message, the shown one first. settled: "", "chosen" or "both".
    """

    id: str
    title: str
    kind: str
    message: str = ""
    host: str = ""
    versions: list[tuple[str, str]] = []
    settled: str = ""


class Undone(msgspec.Struct, frozen=True):
    """Conversations that went, and those that lost what the operation had brought to them."""

    removed: int
    restored: int
    attachments: int


class Reindexed(msgspec.Struct, frozen=True):
    conversations: int
    messages: int


class Attachment(msgspec.Struct, frozen=True):
    """Bytes that are held here. size [bytes]; name and media_type as the first message that has it says."""

    sha256: str
    size: int
    name: str
    media_type: str
    path: Path
