"""How the service is: for everybody, and, with the goals that were kept or missed, for operators."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from chatkeep.errors import NotFound
from chatkeep.people import audit
from chatkeep.people.roles import operators_only
from chatkeep.watching import service
from chatkeep.watching.goals import goals
from chatkeep.web import held
from chatkeep.web.configuration import CHATKEEP


@require_GET
def status(request: HttpRequest) -> HttpResponse:
    """The parts and what operators say of them; on a server, for everybody. It speaks of nobody."""
    if not CHATKEEP.is_server:
        raise NotFound("There is nothing at this address.")
    return render(request, "pages/status.html", _status())


@require_GET
@operators_only
def slo(request: HttpRequest) -> HttpResponse:
    """What was promised, and what was measured in thirty days."""
    return render(request, "pages/slo.html", {"goals": goals(timezone.now())})


@require_GET
@operators_only
def incidents(request: HttpRequest) -> HttpResponse:
    """The same as everybody sees, with the forms to say something."""
    return render(request, "pages/operator_status.html", _status() | {"severities": service.SEVERITIES.items()})


@require_POST
@operators_only
def say(request: HttpRequest) -> HttpResponseBase:
    """Say that something is disturbed, more of it, or that it is over."""
    given = request.POST
    number = given.get("incident", "")
    if number:
        over = given.get("do") == "over"
        pk = int(number) if number.isdecimal() and len(number) < 10 else 0
        incident = service.say(pk, given.get("text", ""), over=over)
        what = "incident.over" if over else "incident.told"
    else:
        fields = [given.get(name, "") for name in ("title", "part", "severity", "text")]
        incident, what = service.begin(*fields), "incident.begun"
    audit.note(held.actor(request), what, about=f"incident {incident.pk}")
    return redirect("operator-status")


def _status() -> dict[str, object]:
    now = timezone.now()
    found = service.incidents(now)
    parts = service.parts(now)
    return {
        "parts": parts,
        "well": all(part.state == "fine" for part in parts),
        "open": [one for one in found if one.ended_at is None],
        "past": [one for one in found if one.ended_at is not None],
        "now": now,
    }
