"""Which other programs may ask for these chats: their tokens, made and taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from chatkeep.api import tokens
from chatkeep.errors import ChatkeepError, WrongUse
from chatkeep.people import audit
from chatkeep.web import held
from chatkeep.web.stepping_up import stepped_up

_DAYS = {"30": 30, "90": 90, "365": 365, "": None}


@require_GET
def programs(request: HttpRequest) -> HttpResponse:
    """The tokens of this archive, and the form for another one."""
    return _page(request)


def _page(request: HttpRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    found = tokens.listed(archive=held.archive_id(request))
    context = {"tokens": found, "scopes": tokens.SCOPES.items(), **more}
    return render(request, "pages/programs.html", context, status=status)


@stepped_up
@require_POST
def add(request: HttpRequest) -> HttpResponseBase:
    """Make a token, and show it this once."""
    person = held.person(request)
    try:
        days = request.POST.get("days", "90")
        if days not in _DAYS:
            raise WrongUse("That is not how long a token can last.")
        lasts = _DAYS[days]
        text, row = tokens.add(
            request.POST.get("name", ""),
            request.POST.getlist("scope"),
            archive=held.archive_id(request),
            user=str(person.pk),
            expires_at=timezone.now() + timedelta(days=lasts) if lasts else None,
        )
    except ChatkeepError as error:
        return _page(request, trouble=error, name=request.POST.get("name", ""), status=400)
    audit.note(person.mark, "token.added", f"token:{row.pk}", {"scopes": row.scopes})
    return _page(request, token=text, made=row)


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Let a program in no more."""
    row = tokens.revoke(pk, archive=held.archive_id(request))
    audit.note(held.person(request).mark, "token.revoked", f"token:{row.pk}")
    return redirect("programs")
