"""The look of messages, which the exports share."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from chatkeep.rendering import STYLE


@require_GET
def message(request: HttpRequest) -> HttpResponse:
    """The style sheet of what people wrote."""
    response = HttpResponse(STYLE, content_type="text/css; charset=utf-8")
    response["Cache-Control"] = "private, max-age=3600"
    return response
