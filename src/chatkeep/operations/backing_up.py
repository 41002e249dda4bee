"""The archive into a vault, and proof that it is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import BinaryIO

from chatkeep import happenings
from chatkeep.archive import Archive
from chatkeep.errors import Damaged, NotFound, Problem
from chatkeep.operations.lineage import Lineage, NewHost
from chatkeep.operations.progress import Progress, Step, quiet
from chatkeep.operations.reports import BackupReport, SnapshotInfo
from chatkeep.storage import Counting
from chatkeep.vault import Contents, Saved, Snapshot, Vault, VaultAttachment, ZstdFrame
from chatkeep.vault.snapshot import format_time


def back_up(
    archive: Archive,
    vault: Vault,
    *,
    host: str,
    counting: Counting,
    parents: Sequence[Snapshot] = (),
    new_host: NewHost | None = None,
    progress: Progress = quiet,
) -> BackupReport:
    """Save the archive as a snapshot; only what the vault does not hold is sent.

    Afterwards the snapshot is read back from the vault and its counts are compared with those of the archive. An
    attachment that a document names is carried forward when the vault holds it; when neither this machine nor the
    vault does, that is a problem of the report, and everything else is saved.
    host: this device. counting: the storage of the vault, whose calls and bytes are reported. parents: snapshots of
    other devices that were merged before. new_host: gives this machine a new name, when the newest snapshot under
    its name was made by a copy of it, or by itself before it was set back.
    Raises Busy, QuotaFull, SlowDown and what else the storage raises; then no snapshot was made, and running it again
    goes on with what was sent.
    """
    progress(Step("Looking for what is new"))
    entries = [(entry.id, entry.revision, entry.updated_at) for entry in archive.entries()]
    counts = archive.counts()
    contents = Contents(
        entries=entries,
        load=archive.document,
        frames=partial(_frames, archive),
        attachments=_attachments(archive),
        tombstones=dict(archive.tombstones()),
        counts={"messages": counts.messages},
    )

    def told(done: int, total: int) -> None:
        progress(Step("Sending", done, total, "conversations"))

    lineage = Lineage(archive, vault.id)
    if new_host and not lineage.is_ours(vault.newest(host)):
        host = archive.device = new_host()
    lineage.saving(host)
    saved = vault.save(contents, host=host, parents=parents, progress=told)
    lineage.saved(saved.snapshot)
    progress(Step("Verifying"))
    expected = {"conversations": len(entries), "messages": counts.messages}
    return _report(saved, [*saved.problems, *_differences(vault, saved, expected)], counting)


def _attachments(archive: Archive) -> Iterator[VaultAttachment]:
    """Every attachment that a document names, held here or not."""
    for sha256, size, held in archive.named():
        yield VaultAttachment(sha256, size, partial(_open, archive, sha256) if held else None)


def _frames(archive: Archive, ids: Sequence[str]) -> dict[str, ZstdFrame]:
    """Documents, compressed as the archive has them, of those that it has in one piece."""
    return {id: ZstdFrame(*frame) for id, frame in archive.frames(ids).items()}


def _open(archive: Archive, sha256: str) -> BinaryIO:
    return archive.attachment(sha256).open("rb")


def _differences(vault: Vault, saved: Saved, expected: Mapping[str, int]) -> Iterator[Problem]:
    """What the snapshot says it holds, read back from the vault, against what the archive holds.

    One that nothing was added to, and that was read back when it was made, is not read again.
    """
    snapshot = saved.snapshot
    where = f"snapshot {snapshot.id[:8]}"
    known = saved.unchanged and vault.was_read_back(snapshot)
    try:
        found = snapshot.counts if known else vault.read_again(snapshot).counts
    except (NotFound, Damaged) as error:
        happenings.tell("verify_objects_total", result="mismatch")
        yield Problem(where, f"It cannot be read back: {error.what} Back up again.")
        return
    wrong = [name for name, number in expected.items() if found.get(name) != number]
    happenings.tell("verify_objects_total", result="mismatch" if wrong else "match")
    for name in wrong:
        what = f"It holds {found.get(name, 0):,} {name}, but the archive has {expected[name]:,}. Back up again."
        yield Problem(where, what)
    if not wrong and not known:
        vault.note_read_back(snapshot)


def _report(saved: Saved, problems: list[Problem], counting: Counting) -> BackupReport:
    counts = saved.snapshot.counts
    happenings.tell("backup_bytes_total", counting.sent)
    return BackupReport(
        snapshot=saved.snapshot.id,
        conversations=saved.conversations,
        messages=counts.get("messages", 0),
        attachments=counts.get("attachments", 0),
        new_documents=saved.new_documents,
        new_attachments=saved.new_attachments,
        bytes_sent=counting.sent,
        requests=counting.requests,
        verified=saved.verified and not problems,
        unchanged=saved.unchanged,
        problems=problems,
    )


def snapshots(vault: Vault) -> list[SnapshotInfo]:
    """What can be restored, newest first. Snapshots of other programs are left out."""
    found = [snapshot for snapshot in vault.snapshots() if not snapshot.foreign]
    return [info(snapshot) for snapshot in sorted(found, key=lambda one: one.time, reverse=True)]


def info(snapshot: Snapshot) -> SnapshotInfo:
    """A snapshot as it is listed."""
    return SnapshotInfo(
        id=snapshot.id,
        time=format_time(snapshot.time),
        device=snapshot.host,
        conversations=snapshot.counts.get("conversations", 0),
        messages=snapshot.counts.get("messages", 0),
        attachments=snapshot.counts.get("attachments", 0),
    )
