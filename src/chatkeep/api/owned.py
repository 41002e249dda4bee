"""The jobs of one archive. What belongs to another is not found."""

from __future__ import annotations

from django.db.models import QuerySet

from chatkeep.jobs import queue
from chatkeep.jobs.models import OPEN, Job


def cancel(pk: int, archive: str) -> Job:
    """Ask a job of an archive to stop. Raises NotFound."""
    return queue.cancel(queue.find(pk, archive=archive).pk)


def jobs(archive: str, *, open_only: bool, before: int | None, limit: int) -> list[Job]:
    """The jobs of an archive, the newest first."""
    found: QuerySet[Job] = Job.objects.filter(archive=archive).order_by("-pk")
    if open_only:
        found = found.filter(state__in=OPEN)
    if before is not None:
        found = found.filter(pk__lt=before)
    return list(found[:limit])
