"""What is done by itself at a place, and when: seen, changed, paused, done now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from chatkeep.connections.models import Connection
from chatkeep.errors import WrongUse
from chatkeep.jobs import queue, schedules, timing
from chatkeep.jobs.models import Schedule, Why
from chatkeep.rollout import declared, flags
from chatkeep.web import held
from chatkeep.web.pages.exporting import FORMATS
from chatkeep.web.runs import Shown

_WHAT = {
    "backup": ("Backup", "Sends what changed into the vault, sealed, and reads it back."),
    "sync": ("Sync", "Merges what your other devices saved in this vault, then backs up the result."),
    "check": ("Check", "Reads a part of the vault and compares it with what was written."),
    "drill": ("Rehearsed restore", "Restores a few conversations beside your archive and compares them."),
    "publish": (
        "Readable copies",
        "Writes every conversation as a file below Chats. They are not sealed: whoever keeps the place can read them.",
    ),
    "inbox": ("Inbox", "Imports exports that you drop into the folder Inbox of this place, from any device."),
}
_RHYTHMS = (
    ("", "not by the clock"),
    ("15m", "every 15 minutes"),
    ("1h", "every hour"),
    ("6h", "every 6 hours"),
    ("day", "every day"),
    ("week", "every week"),
    ("month", "every month"),
)


@require_GET
def scheduled(request: HttpRequest, name: str) -> HttpResponse:
    """Everything that is done by itself at a place, each with the form to change it."""
    connection = held.connection(request, name)
    schedules.ensure(archive=connection.archive)
    found = [_shown(schedule) for schedule in schedules.of(connection.subject) if _is_open(request, schedule)]
    why, paused = schedules.paused(connection.subject)
    context = {"connection": connection, "schedules": found, "paused": paused, "why": why, "days": _days()}
    return render(request, "pages/schedule.html", context)


def _is_open(request: HttpRequest, schedule: Schedule) -> bool:
    """Whether somebody may have it here. What is on is shown in any case, so that it can be turned off."""
    flag = declared.flag_of(schedule.kind)
    return schedule.kind in _WHAT and (schedule.on or not flag or flags.enabled(flag, held.who(request)))


def _days() -> list[tuple[str, str]]:
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return list(zip(timing.DAYS, names, strict=True))


def _shown(schedule: Schedule) -> dict[str, Any]:
    every = timing.parse(schedule.every) if schedule.every else timing.Every(at=timing.parse("day 03:00").at)
    own = str(every) if every.interval else ""
    rhythm = own or ("month" if every.day else "day" if every.weekday is None else "week")
    last = queue.last_done(schedule.kind, schedule.subject)
    given = schedules.arguments(schedule)
    return {
        "kind": schedule.kind,
        "title": _WHAT[schedule.kind][0],
        "text": _WHAT[schedule.kind][1],
        "on": schedule.on,
        "words": schedules.words(schedule),
        "rhythm": rhythm if schedule.every else "",
        "rhythms": [*_RHYTHMS, *([(own, every.words)] if own and own not in dict(_RHYTHMS) else [])],
        "at": f"{every.at:%H:%M}",
        "weekday": timing.DAYS[every.weekday or 0],
        "day": every.day or 1,
        "follows_changes": schedule.kind in ("backup", "sync", "publish"),
        "after_change": schedule.after_change,
        "next": schedules.upcoming(schedule),
        "last": Shown(last) if last else None,
        "formats": FORMATS if schedule.kind == "publish" else (),
        "exporter": given.get("exporter", ""),
        "attachments": given.get("attachments", False),
    }


@require_POST
def change(request: HttpRequest, name: str) -> HttpResponseBase:
    """Change one of them, do it now, or pause and resume all that is done at the place."""
    connection = held.connection(request, name)
    schedules.ensure(archive=connection.archive)
    doing = request.POST.get("do", "")
    if doing == "pause":
        schedules.pause(connection.subject, Why.PERSON, what="Somebody paused it.", hint="Resume it to go on.")
    elif doing == "resume":
        schedules.resume(connection.subject, Why.PERSON)
    elif doing in ("save", "now"):
        schedule = schedules.one(connection.subject, request.POST.get("kind", ""))
        return _now(request, connection, schedule) if doing == "now" else _saved(schedule, request.POST, name)
    else:
        raise WrongUse("That cannot be done with a schedule.")
    return redirect("schedule", name)


def _now(request: HttpRequest, connection: Connection, schedule: Schedule) -> HttpResponseBase:
    job = held.enqueue(request, schedule.kind, connection.subject, schedules.arguments(schedule))
    return redirect("run", job.pk)


def _saved(schedule: Schedule, given: Mapping[str, str], name: str) -> HttpResponseBase:
    minutes = given.get("after_change", "")
    if minutes and not minutes.isdecimal():
        raise WrongUse("Minutes after a change are a number.")
    wishes: dict[str, Any] = {}
    if schedule.kind == "publish":
        if given.get("exporter") not in [one[0] for one in FORMATS]:
            raise WrongUse("That is no format.")
        wishes = {"exporter": given["exporter"], "attachments": given.get("attachments") == "1"}
    schedules.change(
        schedule,
        on=given.get("on") == "1",
        every=_every(given),
        after_change=int(minutes) if minutes else None,
        arguments=wishes,
    )
    return redirect("schedule", name)


def _every(given: Mapping[str, str]) -> str:
    """A rhythm as it is written, from the fields of the form."""
    rhythm, at = given.get("rhythm", ""), given.get("at", "")[:5]
    if rhythm == "week":
        return f"week {given.get('weekday', '')} {at}"
    if rhythm == "month":
        return f"month {given.get('day', '')} {at}"
    return f"day {at}" if rhythm == "day" else rhythm
