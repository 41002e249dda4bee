"""What each kind of job does: it opens what the operation needs, runs it, and remembers how it went.

The command line runs the same functions in its own process, under the same lease.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from chatkeep import operations
from chatkeep.connections import opening
from chatkeep.errors import SignInAgain
from chatkeep.jobs import asking, lease, leaving, room
from chatkeep.jobs.means import Means, forget_touched, tell_changes
from chatkeep.jobs.port import Work
from chatkeep.jobs.run import Run
from chatkeep.operations import (
    BackupReport,
    CheckReport,
    CopiesReport,
    DrillReport,
    InboxReport,
    Progress,
    RestoreReport,
    SyncReport,
    TidyReport,
)
from chatkeep.rollout import flags
from chatkeep.selection import Selection
from chatkeep.vault import Policy

__all__ = ["Means", "back_up", "check", "drill", "kinds", "publish", "restore", "sync", "take_in", "tidy"]

LOOKED_INTO_FOR_S = 7 * 24 * 3600


def back_up(place: opening.Place, means: Means, *, progress: Progress) -> BackupReport:
    """Back up to a place that is open, and remember it with the connection."""
    here = means.of(place.connection.archive)
    change = here.archive.number
    report = operations.back_up(
        here.archive,
        place.vault,
        host=here.host,
        counting=place.counting,
        new_host=here.new_host,
        progress=progress,
    )
    if asking.tidies_by_itself(here.id):
        report = operations.tidy_if_due(report, place.vault, host=here.host, policy=_policy(place), progress=progress)
    opening.note_backup(place.connection, msgspec.to_builtins(report), change=change)
    return report


def tidy(
    place: opening.Place, means: Means, *, progress: Progress, policy: Mapping[str, int] | None = None, **wanted: bool
) -> TidyReport:
    """Tidy the vault of a place that is open. wanted: all_devices, dry_run.

    policy: fields of `Policy` that stand in the place of those that were set for it.
    """
    here = means.of(place.connection.archive)
    chosen = _policy(place, policy)
    return operations.tidy(place.vault, host=here.host, policy=chosen, progress=progress, **wanted)


def _policy(place: opening.Place, instead: Mapping[str, int] | None = None) -> Policy:
    """Which backups stay at a place."""
    return msgspec.convert({**(place.connection.retention or {}), **(instead or {})}, Policy)


def sync(place: opening.Place, means: Means, *, accept_deletions: bool = False, progress: Progress) -> SyncReport:
    """Sync with a place that is open, and remember it with the connection: it ends with a backup."""
    here = means.of(place.connection.archive)
    report = operations.sync(
        here.archive,
        place.vault,
        host=here.host,
        counting=place.counting,
        new_host=here.new_host,
        accept_deletions=accept_deletions,
        deletions=flags.may_delete_by_sync(),
        progress=progress,
    )
    saved = report.backup
    if asking.tidies_by_itself(here.id):
        saved = operations.tidy_if_due(saved, place.vault, host=here.host, policy=_policy(place), progress=progress)
    opening.note_backup(place.connection, msgspec.to_builtins(saved), change=report.change)
    return report


def check(
    place: opening.Place, *, read_data: bool = False, sample_percent: float | None = None, progress: Progress
) -> CheckReport:
    """Check the vault of a place that is open, and remember it with the connection."""
    report = operations.check(
        place.vault,
        read_data=read_data,
        sample_percent=sample_percent,
        made=(place.connection.backed_up or {}).get("snapshot", ""),
        progress=progress,
    )
    opening.note_check(place.connection, msgspec.to_builtins(report))
    return report


def restore(
    place: opening.Place,
    means: Means,
    *,
    progress: Progress,
    out: str = "",
    exporter: str = "json",
    into: str = "",
    **wanted: Any,
) -> RestoreReport:
    """Restore from a place that is open: into the archive, as files (`out`), or as a new archive (`into`).

    `wanted` is what `operations.restore` takes; for files and new archives without replace and dry_run.
    """
    here = means.of(place.connection.archive)
    beside = here.home / "cache" / "restore"
    if into:
        return operations.restore_into(place.vault, Path(into), progress=progress, **wanted)
    if out:
        return _as_files(place, beside, exporter, out, progress=progress, **wanted)
    return operations.restore(here.archive, place.vault, beside=beside, progress=progress, **wanted)


def _as_files(
    place: opening.Place, beside: Path, exporter: str, out: str, *, progress: Progress, **wanted: Any
) -> RestoreReport:
    from chatkeep.exporters import Customisation  # brings the renderers, which only files need

    return operations.restore_as_files(
        place.vault,
        beside=beside,
        exporter=exporter,
        customisation=Customisation(branches="all"),
        out=out,
        stream=cast(BinaryIO, sys.stdout.buffer) if out == "-" else None,
        progress=progress,
        **wanted,
    )


def drill(place: opening.Place, means: Means, *, progress: Progress, sample: int | None = None) -> DrillReport:
    """Rehearse a restore from a place that is open, and remember it with the connection."""
    here = means.of(place.connection.archive)
    connection = place.connection
    report = operations.drill(
        here.archive,
        place.vault,
        beside=here.home / "cache" / "restore",
        sample=sample or operations.SAMPLE,
        begin=(connection.drilled or {}).get("next", ""),
        unchanged_since=connection.backed_up_change if _is_last_ours(place) else None,
        progress=progress,
    )
    opening.note_drill(connection, msgspec.to_builtins(report))
    return report


def publish(
    place: opening.Place,
    means: Means,
    *,
    progress: Progress,
    exporter: str = "markdown",
    attachments: bool = False,
    remove: bool = False,
) -> CopiesReport:
    """Bring the readable copies at a place up to date; remove: take away those that this device wrote."""
    here = means.of(place.connection.archive)
    from chatkeep.exporters import Customisation  # brings the renderers, which only copies need

    if remove:
        return operations.withdraw(here.archive, place.counting, host=here.host, progress=progress)
    wishes = Customisation(attachments="copy" if attachments else "none")
    return operations.publish(
        here.archive, place.counting, host=here.host, exporter=exporter, customisation=wishes, progress=progress
    )


def take_in(place: opening.Place, means: Means, *, progress: Progress) -> InboxReport:
    """Import what lies in the inbox of a place; its pieces are kept in the data folder until they are in."""
    here = means.of(place.connection.archive)
    spool = here.home / "inbox" / place.connection.uid
    room.check(means, here.id, {"bytes": 1})
    told = room.watching(means, here.id, progress)
    return operations.take_in(here.archive, place.counting, spool=spool, progress=told)


def look_into(place: opening.Place, means: Means, *, snapshot: str, progress: Progress) -> RestoreReport:
    """Make a snapshot readable without restoring it; what was opened more than a week ago goes."""
    here = means.of(place.connection.archive)
    opened = opened_snapshots(here.home)
    for old in opened.glob("*"):
        if time.time() - old.stat().st_mtime > LOOKED_INTO_FOR_S and not old.name.startswith(snapshot or " "):
            shutil.rmtree(old, ignore_errors=True)
    return operations.look_into(place.vault, opened, snapshot=snapshot, progress=progress)


def opened_snapshots(home: Path) -> Path:
    """The folder with the snapshots that are being looked into, each in a folder by its id."""
    return home / "cache" / "opened"


def _is_last_ours(place: opening.Place) -> bool:
    """Whether the newest snapshot of the vault is the one that this machine's last backup made."""
    last = (place.connection.backed_up or {}).get("snapshot", "")
    return bool(last) and operations.snapshots(place.vault)[0].id == last


def kinds(means: Means) -> dict[str, Work]:
    """The kinds of jobs there are. Arguments, all optional unless said:

    import: paths (needed); uploaded: the paths are ours, in a folder made for them, and are deleted once they are in.
    export: out and format (needed); selection, options: fields of Selection and of Customisation.
    backup; check: read_data, sample_percent; restore: snapshot, as_of, conversations, replace, dry_run; drill: sample;
    look: snapshot; tidy: policy, all_devices, dry_run; publish: exporter, attachments, remove; inbox; sync:
    accept_deletions. From backup on they have a connection as their subject, and "connection" (its name) among their
    arguments. everything: user, out (needed); erase: certificate (needed). Each asks first whether it shall begin now
    (`asking`).
    """
    works: dict[str, Work] = {
        "import": lambda run, given: _import(means, run, given),
        "everything": lambda run, given: leaving.everything(means, run, given),
        "erase": lambda run, given: leaving.erase(means, run, given),
        "export": lambda run, given: _export(means, run, given),
        "backup": _at_a_place(means, lambda run, place, given: back_up(place, means, progress=run.progress)),
        "check": _at_a_place(means, lambda run, place, given: check(place, progress=run.progress, **given)),
        "drill": _at_a_place(means, lambda run, place, given: drill(place, means, progress=run.progress, **given)),
        "inbox": _at_a_place(means, lambda run, place, given: take_in(place, means, progress=run.progress)),
        "look": _at_a_place(means, lambda run, place, given: look_into(place, means, progress=run.progress, **given)),
        "publish": _at_a_place(means, lambda run, place, given: publish(place, means, progress=run.progress, **given)),
        "tidy": _at_a_place(means, lambda run, place, given: tidy(place, means, progress=run.progress, **given)),
        "restore": _at_a_place(means, lambda run, place, given: restore(place, means, progress=run.progress, **given)),
        "sync": _at_a_place(means, lambda run, place, given: sync(place, means, progress=run.progress, **given)),
    }
    return {kind: _telling(asking.asked(kind, work)) for kind, work in works.items()}


def _telling(work: Work) -> Work:
    """The same work, that says afterwards which archives changed, also when it broke off halfway."""

    def telling(run: Run, arguments: Mapping[str, Any]) -> object:
        forget_touched()
        try:
            return work(run, arguments)
        finally:
            lease.patiently(tell_changes)

    return telling


def _at_a_place(means: Means, work: Callable[[Run, opening.Place, dict[str, Any]], object]) -> Work:
    def at_the_place(run: Run, arguments: Mapping[str, Any]) -> object:
        given = dict(arguments)
        connection = opening.connection(given.pop("connection", ""), run.archive)
        if connection.signed_out:  # no request is made before somebody has connected the account again
            raise SignInAgain(f"{connection.name} is signed out.")
        with opening.opened(connection, means.installation_of(run.archive)) as place:
            return work(run, place, given)

    return at_the_place


def _import(means: Means, run: Run, given: Mapping[str, Any]) -> object:
    paths = [Path(path) for path in given["paths"]]
    room.check(means, run.archive, {"bytes": 1})
    told = room.watching(means, run.archive, run.progress)
    report = operations.import_from(means.archive_of(run.archive), paths, progress=told)
    if given.get("uploaded"):
        for folder in {path.parent for path in paths}:
            shutil.rmtree(folder, ignore_errors=True)
    return report


def _export(means: Means, run: Run, given: Mapping[str, Any]) -> object:
    from chatkeep.exporters import Customisation  # brings the renderers, which only an export needs

    return operations.export_to(
        means.archive_of(run.archive),
        msgspec.convert(given.get("selection", {}), Selection),
        exporter=given["format"],
        customisation=msgspec.convert(given.get("options", {}), Customisation),
        out=given["out"],
        progress=run.progress,
    )
