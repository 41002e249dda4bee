"""How the service is, for everybody: its parts, what operators say of them, and what was. It speaks of nobody."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from django.db.models import Count, Min, Q
from django.utils import timezone

from chatkeep import providers
from chatkeep.errors import NotFound, WrongUse
from chatkeep.jobs.models import Job, State
from chatkeep.watching import signs
from chatkeep.watching.models import Incident, Update

PARTS = {"pages": "Pages", "work": "Imports, exports and restores", "backups": "Backups"}
SEVERITIES = {"disturbed": "Disturbed", "down": "Down", "maintenance": "Maintenance"}
HISTORY = timedelta(days=90)
LATELY = timedelta(hours=1)
LATE = timedelta(hours=1)
FEWEST = 20
"""So few runs say nothing of the service."""


class Part(msgspec.Struct, frozen=True):
    """One part of the service. state: "fine", "disturbed", "down", "maintenance". words: of the state."""

    name: str
    title: str
    state: str
    words: str


def parts(now: datetime) -> list[Part]:
    """The parts as they are: as the rows say, or worse where operators say so; providers that are used come last."""
    said = {one.part: one.severity for one in Incident.objects.filter(ended_at=None)}
    titles = PARTS | {one.name: one.title for one in providers.providers() if one.sign_in}
    found = {"pages": "fine", "work": _work(now), "backups": _backups(now)}
    shown = []
    for name, title in titles.items():
        state = said.get(name) or found.get(name, "fine")
        words = {"fine": "works"} | {key: word.lower() for key, word in SEVERITIES.items()}
        shown.append(Part(name, title, state, words[state]))
    return shown


def _work(now: datetime) -> str:
    if not signs.workers(now):
        return "down"
    waiting = Job.objects.filter(state=State.WAITING, due_at__lte=now).aggregate(first=Min("due_at"))["first"]
    return "disturbed" if waiting and now - waiting > LATE else "fine"


def _backups(now: datetime) -> str:
    ended = Job.objects.filter(kind__in=("backup", "sync"), ended_at__gt=now - LATELY)
    found = ended.aggregate(all=Count("pk"), failed=Count("pk", filter=Q(state=State.FAILED)))
    return "disturbed" if found["all"] >= FEWEST and found["failed"] * 10 > found["all"] else "fine"


def incidents(now: datetime) -> list[Incident]:
    """What is disturbed, and what was in the last ninety days; the newest first."""
    lately = Q(ended_at=None) | Q(begun_at__gt=now - HISTORY)
    return list(Incident.objects.filter(lately).prefetch_related("updates"))


def begin(title: str, part: str, severity: str, text: str) -> Incident:
    """Say that something is disturbed. Raises WrongUse."""
    known = set(PARTS) | {one.name for one in providers.providers() if one.sign_in}
    if not title.strip() or not text.strip() or part not in known or severity not in SEVERITIES:
        raise WrongUse("A disturbance needs a title, a part, how bad it is, and a sentence.")
    made = Incident.objects.create(title=title.strip()[:200], part=part, severity=severity)
    Update.objects.create(incident=made, text=text.strip()[:4000])
    return made


def say(pk: int, text: str, *, over: bool) -> Incident:
    """Say more of a disturbance, or that it is over. Raises NotFound, WrongUse."""
    incident = Incident.objects.filter(pk=pk, ended_at=None).first()
    if incident is None:
        raise NotFound("This disturbance is over, or there was none.")
    if not text.strip():
        raise WrongUse("Nothing was said.", hint="One sentence is enough.")
    Update.objects.create(incident=incident, text=text.strip()[:4000])
    if over:
        incident.ended_at = timezone.now()
        incident.save(update_fields=["ended_at"])
    return incident
