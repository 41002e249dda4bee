"""The three imitated clouds with an account for each person, and a witness of which process spoke to which account.

A process is known by the first part of the addresses it dials, "by-4711", which `named/sitecustomize.py` gives it.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import defaultdict
from importlib import import_module
from types import TracebackType
from typing import Any

KINDS = {"google-drive": "google", "dropbox": "dropbox", "onedrive": "microsoft"}
"""By the name of a provider, the module of its imitation."""
APP_UNITS_PER_MINUTE = 1_000_000
ENVIRONMENT = {
    "CHATKEEP_GOOGLE_DRIVE_CLIENT_ID": "cid",
    "CHATKEEP_GOOGLE_DRIVE_CLIENT_SECRET": "csec",
    "CHATKEEP_DROPBOX_CLIENT_ID": "cid",
    "CHATKEEP_ONEDRIVE_CLIENT_ID": "cid",
}


@dataclasses.dataclass(frozen=True)
class Seen:
    """One signed request: when [s], by which process, for whose account."""

    at: float
    process: str
    account: str


class Clouds:
    """Run until the end of their block. seen: all signed requests, in order. url: what processes are to dial."""

    def __init__(self) -> None:
        names = import_module("fakes.fixtures").KINDS
        self.fakes = {kind: getattr(import_module(f"fakes.{name}"), names[name])() for kind, name in KINDS.items()}
        self.fakes["google-drive"].units_per_minute = APP_UNITS_PER_MINUTE  # it counts those of all people
        self.seen: list[Seen] = []
        self._front = import_module("fakes.server").Front(list(self.fakes.values()))
        self._front.fakes = _Routes(self, self._front.fakes)
        self.url: str = self._front.url

    def __enter__(self) -> Clouds:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._front.close()

    @property
    def errors(self) -> list[str]:
        """What an imitation stumbled over."""
        return list(self._front.errors)

    def sign_in(self, provider: str, person: int) -> dict[str, Any]:
        """Tokens of a new account."""
        fake, name = self.fakes[provider], f"p{person}"  # imitations tell people by eight letters
        consent = import_module("fakes.consent")
        id = {
            "google-drive": f"{100_000 + person}",
            "dropbox": import_module("fakes.dropbox")._account_id(name),
            "onedrive": name,
        }[provider]
        fake.consent.people[name] = consent.Person(id, name, f"{name}@clouds.example")
        if provider == "google-drive":
            drive = import_module("fakes.google_drive").Drive
            fake.users[name] = drive(id, lambda: fake.clock())
        issued = fake.issue(name)
        return {
            "access": issued.access,
            "refresh": issued.refresh,
            "expires_at": issued.expires_at,
            "scopes": list(issued.scopes),
        }

    def overlaps(self, since: float) -> list[str]:
        """The accounts that a process spoke to again after another had begun to, from a moment on."""
        spoken: dict[str, list[str]] = defaultdict(list)
        for one in self.seen:
            if one.at >= since and spoken[one.account][-1:] != [one.process]:
                spoken[one.account].append(one.process)
        return [account for account, processes in spoken.items() if len(set(processes)) < len(processes)]


class _Routes(dict[str, Any]):
    """Leads "by-4711" to the imitation whose host comes next in the path."""

    def __init__(self, clouds: Clouds, fakes: dict[str, Any]) -> None:
        super().__init__(fakes)
        self._clouds = clouds

    def get(self, host: str, default: Any = None) -> Any:
        return _By(self._clouds, self, host) if host.startswith("by-") else super().get(host, default)


class _By:
    """The imitations as one process sees them."""

    _lock = threading.Lock()

    def __init__(self, clouds: Clouds, fakes: _Routes, process: str) -> None:
        self._clouds = clouds
        self._fakes = fakes
        self._process = process

    def answer(self, request: Any) -> Any:
        host, _, path = request.path.removeprefix("/").partition("/")
        inner = dataclasses.replace(request, host=host, path=f"/{path}", base=f"{request.base}/{self._process}")
        fake = self._fakes[host]
        grant = fake.consent.grant_of(inner)
        if grant is not None:
            with self._lock:
                self._clouds.seen.append(Seen(time.monotonic(), self._process, grant.user))
        return fake.answer(inner)
