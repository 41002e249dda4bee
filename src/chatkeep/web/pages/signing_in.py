"""Signing in with the link that `chatkeep serve` prints."""

from __future__ import annotations

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from chatkeep.people import belonging
from chatkeep.settings import PORT
from chatkeep.web.models import use_token


@require_GET
def explain(request: HttpRequest) -> HttpResponse:
    """How to get a link."""
    return _explain(request)


@require_GET
def sign_in(request: HttpRequest, token: str) -> HttpResponseBase:
    """Use a link. The session gets a new key, so that none that was known before is worth anything."""
    if not use_token(token):
        return _explain(request, used=True, status=403)
    login(request, belonging.keeper())
    return redirect("home")


def _explain(request: HttpRequest, *, used: bool = False, status: int = 200) -> HttpResponse:
    """The page names the command whole: an app on a port of its own is not found by `chatkeep link` alone."""
    port = request.META.get("SERVER_PORT", "")
    shown = {"used": used, "port": "" if port == str(PORT) else port}
    return render(request, "pages/sign_in.html", shown, status=status)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponseBase:
    """End this browser's session."""
    logout(request)
    return redirect("sign-in")
