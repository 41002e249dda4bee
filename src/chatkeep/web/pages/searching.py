"""Finding what was said."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from chatkeep.errors import WrongUse
from chatkeep.web.held import archive

PAGE = 20


@require_GET
def search(request: HttpRequest) -> HttpResponse:
    """The best places for a query; a query that means nothing says so under the box."""
    words = request.GET.get("q", "").strip()
    start = int(text) if (text := request.GET.get("start", "")).isdecimal() and len(text) < 7 else 0
    found, wrong = None, None
    if words:
        try:
            found = archive(request).search(words, limit=PAGE, offset=start)
        except WrongUse as error:
            wrong = error
    later = start + PAGE if found and start + len(found.hits) < found.total and found.hits else None
    earlier = max(0, start - PAGE) if start else None
    context = {"words": words, "found": found, "wrong": wrong, "earlier": earlier, "later": later}
    return render(request, "pages/search.html", context)
