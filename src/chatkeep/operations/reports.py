"""What operations report: plain values whose JSON is the contract of the command line (docs/cli.md).

Fields may be added, never renamed: scripts that we do not know rely on them.
"""

from __future__ import annotations

import msgspec

from chatkeep.errors import Problem


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What every report has. problems: what was not done as asked; missing attachments alone are none."""

    problems: list[Problem] = []


class Attachments(msgspec.Struct, frozen=True, kw_only=True):
    """stored: held by the archive; missing: named by a conversation, absent from the export."""

    stored: int = 0
    missing: int = 0


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was imported, and the platform that it came from."""

    path: str
    platform: str


class ImportReport(Report, frozen=True, kw_only=True):
    """An import. added, updated, unchanged: conversations. messages: all of the tree in the source.

    receipt: the id to undo the import by. by_role: the messages by the role of their author. shells: conversations that
    the platform has blanked. unknown: blocks kept raw because no importer knows them, by kind. notes: what is worth
    knowing and is no problem.
    """

    added: int
    updated: int
    unchanged: int
    messages: int
    attachments: Attachments
    unknown: dict[str, int]
    source: list[Given]
    receipt: str
    by_role: dict[str, int]
    shells: int
    notes: list[str]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """given: how many there are in what was given; here: how many of these are here now."""

    given: int
    here: int


class AdoptReport(Report, frozen=True, kw_only=True):
    """An archive that was taken over. added, updated: conversations. The rest: counts compared.

    receipts: those that can be undone here as they could there; not needed for what was given to be here.
    """

    added: int
    updated: int
    conversations: Compared
    messages: Compared
    attachments: Compared
    tombstones: Compared
    receipts: Compared

    @property
    def is_whole(self) -> bool:
        """Whether all that was given is here."""
        counts = (self.conversations, self.messages, self.attachments, self.tombstones)
        return not self.problems and all(one.given == one.here for one in counts)


class ExportReport(Report, frozen=True, kw_only=True):
    """An export. bytes: written in all.

    messages: all of the trees of these conversations. attachments: written beside or into the files.
    missing_attachments: named by a conversation, but never in an export. left_out: here, but a single file of text has
    no place for them.
    """

    files: int
    conversations: int
    messages: int
    bytes: int
    attachments: int = 0
    missing_attachments: int = 0
    left_out: int = 0


class BackupReport(Report, frozen=True, kw_only=True):
    """A backup.

    snapshot: its id; that of the newest when nothing had changed (`unchanged`). requests: all calls to the provider.
    new_documents: that the vault did not hold. verified: it was read back, and its counts are those of the archive.
    """

    snapshot: str
    conversations: int
    messages: int
    attachments: int
    new_documents: int
    new_attachments: int
    bytes_sent: int
    requests: int
    verified: bool
    unchanged: bool


class SyncReport(Report, frozen=True, kw_only=True):
    """A sync.

    pulled: documents that were fetched from other devices. merged: conversations that this added or changed here.
    conflicts: what two devices did differently and a person may look at. deleted: conversations that went because
    another device deleted or undid them; held_back: that did not go, as they were too many at once. pushed: documents
    that the vault did not hold. snapshot: the newest of this device; unchanged: it was there already. requests: all
    calls to the provider. devices: the others that were seen. emptied: deleted after thirty days in the trash.
    host: this device, under a new name if it was found to be a copy of another. backup: the backup it ended with;
    change: the last change of the archive that is in it.
    """

    pulled: int
    merged: int
    conflicts: int
    deleted: int
    pushed: int
    requests: int
    snapshot: str
    unchanged: bool
    conversations: int
    devices: int
    attachments: int
    held_back: int
    emptied: int
    host: str
    backup: BackupReport
    change: int


class DeleteReport(Report, frozen=True, kw_only=True):
    """A deletion. attachments: that went with the conversations, as no other needs them."""

    conversations: int = 0
    attachments: int = 0


class ForgetReport(Report, frozen=True, kw_only=True):
    """An erasure. rewritten: backups that were written anew without it. backups: that still have it. not_reached: what
    no erasure reaches, in sentences.
    """

    conversations: int
    attachments: int
    rewritten: int
    backups: int
    not_reached: tuple[str, ...]


class SnapshotInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot that can be restored. time: RFC 3339."""

    id: str
    time: str
    device: str
    conversations: int
    messages: int
    attachments: int = 0


class TidyReport(Report, frozen=True, kw_only=True):
    """What tidying a vault did, or would do (`dry_run`).

    kept: snapshots that stay. forgotten: those that went, oldest first. freed: bytes gone from the place; freed_later:
    that go when a day has passed. merged: small packs that became part of larger ones.
    """

    dry_run: bool
    kept: int
    forgotten: list[SnapshotInfo]
    freed: int
    freed_later: int
    merged: int


class Change(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a restore does to one conversation. added, changed, removed: messages."""

    id: str
    title: str
    new: bool
    added: int
    changed: int
    removed: int


class RestoreReport(Report, frozen=True, kw_only=True):
    """A restore, or what it would do (`dry_run`).

    expected: conversations that the snapshot says it has of what was asked. restored: that are here as the snapshot
    has them, or fuller, after it. changed: that it brought or altered. conversations: what changes, one by one.
    receipt: the id to undo it by; "" when nothing changed. messages: in the restored conversations.
    out, files: where it was written and in how many files, when it did not go into the archive.
    """

    snapshot: str
    time: str
    dry_run: bool
    expected: int
    restored: int
    changed: int
    messages: int
    attachments: int
    conversations: list[Change]
    receipt: str
    out: str = ""
    files: int = 0


class CheckReport(Report, frozen=True, kw_only=True):
    """A check of a vault.

    ok: nothing is damaged or missing, and the counts are those that the newest snapshot promises. damaged, missing: how
    many objects and blobs; the problems say which, and which conversations suffer. read: packs read and verified.
    """

    ok: bool
    damaged: int
    missing: int
    read: int
    snapshots: int
    conversations: int


class DrillReport(Report, frozen=True, kw_only=True):
    """A restore that was rehearsed in a scratch archive.

    ok: everything of the sample came back as it was saved. conversations: in the snapshot; compared: of these restored
    and compared; as_here: of these that are the same as here (the rest changed here since). attachments, bytes: that
    came with them. next: where the sample of the next drill begins.
    """

    ok: bool
    snapshot: str
    time: str
    conversations: int
    compared: int
    as_here: int
    attachments: int
    bytes: int
    next: str


class CopiesReport(Report, frozen=True, kw_only=True):
    """Readable copies that were brought up to date.

    conversations: that are to have a copy. written, removed: copies, now. unchanged: that were up to date. kept: files
    that somebody edited, which are left as they are. left_out: conversations whose copy no place takes. attachments:
    written now. verified: every copy was seen at the place afterwards, with its size, one for each conversation.
    """

    conversations: int
    written: int
    removed: int
    unchanged: int
    kept: int
    left_out: int
    attachments: int
    bytes_sent: int
    requests: int
    verified: bool
    notes: list[str] = []


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """One thing of an inbox that was imported. receipt: the id to undo it by. moved: where it lies now."""

    name: str
    added: int
    updated: int
    unchanged: int
    messages: int
    receipt: str
    moved: str


class InboxReport(Report, frozen=True, kw_only=True):
    """An inbox that was looked through.

    waiting: what is still growing, and is taken at a later look. left: what is no export that we know, and stays; each
    is a problem once.
    """

    taken: list[Taken]
    waiting: list[str]
    left: list[str]
    bytes_received: int
    requests: int
    notes: list[str] = []


def to_builtins(report: object) -> object:
    """The report as plain JSON values."""
    return msgspec.to_builtins(report)
