"""What the process that answers lends to the API: its opened archives, and what connections are opened with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from chatkeep.archive import Archive
from chatkeep.jobs import room
from chatkeep.jobs.means import Means

_lent: list[Callable[[], Means]] = []


def lend(means: Callable[[], Means]) -> None:
    """Say what this process works with; the last one counts."""
    _lent[:] = [means]


def means() -> Means:
    """What this process works with."""
    return _lent[0]()


def archive(archive_id: str) -> Archive:
    """An archive, opened once for all threads. Raises NotFound for one that cannot be here."""
    return means().archive_of(archive_id)


def folder(archive_id: str) -> Path:
    """Where its files are."""
    return means().installation_of(archive_id).home


def refuse_without_room(archive_id: str, **more: int) -> None:
    """Refuse what would go over a limit of its owner; more: by the names of quotas. Raises QuotaFull."""
    if settings.CHATKEEP.is_server:
        room.check(means(), archive_id, more)
