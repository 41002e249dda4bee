"""Counting in many processes on many machines as if it were one: each counts in memory, and adds to rows now and then.

Nothing else has to be collected: whichever process is asked for the counts gives those of all. A process that is killed
loses what it counted in the last ten seconds. docs/decisions/counts-in-the-database.md says why.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from bisect import bisect_left
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from django.db import close_old_connections, transaction
from django.db.models import F, Sum

from chatkeep import happenings
from chatkeep.watching.models import EVER, Tally
from chatkeep.watching.names import COUNTERS, HISTOGRAMS

EVERY_S = 10.0
KEPT = timedelta(days=35)
"""For so long the counts are known by the day."""
MOST_SERIES = 3000
"""So many combinations of labels are told apart in one process; what comes after them counts as "other"."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}")
_Key = tuple[date, str, str]
_log = logging.getLogger(__name__)


def labelled(labels: Mapping[str, str]) -> str:
    """Labels as a row has them."""
    return json.dumps(dict(labels), sort_keys=True, separators=(",", ":"))


class Tallies:
    """Counts what is told, until `flush` adds it to the rows. Made to be listened with, from any thread."""

    def __init__(self) -> None:
        self._counts: dict[_Key, float] = {}
        self._series: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tallies", daemon=True)

    def __call__(self, name: str, value: float, labels: Mapping[str, str]) -> None:
        """Count one. A name or a label that is not listed in `names` is not counted."""
        metric = COUNTERS.get(name) or HISTOGRAMS.get(name)
        if metric is None or set(labels) != set(metric.labels):
            return
        known = {key: text if _PLAIN.fullmatch(text) else "other" for key, text in labels.items()}
        today = datetime.now(UTC).date()
        with self._lock:
            known = self._bounded(name, known)
            if metric.buckets:
                place = bisect_left(metric.buckets, value)
                end = f"{metric.buckets[place]:g}" if place < len(metric.buckets) else "+Inf"
                self._add((today, name, labelled(known | {"le": end})), 1.0)
                self._add((today, name, labelled(known | {"le": "sum"})), value)
            else:
                self._add((today, name, labelled(known)), value)

    def _bounded(self, name: str, known: dict[str, str]) -> dict[str, str]:
        series = f"{name}{labelled(known)}"
        if series not in self._series and len(self._series) >= MOST_SERIES:
            return dict.fromkeys(known, "other")
        self._series.add(series)
        return known

    def _add(self, key: _Key, value: float) -> None:
        self._counts[key] = self._counts.get(key, 0.0) + value

    def flush(self) -> int:
        """Add what was counted to the rows. How many rows. What could not be added is added the next time."""
        with self._lock:
            counts, self._counts = self._counts, {}
        try:
            with transaction.atomic():
                for key, value in sorted(counts.items()):  # in one order, so that no two wait for one another
                    _increase(key, value)
        except BaseException:
            with self._lock:
                for key, value in counts.items():
                    self._add(key, value)
            raise
        return len(counts)

    def start(self) -> None:
        """Listen, and flush every few seconds in a thread of this process."""
        self._end = happenings.listen(self)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more, flush for the last time, and end the thread."""
        self._end()
        self._stop.set()
        self._thread.join(EVERY_S)

    def _run(self) -> None:
        from django.db import connection

        last = False
        while not last:
            last = self._stop.wait(EVERY_S)
            try:
                close_old_connections()
                self.flush()
            except Exception:  # a database that is away for a while must not end the counting
                _log.warning("The counts could not be written; they are kept for the next time")
        connection.close()


def _increase(key: _Key, value: float) -> None:
    day, name, labels = key
    row = Tally.objects.filter(day=day, name=name, labels=labels)
    if not row.update(value=F("value") + value):
        Tally.objects.bulk_create([Tally(day=day, name=name, labels=labels)], ignore_conflicts=True)
        row.update(value=F("value") + value)


def totals(*, since: date | None = None, names: tuple[str, ...] = ()) -> dict[str, dict[str, float]]:
    """What was counted since a day, ever if none is given: by name, by labels as a row has them."""
    rows = Tally.objects.filter(name__in=names) if names else Tally.objects.all()
    if since:
        rows = rows.filter(day__gte=since)
    found: dict[str, dict[str, float]] = {}
    for name, labels, value in rows.values_list("name", "labels").annotate(Sum("value")).order_by("name", "labels"):
        found.setdefault(name, {})[labels] = value
    return found


def fold(*, today: date) -> int:
    """Put the counts of days that are long over together, so that rows stay few and no counter falls. How many."""
    with transaction.atomic():
        old = list(Tally.objects.select_for_update().filter(day__lt=today - KEPT).exclude(day=EVER))
        for row in old:
            _increase((EVER, row.name, row.labels), row.value)
        Tally.objects.filter(pk__in=[row.pk for row in old]).delete()
    return len(old)
