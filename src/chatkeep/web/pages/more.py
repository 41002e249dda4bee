"""All that the bar of a phone has no room for."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET


@require_GET
def more(request: HttpRequest) -> HttpResponse:
    """The pages that a wide screen has beside every page, as a page of their own."""
    return render(request, "pages/more.html", {"is_more": True})
