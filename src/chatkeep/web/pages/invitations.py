"""Opening an invitation: to make an account, or to see what somebody shares."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from chatkeep.people import inviting
from chatkeep.people.accounts import INVITED
from chatkeep.people.models import User
from chatkeep.web.guard import ARCHIVE
from chatkeep.web.pages import errors


@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponseBase:
    """What it is for. Only pressing the button uses it, so that programs that look at links in mail do not."""
    found = inviting.opened(token)
    if request.method == "GET":
        return render(request, "people/invited.html", {"invitation": found})
    if not found.archive:
        request.session[INVITED] = found.pk.hex
        return redirect("account_signup")
    if not isinstance(request.user, User):
        return _not_signed_in(request)
    inviting.accept(found.pk.hex, request.user)
    request.session[ARCHIVE] = found.archive
    return redirect("home")


def _not_signed_in(request: HttpRequest) -> HttpResponse:
    return errors.page(request, "You are not signed in.", "Sign in first, then open the link again.", status=401)
