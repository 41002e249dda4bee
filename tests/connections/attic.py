"""A cloud of our own for tests: a consent page in front, and every object of an account behind one request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from chatkeep import providers
from chatkeep.errors import NotFound, Refused, SignInAgain, Unavailable
from chatkeep.providers import Account, Means, Provider, SignIn, Space
from chatkeep.providers.http import Http
from chatkeep.providers.memory import Memory
from chatkeep.storage import Around, StoredObject
from fakes.consent import Consent, Person, Policy, loopback
from fakes.given import Cloud
from fakes.server import Front
from fakes.wire import Request, Response

NAME = "attic"
SIGN_IN = SignIn(
    authorize="https://attic.example.com/authorize",
    token="https://attic.example.com/token",
    revoke="https://attic.example.com/revoke",
    device="https://attic.example.com/device/code",
    scopes=("keep", "see"),
    needed=("keep",),
    wider=("keep", "see", "everything"),
    redirect_host="127.0.0.1",
    trial_days=7,
    trial_note="The attic ends the sign-in of an app on trial after seven days: publish the app.",
)


class AtticFake:
    """Its people are Alice and Bob. grudging: whoever consented to less than everything is refused the folder."""

    hosts = ("attic.example.com",)

    def __init__(self, **policy: Any) -> None:
        self.now = 1_700_000_000.0
        self.grudging = False
        self.total: int | None = 1000
        self.kept: dict[tuple[str, str], Memory] = {}
        host = self.hosts[0]
        kept = {"redirect": loopback("127.0.0.1", "localhost"), "secret": "demanded"} | policy
        places = Policy(
            authorize=(f"{host}/authorize",),
            token=(f"{host}/token",),
            revoke=(f"{host}/revoke",),
            device=(f"{host}/device/code",),
            device_page=f"{host}/device",
            **kept,
        )
        people = {"alice": Person("p1", "Alice", "alice@example.com"), "bob": Person("p2", "Bob", "bob@example.com")}
        clients = {"cid": "csec", "other": "osec"}
        self.consent = Consent(places, people, clients=clients, clock=lambda: self.now)

    def answer(self, request: Request) -> Response:
        told = self.consent.answer(request)
        if told is not None:
            return told
        grant = self.consent.grant_of(request)
        if grant is None:
            return Response(401, {"Content-Type": "application/json"}, b"{}")
        person = self.consent.people[grant.user]
        body: dict[str, Any] = {"id": person.id, "name": person.name, "email": person.email, "total": self.total}
        if self.grudging and request.path == "/files" and "everything" not in grant.scopes:
            return Response(403, {"Content-Type": "application/json"}, b"{}")
        return Response(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def issue(self, user: str = "alice") -> Any:
        return self.consent.issue(user, scopes=SIGN_IN.scopes)


def _get(means: Means, path: str) -> dict[str, Any]:
    http = Http(means.endpoints, access=means.access, gate=means.gate)
    try:
        answer = http.request("GET", f"https://attic.example.com/{path}")
    finally:
        http.close()
    if answer.status == 401:
        raise SignInAgain("The attic does not take the sign-in.")
    if answer.status == 403:
        raise Refused("The attic refuses.")
    if not answer.ok:
        raise Unavailable("The attic is closed.")
    found: dict[str, Any] = answer.json()
    return found


class AtticStorage(Around):
    """Objects in memory; each verb asks the attic first whether the sign-in still counts."""

    def __init__(self, inner: Memory, means: Means) -> None:
        super().__init__(inner)
        self._means = means

    def put(self, name: str, data: bytes) -> StoredObject:
        _get(self._means, "files")
        return super().put(name, data)

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        _get(self._means, "files")
        return super().get(name, start=start, length=length)


@contextmanager
def attic(**policy: Any) -> Iterator[Cloud]:
    """The attic, open: its fake runs, and its provider is registered."""
    fake = AtticFake(**policy)

    def opened(settings: Mapping[str, str], new: bool, means: Means | None) -> AtticStorage:
        assert means is not None
        key = (_get(means, "files")["id"], settings.get("folder", ""))
        if new:
            fake.kept.setdefault(key, Memory())
        if key not in fake.kept:
            raise NotFound("The folder is not in the attic.")
        return AtticStorage(fake.kept[key], means)

    def account(means: Means) -> Account:
        found = _get(means, "me")
        return Account(found["id"], found["name"], found["email"])

    def space(settings: Mapping[str, str], means: Means) -> Space:
        return Space(100, _get(means, "me")["total"])

    with Front([fake]) as front:
        providers.register(
            Provider(name=NAME, title="Attic", needs=(), open=opened, sign_in=SIGN_IN, account=account, space=space)
        )
        try:
            yield Cloud(front, fake)
        finally:
            providers._providers.pop(NAME)
