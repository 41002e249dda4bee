"""The schedules of a server: a million connections, looked at by several dispatchers that share the work.

What is due is found by an index, BATCH rows at a time, and no row is with two dispatchers at once. What changed is told
by whoever changed it (`tell_change`): nobody asks a million archives. What nobody told, because a program died in
between, is found by going through all connections little by little.
"""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Collection, Iterable
from datetime import datetime, tzinfo
from typing import Any

import msgspec
from django.db import connection, transaction
from django.utils import timezone

from chatkeep.connections.models import Connection
from chatkeep.errors import SignInAgain
from chatkeep.jobs import schedules, timing
from chatkeep.jobs.models import Schedule, Why
from chatkeep.jobs.port import Backend, Wanted

BATCH = 500
PAGE = 200
EVERY_S = 5.0
SIGN_INS_EVERY = 12
"""Of so many looks one goes through what waits for a sign-in."""

_log = logging.getLogger(__name__)


def tell_change(archive: str, number: int) -> None:
    """Say that an archive changed, and with which number: what is to follow a change does so once it is quiet.

    To tell the same again is quiet.
    """
    sql = f"""UPDATE jobs_schedule SET change = %s, changed_at = now(),
            first_changed_at = coalesce(first_changed_at, now()),
            settles_at = least(now() + make_interval(mins => after_change),
                coalesce(first_changed_at, now()) + make_interval(mins => {schedules.LONGEST_UNREST} * after_change))
        WHERE archive = %s AND after_change > 0 AND change <> %s"""  # noqa: S608 - a number of ours
    with connection.cursor() as cursor:
        cursor.execute(sql, [number, archive, number])


def connected(place: Connection) -> None:
    """A place was connected, or connected again: its schedules begin, or go on."""
    known = set(Schedule.objects.filter(subject=place.subject).values_list("subject", "kind"))
    schedules.add({place.subject: place.archive}, known, tuple(schedules.DEFAULTS))
    if not place.signed_out:
        schedules.resume(place.subject, Why.SIGN_IN)


def disconnected(place: Connection) -> None:
    """A place was disconnected: nothing is asked for it any more."""
    schedules.drop([place.subject])


class Rota:
    """Asks for what is due, with others that do so too. The clock is that of the database, the same for all."""

    def __init__(self, backend: Backend, *, kinds: Collection[str], zone: tzinfo | None = None) -> None:
        self._backend = backend
        self._kinds = sorted(kinds)
        self._zone = zone or timezone.get_default_timezone()
        self._page = -1
        self._looks = 0

    def run(self, stop: threading.Event, *, every_s: float = EVERY_S) -> None:
        """Look again and again until `stop` is set, also when the database went away and came back."""
        while not stop.is_set():
            try:
                self.tick()
            except Exception:  # an outage must not end the schedules
                _log.exception("The schedules could not be looked at")
                connection.close()
            stop.wait(every_s * random.uniform(0.8, 1.2))  # noqa: S311 - so that dispatchers do not march in step
        connection.close()

    def tick(self) -> int:
        """Look once, and ask for all that is due. How many requests were made."""
        self._look_after_a_page()
        if self._looks % SIGN_INS_EVERY == 0:
            self._follow_sign_ins()
        self._looks += 1
        while self._plan() == BATCH:
            pass
        number = 0
        while batch := self._ask():
            number += batch.asked
            if batch.seen < BATCH:
                break
        return number

    def due(self, now: datetime) -> list[Schedule]:
        """What is due, BATCH at most, and kept from other dispatchers until the transaction ends."""
        free = Schedule.objects.filter(on=True, paused_for="", kind__in=self._kinds).select_for_update(skip_locked=True)
        found = {row.pk: row for row in free.filter(next_due__lte=now).order_by("next_due")[:BATCH]}
        settled = free.filter(settles_at__isnull=False, settles_at__lte=now).order_by("settles_at")
        found |= {row.pk: row for row in settled[: BATCH - len(found)]}
        return list(found.values())

    def _plan(self) -> int:
        """Say when those are due that do not know it yet. How many, BATCH at most."""
        free = Schedule.objects.filter(on=True, paused_for="", next_due=None).exclude(every="")
        with transaction.atomic():
            rows = list(free.order_by("id").select_for_update(skip_locked=True)[:BATCH])
            now = _now()
            _plan((row.pk, self._next(row, now)) for row in rows)
        return len(rows)

    def _ask(self) -> _Batch:
        """Ask once for each that is due, however often it was missed, and say when it is due again."""
        with transaction.atomic():
            now = _now()
            rows = self.due(now)
            last = _last_states(rows)
            wanted = [row for row in rows if schedules.is_wanted(row, now, last=last.get(row.pk, ""))]
            asked = {row.pk for row in wanted}
            _note(self._noted(row, now, asked=row.pk in asked) for row in rows)
            names = _names(wanted)
            self._backend.enqueue_many([_request(row, names) for row in wanted])
        return _Batch(len(rows), len(wanted))

    def _noted(self, row: Schedule, now: datetime, *, asked: bool) -> tuple[int, datetime | None, datetime | None]:
        if not schedules.is_timed(row, now):
            return row.pk, row.next_due, row.timed_at
        return row.pk, self._next(row, now), now if asked else row.timed_at

    def _next(self, row: Schedule, now: datetime) -> datetime | None:
        return timing.next_after(timing.parse(row.every), now, self._zone) if row.every else None

    def _follow_sign_ins(self) -> None:
        """Go on with what was connected again without anybody having said so."""
        signed_out = Connection.objects.filter(signed_out=True).values("uid")
        waiting = Schedule.objects.filter(paused_for=Why.SIGN_IN).order_by().values_list("subject", flat=True)
        subjects = list(waiting.distinct())
        for start in range(0, len(subjects), BATCH):
            uids = [subject.partition(":")[2] for subject in subjects[start : start + BATCH]]
            still = set(signed_out.filter(uid__in=uids).values_list("uid", flat=True))
            for uid in set(uids) - still:
                schedules.resume(f"connection:{uid}", Why.SIGN_IN)

    def _look_after_a_page(self) -> None:
        """Some connections, others each time: that they have schedules, and are paused when they are signed out."""
        if self._page < 0:  # each dispatcher begins elsewhere
            newest = Connection.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
            self._page = random.randrange(newest + 1)  # noqa: S311 - see above
        page = list(Connection.objects.filter(pk__gt=self._page).order_by("pk")[:PAGE])
        self._page = page[-1].pk if len(page) == PAGE else 0
        subjects = {place.subject: place.archive for place in page}
        found = list(Schedule.objects.filter(subject__in=subjects).values_list("subject", "kind", "paused_for"))
        schedules.add(subjects, {(subject, kind) for subject, kind, _ in found}, self._kinds)
        paused = {subject for subject, _, why in found if why}
        for place in page:
            if place.signed_out and place.subject not in paused:
                what = place.trouble or f"{place.name} is signed out."
                schedules.pause(place.subject, Why.SIGN_IN, what=what, hint=SignInAgain.standing_hint)
        schedules.prune(list(subjects))


class _Batch(msgspec.Struct, frozen=True):
    """How many schedules were looked at, and for how many something was asked."""

    seen: int
    asked: int


def _now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        found: datetime = cursor.fetchone()[0]
        return found


def _plan(rows: Iterable[tuple[int, datetime | None]]) -> None:
    """Write when schedules are due next."""
    sql = """UPDATE jobs_schedule AS row SET next_due = new.next_due
        FROM unnest(%s::bigint[], %s::timestamptz[]) AS new (id, next_due) WHERE row.id = new.id"""
    _run(sql, rows)


def _note(rows: Iterable[tuple[int, datetime | None, datetime | None]]) -> None:
    """Write when schedules are due next and when the clock asked last, and that their changes were asked for."""
    sql = """UPDATE jobs_schedule AS row SET next_due = new.next_due, timed_at = new.timed_at,
            changed_at = NULL, first_changed_at = NULL, settles_at = NULL
        FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS new (id, next_due, timed_at)
        WHERE row.id = new.id"""
    _run(sql, rows)


def _run(sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Run a statement whose parameters are the columns of these rows."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    if columns:
        with connection.cursor() as cursor:
            cursor.execute(sql, columns)


def _last_states(rows: list[Schedule]) -> dict[int, str]:
    """By schedule, the state of the last job that it is about."""
    sql = """SELECT wanted.id, last.state
        FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS wanted (id, subject, kind)
        CROSS JOIN LATERAL (SELECT state FROM jobs_job WHERE subject = wanted.subject AND kind = wanted.kind
            ORDER BY requested_at DESC, id DESC LIMIT 1) AS last"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [[row.pk for row in rows], [row.subject for row in rows], [row.kind for row in rows]])
        return dict(cursor.fetchall())


def _names(rows: list[Schedule]) -> dict[str, str]:
    """The names of the connections that schedules are about, by subject."""
    uids = [row.subject.partition(":")[2] for row in rows]
    found = Connection.objects.filter(uid__in=uids).values_list("uid", "name")
    return {f"connection:{uid}": name for uid, name in found}


def _request(row: Schedule, names: dict[str, str]) -> Wanted:
    own: dict[str, Any] = json.loads(row.arguments)
    given = own | {"connection": names[row.subject]} if row.subject in names else own
    return Wanted(row.kind, row.subject, given, schedules.BY, row.archive)
