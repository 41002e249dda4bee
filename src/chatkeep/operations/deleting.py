"""The four ways in which a conversation goes: into the trash, deleted, undone (`Archive.undo`), erased.

The trash is a mark that anybody takes away again. A deletion is for good, and reaches every device by sync. Erasure
also goes back to what was saved before; what it cannot reach, it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from chatkeep import views
from chatkeep.archive import Archive
from chatkeep.errors import ChatkeepError, NotFound, Problem
from chatkeep.model import instant
from chatkeep.operations.progress import Progress, Step, quiet
from chatkeep.operations.reports import DeleteReport, ForgetReport
from chatkeep.selection import Selection
from chatkeep.vault import Vault

KEPT_IN_TRASH = timedelta(days=30)
_MOST_AT_ONCE = 100


def trash(archive: Archive, ids: Iterable[str], *, now: datetime | None = None) -> None:
    """Put conversations into the trash. After thirty days there they are deleted, by the next sync or backup."""
    moment = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for id in ids:
        archive.edit(id, "trashed", moment)


def untrash(archive: Archive, ids: Iterable[str]) -> None:
    """Take conversations out of the trash again."""
    for id in ids:
        archive.edit(id, "trashed", None)


def delete(archive: Archive, ids: Sequence[str]) -> DeleteReport:
    """Delete conversations for good, here and by the next sync on every device.

    Old backups still have them until they are thinned out. Raises NotFound before anything is deleted.
    """
    for id in ids:
        archive.listed(id)
    return DeleteReport(conversations=len(ids), attachments=archive.delete(ids))


def empty_trash(archive: Archive, *, now: datetime) -> DeleteReport:
    """Delete what has lain in the trash for thirty days.

    More than a hundred that fall due at once are left, with a problem: a clock that is wrong must not empty the trash.
    """
    due = [one.id for one in archive.listing(Selection(trashed=True)) if _is_due(archive, one.id, now)]
    if len(due) > _MOST_AT_ONCE:
        what = f"{len(due):,} conversations are due at once, so none was deleted. chatkeep delete --trash deletes them."
        return DeleteReport(problems=[Problem("trash", what)])
    return delete(archive, due) if due else DeleteReport()


def _is_due(archive: Archive, id: str, now: datetime) -> bool:
    since = views.edited(archive.load(id), "trashed")
    moment = instant(since) if isinstance(since, str) else None
    return moment is not None and now - moment > KEPT_IN_TRASH


Reached = Callable[[Sequence[str]], Iterable[Problem]]
"""Removes conversations from one more place (readable copies) and gives a problem for what it could not remove."""


def forget(
    archive: Archive,
    vaults: Mapping[str, Vault],
    ids: Sequence[str],
    *,
    places: Sequence[Reached] = (),
    progress: Progress = quiet,
) -> ForgetReport:
    """Erase conversations here and in backups for ever, and say where they still are.

    Rows, words of the index, attachments and digests go, and only the mark of the id stays. It travels with the next
    backup or sync, so that every device erases too and nothing comes back under that id.
    vaults: open, by the name of their connection: their backups are written anew without them. ids: whole, or enough
    to be unique for conversations that are here. places: asked to remove their copies first. It can be run again for
    what could not be reached.
    Raises NotFound before anything is erased.
    """
    whole = [_whole(archive, id) for id in ids]
    problems = [problem for remove in places for problem in _removed(remove, whole)]
    progress(Step("Erasing", 0, len(whole), "conversations"))
    named = {sha256 for sha256, _, _ in archive.named()}
    attachments = archive.erase(whole)
    unnamed = named - {sha256 for sha256, _, _ in archive.named()}
    rewritten = backups = 0
    for name, vault in vaults.items():
        progress(Step("Erasing from backups", note=name))
        try:
            erased = vault.erase(whole, host=archive.device, attachments=unnamed)
            rewritten += erased.snapshots_rewritten
            problems += [Problem(f"backups at {name}, {left.where}", left.what) for left in erased.left]
            backups += _still_in(vault, whole)
        except ChatkeepError as error:
            what = f"They could not be reached: {error.what} Run it again for: {', '.join(whole)}"
            problems.append(Problem(f"backups at {name}", what))
    return ForgetReport(
        conversations=len(whole),
        attachments=attachments,
        rewritten=rewritten,
        backups=backups,
        not_reached=_NOT_REACHED,
        problems=problems,
    )


def _removed(remove: Reached, ids: Sequence[str]) -> list[Problem]:
    try:
        return list(remove(ids))
    except ChatkeepError as error:
        what = f"They could not be looked through: {error.what} Run it again for: {', '.join(ids)}"
        return [Problem("readable copies", what)]


_WHOLE_ID = 36
_NOT_REACHED = (
    "Exports and copies that you made or gave away, and the file that it was imported from.",
    "The service that it came from.",
    "Devices that have not synced since: they erase it at their next sync.",
    "What a provider keeps of deleted files, in a trash and in backups of its own.",
)


def _whole(archive: Archive, id: str) -> str:
    try:
        return archive.listed(id).id
    except NotFound:
        if len(id) == _WHOLE_ID:
            return id
        raise


def _still_in(vault: Vault, ids: Sequence[str]) -> int:
    """How many backups of a vault have any of these conversations."""
    found = (one for one in vault.snapshots() if not one.foreign)
    return sum(any(vault.conversations(snapshot, prefix=id) for id in ids) for snapshot in found)
