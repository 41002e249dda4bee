"""Handles to a folder in the fake Dropbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from chatkeep.providers.dropbox import DROPBOX, SIGN_IN, Dropbox
from chatkeep.providers.http import Gate
from chatkeep.providers.notes import MemoryNotes, Notes
from fakes.dropbox import DropboxFake
from fakes.given import Cloud, means


class Time:
    """A clock that moves by sleeping. slept: every wait [s]."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def waited() -> Time:
    return Time()


@pytest.fixture
def gate(waited: Time) -> Gate:
    return Gate(clock=waited, sleep=waited.sleep)


@pytest.fixture
def notes() -> MemoryNotes:
    return MemoryNotes()


@pytest.fixture
def fake(dropbox_fake: Cloud) -> DropboxFake:
    found: DropboxFake = dropbox_fake.fake
    return found


@pytest.fixture
def opened(dropbox_fake: Cloud, gate: Gate, notes: MemoryNotes) -> Iterator[Callable[..., Dropbox]]:
    """Opens handles of one device, each closed at the end. Give other notes for another device."""
    with ExitStack() as ending:

        def open_one(
            *, new: bool = False, folder: str = "Chatkeep", notes: Notes = notes, gate: Gate = gate, **more: Any
        ) -> Dropbox:
            settings = {"folder": folder}
            storage = DROPBOX.open(settings, new, means(dropbox_fake, SIGN_IN, notes=notes, gate=gate, **more))
            assert isinstance(storage, Dropbox)
            ending.callback(storage.close)
            return storage

        yield open_one


@pytest.fixture
def storage(opened: Callable[..., Dropbox]) -> Dropbox:
    """A handle to a folder that was just made."""
    return opened(new=True)
