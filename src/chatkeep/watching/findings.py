"""What is wrong with the backups of an archive: said in one place, for the home page, the commands and notices."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from chatkeep.connections import looking, opening
from chatkeep.connections.health import health
from chatkeep.connections.installation import OWN
from chatkeep.connections.models import Connection
from chatkeep.jobs import timing
from chatkeep.jobs.models import Job, Schedule, State, Why

ENDS_WITHIN = timedelta(hours=48)
DRILL_OLD = timedelta(days=14)
PATIENCE = timedelta(hours=24)
LITTLE_SPACE, NOT_MUCH_SPACE = 500_000_000, 10_000_000_000
"""Always too little, and too little where it is less than a tenth of all [bytes]."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. subject: the place it is about, "" for this machine. hint: what to do.

    settled: it has been so for long enough that a person should be told; one run that failed may mend itself.
    """

    code: str
    level: Literal["bad", "warn"]
    what: str
    hint: str = ""
    subject: str = ""
    settled: bool = True


def findings(*, home: Path, now: datetime, archive: str = OWN) -> list[Finding]:
    """Everything that is wrong with an archive, the worst first. home: its data folder."""
    found = list(_space_here(home))
    for connection in opening.connections(archive):
        found += _of(connection, now)
    return sorted(found, key=lambda one: (one.level != "bad", not one.settled))


def _space_here(home: Path) -> Iterator[Finding]:
    disk = shutil.disk_usage(home)
    if is_little(disk.free, disk.total):
        what = f"The disk of your chats is nearly full: {disk.free / 1e9:.1f} GB are left."
        yield Finding(code="disk", level="bad", what=what, hint="Free some space; imports need it.")


def is_little(free: int, total: int | None) -> bool:
    """Whether space is about to run out."""
    return free < LITTLE_SPACE or (total is not None and free * 10 < total and free < NOT_MUCH_SPACE)


def _of(connection: Connection, now: datetime) -> Iterator[Finding]:
    rows = {schedule.kind: schedule for schedule in Schedule.objects.filter(subject=connection.subject)}
    signed_out = connection.signed_out
    yield from _sign_in(connection, now)
    yield from _damage(connection)
    if not signed_out:
        yield from _paused(connection, rows)
        yield from _failing(connection, now)
    yield from _late(connection, rows, now)
    yield from _drill(connection, rows, now)
    yield from _brake(connection)
    yield from _space_there(connection)


def _sign_in(connection: Connection, now: datetime) -> Iterator[Finding]:
    name, sign_in = str(connection.name), health(connection, now=now)
    if sign_in.state == "over":
        what = f"{name} is signed out: nothing is backed up there until you connect the account again."
        yield Finding(code="signed-out", level="bad", subject=name, what=what, hint=sign_in.advice)
    elif sign_in.ends_at is not None and sign_in.ends_at - now <= ENDS_WITHIN:
        hint = sign_in.advice or "Reconnect it before then."
        what = f"The sign-in of {name}: {sign_in.text}"
        yield Finding(code="sign-in-ends", level="warn", subject=name, what=what, hint=hint)


def _damage(connection: Connection) -> Iterator[Finding]:
    name = str(connection.name)
    for report, what in (
        (connection.checked, f"The last check found damage in the vault at {name}."),
        (connection.drilled, f"The last rehearsed restore from {name} did not bring everything back."),
    ):
        if not (report or {}).get("ok", True):
            hint = "Back up to another place too, then check this one with all of its data."
            yield Finding(code="damaged", level="bad", subject=name, what=what, hint=hint)
            return


def _paused(connection: Connection, rows: dict[str, Schedule]) -> Iterator[Finding]:
    name = str(connection.name)
    crashed = Job.objects.filter(subject=connection.subject, state=State.PAUSED, paused_for=Why.CRASHES).first()
    if crashed:
        what = f"A job at {name} is paused: {crashed.what}"
        yield Finding(code="paused", level="bad", subject=name, what=what, hint=crashed.hint)
    elif any(schedule.paused_for == Why.PERSON for schedule in rows.values()):
        what = f"What is done by itself at {name} is paused."
        hint = "It was paused by somebody; let it go on when you want backups again."
        yield Finding(code="paused", level="warn", subject=name, what=what, hint=hint, settled=False)


def _failing(connection: Connection, now: datetime) -> Iterator[Finding]:
    """Backups that fail: a person is told after two of them, or when they have failed for a day."""
    name = str(connection.name)
    last = connection.backed_up_at or connection.connected_at
    tried = Job.objects.filter(subject=connection.subject, kind__in=("backup", "sync"), requested_at__gt=last)
    failed = list(tried.exclude(what="").exclude(state__in=(State.CANCELLED, State.PAUSED)).order_by("requested_at"))
    if not failed:
        return
    runs = sum(max(job.attempts, 1) for job in failed)
    since = failed[0].requested_at
    yield Finding(
        code="failing",
        level="bad",
        subject=name,
        what=f"Backups to {name} fail: {failed[-1].what}",
        hint=failed[-1].hint,
        settled=runs >= 2 or now - since >= PATIENCE,
    )


def _late(connection: Connection, rows: dict[str, Schedule], now: datetime) -> Iterator[Finding]:
    intervals = [
        timing.parse(row.every).shortest
        for kind, row in rows.items()
        if kind in ("backup", "sync") and row.on and row.every and not row.paused_for
    ]
    last = connection.backed_up_at or connection.connected_at
    if intervals and now - last > 2 * min(intervals):
        name = str(connection.name)
        when = f"{last.astimezone(UTC):%d %B %Y}" if connection.backed_up_at else "never"
        what = f"The last backup to {name} is older than twice its interval ({when})."
        hint = "Leave Chatkeep running, or run: chatkeep backup"
        yield Finding(code="late", level="bad", subject=name, what=what, hint=hint)


def _drill(connection: Connection, rows: dict[str, Schedule], now: datetime) -> Iterator[Finding]:
    """Older than two weeks; who has it done less often is told when half a turn more has passed."""
    schedule = rows.get("drill")
    if schedule is None or not schedule.on or connection.backed_up_at is None:
        return
    every = timing.parse(schedule.every).shortest if schedule.every else timedelta()
    last = connection.drilled_at or connection.connected_at
    if now - last > max(DRILL_OLD, 1.5 * every):
        name = str(connection.name)
        what = f"No restore from {name} was rehearsed for {(now - last).days} days."
        hint = "Run: chatkeep drill"
        yield Finding(code="drill-old", level="warn", subject=name, what=what, hint=hint)


def _brake(connection: Connection) -> Iterator[Finding]:
    ended = Job.objects.filter(subject=connection.subject, kind="sync").exclude(report=None).order_by("-requested_at")
    last = ended.first()
    held = (last.report or {}).get("held_back", 0) if last else 0
    if held:
        name = str(connection.name)
        what = f"Other devices deleted {held:,} conversations at once; here they were kept."
        hint = "Look at what it is. To follow: chatkeep sync --accept-deletions"
        yield Finding(code="brake", level="warn", subject=name, what=what, hint=hint)


def _space_there(connection: Connection) -> Iterator[Finding]:
    quota = looking.quota(connection)
    if quota and quota.free is not None and is_little(quota.free, quota.total):
        name = str(connection.name)
        what = f"{name} is nearly full: {quota.free / 1e9:.1f} GB are left."
        yield Finding(code="place-full", level="warn", subject=name, what=what, hint="Free some space there.")
