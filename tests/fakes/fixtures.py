"""Running fakes for tests. Each has .fake, .url, .faults, .journal and .front; see given.Cloud."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from fakes.given import Cloud
from fakes.server import Front

KINDS = {"google": "GoogleFake", "dropbox": "DropboxFake", "microsoft": "MicrosoftFake"}


def _running(module: str) -> Iterator[Cloud]:
    fake = getattr(importlib.import_module(f"fakes.{module}"), KINDS[module])()
    with Front([fake]) as front:
        yield Cloud(front, fake)


@pytest.fixture
def google_fake() -> Iterator[Cloud]:
    yield from _running("google")


@pytest.fixture
def dropbox_fake() -> Iterator[Cloud]:
    yield from _running("dropbox")


@pytest.fixture
def microsoft_fake() -> Iterator[Cloud]:
    yield from _running("microsoft")
