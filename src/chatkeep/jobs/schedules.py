"""What is asked for without a person: rows that say when, and the dispatcher that asks.

What was missed while the machine slept or the program was closed is asked for once. A clock that is set, forward or
back, asks for nothing more than once, and stops nothing.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any
from zlib import crc32

import msgspec
from django.db import connection, transaction
from django.db.models import Count, F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from chatkeep.connections.models import Connection
from chatkeep.errors import NotFound, SignInAgain, WrongUse
from chatkeep.jobs import queue, staged, timing
from chatkeep.jobs.models import OPEN, Job, Schedule, State, Why
from chatkeep.jobs.port import Backend, Wanted
from chatkeep.rollout import changing, flags

BY = "the schedule"
_log = logging.getLogger(__name__)
LONGEST_UNREST = 6
"""A change waits for quiet at most so many times as long as the quiet itself."""
CLOCK_MOVED = timedelta(seconds=60)
PRUNE_EVERY = timedelta(hours=1)
KEPT = 100
"""So many of the jobs of one schedule are kept after their end, and always the last that ended well."""


class Default(msgspec.Struct, frozen=True):
    """How a kind is scheduled for a new connection. every: {at} stands for a quiet time of that connection's own."""

    on: bool
    every: str = ""
    after_change: int = 0
    arguments: dict[str, Any] = {}


DEFAULTS = {
    "backup": Default(True, "day {at}", after_change=5),
    "sync": Default(False, "1h", after_change=5),
    "check": Default(True, "week {day} {at}", arguments={"sample_percent": 5.0}),
    "drill": Default(True, "month {number} {at}"),
    "publish": Default(False, "day {at}", after_change=15, arguments={"exporter": "markdown"}),
    "inbox": Default(False, "15m"),
}
WORDS = {
    "backup": "backup",
    "sync": "sync",
    "check": "check",
    "drill": "drill",
    "publish": "copies",
    "inbox": "inbox",
}
"""What people call the kinds."""


def ensure(kinds: Collection[str] = tuple(DEFAULTS), *, archive: str | None = None) -> None:
    """Give every connection a schedule of each of these kinds, as far as it has none, and drop those of none.

    archive: only what belongs to it; None for all that there is, which on a server may be a million.
    """
    mine = {} if archive is None else {"archive": archive}
    subjects = {place.subject: place.archive for place in Connection.objects.filter(**mine)}
    known = set(Schedule.objects.filter(**mine).values_list("subject", "kind"))
    add(subjects, known, kinds)
    gone = {subject for subject, _ in known if subject.startswith("connection:")} - subjects.keys()
    if gone:
        drop(gone)


def add(subjects: Mapping[str, str], known: Collection[tuple[str, str]], kinds: Collection[str]) -> None:
    """Give subjects, each with its archive, the schedules of these kinds that are not known yet."""
    rows = [
        _default(subject, kind, DEFAULTS[kind], archive=subjects[subject])
        for subject in sorted(subjects)
        for kind in DEFAULTS
        if kind in kinds and (subject, kind) not in known
    ]
    if rows:
        Schedule.objects.bulk_create(rows, ignore_conflicts=True)


def drop(subjects: Collection[str]) -> None:
    """Take away the schedules of what is there no more, and what they asked for and nobody began."""
    Schedule.objects.filter(subject__in=subjects).delete()
    Job.objects.filter(subject__in=subjects, state=State.WAITING, by=BY).delete()


def _default(subject: str, kind: str, default: Default, *, archive: str) -> Schedule:
    own = crc32(f"{subject}/{kind}".encode())  # spread over the night, so that not everybody comes at once
    quiet = {"at": f"{2 + own % 3:02d}:{own // 3 % 60:02d}", "day": timing.DAYS[own % 7], "number": 1 + own % 28}
    return Schedule(
        archive=archive,
        subject=subject,
        kind=kind,
        on=default.on,
        every=default.every.format(**quiet),
        after_change=default.after_change,
        arguments=json.dumps(default.arguments, sort_keys=True),
    )


def of(subject: str = "") -> list[Schedule]:
    """The schedules of a subject, or all, in the order of kinds."""
    found = Schedule.objects.filter(subject=subject) if subject else Schedule.objects.all()
    order = list(DEFAULTS)
    return sorted(found, key=lambda one: (one.subject, order.index(one.kind) if one.kind in order else 99, one.kind))


def one(subject: str, kind: str) -> Schedule:
    """The schedule of a kind. Raises NotFound."""
    found = Schedule.objects.filter(subject=subject, kind=kind).first()
    if found is None:
        raise NotFound(f"Nothing called {kind!r} can be scheduled there.")
    return found


def change(
    schedule: Schedule,
    *,
    on: bool | None = None,
    every: str | None = None,
    after_change: int | None = None,
    arguments: dict[str, Any] | None = None,
) -> Schedule:
    """Change what is given of a schedule, and keep the rest. Raises WrongUse."""
    if every is not None:
        schedule.every = str(timing.parse(every)) if every else ""
    if after_change is not None:
        if not 0 <= after_change <= 1440:
            raise WrongUse("After a change is between 1 and 1440 minutes; 0 means never.")
        schedule.after_change = after_change
    if on is not None:
        schedule.on = on
    if arguments is not None:
        schedule.arguments = json.dumps(json.loads(schedule.arguments) | arguments, sort_keys=True)
    if schedule.on and not (schedule.every or schedule.after_change):
        raise WrongUse("A schedule needs a time, or some minutes after a change.", hint="Or turn it off.")
    schedule.next_due = None  # the dispatcher computes it, on its clock
    schedule.settles_at = settles(schedule)
    schedule.save()
    return schedule


def pause(subject: str, why: Why, *, what: str, hint: str = "") -> None:
    """Ask for nothing more for a subject until `resume`, and let what waits for it wait until then."""
    with transaction.atomic():
        Schedule.objects.filter(subject=subject, paused_for="").update(paused_for=why, paused=what[:500])
        queue.pause_subject(subject, why, what=what, hint=hint)


def resume(subject: str, *reasons: Why) -> None:
    """Go on for a subject that was paused for one of these reasons, all if none is given; what waited goes on too."""
    for why in reasons or tuple(Why):
        with transaction.atomic():
            Schedule.objects.filter(subject=subject, paused_for=why).update(paused_for="", paused="")
            queue.resume_subject(subject, why)


def paused(subject: str) -> tuple[str, str]:
    """Why a subject is paused, as a code and in words; ("", "") when it is not."""
    found = Schedule.objects.filter(subject=subject).exclude(paused_for="").first()
    return (found.paused_for, found.paused) if found else ("", "")


def prune(subjects: Collection[str] | None = None) -> None:
    """Drop the oldest jobs that schedules asked for and that have ended: an inbox is looked into every few minutes.

    subjects: only of these; None for all.
    """
    ended = Job.objects.filter(by=BY).exclude(state__in=OPEN).order_by()
    if subjects is not None:
        ended = ended.filter(subject__in=subjects)
    many = ended.values("kind", "subject").annotate(number=Count("pk")).filter(number__gt=KEPT)
    for kind, subject in many.values_list("kind", "subject"):
        last = queue.last_done(kind, subject)
        old = ended.filter(kind=kind, subject=subject).order_by("-pk").values_list("pk", flat=True)[KEPT:]
        Job.objects.filter(pk__in=list(old)).exclude(pk=last.pk if last else None).delete()


def _follow_sign_ins() -> None:
    """Pause what is signed out, and go on with what was connected again."""
    signed_out = {place.subject: place for place in Connection.objects.filter(signed_out=True)}
    waiting = set(Schedule.objects.filter(paused_for=Why.SIGN_IN).values_list("subject", flat=True))
    for subject in waiting - signed_out.keys():
        resume(subject, Why.SIGN_IN)
    for subject in signed_out.keys() - waiting:
        what = signed_out[subject].trouble or f"{signed_out[subject].name} is signed out."
        pause(subject, Why.SIGN_IN, what=what, hint=SignInAgain.standing_hint)


def kind_called(word: str) -> str:
    """The kind that people call so. Raises NotFound."""
    for kind, name in WORDS.items():
        if word in (name, kind):
            return kind
    raise NotFound(f"Nothing called {word!r} can be scheduled.", hint=f"There are: {', '.join(WORDS.values())}.")


def upcoming(schedule: Schedule, *, now: datetime | None = None, zone: tzinfo | None = None) -> datetime | None:
    """When it asks next, if nothing changes until then; None when it does not. It may have passed: then it is due."""
    if not schedule.on or schedule.paused_for:
        return None
    now, zone = now or timezone.now(), zone or timezone.get_default_timezone()
    settled = schedule.changed_at + timedelta(minutes=schedule.after_change) if schedule.changed_at else None
    timed = schedule.next_due
    if timed is None and schedule.every:
        timed = timing.next_after(timing.parse(schedule.every), now, zone)
    return min(filter(None, (timed, settled)), default=None)


def words(schedule: Schedule) -> str:
    """When it asks, for people: "every day at 03:30, and 5 minutes after a change"."""
    parts = [timing.parse(schedule.every).words] if schedule.every else []
    if schedule.after_change:
        parts.append(f"{schedule.after_change} minute{'s' if schedule.after_change > 1 else ''} after a change")
    return ", and ".join(parts) or "never"


class Dispatcher:
    """Asks for what is due. Several may do so at once: each request is made by one of them.

    changes: gives the number of the last change of each archive that may have changed. clock: the time of day; steady:
    one that nobody sets [s].
    """

    def __init__(
        self,
        backend: Backend,
        *,
        kinds: Collection[str],
        changes: Callable[[], Mapping[str, int]],
        zone: tzinfo | None = None,
        clock: Callable[[], datetime] = timezone.now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend = backend
        self._kinds = frozenset(kinds)
        self._changes = changes
        self._zone = zone or timezone.get_default_timezone()
        self._clock = clock
        self._steady = steady
        self._last: tuple[datetime, float] | None = None
        self._pruned: float | None = None
        self._watched: float | None = None
        self._put_off = staged.PutOff()

    def run(self, stop: threading.Event, *, every_s: float = 5.0) -> None:
        """Look again and again until `stop` is set."""
        while not stop.is_set():
            try:
                self.tick()
            except Exception:  # a full or locked disk must not end the schedules
                _log.exception("The schedules could not be looked at")
            stop.wait(every_s)
        connection.close()

    def tick(self) -> int:
        """Look once, and ask for what is due. How many requests were made."""
        now = self._clock()
        ensure(self._kinds)
        _follow_sign_ins()
        self._plan(now)
        self._notice_change(now)
        self._prune()
        self._follow_flags()
        return sum(self._ask(schedule, now) for schedule in self._due(now))

    def _prune(self) -> None:
        """Once an hour."""
        if self._pruned is None or self._steady() - self._pruned > PRUNE_EVERY.total_seconds():
            self._pruned = self._steady()
            prune()

    def _follow_flags(self) -> None:
        """Let go on what may go on again, and once a minute look whether something has to go back."""
        self._put_off.go_on()
        if not flags.is_staged():  # one keeper is no statistics, and a disk that is not plugged in no fault of a flag
            return
        if self._watched is None or self._steady() - self._watched > changing.EVERY.total_seconds():
            self._watched = self._steady()
            staged.watch()

    def _active(self) -> Any:
        return Schedule.objects.filter(on=True, paused_for="", kind__in=self._kinds)

    def _plan(self, now: datetime) -> None:
        """Say when those are due that do not know it, and all of them again when the clock was set."""
        steady = self._steady()
        moved = timedelta() if self._last is None else (now - self._last[0]) - timedelta(seconds=steady - self._last[1])
        whole = self._last is None or abs(moved) > CLOCK_MOVED
        self._last = (now, steady)
        active = self._active()
        for schedule in active if whole else active.filter(next_due=None).exclude(every=""):
            latest = self._next(schedule, now)
            if schedule.next_due is None or (latest is not None and schedule.next_due > latest):
                active.filter(pk=schedule.pk).update(next_due=latest)
        if whole:  # of times that have not come yet
            active.filter(changed_at__gt=now).update(changed_at=now, first_changed_at=now)

    def _next(self, schedule: Schedule, now: datetime) -> datetime | None:
        return timing.next_after(timing.parse(schedule.every), now, self._zone) if schedule.every else None

    def _notice_change(self, now: datetime) -> None:
        for archive, number in self._changes().items():
            waiting = self._active().filter(archive=archive, after_change__gt=0).exclude(change=number)
            waiting.update(change=number, changed_at=now, first_changed_at=Coalesce(F("first_changed_at"), now))

    def _due(self, now: datetime) -> list[Schedule]:
        maybe = self._active().filter(Q(next_due__lte=now) | Q(changed_at__isnull=False))
        return [schedule for schedule in maybe if is_timed(schedule, now) or _is_settled(schedule, now)]

    def _ask(self, schedule: Schedule, now: datetime) -> int:
        """Ask once for all that was missed, however often that was; nothing that is asked for already, or paused."""
        timed = is_timed(schedule, now)
        wanted = _is_wanted(schedule, now)
        changes: dict[str, Any] = {"changed_at": None, "first_changed_at": None}
        if timed:
            changes |= {"next_due": self._next(schedule, now), "timed_at": now if wanted else schedule.timed_at}
        same = {"next_due": schedule.next_due, "changed_at": schedule.changed_at}
        with transaction.atomic():
            mine = self._active().filter(pk=schedule.pk, **same).update(**changes)
            if not mine or not wanted:
                return 0
            self._backend.enqueue_many(
                [Wanted(schedule.kind, schedule.subject, arguments(schedule), BY, schedule.archive)]
            )
        return 1


def arguments(schedule: Schedule) -> dict[str, Any]:
    """What a job of this schedule is given: its own arguments, and the name of the connection."""
    uid = schedule.subject.partition(":")[2]
    name = Connection.objects.filter(uid=uid).values_list("name", flat=True).first() if uid else None
    own: dict[str, Any] = json.loads(schedule.arguments)
    return own | {"connection": name} if name else own


def settles(schedule: Schedule) -> datetime | None:
    """When a change that was seen is asked for, if nothing changes until then; None when none was."""
    if schedule.changed_at is None or not schedule.after_change:
        return None
    changed: datetime = schedule.changed_at
    quiet = timedelta(minutes=schedule.after_change)
    first: datetime = schedule.first_changed_at or changed
    return min(changed + quiet, first + LONGEST_UNREST * quiet)


def is_timed(schedule: Schedule, now: datetime) -> bool:
    """Whether the clock asks for it."""
    return schedule.next_due is not None and schedule.next_due <= now


def _is_settled(schedule: Schedule, now: datetime) -> bool:
    """Whether the archive changed and has been quiet since, or has been restless for too long."""
    at = settles(schedule)
    return at is not None and at <= now


def _is_wanted(schedule: Schedule, now: datetime) -> bool:
    last = Job.objects.filter(subject=schedule.subject, kind=schedule.kind).order_by("-requested_at", "-id").first()
    return is_wanted(schedule, now, last=last.state if last else "")


def is_wanted(schedule: Schedule, now: datetime, *, last: str) -> bool:
    """Not when the same is paused; not again by a clock that jumps to and fro; not at each change while it fails.

    last: the state of the last job of this kind and subject, "" for none.
    """
    if last == State.PAUSED:
        return False
    if is_timed(schedule, now):
        every = timing.parse(schedule.every)
        if schedule.timed_at is None or abs(now - schedule.timed_at) >= every.shortest / 2:
            return True
    failing = last == State.FAILED and bool(schedule.every)
    return _is_settled(schedule, now) and not failing
