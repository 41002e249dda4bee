from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatkeep.providers.google_drive import SIGN_IN, GoogleDrive
from chatkeep.providers.notes import MemoryNotes
from fakes.given import Cloud, means


class Device:
    """One device of Alice's: its notes stay, its process comes and goes."""

    def __init__(self, cloud: Cloud, *, user: str = "alice") -> None:
        self.cloud = cloud
        self.user = user
        self.notes = MemoryNotes()
        self.opened: list[GoogleDrive] = []

    def open(self, *, new: bool = True, **more: Any) -> GoogleDrive:
        given = means(self.cloud, SIGN_IN, notes=self.notes, user=self.user)
        self.opened.append(GoogleDrive(given, new=new, clock=self.cloud.fake.clock, **more))
        return self.opened[-1]

    def kill(self) -> None:
        """Its process ends without closing anything; only the lines are let go of, as the system does."""
        for storage in self.opened:
            storage._calls.http.close()
        self.opened.clear()


@pytest.fixture
def devices(google_fake: Cloud) -> Iterator[Callable[..., Device]]:
    made: list[Device] = []

    def device(**more: Any) -> Device:
        made.append(Device(google_fake, **more))
        return made[-1]

    yield device
    for one in made:
        for storage in one.opened:
            storage.close()


@pytest.fixture
def device(devices: Callable[..., Device]) -> Device:
    return devices()


@pytest.fixture
def storage(device: Device) -> GoogleDrive:
    return device.open()
