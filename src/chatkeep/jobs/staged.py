"""What becomes of jobs when flags change: those that were put off go on, and what came of all is compared.

The rows of jobs are where the figures come from: each says which flags were on. Nothing else is kept about people.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q

from chatkeep.feedback import triage
from chatkeep.jobs import queue
from chatkeep.jobs.asking import person_of
from chatkeep.jobs.models import Job, State, Why
from chatkeep.people import audit, mailing
from chatkeep.rollout import changing, declared, flags
from chatkeep.rollout.comparing import Compared, Runs
from chatkeep.rollout.flags import State as Standing

KINDS = ("backup", "restore", "sync", "check", "drill")
"""What is compared for every flag; those of its rule and its own come first."""
MOST = 20_000
"""So many of the latest runs of a kind are looked at: more would say the same, and cost more."""
WATCHED = 5_000
AT_ONCE = 500
_TRIES = 3
"""What failed so often, and is tried again, counts as failed."""
_WHOLE = ("restore", "drill", "check")
"""Kinds that went well only without any problem: what came back is not what was saved, or it is."""

_OUTAGES = ("SlowDown", "Unavailable")

_log = logging.getLogger(__name__)


class PutOff:
    """Lets jobs go on that a flag put off, some at a time, so that lifting a switch is no flood."""

    def __init__(self) -> None:
        self._after = 0

    def go_on(self, *, at_once: int = AT_ONCE) -> int:
        """Resume those whose flags are on again. How many."""
        waiting = Job.objects.filter(state=State.PAUSED, paused_for=Why.SWITCH).order_by("pk")
        if flags.REMEMBERED.states()[declared.CLOUD_WRITES].killed:
            waiting = waiting.exclude(kind__in=declared.WRITES)
        looked_at = list(waiting.filter(pk__gt=self._after)[:at_once])
        self._after = looked_at[-1].pk if len(looked_at) == at_once else 0
        found = [job for job in looked_at if _is_on(job)]
        for job in found:
            queue.resume(job.pk)
        return len(found)


def _is_on(job: Job) -> bool:
    needed = declared.flag_of(job.kind)
    return not needed or flags.enabled(needed, person_of(job.archive))


def watch() -> list[Standing]:
    """Set back the flags whose numbers fell, if it is this process's turn to look. Gives those that went back."""
    if not changing.is_my_turn("flags"):
        return []
    changing.know()
    triage.prune()
    fell = changing.watch(lambda state, since: compared(state, since, most=WATCHED), note=audit.note)
    for one in fell:
        name = one.flag.name
        _log.warning("The flag %s went back to %s by itself: %s", name, one.ring, one.fell)
        said = f"The flag {name} went back to {one.ring} by itself. {one.fell}"
        mailing.tell(mailing.operators(), f"{name} went back by itself", said, path=f"/operator/flags/{name}/")
    return fell


def kinds_of(state: Standing) -> tuple[str, ...]:
    """The kinds of jobs that say how a flag does; the first is the one that has to be run often enough."""
    first = state.rule.kinds if state.rule else ()
    return tuple(dict.fromkeys([*first, *KINDS, *state.flag.kinds]))


def compared(state: Standing, since: datetime, *, most: int = MOST) -> Sequence[Compared]:
    """The runs since a moment of those who had a flag on, and of those who had not, of each kind that matters."""
    return [_compared(state.flag.name, kind, since, most) for kind in kinds_of(state)]


def _compared(name: str, kind: str, since: datetime, most: int) -> Compared:
    sides = {True: _Side(kind), False: _Side(kind)}
    for row in _rows(kind, since, most):
        sides[f",{name}," in row["flags"]].add(row)
    return Compared(kind, sides[True].runs(), sides[False].runs())


def _rows(kind: str, since: datetime, most: int) -> Iterator[dict[str, Any]]:
    """What ended, and what fails again and again without an end. A look before a restore is no restore."""
    told = Job.objects.filter(kind=kind).exclude(flags="").exclude(arguments__contains='"dry_run": true').order_by()
    ended = told.filter(ended_at__gt=since, state__in=(State.DONE, State.PROBLEMS, State.FAILED))
    yield from ended.order_by("-ended_at").values(*_FIELDS)[:most]
    failing = Q(state=State.WAITING, attempts__gte=_TRIES) | Q(state=State.PAUSED, paused_for=Why.CRASHES)
    yield from told.filter(failing, started_at__gt=since).values(*_FIELDS)[:most]


_FIELDS = ("archive", "state", "flags", "code", "crash_count", "started_at", "ended_at")


class _Side:
    """Adds up the runs of those who have a flag, or of the others."""

    def __init__(self, kind: str) -> None:
        self._well = {State.DONE} if kind in _WHOLE else {State.DONE, State.PROBLEMS}
        self._counts: Counter[str] = Counter()
        self._codes: Counter[str] = Counter()
        self._people: set[str] = set()
        self._seconds: list[float] = []

    def add(self, row: dict[str, Any]) -> None:
        went_well = row["state"] in self._well
        self._counts["well" if went_well else "failed"] += 1
        self._counts["died"] += bool(row["crash_count"])
        self._counts["outages"] += not went_well and row["code"] in _OUTAGES
        self._people.add(row["archive"])
        if row["code"] and not went_well:
            self._codes[row["code"]] += 1
        if went_well and row["started_at"] and row["ended_at"]:
            self._seconds.append((row["ended_at"] - row["started_at"]).total_seconds())

    def runs(self) -> Runs:
        return Runs(
            well=self._counts["well"],
            failed=self._counts["failed"],
            died=self._counts["died"],
            outages=self._counts["outages"],
            people=len(self._people),
            codes=dict(self._codes.most_common(10)),
            seconds=tuple(self._seconds),
        )
