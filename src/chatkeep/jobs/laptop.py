"""The backend for one machine: a plain loop over the rows that are due, in threads of the process that serves pages."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import Count, Min
from django.utils import timezone

from chatkeep.connections.start import bring_up_to_date
from chatkeep.jobs import lease, queue
from chatkeep.jobs.models import Job, State
from chatkeep.jobs.port import Stats, Wanted, Work
from chatkeep.jobs.worker import Worker

_Key = tuple[str, str, str]


class Laptop:
    """Keeps the promises of `port.Backend` with the rows alone. Any number of processes may do so at once.

    idle_s: how often an idle worker looks for work. lasts: how long a run may be silent.
    """

    def __init__(self, *, idle_s: float = 0.5, lasts: timedelta = lease.LASTS) -> None:
        self._idle_s = idle_s
        self._lasts = lasts

    def install(self) -> None:
        bring_up_to_date()

    def enqueue_many(self, wanted: Iterable[Wanted]) -> list[int]:
        several = list(wanted)
        asked = {_key(one): one for one in several}
        with transaction.atomic():
            waiting = _waiting(asked)
            while missing := [key for key in asked if key not in waiting]:
                rows = [_row(asked[key]) for key in missing]
                Job.objects.bulk_create(rows, ignore_conflicts=True)  # somebody else may ask at the same moment
                waiting |= _waiting(missing)
            return [waiting[_key(one)] for one in several]

    def cancel(self, job: int) -> None:
        queue.cancel(job)

    def run_worker(self, kinds: Mapping[str, Work], *, stop: threading.Event, threads: int = 2) -> None:
        worker = Worker(kinds, threads=threads, idle_s=self._idle_s, lasts=self._lasts)
        worker.start()
        stop.wait()
        worker.stop()

    def stats(self) -> Stats:
        counts = dict(Job.objects.order_by().values_list("state").annotate(Count("pk")))
        now = timezone.now()
        due = Job.objects.filter(state=State.WAITING, due_at__lte=now).aggregate(first=Min("due_at"))["first"]
        return Stats(
            waiting=counts.get(State.WAITING, 0),
            running=counts.get(State.RUNNING, 0),
            paused=counts.get(State.PAUSED, 0),
            failed=counts.get(State.FAILED, 0),
            oldest_s=(now - due).total_seconds() if due else 0.0,
        )


def _key(wanted: Wanted) -> _Key:
    return wanted.kind, wanted.subject, json.dumps(dict(wanted.arguments), sort_keys=True)


def _row(wanted: Wanted) -> Job:
    kind, subject, arguments = _key(wanted)
    return Job(kind=kind, archive=wanted.archive, subject=subject, arguments=arguments, by=wanted.by)


def _waiting(keys: Iterable[_Key]) -> dict[_Key, int]:
    """The jobs that wait, by what they are; more than was asked for, which does no harm."""
    subjects = list({subject for _, subject, _ in keys})
    found: dict[_Key, int] = {}
    for start in range(0, len(subjects), 500):
        rows = Job.objects.filter(state=State.WAITING, subject__in=subjects[start : start + 500])
        found |= {(kind, subject, text): pk for pk, kind, subject, text in rows.values_list(*_FIELDS)}
    return found


_FIELDS = ("pk", "kind", "subject", "arguments")
