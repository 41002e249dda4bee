"""What the server answers. Fields that are not known here are left out, so that a newer server can be asked."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """An answer."""


class Problem(Value, frozen=True, kw_only=True):
    """Why something was refused."""

    type: str = ""
    title: str = ""
    status: int
    detail: str = ""
    hint: str = ""


class Me(Value, frozen=True, kw_only=True):
    """What a token allows."""

    name: str
    scopes: list[str]
    service: bool
    archive: str
    per_minute: int


class Listed(Value, frozen=True, kw_only=True):
    """A conversation in a list. messages: all of its tree. Times are RFC 3339, "" when the platform does not say."""

    id: str
    title: str
    platform: str
    created_at: str
    updated_at: str
    messages: int
    revision: str
    project: str = ""
    labels: list[str] = []
    starred: bool = False
    archived: bool = False
    trashed: bool = False
    preview: str = ""
    attachments: int = 0


class Became(Value, frozen=True, kw_only=True):
    """What became of a conversation that was pushed. wanted: SHA-256 of attachments that are not there yet.

    outcome "gone": it was deleted there, and stays away. receipt: undoes it; "" when nothing was new.
    """

    id: str
    outcome: Literal["added", "updated", "unchanged", "gone"]
    revision: str
    wanted: list[str] = []
    receipt: str = ""


class Told(Value, frozen=True, kw_only=True):
    """Something in what was pushed that could not be read."""

    where: str
    what: str


class Item(Value, frozen=True, kw_only=True):
    """What became of one item of a batch. problem: why it was refused, if it was."""

    index: int
    conversations: list[Became]
    problems: list[Told] = []
    problem: Problem | None = None


class Batch(Value, frozen=True, kw_only=True):
    """What became of a batch; its results are in the order of the request."""

    added: int
    updated: int
    unchanged: int
    gone: int
    refused: int
    receipt: str
    results: list[Item]


class Change(Value, frozen=True, kw_only=True):
    """What happened last to a conversation. revision: "" if it is gone."""

    number: int
    id: str
    revision: str


class Piece(Value, frozen=True, kw_only=True):
    """A piece of the text around what was found."""

    text: str
    match: bool


class Hit(Value, frozen=True, kw_only=True):
    """One thing found. message: "" when it is the title."""

    conversation: str
    message: str
    title: str
    platform: str
    snippet: list[Piece]
    sent_at: str
    author: str
    role: str
    position: int = -1


class Progress(Value, frozen=True, kw_only=True):
    """How far a job is. total: 0 when nobody can know it."""

    stage: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    note: str = ""


class Job(Value, frozen=True, kw_only=True):
    """Long work. report: what it did, in counts."""

    id: int
    kind: str
    state: Literal["waiting", "running", "paused", "done", "problems", "failed", "cancelled"]
    requested_at: str
    started_at: str | None = None
    ended_at: str | None = None
    progress: Progress = Progress()
    report: dict[str, Any] | None = None
    what: str = ""
    hint: str = ""
    result: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "problems", "failed", "cancelled")


class Connection(Value, frozen=True, kw_only=True):
    """Where backups go."""

    name: str
    provider: str
    account: str
    backed_up_at: str | None = None
    checked_at: str | None = None
    signed_out: bool = False
    trouble: str = ""


class Receipt(Value, frozen=True, kw_only=True):
    """What one operation brought in."""

    id: str
    at: str
    source: str
    importer: str
    added: int
    updated: int
    unchanged: int
    messages: int
    undone_at: str = ""


class Undone(Value, frozen=True, kw_only=True):
    """What undoing did."""

    removed: int
    restored: int
    attachments: int


class Webhook(Value, frozen=True, kw_only=True):
    """Who is told of what. secret: only where it was made just now."""

    id: str
    url: str
    events: list[str]
    made_at: str
    failing_since: str | None = None
    trouble: str = ""
    secret: str = ""


class Delivery(Value, frozen=True, kw_only=True):
    """One message to a webhook."""

    id: str
    event: str
    made_at: str
    attempts: int
    delivered_at: str | None = None
    next_at: str | None = None
    status: int | None = None
    trouble: str = ""
