"""The smallest fake: it remembers what it saw, says it back, and stands behind a consent page."""

from __future__ import annotations

import json
from collections.abc import Callable

from fakes.consent import Consent, Issued, Person, Policy, loopback
from fakes.wire import Request, Response

SCOPES = ("files",)


class Moment:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Echo:
    hosts = ("echo.example.com", "sign-in.example.com")

    def __init__(self, **policy: object) -> None:
        self.clock = Moment()
        self.seen: list[Request] = []
        kept = {"redirect": loopback("127.0.0.1", "localhost")} | policy
        places = Policy(
            authorize=("sign-in.example.com/authorize",),
            token=("sign-in.example.com/token",),
            revoke=("sign-in.example.com/revoke",),
            device=("sign-in.example.com/device/code",),
            device_page="sign-in.example.com/device",
            **kept,  # type: ignore[arg-type]
        )
        people = {"alice": Person("p1", "Alice", "alice@example.com"), "bob": Person("p2", "Bob", "bob@example.com")}
        self.consent = Consent(places, people, clients={"cid": "csec", "other": "osec"}, clock=self.clock)
        self.routes: dict[str, Callable[[Request], Response]] = {}

    def issue(self, user: str = "alice") -> Issued:
        return self.consent.issue(user, scopes=SCOPES)

    def answer(self, request: Request) -> Response:
        self.seen.append(request)
        if request.path in self.routes:
            return self.routes[request.path](request)
        if request.path.startswith("/signed") and not self.consent.grant_of(request):
            return Response(401, {"Content-Type": "application/json"}, b'{"error": "expired"}')
        answered = self.consent.answer(request)
        if answered:
            return answered
        said = {"method": request.method, "host": request.host, "path": request.path, "query": request.query}
        said |= {"size": len(request.body), "secure": request.secure, "whole": request.whole}
        return Response(200, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(said).encode())
