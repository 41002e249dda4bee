"""Around every request: its name, its time, and how it ended, for whoever counts, logs or traces."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from chatkeep import happenings

Handler = Callable[[HttpRequest], HttpResponseBase]
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}")
_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Followed:
    """Gives each request an id, and tells how long it took under the name of its route, never under its address.

    An X-Request-Id that a proxy gave is kept when it looks like one; the answer carries the id. So does a traceparent.
    """

    def __init__(self, handle: Handler) -> None:
        self._handle = handle

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-Id", "")
        id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        if not happenings.is_heard():
            response = self._handle(request)
            response.headers["X-Request-Id"] = id
            return response
        begun = time.perf_counter()
        method = request.method if request.method in _METHODS else "other"
        trace = request.headers.get("traceparent", "")
        after = trace if _TRACE.fullmatch(trace) else ""
        with happenings.during("request", after=after, id=id, method=method or "other", code="500") as facts:
            response = self._handle(request)
            facts["code"] = str(response.status_code)
            facts["route"] = route_of(request)
            facts["archive"] = getattr(request, "archive_id", "")
        took = time.perf_counter() - begun
        labels = {"route": facts["route"], "method": facts["method"], "code": facts["code"]}
        happenings.tell("http_request_duration_seconds", took, **labels)
        response.headers["X-Request-Id"] = id
        return response


def route_of(request: HttpRequest) -> str:
    """The name of a request's route: "chat", "static" for files of the app, "none" where nothing is at the address."""
    if request.path.startswith("/static/"):
        return "static"
    match = request.resolver_match
    if match is None:
        return "none"
    return match.view_name or "unnamed"
