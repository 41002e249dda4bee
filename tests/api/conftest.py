"""An archive behind the API, and programs with tokens that ask it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from chatkeep.api import rates, tokens
from chatkeep.archive import Archive
from chatkeep.connections.installation import OWN
from chatkeep.jobs.kinds import kinds
from chatkeep.jobs.worker import Worker
from chatkeep.model import encode
from chatkeep.web import held
from chatkeep.web.configuration import CHATKEEP

JSON = "application/json"


@pytest.fixture(autouse=True)
def _database(transactional_db: None) -> None:
    """Every test has tables of its own."""
    rates.forget()


@pytest.fixture
def archive() -> Iterator[Archive]:
    """The archive behind the API, empty."""
    _empty()
    opened = held.means().archive_of(OWN)
    yield opened
    assert opened.check() == []
    held.means().close()
    _empty()


def _empty() -> None:
    held.means.cache_clear()
    for left in CHATKEEP.home.glob("archive.sqlite3*"):
        left.unlink()
    shutil.rmtree(CHATKEEP.home / "attachments", ignore_errors=True)


class Program:
    """A program that asks with a token, without cookies."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.client = Client(headers={"host": "127.0.0.1"}, enforce_csrf_checks=True)

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> HttpResponse:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        content_type = more.pop("content_type", JSON)
        return self.client.generic(  # type: ignore[return-value]
            method, f"/api/v1/{path}", data, content_type=content_type, headers=headers, **more
        )

    def get(self, path: str, **more: Any) -> HttpResponse:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> HttpResponse:
        return self.ask("POST", path, body, **more)

    def put(self, path: str, body: Any = None, **more: Any) -> HttpResponse:
        return self.ask("PUT", path, body, **more)

    def push(self, *conversations: Any) -> HttpResponse:
        items = b",".join(encode(one) for one in conversations)
        return self.post("conversations", b"[" + items + b"]")


@pytest.fixture
def program() -> Program:
    """A program that may do everything."""
    return Program(tokens.add("the tests", list(tokens.SCOPES), per_minute=60_000)[0])


@pytest.fixture
def with_scopes() -> Callable[..., Program]:
    """Programs that may do what is named."""
    return lambda *scopes: Program(tokens.add("the tests", scopes)[0])


@pytest.fixture
def work() -> Callable[[], None]:
    """Does all jobs that are waiting."""

    def run() -> None:
        worker = Worker(kinds(held.means()))
        while worker.run_one():
            pass

    return run
