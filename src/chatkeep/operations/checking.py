"""Is the vault whole, and does it hold what it says?"""

from __future__ import annotations

from chatkeep import happenings
from chatkeep.errors import ChatkeepError, Problem
from chatkeep.operations.progress import Progress, Step, quiet
from chatkeep.operations.reports import CheckReport
from chatkeep.vault import Snapshot, Vault


def check(
    vault: Vault,
    *,
    read_data: bool = False,
    sample_percent: float | None = None,
    made: str = "",
    progress: Progress = quiet,
) -> CheckReport:
    """Check a vault: that everything its snapshots name is there, and that the counts are those they promise.

    read_data: also read and verify every byte. sample_percent: read so many of the packs, others each time.
    made: the snapshot that this machine made last; a vault that no longer has it is not whole, however well the rest
    fits together.
    Damage is in the report and never an exception; raises what the storage raises when it cannot be reached.
    """
    progress(Step("Checking"))

    def told(done: int, total: int) -> None:
        progress(Step("Reading", done, total, "packs"))

    found = vault.check(read_data=read_data, sample_percent=sample_percent, progress=told)
    snapshots = [snapshot for snapshot in vault.snapshots() if not snapshot.foreign]
    counts = [problem for snapshot in snapshots[-1:] for problem in _counts(vault, snapshot)]
    gone = _gone(made, snapshots, vault.unread())
    _tell(found.read, mismatch=found.damaged + len(counts), missing=found.missing + len(gone))
    return CheckReport(
        ok=found.ok and not counts and not gone,
        damaged=found.damaged,
        missing=found.missing + len(gone),
        read=found.read,
        snapshots=len(snapshots),
        conversations=snapshots[-1].counts.get("conversations", 0) if snapshots else 0,
        problems=[*found.problems, *counts, *gone],
    )


def _tell(read: int, *, mismatch: int, missing: int) -> None:
    for result, number in (("match", max(read - mismatch, 0)), ("mismatch", mismatch), ("missing", missing)):
        if number:
            happenings.tell("verify_objects_total", number, result=result)


def _gone(made: str, snapshots: list[Snapshot], unread: list[str]) -> list[Problem]:
    """A problem when the last backup that this machine made is no longer there, under this name or a later one."""
    if not made or made in unread or any(made in (one.id, one.original) for one in snapshots):
        return []
    what = (
        "The last backup that this machine made is no longer there. Somebody removed it, or the place gave back an "
        "older state. If this machine has the conversations, back up again."
    )
    return [Problem(f"snapshot {made[:8]}", what)]


def _counts(vault: Vault, snapshot: Snapshot) -> list[Problem]:
    """The counts in the newest snapshot's tree against those it is listed with."""
    where = f"snapshot {snapshot.id[:8]}"
    try:
        manifest = vault.manifest(snapshot)
    except ChatkeepError as error:
        return [Problem(where, error.what)]
    listed = {name: snapshot.counts.get(name) for name in manifest.counts}
    if listed != dict(manifest.counts):
        return [Problem(where, "Its counts are not those that it is listed with.")]
    return []
