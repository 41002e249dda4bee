"""For whoever watches from outside: the process lives, it is ready, what was counted."""

from __future__ import annotations

import hmac
from functools import lru_cache

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from chatkeep.watching import metrics as watching_metrics
from chatkeep.watching import readiness
from chatkeep.web import held
from chatkeep.web.configuration import CHATKEEP


@require_GET
def health(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_GET
def ready(request: HttpRequest) -> HttpResponse:
    """Whether it can do its work: 200, else 503. `without=worker` leaves a question out, for a load balancer."""
    found = readiness.ready(CHATKEEP.home, without=tuple(request.GET.getlist("without")))
    is_ready = all(answer.ok for answer in found)
    answers = {answer.name: "ok" if answer.ok else answer.what for answer in found}
    return JsonResponse({"ready": is_ready, "answers": answers}, status=200 if is_ready else 503)


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """What Prometheus reads, with the token alone. Without one it is not there."""
    token, given = CHATKEEP.metrics_token, request.headers.get("Authorization", "")
    if not token or not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise Http404
    return HttpResponse(_metrics().text(), content_type=watching_metrics.CONTENT_TYPE)


@lru_cache(maxsize=1)
def _metrics() -> watching_metrics.Metrics:
    return watching_metrics.Metrics(CHATKEEP.home, conflicts=_conflicts)


def _conflicts() -> int | None:
    """Of many archives nobody counts them at each look."""
    return None if CHATKEEP.is_server else held.open_conflicts()
