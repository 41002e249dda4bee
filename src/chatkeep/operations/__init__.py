"""The product on one page: what command line, pages and jobs call.

    import_from   exports into the archive, as one import with one receipt
    export_to     conversations out of it, as files to read or to keep
    back_up       the archive into a vault; only what changed is sent
    snapshots     what a vault can give back
    restore       everything or chosen conversations back, as of a snapshot; undone by its receipt
    restore_into, restore_as_files   the same into a new archive, or as files; the archive in use is not touched
    look_into     a snapshot as an archive to read in, without restoring it
    drill         a sample restored beside the archive and compared: does the backup work?
    sync          what other devices have, merged; then backed up. Only what somebody deleted is deleted
    trash, untrash, delete, empty_trash, forget
                  the ways in which a conversation goes, and comes back
    check         whether a vault is whole
    tidy          old backups forgotten, what nothing needs removed, small things merged
    publish       readable copies at a place, one way; only what changed (withdraw: takes them away again)
    take_in       what lies in the inbox of a place
    adopt         what another archive holds, all of it, with counts compared

Each receives what it works on opened (an archive, a vault), tells its progress step by step, and gives a report: a
value whose JSON is a contract. Each leaves whole things only when it is stopped, and goes on where it was when run
again. To find and read is what `Archive` does itself (`listing`, `search`, `window`); so is undoing (`Archive.undo`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatkeep.operations.adopting import adopt
    from chatkeep.operations.backing_up import back_up, snapshots
    from chatkeep.operations.checking import check
    from chatkeep.operations.deleting import delete, empty_trash, forget, trash, untrash
    from chatkeep.operations.drilling import SAMPLE, drill
    from chatkeep.operations.exporting import export_to
    from chatkeep.operations.importing import import_from
    from chatkeep.operations.inbox import take_in
    from chatkeep.operations.laying_out import look_into, restore_as_files, restore_into
    from chatkeep.operations.progress import Cancelled, Progress, Step, quiet
    from chatkeep.operations.publishing import erase_copies, publish, withdraw
    from chatkeep.operations.reports import (
        AdoptReport,
        Attachments,
        BackupReport,
        Change,
        CheckReport,
        Compared,
        CopiesReport,
        DeleteReport,
        DrillReport,
        ExportReport,
        ForgetReport,
        Given,
        ImportReport,
        InboxReport,
        Report,
        RestoreReport,
        SnapshotInfo,
        SyncReport,
        Taken,
        TidyReport,
    )
    from chatkeep.operations.restoring import restore, unread
    from chatkeep.operations.syncing import sync
    from chatkeep.operations.tidying import tidy, tidy_if_due

__all__ = [
    "SAMPLE",
    "AdoptReport",
    "Attachments",
    "BackupReport",
    "Cancelled",
    "Change",
    "CheckReport",
    "Compared",
    "CopiesReport",
    "DeleteReport",
    "DrillReport",
    "ExportReport",
    "ForgetReport",
    "Given",
    "ImportReport",
    "InboxReport",
    "Progress",
    "Report",
    "RestoreReport",
    "SnapshotInfo",
    "Step",
    "SyncReport",
    "Taken",
    "TidyReport",
    "adopt",
    "back_up",
    "check",
    "delete",
    "drill",
    "empty_trash",
    "erase_copies",
    "export_to",
    "forget",
    "import_from",
    "look_into",
    "publish",
    "quiet",
    "restore",
    "restore_as_files",
    "restore_into",
    "snapshots",
    "sync",
    "take_in",
    "tidy",
    "tidy_if_due",
    "trash",
    "unread",
    "untrash",
    "withdraw",
]

_ELSEWHERE = (
    {
        "publish": "publishing",
        "take_in": "inbox",
        "withdraw": "publishing",
        "SAMPLE": "drilling",
        "adopt": "adopting",
        "back_up": "backing_up",
        "check": "checking",
        "drill": "drilling",
        "erase_copies": "publishing",
        "export_to": "exporting",
        "import_from": "importing",
        "look_into": "laying_out",
        "restore": "restoring",
        "restore_as_files": "laying_out",
        "restore_into": "laying_out",
        "snapshots": "backing_up",
        "sync": "syncing",
        "unread": "restoring",
    }
    | dict.fromkeys(("delete", "empty_trash", "forget", "trash", "untrash"), "deleting")
    | dict.fromkeys(("tidy", "tidy_if_due"), "tidying")
    | dict.fromkeys(("Cancelled", "Progress", "Step", "quiet"), "progress")
)


def __getattr__(name: str) -> Any:
    """Each operation is loaded when it is first used, so that finding a message does not wait for the vault."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'reports')}"), name)
