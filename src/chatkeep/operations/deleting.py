"""The four ways in which a conversation goes: into the trash, deleted, undone (`Archive.undo`), erased.

The trash is a mark that anybody takes away again. A deletion is for good, and reaches every device by sync. Erasure
also goes back to what was saved before; what it cannot reach, it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from chatkeep import views
from chatkeep.archive import Archive
from chatkeep.errors import Problem
from chatkeep.model import instant
from chatkeep.operations.reports import DeleteReport
from chatkeep.selection import Selection

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
