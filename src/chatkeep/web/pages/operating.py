"""For operators: who has an account, what they may do and keep, invitations, and the log. Auditors may look."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from chatkeep.errors import NotFound, WrongUse
from chatkeep.people import audit, belonging, inviting, mailing, quotas
from chatkeep.people.models import Audit, Role, User
from chatkeep.people.roles import may, operators_only
from chatkeep.web import held
from chatkeep.web.configuration import CHATKEEP
from chatkeep.web.stepping_up import stepped_up

PAGE = 50
_COHORT = re.compile("[a-z0-9-]{1,40}")
_QUOTAS = ("most_bytes", "most_attachment_bytes", "most_connections")


@operators_only
@require_GET
def people(request: HttpRequest) -> HttpResponse:
    """Everybody with an account, and invitations that nobody took yet."""
    return _people(request)


def _people(request: HttpRequest, **more: Any) -> HttpResponse:
    wanted = request.GET.get("q", "").strip()
    found = User.objects.filter(Q(email__icontains=wanted) | Q(name__icontains=wanted)) if wanted else User.objects
    context = {
        "page": Paginator(found.order_by("email"), PAGE).get_page(request.GET.get("page")),
        "query": wanted,
        "invitations": list(inviting.open_ones(archive="")),
        "roles": Role.choices,
        "changes": may(request.user, change=True),
        "sends": bool(CHATKEEP.smtp_url),
        **more,
    }
    return render(request, "operator/people.html", context)


@operators_only
@require_POST
def invite(request: HttpRequest) -> HttpResponseBase:
    """Invite somebody. The link is shown this once, and sent where an address is given and mail is set up."""
    is_member = request.POST.get("role", Role.MEMBER) == Role.MEMBER
    return _invited(request) if is_member else stepped_up(_invited)(request)


def _invited(request: HttpRequest) -> HttpResponseBase:
    email, by = request.POST.get("email", "").strip(), held.person(request)
    role, cohorts = request.POST.get("role", Role.MEMBER), _cohorts(request.POST.get("cohorts", ""))
    _, token = inviting.invite(by=by, email=email, role=role, cohorts=cohorts)
    link = CHATKEEP.public_url + reverse("invitation", args=[token])
    return _people(request, link=link, sent=_sent(email, link), email=email)


def _sent(email: str, link: str) -> bool:
    text = f"You are invited to Chatkeep. This link makes your account; it works once, for a week:\n\n{link}\n"
    return mailing.send(email, "Your invitation to Chatkeep", text)


@operators_only
@require_POST
def withdraw(request: HttpRequest, id: UUID) -> HttpResponseBase:
    """Make an invitation to an account worth nothing."""
    inviting.withdraw(id.hex, by=held.person(request))
    return redirect("operator-people")


@operators_only
@require_GET
def person(request: HttpRequest, id: UUID) -> HttpResponse:
    """One account: role, cohorts, limits, and what was done with it."""
    found = _found(id)
    context = {
        "one": found,
        "roles": Role.choices,
        "changes": may(request.user, change=True),
        "connections": quotas.connections_of(found),
        "lines": audit.lines(about=found.mark)[:50],
        "defaults": quotas.defaults(),
    }
    return render(request, "operator/person.html", context)


@operators_only
@stepped_up
@require_POST
def change(request: HttpRequest, id: UUID) -> HttpResponseBase:
    """Change an account, disable and enable it, sign it out everywhere."""
    found, by = _found(id), held.person(request)
    doing = request.POST.get("do", "")
    if found == by and doing in ("disable", "save") and request.POST.get("role") != Role.OPERATOR:
        raise WrongUse("That would leave you out of these pages.", hint="Let another operator do it.")
    with transaction.atomic():
        match doing:
            case "save":
                _save(found, request.POST, by)
            case "disable" | "enable":
                found.is_active = doing == "enable"
                found.save(update_fields=["is_active"])
                audit.note(by.mark, f"user.{doing}d", found.mark)
            case "sign-out":
                belonging.sign_out(found)
                audit.note(by.mark, "user.signed-out", found.mark)
            case _:
                raise WrongUse("That cannot be done with an account.")
        if not found.is_active:
            belonging.sign_out(found)
    return redirect("operator-person", found.pk)


def _save(found: User, given: Mapping[str, str], by: User) -> None:
    if given.get("role") not in Role.values:
        raise WrongUse("There is no such role.")
    wanted: dict[str, Any] = {"role": given["role"], "cohorts": _cohorts(given.get("cohorts", ""))}
    for name in _QUOTAS:
        text = given.get(name, "").strip()
        if text and not (text.isdecimal() and len(text) < 19):
            raise WrongUse("A limit is a number, or nothing for what everybody may keep.")
        wanted[name] = int(text) if text else None
    changed = {name: value for name, value in wanted.items() if getattr(found, name) != value}
    for name, value in changed.items():
        setattr(found, name, value)
    if changed:
        found.save(update_fields=list(changed))
        audit.note(by.mark, "user.changed", found.mark, changed)


def _cohorts(text: str) -> list[str]:
    names = sorted({name for name in re.split(r"[\s,]+", text.lower()) if name})
    if not all(_COHORT.fullmatch(name) for name in names):
        raise WrongUse("A cohort is called by small letters, digits and dashes.")
    return names


def _found(id: UUID) -> User:
    found = User.objects.filter(pk=id).first()
    if found is None:
        raise NotFound("Nobody has this account.")
    return found


@operators_only
@require_GET
def log(request: HttpRequest) -> HttpResponse:
    """Every line of the log, the newest first, and whether it is whole."""
    about, what = request.GET.get("about", "").strip(), request.GET.get("what", "").strip()
    found = Audit.objects.all()
    if about:
        found = found.filter(Q(actor=about) | Q(about=about))
    if what:
        found = found.filter(what__startswith=what)
    context = {
        "page": Paginator(found, PAGE).get_page(request.GET.get("page")),
        "about": about,
        "what": what,
        "gaps": list(audit.gaps()) if request.GET.get("check") == "1" else None,
    }
    return render(request, "operator/log.html", context)
