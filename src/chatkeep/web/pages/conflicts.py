"""What two machines did differently, and what was settled about it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from chatkeep.errors import NotFound, WrongUse
from chatkeep.web.held import archive
from chatkeep.web.stepping_up import stepped_up


@require_GET
def conflicts(request: HttpRequest) -> HttpResponse:
    """What differs and nobody has looked at, and what somebody has."""
    found = archive(request).conflicts(settled=True)
    context = {
        "versions": [one for one in found if one.kind == "versions" and not one.settled],
        "returned": [one for one in found if one.kind == "returned"],
        "settled": [one for one in found if one.settled],
    }
    return render(request, "pages/conflicts.html", context)


@require_POST
def settle(request: HttpRequest) -> HttpResponseBase:
    """Choose a version, keep both, keep a conversation or delete it again, or take back what was chosen."""
    id, message = request.POST.get("id", ""), request.POST.get("message", "")
    doing = request.POST.get("do", "")
    if doing == "choose":
        archive(request).settle(id, message, choose=request.POST.get("version", ""))
    elif doing == "keep":
        archive(request).settle(id, message)
    elif doing == "undo":
        archive(request).unsettle(id, message)
    elif doing == "delete":
        return _delete(request)
    else:
        raise WrongUse("That cannot be done with what differs.")
    return redirect("conflicts")


@stepped_up
def _delete(request: HttpRequest) -> HttpResponseBase:
    """Delete what came back, and nothing else: other conversations are deleted where that is asked first."""
    id = request.POST.get("id", "")
    if id not in {one.id for one in archive(request).conflicts() if one.kind == "returned"}:
        raise NotFound("No such conversation came back.", hint="Look at what differs now; it may be settled.")
    archive(request).delete([id])
    return redirect("conflicts")
