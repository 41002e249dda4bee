"""A rehearsal of the restore: a sample comes back from the vault into a scratch archive, and is compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from chatkeep import happenings
from chatkeep.archive import Archive
from chatkeep.errors import Damaged, Problem
from chatkeep.operations.laying_out import LaidOut, lay_out, scratch
from chatkeep.operations.progress import Progress, Step, quiet
from chatkeep.operations.reports import DrillReport
from chatkeep.operations.restoring import choose, unread
from chatkeep.vault import Vault
from chatkeep.vault.snapshot import format_time

SAMPLE = 100
MOST_ATTACHMENT_BYTES = 256 * 1024 * 1024


def drill(
    archive: Archive,
    vault: Vault,
    *,
    beside: Path,
    sample: int = SAMPLE,
    begin: str = "",
    unchanged_since: int | None = None,
    progress: Progress = quiet,
) -> DrillReport:
    """Restore a sample of the newest snapshot into a scratch archive below `beside`, and compare it.

    Every document of the sample is compared with what was saved and, where nothing changed here since, with the one
    here; attachments by their hash, until 256 MB of them have come. sample: how many conversations, all if there are
    no more. begin: `next` of the drill before, so that the sample goes round. unchanged_since: the number of the
    archive's last change that is in the newest snapshot; None when that is not known.
    What does not come back as it was saved is a problem. Raises NotFound when there is no snapshot, and what the
    storage raises. The archive is only read.
    """
    progress(Step("Looking for the snapshot"))
    chosen = choose(vault)
    try:
        ids = vault.conversations(chosen, prefix="")
    except Damaged as error:  # then not even a list of what to restore comes back
        return _report(LaidOut(chosen, 0, problems=[Problem(f"snapshot {chosen.id[:8]}", error.what)]), {}, 0, begin)
    taken, following = _slice(ids, begin, sample)
    with scratch(beside) as beside_it:
        laid = lay_out(
            vault,
            chosen,
            beside_it,
            ids=taken,
            most_attachment_bytes=MOST_ATTACHMENT_BYTES,
            progress=progress,
        )
    laid.problems += unread(vault)
    here = {entry.id: entry.revision for entry in archive.entries()}
    laid.problems += _strangers(laid, archive, here, unchanged_since)
    return _report(laid, here, len(ids), following)


def _report(laid: LaidOut, here: dict[str, str], conversations: int, following: str) -> DrillReport:
    happenings.tell("verify_objects_total", len(laid.revisions), result="match")
    if laid.problems:
        happenings.tell("verify_objects_total", len(laid.problems), result="mismatch")
    return DrillReport(
        ok=not laid.problems,
        snapshot=laid.snapshot.id,
        time=format_time(laid.snapshot.time),
        conversations=conversations,
        compared=len(laid.revisions),
        as_here=sum(here.get(id) == came for id, came in laid.revisions.items()),
        attachments=laid.attachments,
        bytes=laid.bytes,
        next=following,
        problems=laid.problems,
    )


def _slice(ids: Sequence[str], begin: str, sample: int) -> tuple[list[str], str]:
    """So many ids from `begin` on, round the end, and where the next slice begins."""
    at = next((number for number, id in enumerate(ids) if id >= begin), 0)
    round_it = [*ids[at:], *ids[:at]]
    taken = round_it[:sample]
    return taken, round_it[sample] if len(round_it) > sample else ""


def _strangers(laid: LaidOut, archive: Archive, here: dict[str, str], since: int | None) -> Iterator[Problem]:
    """What differs from the archive, though nothing changed there since the snapshot."""
    if since is None:
        return
    changed = {change.id for change in archive.changes_since(since)}
    for id, came in laid.revisions.items():
        if id not in changed and here.get(id) != came:
            yield Problem(f"conversation {id}", "It came back otherwise than it is here, though nothing changed here.")
