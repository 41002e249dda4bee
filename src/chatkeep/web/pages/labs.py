"""What a keeper on a laptop may turn on or off at their own risk. On a server the operator decides."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from chatkeep.errors import NotFound
from chatkeep.people import audit
from chatkeep.rollout import changing, flags
from chatkeep.rollout.declared import FLAGS
from chatkeep.rollout.rings import EVERYONE, OFF
from chatkeep.web import held


def has_labs() -> bool:
    """Whether there is anything to choose."""
    return not flags.is_staged() and any(flag.at_own_risk for flag in FLAGS.values())


@require_http_methods(["GET", "POST"])
def labs(request: HttpRequest) -> HttpResponseBase:
    """Each with what it does, and a switch."""
    if not has_labs():
        raise NotFound("There is nothing at this address.")
    if request.method == "POST":
        return _turned(request)
    who = held.who(request)
    shown = [
        {"flag": state.flag, "on": state.is_on(who)} for state in flags.states().values() if state.flag.at_own_risk
    ]
    return render(request, "pages/labs.html", {"shown": shown})


def _turned(request: HttpRequest) -> HttpResponse:
    state = flags.state(request.POST.get("flag", ""))
    ring = EVERYONE if request.POST.get("on") == "1" else OFF
    if not state.flag.at_own_risk:
        raise NotFound("There is nothing to choose about that.")
    if state.ring != ring:
        changing.move(state.flag.name, ring, by=held.actor(request), note=audit.note)
    return redirect("labs")
