"""What requests take and answers give, as the OpenAPI document describes it. Fields may be added, never renamed."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le
from ninja import Field, Schema
from pydantic import BeforeValidator, ConfigDict, StringConstraints

from chatkeep.api import reading
from chatkeep.selection import Selection

_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)


def _whole(given: object) -> object:
    """A number of a query as its text says it; "1.0" and "+1" are none."""
    if isinstance(given, str):
        if not _WHOLE.fullmatch(given):
            raise ValueError("it is no whole number")
        return int(given)
    return given


Whole = Annotated[int, BeforeValidator(_whole)]
Id = Annotated[str, StringConstraints(pattern=reading.ID)]
Sha256 = Annotated[str, StringConstraints(pattern=reading.SHA256)]
Number = Annotated[int, Ge(1), Le(2**53 - 1), BeforeValidator(_whole)]
Yes = Literal["true", "false"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Text = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]
When = Annotated[str, StringConstraints(pattern=rf"^{reading.DAY}(T{reading._CLOCK}Z)?$")]
Cursor = Annotated[str, StringConstraints(pattern=rf"^[0-9T:.-]{{0,40}}~{reading.ID[1:]}")]


class Given(Schema):
    """A body. What it does not name is refused, so that a mistyped wish is not left out in silence."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Problem(Schema):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="The kind of problem, for programs.", examples=["urn:chatkeep:problem:not-found"])
    title: str = Field(description="The kind of problem, in words.", examples=["Not found"])
    status: int = Field(description="The status of the answer.", examples=[404])
    detail: str = Field(description="What happened.", examples=["There is no such conversation in the archive."])
    hint: str = Field("", description="What can be done.")


# ------------------------------------------------------------------ conversations


class Chosen(Schema):
    """The query of lists: which conversations. All conditions hold together."""

    id: list[Id] = Field([], description="These conversations.", max_length=200)
    q: Text = Field("", description="Those that a search finds (docs/guide/search.md).")
    platform: list[Name] = Field([], description="From these platforms, like chatgpt.", max_length=50)
    project: list[Name] = Field([], description="Of these projects.", max_length=50)
    label: list[Name] = Field([], description="With one of these labels.", max_length=50)
    person: list[Name] = Field([], description="With one of these people.", max_length=50)
    since: When | None = Field(None, description="That went on at this date or time, or later.")
    until: When | None = Field(None, description="That began at this date or time, or before.")
    trashed: Yes = Field("false", description="Those in the trash, instead of those that are not.")

    def selection(self) -> Selection:
        """The same as a value of the product."""
        return Selection(
            ids=tuple(self.id),
            query=self.q.strip(),
            platforms=tuple(self.platform),
            projects=tuple(self.project),
            labels=tuple(self.label),
            people=tuple(self.person),
            since=self.since or "",
            until=self.until or "",
            trashed=self.trashed == "true",
        )


class Listing(Chosen):
    """The query of the list of conversations."""

    limit: Whole = Field(50, ge=1, le=200, description="At most so many.")
    cursor: Cursor | None = Field(None, description="`next` of the page before.")


class Listed(Schema):
    """A conversation in a list."""

    id: str
    title: str
    platform: str
    created_at: str = Field(description="RFC 3339; empty when the platform does not say.")
    updated_at: str
    messages: int = Field(description="All of its tree.")
    revision: str = Field(description="SHA-256 of its document.")
    project: str
    labels: list[str]
    starred: bool
    archived: bool
    trashed: bool
    preview: str
    attachments: int


class Page(Schema):
    """A part of the list, the newest first."""

    conversations: list[Listed]
    next: str | None = Field(description="`cursor` of the next page; null at the end.")


class Change(Schema):
    """What happened last to a conversation."""

    number: int = Field(description="Of the change, rising.")
    id: str
    revision: str = Field(description="Its revision now; empty if it is gone.")


class Changes(Schema):
    """Changes in the order they happened. Each conversation comes once, with its last one."""

    changes: list[Change]
    next: int = Field(description="`since` of the next request.")


class ChangesQuery(Schema):
    """The query of changes."""

    since: Whole = Field(0, ge=0, le=2**53 - 1, description="The number of the last change that is known.")
    limit: Whole = Field(200, ge=1, le=1000, description="At most so many.")


class Became(Schema):
    """What became of a conversation that was pushed."""

    id: str = Field(description="The id it has here.")
    outcome: Literal["added", "updated", "unchanged", "gone"] = Field(
        description="gone: it was deleted or erased here, and stays away."
    )
    revision: str = Field(description="The revision it has now; empty if it is gone.")
    wanted: list[str] = Field(description="SHA-256 of attachments that it names and that are not here yet.")


class Pushed(Became):
    """What became of the document."""

    receipt: str = Field(description="Undoes what came with it; empty when nothing was new.")


class Told(Schema):
    """Something in what was given that could not be read. It quotes no text."""

    where: str
    what: str


class Item(Schema):
    """What became of one item of a batch: taken whole, or not at all."""

    index: int = Field(description="Its place in the request, from 0.")
    conversations: list[Became] = Field(description="Usually one; none when it was refused.")
    problems: list[Told] = Field(description="What in it could not be read, while the rest was.")
    problem: Problem | None = Field(None, description="Why it was refused.")


class Batch(Schema):
    """What became of a batch."""

    added: int
    updated: int
    unchanged: int
    gone: int
    refused: int
    receipt: str = Field(description="Undoes all that came with this request; empty when nothing was new.")
    results: list[Item] = Field(description="In the order of the request.")


class MessagesQuery(Schema):
    """The query of messages."""

    leaf: Name | None = Field(
        None, description="The message at whose end the path is read; the shown one if not given."
    )
    start: Whole = Field(0, ge=0, le=10**9, description="The first position.")
    limit: Whole = Field(100, ge=1, le=500, description="At most so many.")


class Messages(Schema):
    """Some messages of the path to a leaf."""

    conversation: Listed
    participants: list[dict[str, Any]] = Field(description="As in the document.")
    messages: list[dict[str, Any]] = Field(description="As in the document.")
    siblings: list[list[str]] = Field(description="For each message, the ids that stand in its place on other paths.")
    leaf: str
    start: int
    total: int


class SearchQuery(Chosen):
    """The query of the search: what is looked for, and where."""

    q: Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")] = Field(
        description="What is looked for (docs/guide/search.md)."
    )
    limit: Whole = Field(20, ge=1, le=100, description="At most so many.")
    start: Whole = Field(0, ge=0, le=10_000, description="Leave out so many of the best.")


class Piece(Schema):
    """A piece of the text around what was found."""

    text: str
    match: bool


class Hit(Schema):
    """One thing found: a message, or the title of a conversation."""

    conversation: str
    message: str = Field(description="Empty when the title was found.")
    title: str
    platform: str
    snippet: list[Piece]
    sent_at: str
    author: str
    role: str
    position: int = Field(description="On the shown path, from 0; -1 on another branch.")


class Found(Schema):
    """The best first."""

    total: int = Field(description="How many match; a lower bound unless exact.")
    exact: bool
    hits: list[Hit]


class Edits(Given):
    """What is to be changed; what is not named stays. null sets it back to what the platform says."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")] | None = None
    labels: list[Name] | None = Field(None, max_length=100)
    starred: bool | None = None
    archived: bool | None = None


class Kept(Schema):
    """An attachment that is here."""

    sha256: str
    size: int = Field(description="Bytes.")


# ------------------------------------------------------------------ jobs


class Progress(Schema):
    """How far a job is."""

    stage: str = ""
    done: int = 0
    total: int = Field(0, description="0 when nobody can know it.")
    unit: str = ""
    note: str = ""


class Job(Schema):
    """Long work. It is done when `state` is done, problems, failed or cancelled."""

    id: int
    kind: str = Field(examples=["export"])
    state: Literal["waiting", "running", "paused", "done", "problems", "failed", "cancelled"]
    requested_at: str
    started_at: str | None
    ended_at: str | None
    progress: Progress
    report: dict[str, Any] | None = Field(
        description="What it did, in counts; null until it ends well. Its lists end after 1,000."
    )
    what: str = Field(description="What went wrong, or why it is paused; else empty.")
    hint: str = Field(description="What can be done then.")
    result: str | None = Field(description="Where the files of an export can be fetched; null when there are none.")


class Jobs(Schema):
    """Jobs, the newest first."""

    jobs: list[Job]
    next: int | None = Field(description="`before` of the next page; null at the end.")


class JobsQuery(Schema):
    """The query of jobs."""

    open: Yes = Field("false", description="Only those that are waiting, running or paused.")
    before: Number | None = Field(None, description="`next` of the page before.")
    limit: Whole = Field(50, ge=1, le=200, description="At most so many.")


class Choice(Given):
    """Which conversations; all if nothing is said."""

    ids: list[Id] = Field([], max_length=1000)
    query: Text = ""
    platforms: list[Name] = Field([], max_length=50)
    projects: list[Name] = Field([], max_length=50)
    labels: list[Name] = Field([], max_length=50)
    people: list[Name] = Field([], max_length=50)
    since: When | None = None
    until: When | None = None
    trashed: bool = False


class Wishes(Given):
    """How an export is written (docs/guide/export.md)."""

    branches: Literal["shown", "all"] = "shown"
    times: Literal["none", "date", "full"] = "full"
    zone: Annotated[str, StringConstraints(max_length=60)] = Field("UTC", examples=["Europe/Berlin"])
    names: Literal["as-is", "roles"] = "as-is"
    thinking: bool = False
    tool_calls: bool = False
    citations: bool = True
    hidden: bool = False
    attachments: Literal["copy", "link", "none"] = "copy"
    files: Literal["many", "one"] = "many"
    redact: list[Name] = Field([], max_length=100, description="Words that are left out wherever they occur.")


class ExportWanted(Given):
    """An export that is to be made, as a zip."""

    format: Literal["markdown", "html", "txt", "json"] = "json"
    selection: Choice = Field(default_factory=lambda: Choice.model_validate({}))
    options: Wishes = Field(default_factory=lambda: Wishes.model_validate({}))


class BackupWanted(Given):
    """A backup that is to be made."""

    connection: Name = Field(description="The name of the connection.", examples=["Google Drive"])


class RestoreWanted(Given):
    """A restore. Without `replace` nothing that is here is lost; it can be undone by its receipt."""

    connection: Name = Field(description="The name of the connection.", examples=["Google Drive"])
    snapshot: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{4,64})?$")] = Field(
        "", description="Its id, or the beginning of it; the newest if not given."
    )
    as_of: When | None = Field(None, description="The newest backup that is not later than this.")
    conversations: list[Id] = Field([], max_length=1000, description="Only these.")
    replace: bool = Field(False, description="Make conversations exactly what they were.")
    dry_run: bool = Field(False, description="Only say what would change.")


# ------------------------------------------------------------------ the rest


class Connection(Schema):
    """Where backups go. Nothing secret of it is told."""

    name: str
    provider: str
    account: str
    backed_up_at: str | None
    checked_at: str | None
    signed_out: bool = Field(description="Somebody has to sign in again.")
    trouble: str = Field(description="Why the last run failed; else empty.")


class Connections(Schema):
    """All connections."""

    connections: list[Connection]


class Receipt(Schema):
    """What one operation brought in."""

    id: str
    at: str
    source: str
    importer: str
    added: int
    updated: int
    unchanged: int
    messages: int
    undone_at: str = Field(description="Empty if it was not undone.")


class Receipts(Schema):
    """Receipts, the newest first."""

    receipts: list[Receipt]
    next: str | None = Field(description="`before` of the next page; null at the end.")


class ReceiptsQuery(Schema):
    """The query of receipts."""

    before: Number | None = Field(None, description="`next` of the page before.")
    limit: Whole = Field(50, ge=1, le=200, description="At most so many.")


class Undone(Schema):
    """What undoing did. Undoing again changes nothing."""

    removed: int = Field(description="Conversations that went.")
    restored: int = Field(description="Conversations that lost what the operation had brought.")
    attachments: int = Field(description="Attachments that went.")


class Me(Schema):
    """What the token allows."""

    name: str
    scopes: list[str]
    service: bool = Field(description="Whether a user has to be named with Chatkeep-On-Behalf-Of.")
    archive: str = Field(description="The id of the archive; empty for a service that names nobody.")
    per_minute: int = Field(description="Requests that may be made in a minute.")


Event = Literal[
    "import.done",
    "import.failed",
    "export.done",
    "export.failed",
    "backup.done",
    "backup.failed",
    "restore.done",
    "restore.failed",
    "sync.done",
    "sync.failed",
    "check.done",
    "check.failed",
    "job.paused",
]


class WebhookWanted(Given):
    """Where to tell what."""

    url: Annotated[str, StringConstraints(min_length=8, max_length=2000, pattern=r"^https?://[!-~]+$")] = Field(
        description="https; answers within ten seconds with a status that begins with 2.",
        examples=["https://chat.example/hooks/chatkeep"],
    )
    events: list[Event] = Field(min_length=1, max_length=30)


class Webhook(Schema):
    """Somebody who is told."""

    id: str
    url: str
    events: list[str]
    made_at: str
    failing_since: str | None
    trouble: str


class NewWebhook(Webhook):
    """Somebody who will be told, with the secret, which is shown this once."""

    secret: str = Field(description="Messages are signed with it.")


class Webhooks(Schema):
    """Everybody who is told."""

    webhooks: list[Webhook]


class Delivery(Schema):
    """One message to a webhook."""

    id: str
    event: str
    made_at: str
    attempts: int
    delivered_at: str | None
    next_at: str | None = Field(description="When it is tried again; null when it is not.")
    status: int | None = Field(description="What the receiver answered last.")
    trouble: str


class Deliveries(Schema):
    """The last hundred messages, the newest first."""

    deliveries: list[Delivery]


class Nothing(Schema):
    """Done; there is nothing to say."""
