"""A snapshot laid out beside the archive: as an archive of its own, as files, or to be looked at and thrown away.

The archive in use is not touched by any of this.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from chatkeep.archive import Archive
from chatkeep.errors import ChatkeepError, Damaged, NotFound, Problem, WrongUse
from chatkeep.exporters import Customisation
from chatkeep.model import Conversation, decode, revision
from chatkeep.operations.exporting import export_to
from chatkeep.operations.progress import Progress, Step, quiet
from chatkeep.operations.reports import RestoreReport
from chatkeep.operations.restoring import attachments_of, choose, meant, stream_of, unread
from chatkeep.selection import Selection
from chatkeep.vault import Snapshot, Vault, VaultDocument
from chatkeep.vault.snapshot import format_time


@dataclass
class LaidOut:
    """What came of laying out a snapshot. expected: conversations that it should have of what was asked.

    revisions: of each document as the vault gave it, by id. bytes: of documents and attachments.
    """

    snapshot: Snapshot
    expected: int
    revisions: dict[str, str] = field(default_factory=dict)
    messages: int = 0
    attachments: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)


def lay_out(
    vault: Vault,
    snapshot: Snapshot,
    archive: Archive,
    *,
    ids: Sequence[str] | None = None,
    most_attachment_bytes: int | None = None,
    progress: Progress = quiet,
) -> LaidOut:
    """Put a snapshot, or chosen conversations of it, with their attachments into an archive made for it.

    Every document is compared, as the archive holds it afterwards, with what the vault gave. What is damaged becomes
    a problem and all else comes. most_attachment_bytes: leave attachments aside once so many [bytes] have come.
    Raises what the storage raises.
    """
    laid = LaidOut(snapshot, _promised(vault, snapshot) if ids is None else len(ids))
    named: set[str] = set()
    source = f"snapshot {snapshot.id[:8]} of {format_time(snapshot.time)[:16]}"
    archive.apply(_documents(vault, laid, named, ids, progress), source=source)
    _attachments(vault, laid, archive, sorted(named), most_attachment_bytes, progress)
    here = {entry.id: entry.revision for entry in archive.entries()}
    for id, shall in laid.revisions.items():
        if here.get(id) != shall:
            laid.problems.append(Problem(f"conversation {id}", "What came back is not what was saved."))
    if len(laid.revisions) < laid.expected and not laid.problems:
        what = f"{laid.expected:,} conversations were expected, and {len(laid.revisions):,} came."
        laid.problems.append(Problem(f"snapshot {snapshot.id[:8]}", what))
    return laid


def _promised(vault: Vault, snapshot: Snapshot) -> int:
    try:
        return vault.manifest(snapshot).counts["conversations"]
    except (NotFound, Damaged, KeyError):
        return snapshot.counts.get("conversations", 0)


def _documents(
    vault: Vault, laid: LaidOut, named: set[str], ids: Sequence[str] | None, progress: Progress
) -> Iterator[Conversation]:
    for found in vault.load(laid.snapshot, ids=ids):
        progress(Step("Fetching", len(laid.revisions), laid.expected, "conversations"))
        one = _decoded(found) if isinstance(found, VaultDocument) else found
        if isinstance(one, Problem):
            laid.problems.append(one)
            continue
        assert isinstance(found, VaultDocument)
        laid.revisions[one.id] = revision(found.data)
        laid.messages += len(one.messages)
        laid.bytes += len(found.data)
        named |= attachments_of(one)
        yield one


def _decoded(found: VaultDocument) -> Conversation | Problem:
    where = f"conversation {found.id}"
    try:
        one = decode(found.data)
    except ChatkeepError as error:
        return Problem(where, error.what)
    return one if one.id == found.id else Problem(where, "The document is that of another conversation.")


def _attachments(
    vault: Vault, laid: LaidOut, archive: Archive, named: list[str], most: int | None, progress: Progress
) -> None:
    begun = laid.bytes
    for number, sha256 in enumerate(named):
        if most is not None and laid.bytes - begun >= most:
            return
        progress(Step("Fetching", number, len(named), "attachments"))
        try:
            laid.bytes += archive.keep(stream_of(vault.attachment(laid.snapshot, sha256))).size
            laid.attachments += 1
        except (NotFound, Damaged) as error:
            laid.problems.append(Problem(f"attachment {sha256[:16]}", error.what))


@contextmanager
def scratch(beside: Path) -> Iterator[Archive]:
    """An empty archive in a folder of its own below `beside`, gone at the end of the block."""
    beside.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=beside, prefix="laid-out-", ignore_cleanup_errors=True) as folder,
        Archive.open(Path(folder), device="restore") as archive,
    ):
        yield archive


def restore_into(
    vault: Vault,
    folder: Path,
    *,
    snapshot: str = "",
    as_of: str = "",
    conversations: Sequence[str] = (),
    progress: Progress = quiet,
) -> RestoreReport:
    """Restore into a new archive in a folder that is empty or not there; the archive in use is not touched.

    The folder can be used as the data folder of a Chatkeep afterwards. When it ends with an error the folder is as it
    was before. snapshot, as_of, conversations: as `restore` has them.
    Raises WrongUse when something lies in the folder, NotFound, and what the storage raises.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WrongUse(f"{folder} is not empty.", hint="Name a folder that does not exist yet.")
    chosen = choose(vault, snapshot=snapshot, as_of=as_of)
    wanted = _wanted(vault, chosen, conversations)
    return _laid_into(folder, vault, chosen, ids=wanted, most=None, progress=progress)


def _laid_into(
    folder: Path, vault: Vault, chosen: Snapshot, *, ids: Sequence[str] | None, most: int | None, progress: Progress
) -> RestoreReport:
    """Lay out under another name beside the folder, which gets its own when all is in it."""
    begun = folder.with_name(f".{folder.name}.restoring")
    shutil.rmtree(begun, ignore_errors=True)  # of a run that was killed
    begun.mkdir(parents=True, mode=0o700)
    try:
        with Archive.open(begun) as archive:
            laid = lay_out(vault, chosen, archive, ids=ids, most_attachment_bytes=most, progress=progress)
            laid.problems += unread(vault)
        begun.replace(folder)
    except BaseException:
        shutil.rmtree(begun, ignore_errors=True)
        raise
    return _report(laid, out=str(folder))


def look_into(vault: Vault, folder: Path, *, snapshot: str = "", progress: Progress = quiet) -> RestoreReport:
    """Make a snapshot readable as an archive in a folder, without its attachments; at once if that was done before.

    snapshot: as `restore` has it. Raises NotFound, and what the storage raises; then nothing is left in the folder.
    """
    chosen = choose(vault, snapshot=snapshot)
    if not (folder / chosen.id / "archive.sqlite3").exists():
        return _laid_into(folder / chosen.id, vault, chosen, ids=None, most=0, progress=progress)
    with Archive.open(folder / chosen.id) as archive:
        counts = archive.counts()
        revisions = {entry.id: entry.revision for entry in archive.entries()}
    laid = LaidOut(chosen, len(revisions), revisions=revisions, messages=counts.messages)
    return _report(laid, out=str(folder / chosen.id))


def restore_as_files(
    vault: Vault,
    *,
    beside: Path,
    exporter: str,
    customisation: Customisation,
    out: str,
    stream: BinaryIO | None = None,
    snapshot: str = "",
    as_of: str = "",
    conversations: Sequence[str] = (),
    progress: Progress = quiet,
) -> RestoreReport:
    """Restore as files to read or keep; the archive in use is not touched.

    exporter, customisation, out, stream: as `export_to` has them; the rest as `restore` has it. What lay in the trash
    is written too.
    """
    chosen = choose(vault, snapshot=snapshot, as_of=as_of)
    wanted = _wanted(vault, chosen, conversations)
    with scratch(beside) as archive:
        laid = lay_out(vault, chosen, archive, ids=wanted, progress=progress)
        for one in archive.listing(Selection(trashed=True)):  # asked for with the rest, so written with the rest
            archive.edit(one.id, "trashed", False)
        written = export_to(
            archive,
            Selection(),
            exporter=exporter,
            customisation=customisation,
            out=out,
            stream=stream,
            progress=progress,
        )
    laid.problems += [*written.problems, *unread(vault)]
    return _report(laid, out=out, files=written.files)


def _wanted(vault: Vault, snapshot: Snapshot, conversations: Sequence[str]) -> list[str] | None:
    return sorted({meant(one, vault, snapshot) for one in conversations}) if conversations else None


def _report(laid: LaidOut, *, out: str, files: int = 0) -> RestoreReport:
    return RestoreReport(
        snapshot=laid.snapshot.id,
        time=format_time(laid.snapshot.time),
        dry_run=False,
        expected=laid.expected,
        restored=len(laid.revisions),
        changed=0,
        messages=laid.messages,
        attachments=laid.attachments,
        conversations=[],
        receipt="",
        out=out,
        files=files,
        problems=laid.problems,
    )
