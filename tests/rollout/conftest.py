"""Flags as a laptop declares them, on both databases; a test about a server asks for `server`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatkeep.rollout import flags


@pytest.fixture(autouse=True)
def as_on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everybody has everything until a test changes it, and nothing is remembered from the test before."""
    monkeypatch.setattr(flags, "is_staged", lambda: False)
    flags.REMEMBERED.forget()
    yield
    flags.REMEMBERED.forget()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, as_on_a_laptop: None) -> None:
    """Flags as a server declares them."""
    monkeypatch.setattr(flags, "is_staged", lambda: True)
