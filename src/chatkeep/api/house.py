"""What the process that answers lends to the API: its opened archives, and what connections are opened with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chatkeep.archive import Archive
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
