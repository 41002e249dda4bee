"""Signing in with the link that `chatkeep serve` prints."""

from __future__ import annotations

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from chatkeep.people import belonging
from chatkeep.web.models import use_token


@require_GET
def explain(request: HttpRequest) -> HttpResponse:
    """How to get a link."""
    return render(request, "pages/sign_in.html")


@require_GET
def sign_in(request: HttpRequest, token: str) -> HttpResponseBase:
    """Use a link. The session gets a new key, so that none that was known before is worth anything."""
    if not use_token(token):
        return render(request, "pages/sign_in.html", {"used": True}, status=403)
    login(request, belonging.keeper())
    return redirect("home")


@require_POST
def sign_out(request: HttpRequest) -> HttpResponseBase:
    """End this browser's session."""
    logout(request)
    return redirect("sign-in")
