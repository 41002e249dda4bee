"""A running OneDrive, personal and business, and how its storages are opened and closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatkeep.providers.onedrive import ONEDRIVE, SIGN_IN, OneDrive
from fakes.given import Cloud, means
from fakes.microsoft import MicrosoftFake
from fakes.server import Front


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


Opening = Callable[..., OneDrive]


@pytest.fixture
def cloud(microsoft_fake: Cloud) -> Cloud:
    return microsoft_fake


@pytest.fixture
def business() -> Iterator[Cloud]:
    fake = MicrosoftFake(kind="business")
    with Front([fake]) as front:
        yield Cloud(front, fake)


@pytest.fixture
def opening() -> Iterator[Opening]:
    """Opens storages at a cloud, each with notes of its own if it is given none, and closes them all at the end."""
    opened: list[OneDrive] = []

    def opening(cloud: Cloud, *, new: bool = True, folder: str = "Chatkeep", **given: Any) -> OneDrive:
        storage = ONEDRIVE.open({"folder": folder}, new, means(cloud, SIGN_IN, **given))
        assert isinstance(storage, OneDrive)
        opened.append(storage)
        return storage

    yield opening
    for storage in opened:
        storage.close()
