"""Alice, Bob and Charlie, each with a browser, an account and an archive; and Olivia, who runs the server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import msgspec
import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import Client

from chatkeep.jobs.means import means_of
from chatkeep.people import belonging
from chatkeep.people.models import Role, User
from chatkeep.web import held

PASSWORD = "correct horse battery"
Somebody = Callable[..., tuple[User, Client]]


@pytest.fixture
def browser() -> Callable[[], Client]:
    """A browser that is signed in nowhere."""
    return lambda: Client(headers={"host": "127.0.0.1:8765"})


@pytest.fixture
def tables(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tables and files of its own for every test."""
    cache.clear()
    here = connection.settings_dict
    url = f"postgresql://chatkeep@/{here['NAME']}?host={here['HOST']}"
    means = means_of(msgspec.structs.replace(settings.CHATKEEP, database_url=url))
    monkeypatch.setattr(held, "means", lambda: means)
    yield
    means.close()
    shutil.rmtree(settings.CHATKEEP.home / "archives", ignore_errors=True)


@pytest.fixture
def somebody(tables: None, browser: Callable[[], Client]) -> Somebody:
    """Makes an account, and a browser that is signed in with it."""

    def made(name: str, role: str = Role.MEMBER) -> tuple[User, Client]:
        user = User(email=f"{name}@example.org", name=name.capitalize(), role=role)
        user.set_password(PASSWORD)
        user.save()
        belonging.new_archive(user)
        client = browser()
        answer = client.post("/account/login/", {"login": user.email, "password": PASSWORD})
        assert answer.status_code == 302, answer.content
        return user, client

    return made


@pytest.fixture
def alice(somebody: Somebody) -> tuple[User, Client]:
    return somebody("alice")


@pytest.fixture
def charlie(somebody: Somebody) -> tuple[User, Client]:
    return somebody("charlie")


@pytest.fixture
def olivia(somebody: Somebody) -> tuple[User, Client]:
    return somebody("olivia", Role.OPERATOR)
