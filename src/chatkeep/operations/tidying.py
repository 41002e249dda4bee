"""A vault that does not grow for ever: old backups are forgotten, what nothing needs goes, small things are merged."""

from __future__ import annotations

import msgspec

from chatkeep.errors import ChatkeepError
from chatkeep.operations.backing_up import info
from chatkeep.operations.progress import Progress, Step, quiet
from chatkeep.operations.reports import BackupReport, TidyReport
from chatkeep.vault import Policy, Vault


def tidy(
    vault: Vault,
    *,
    host: str,
    policy: Policy | None = None,
    all_devices: bool = False,
    dry_run: bool = False,
    progress: Progress = quiet,
) -> TidyReport:
    """Forget old snapshots by a policy, and remove what no snapshot needs; that goes a day after it was found.

    host: this device; only its snapshots are judged unless all_devices. The newest of a device stays, and so does
    everything younger than two days. dry_run: only say what would go.
    Raises Busy when anybody else works on the vault; stopped anywhere it can be run again.
    """
    progress(Step("Looking at the vault"))
    done = vault.tidy(
        policy, host=host, all_devices=all_devices, dry_run=dry_run, progress=lambda doing: progress(Step(doing))
    )
    return TidyReport(
        dry_run=dry_run,
        kept=len(done.kept),
        forgotten=[info(snapshot) for snapshot in done.forgotten],
        freed=done.freed,
        freed_later=done.freed_later,
        merged=done.merged,
        problems=done.problems,
    )


def tidy_if_due(
    report: BackupReport, vault: Vault, *, host: str, policy: Policy | None = None, progress: Progress = quiet
) -> BackupReport:
    """The report of a backup, after the vault was tidied if there was enough to tidy.

    That somebody else works on the vault, or that it cannot be reached any more, is no problem of the backup: the next
    one tries again. What cannot be read in the vault is.
    """
    if not vault.needs_tidying(host=host, policy=policy):
        return report
    try:
        problems = tidy(vault, host=host, policy=policy, progress=progress).problems
    except ChatkeepError:
        return report
    return msgspec.structs.replace(report, problems=[*report.problems, *problems])
