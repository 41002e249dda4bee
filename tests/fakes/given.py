"""What a provider is opened with in tests: tokens and notes in memory, and the doors of a fake."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from chatkeep.providers.http import Endpoints, Gate
from chatkeep.providers.notes import MemoryNotes, Notes
from chatkeep.providers.oauth import Access, Client, SignIn, Tokens
from chatkeep.providers.provider import Means
from fakes.faults import Faults, Journal
from fakes.server import Front

CLIENT = Client("cid", "csec")


@dataclass
class MemoryTokens:
    """A token store for one process. saved: every token that was stored, in order."""

    tokens: Tokens
    saved: list[Tokens] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def load(self) -> Tokens:
        return self.tokens

    def save(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.saved.append(tokens)

    def alone(self) -> AbstractContextManager[object]:
        return self.lock


@dataclass
class Cloud:
    """A running fake and its front."""

    front: Front
    fake: Any

    @property
    def url(self) -> str:
        return self.front.url

    @property
    def faults(self) -> Faults:
        return self.front.faults

    @property
    def journal(self) -> Journal:
        return self.front.journal

    def tokens(self, user: str = "alice") -> Tokens:
        issued = self.fake.issue(user)
        return Tokens(issued.access, issued.refresh, issued.expires_at, tuple(issued.scopes))


def means(
    cloud: Cloud,
    sign_in: SignIn,
    *,
    user: str = "alice",
    client: Client | None = None,
    notes: Notes | None = None,
    store: MemoryTokens | None = None,
    gate: Gate | None = None,
    clock: Callable[[], float] | None = None,
) -> Means:
    """What a person's storage at this fake is opened with. Give the same notes to a second handle of one device."""
    if client is None:  # some demand a secret, and Microsoft refuses one
        client = CLIENT if sign_in.secret else Client(CLIENT.id)
    endpoints = Endpoints(cloud.url)
    kept = store or MemoryTokens(cloud.tokens(user))
    access = Access(sign_in, client, kept, endpoints, clock=clock or (lambda: cloud.fake.clock()))
    return Means(access, MemoryNotes() if notes is None else notes, endpoints, gate or Gate(sleep=lambda _: None))
