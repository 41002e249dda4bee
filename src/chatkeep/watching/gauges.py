"""What is measured when somebody asks, derived from the rows in this one place; nothing in it names a person."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db.models import (
    BigIntegerField,
    Case,
    Count,
    DurationField,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, Substr

from chatkeep.connections.models import Connection
from chatkeep.jobs import timing
from chatkeep.jobs.models import OPEN, Job, Schedule, State
from chatkeep.watching import names, signs

Labels = Mapping[str, str]
_NONE: Labels = {}


def gauges(*, now: datetime, store: Path, conflicts: int | None = None) -> Iterator[tuple[str, Labels, float]]:
    """Every gauge: its name, its labels, its value. One that has nothing to measure yet is left out.

    store: the folder of attachments. conflicts: how many are open, None where that is not known.
    """
    yield from _destinations(now)
    yield from _sign_ins(now)
    yield from _drills()
    yield from _queue(now)
    yield from _space(store)
    yield from _signs()
    if conflicts is not None:
        yield "conflicts_open", _NONE, conflicts


def _destinations(now: datetime) -> Iterator[tuple[str, Labels, float]]:
    backed_up = Connection.objects.exclude(backed_up_at=None).order_by("backed_up_at")
    moments = backed_up.values_list("backed_up_at", flat=True)
    if number := moments.count():
        for quantile in names.QUANTILES:
            found = moments[round(float(quantile) * (number - 1))]
            yield "backup_last_success_timestamp", {"quantile": quantile}, found.timestamp()
    scheduled, fresh = freshness(now)
    yield "backup_destinations", _NONE, scheduled
    yield "backup_destinations_fresh", _NONE, fresh


def freshness(now: datetime) -> tuple[int, int]:
    """How many destinations are backed up by the clock, and how many of these lately: within twice their interval.

    One that was never backed up is given twice its interval since it was connected.
    """
    own = Connection.objects.filter(uid=OuterRef("uid"))
    scheduled = (
        Schedule.objects.filter(kind__in=("backup", "sync"), on=True, paused_for="", subject__startswith="connection:")
        .exclude(every="")
        .annotate(uid=Substr("subject", len("connection:") + 1))
        .annotate(
            last=Subquery(own.annotate(at=Coalesce("backed_up_at", "connected_at")).values("at")[:1]),
            patience=_patience(),
        )
        .exclude(last=None)
    )
    late = Q(last__lt=Value(now) - F("patience"))
    found = scheduled.aggregate(all=Count("pk"), late=Count("pk", filter=late))
    return found["all"], found["all"] - found["late"]


def _patience() -> Case:
    """Twice the interval of a schedule, in the database: each rhythm of days is known by how it is written."""
    days = [When(every__startswith=word, then=Value(timedelta(days=2 * n))) for word, n in (("week", 7), ("month", 31))]
    own = Schedule.objects.exclude(every="").exclude(every__regex="^(day|week|month)").values_list("every", flat=True)
    intervals = [When(every=text, then=Value(2 * timing.parse(text).interval)) for text in own.distinct()]
    return Case(*days, *intervals, default=Value(timedelta(days=2)), output_field=DurationField())


def _sign_ins(now: datetime) -> Iterator[tuple[str, Labels, float]]:
    ending = Connection.objects.filter(signed_out=False, ends_at__gt=now).aggregate(first=Min("ends_at"))["first"]
    if ending:
        yield "token_expires_timestamp", _NONE, ending.timestamp()


def _drills() -> Iterator[tuple[str, Labels, float]]:
    """The last rehearsal that brought everything back. Where there was none yet: when there began to be something to
    rehearse, so that a rehearsal that never comes is noticed too.
    """
    last = Connection.objects.filter(drilled__ok=True).aggregate(last=Max("drilled_at"))["last"]
    since = last or Connection.objects.exclude(backed_up_at=None).aggregate(first=Min("connected_at"))["first"]
    if since:
        yield "restore_drill_last_success_timestamp", _NONE, since.timestamp()


def _queue(now: datetime) -> Iterator[tuple[str, Labels, float]]:
    due = Job.objects.filter(state=State.WAITING, due_at__lte=now).aggregate(first=Min("due_at"))["first"]
    yield "queue_oldest_seconds", _NONE, (now - due).total_seconds() if due else 0.0
    counts = dict(Job.objects.filter(state__in=OPEN).order_by().values_list("state").annotate(Count("pk")))
    for state in OPEN:
        yield "queue_jobs", {"state": str(state.value)}, counts.get(state.value, 0)


def _space(store: Path) -> Iterator[tuple[str, Labels, float]]:
    free: Any = Cast(KeyTextTransform("free", "quota"), BigIntegerField())
    least = Connection.objects.filter(quota__free__isnull=False).annotate(free=free).aggregate(least=Min("free"))
    if least["least"] is not None:
        yield "quota_free_bytes", _NONE, least["least"]
    disk = shutil.disk_usage(store)
    yield "store_free_bytes", _NONE, disk.free
    yield "store_size_bytes", _NONE, disk.total


def _signs() -> Iterator[tuple[str, Labels, float]]:
    if (whole := signs.last(signs.WHOLE)) is not None:
        yield "db_integrity_last_ok_timestamp", _NONE, whole.timestamp()
    if (worker := signs.last_worker()) is not None:
        yield "worker_heartbeat_timestamp", _NONE, worker.timestamp()
