"""The account of whoever is signed in: what it holds, whose archives it sees, where it is signed in."""

from __future__ import annotations

from typing import Any

from allauth.usersessions.models import UserSession
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from chatkeep.errors import NotFound
from chatkeep.people import audit, belonging, inviting, quotas
from chatkeep.people.models import Membership
from chatkeep.web import held
from chatkeep.web.configuration import CHATKEEP
from chatkeep.web.guard import ARCHIVE
from chatkeep.web.stepping_up import stepped_up


@require_GET
def settings(request: HttpRequest) -> HttpResponse:
    """Everything about the account on one page."""
    return _page(request)


def _page(request: HttpRequest, **more: Any) -> HttpResponse:
    user, here = held.person(request), held.archive_id(request)
    owns = here in belonging.owned_by(user)
    shared = Membership.objects.filter(archive=here).select_related("user")
    context = {
        "person": user,
        "archives": belonging.named(user, here),
        "owns": owns,
        "others": [one for one in shared if one.user != user],
        "links": list(inviting.open_ones(archive=here)) if owns else [],
        "quotas": quotas.of(user, held.used(request)),
        "may_sign_in_elsewhere": CHATKEEP.oidc,
        **more,
    }
    return render(request, "people/settings.html", context)


@require_POST
def choose(request: HttpRequest) -> HttpResponseBase:
    """Work in another archive from now on. Raises NotFound for one that they may not see."""
    wanted = request.POST.get("archive", "")
    if wanted not in belonging.archives_of(held.person(request)):
        raise NotFound("There is no such archive.")
    request.session[ARCHIVE] = wanted
    return redirect("home")


@stepped_up
@require_POST
def share(request: HttpRequest) -> HttpResponse:
    """A link by which one more person sees this archive; shown this once."""
    _, token = inviting.invite(by=held.person(request), archive=_owned(request))
    return _page(request, link=_link(token))


@require_POST
def unshare(request: HttpRequest) -> HttpResponseBase:
    """Let somebody see this archive no more, or make a link worth nothing. Whoever was let in may leave."""
    user, here = held.person(request), held.archive_id(request)
    member, link = request.POST.get("member", ""), request.POST.get("link", "")
    if link:
        inviting.withdraw(link, by=user, archive=_owned(request))
        return redirect("settings")
    found = Membership.objects.filter(archive=here, owns=False, pk=member if member.isdecimal() else 0).first()
    if found is None or not (here in belonging.owned_by(user) or found.user == user):
        raise NotFound("There is nobody like that here.")
    with transaction.atomic():
        audit.note(user.mark, "archive.unshared", found.user.mark)
        found.delete()
    return redirect("settings")


def _owned(request: HttpRequest) -> str:
    here = held.archive_id(request)
    if here not in belonging.owned_by(held.person(request)):
        raise NotFound("This archive is not yours to share.")
    return here


def _link(token: str) -> str:
    return CHATKEEP.public_url + reverse("invitation", args=[token])


@require_GET
def sessions(request: HttpRequest) -> HttpResponse:
    """Every browser that is signed in with this account."""
    found = UserSession.objects.purge_and_list(held.person(request))
    found.sort(key=lambda one: one.last_seen_at, reverse=True)
    return render(request, "people/sessions.html", {"sessions": found, "here": request.session.session_key})


@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Sign one browser out. Raises NotFound for one of somebody else."""
    user = held.person(request)
    found = UserSession.objects.filter(user=user, pk=pk).first()
    if found is None:
        raise NotFound("This browser is not signed in any more.")
    found.end()
    audit.note(user.mark, "session.ended", user.mark)
    return redirect("sessions")


@require_POST
def end_others(request: HttpRequest) -> HttpResponseBase:
    """Sign out every browser but this one."""
    user = held.person(request)
    for one in UserSession.objects.filter(user=user).exclude(session_key=request.session.session_key):
        one.end()
    audit.note(user.mark, "session.ended", user.mark, {"others": True})
    return redirect("sessions")


@require_GET
def sign_in_again(request: HttpRequest) -> HttpResponse:
    """For whoever signs in elsewhere and has to prove again who they are."""
    return render(request, "people/sign_in_again.html", {"name": CHATKEEP.oidc.name if CHATKEEP.oidc else ""})
