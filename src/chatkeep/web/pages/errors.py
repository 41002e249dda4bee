"""Pages for what went wrong."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def page(request: HttpRequest, what: str, hint: str = "", *, status: int) -> HttpResponse:
    """A page that says what happened and what can be done."""
    return render(request, "pages/error.html", {"what": what, "hint": hint}, status=status)


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that did not come from our own page."""
    hint = "Go back, load the page again and repeat it. Cookies must be allowed for this address."
    return page(request, "This form is too old, or was not sent from a page of Chatkeep.", hint, status=403)


def missing(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Nothing is at this address."""
    return page(request, "There is nothing at this address.", "It may have been deleted or moved.", status=404)


def broken(request: HttpRequest) -> HttpResponse:
    """An error that should not happen. Its text is not shown: it may quote what it met."""
    return page(
        request, "Something went wrong that should not.", "Nothing that was saved is touched. Try again.", status=500
    )
