"""The API of a server: every operation, asked with the ids of somebody else; and services that push for their users."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.test import Client

from archive.talks import talk
from chatkeep.api import rates, tokens
from chatkeep.api.described import openapi
from chatkeep.api.models import Known, Token
from chatkeep.connections.models import Connection
from chatkeep.jobs import room
from chatkeep.model import encode
from chatkeep.people import belonging
from chatkeep.people.models import Membership, User
from server.conftest import Somebody

DESCRIPTION = json.loads(openapi())
TEA = talk("tea", ["Which tea?", "Green tea."])
PICTURE = b"a picture"
SHA256 = hashlib.sha256(PICTURE).hexdigest()
BODIES: dict[str, Any] = {
    "put_conversation": json.loads(encode(TEA)),
    "edit_conversation": {"starred": True},
    "put_attachment": PICTURE,
}
OF_ONES_OWN = ("put_conversation", "put_attachment")
"""What brings something under an id that somebody else may have too: it comes into the archive of whoever brings it."""


class Program:
    """A program with a token."""

    def __init__(self, token: str, **headers: str) -> None:
        self._headers = {"host": "127.0.0.1:8765", "Authorization": f"Bearer {token}", **headers}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        is_bytes = isinstance(body, bytes)
        return Client().generic(
            method.upper(),
            path if path.startswith("/") else f"/api/v1/{path}",
            body if is_bytes else b"" if body is None else json.dumps(body).encode(),
            content_type="application/octet-stream" if is_bytes else "application/json",
            headers=self._headers,
        )


@pytest.fixture(autouse=True)
def _begun() -> None:
    rates.forget()
    room.forget()


def program_of(user: User) -> Program:
    text, _ = tokens.add("notes", list(tokens.SCOPES), archive=belonging.archive_of(user), user=str(user.pk))
    return Program(text)


@pytest.fixture
def ana(somebody: Somebody) -> User:
    return somebody("ana")[0]


@pytest.fixture
def bob(somebody: Somebody) -> User:
    return somebody("bob")[0]


def filled(user: User) -> dict[str, str]:
    """Something of everything in somebody's archive: its ids, by the names of parameters and operations."""
    program, archive = program_of(user), belonging.archive_of(user)
    program.ask("PUT", f"attachments/{SHA256}", PICTURE)
    pushed = program.ask("POST", "conversations", [json.loads(encode(TEA))]).json()
    job = program.ask("POST", "exports", {"format": "txt"}).json()
    hook = program.ask("POST", "webhooks", {"url": "https://a.example/", "events": ["export.done"]}).json()
    Connection.objects.create(name="Drive", provider="folder", archive=archive)
    return {
        "conversations": TEA.id,
        "attachments": SHA256,
        "receipts": pushed["receipt"],
        "jobs": str(job["id"]),
        "webhooks": hook["id"],
        "connections": "Drive",
    }


def operations() -> Iterator[tuple[str, str, str]]:
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation["operationId"]


def address(path: str, ids: dict[str, str]) -> str:
    kind = path.split("/")[3]
    for name in ("{id}", "{sha256}", "{name}"):
        path = path.replace(name, ids.get(kind, ""))
    return path


def test_every_operation_on_what_belongs_to_somebody_else_finds_nothing(ana: User, bob: User) -> None:
    ids = filled(ana)
    his, hers = program_of(bob), program_of(ana)
    asked = 0
    for path, method, name in operations():
        if "{" not in path:
            continue
        body = BODIES.get(name)
        answer = his.ask(method, address(path, ids), body)
        answer.close()
        if name in OF_ONES_OWN:
            assert answer.status_code in (200, 201), path
            his.ask("DELETE", address(path, ids))
        else:
            assert answer.status_code == 404, (method, path)
        asked += 1
    assert asked > 15
    # The control: she finds all of it, unchanged.
    for path, method, name in operations():
        if "{" in path and method == "get" and name not in ("get_result",):
            found = hers.ask(method, address(path, ids))
            assert found.status_code == 200, path
            found.close()
    assert hers.ask("GET", f"conversations/{TEA.id}").content == encode(TEA)


def test_lists_and_searches_have_nothing_of_somebody_else(ana: User, bob: User) -> None:
    filled(ana)
    his, hers = program_of(bob), program_of(ana)
    for path, method, name in operations():
        if method != "get" or "{" in path or name == "get_me":
            continue
        query = "?q=tea" if name == "search" else ""
        [found] = [value for value in his.ask("GET", path + query).json().values() if isinstance(value, list)]
        [all_of_hers] = [value for value in hers.ask("GET", path + query).json().values() if isinstance(value, list)]
        assert found == [], path
        assert all_of_hers != [], path


def test_jobs_are_asked_for_on_connections_of_ones_own_alone(ana: User, bob: User) -> None:
    filled(ana)
    for path in ("backups", "restores"):
        assert program_of(bob).ask("POST", path, {"connection": "Drive"}).status_code == 404
        assert program_of(ana).ask("POST", path, {"connection": "Drive"}).status_code == 202


def test_a_token_ends_with_the_membership_and_with_the_account(ana: User, bob: User) -> None:
    Membership.objects.create(user=bob, archive=belonging.archive_of(ana), owns=False)
    text, _ = tokens.add("shared", ["read"], archive=belonging.archive_of(ana), user=str(bob.pk))
    own, _ = tokens.add("own", ["read"], archive=belonging.archive_of(bob), user=str(bob.pk))
    assert Program(text).ask("GET", "me").status_code == 200
    Membership.objects.filter(user=bob, owns=False).delete()
    assert Program(text).ask("GET", "me").status_code == 401
    assert Program(own).ask("GET", "me").status_code == 200
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert Program(own).ask("GET", "me").status_code == 401


# ------------------------------------------------------------------ services


def service(*scopes: str) -> tuple[str, Token]:
    return tokens.add("the chat platform", scopes or ("read", "write"), archive="")


def for_user(token: str, name: str) -> Program:
    return Program(token, **{"Chatkeep-On-Behalf-Of": name})


def test_a_service_pushes_for_users_of_its_own_and_each_gets_an_archive(tables: None) -> None:
    token, _ = service()
    for name in ("user-1", "user-2"):
        assert for_user(token, name).ask("GET", "conversations").status_code == 404
        assert for_user(token, name).ask("PUT", f"conversations/{TEA.id}", json.loads(encode(TEA))).status_code == 201
        assert for_user(token, name).ask("PUT", f"conversations/{TEA.id}", json.loads(encode(TEA))).status_code == 200
    assert Known.objects.count() == 2
    assert len(set(Known.objects.values_list("archive", flat=True))) == 2
    for_user(token, "user-1").ask("DELETE", f"conversations/{TEA.id}")
    assert for_user(token, "user-1").ask("GET", f"conversations/{TEA.id}").status_code == 404
    assert for_user(token, "user-2").ask("GET", f"conversations/{TEA.id}").content == encode(TEA)


def test_users_of_another_service_are_others_even_under_the_same_name(tables: None) -> None:
    first, second = service()[0], service()[0]
    for_user(first, "user-1").ask("PUT", f"conversations/{TEA.id}", json.loads(encode(TEA)))
    assert for_user(second, "user-1").ask("GET", f"conversations/{TEA.id}").status_code == 404


def test_a_service_reaches_somebody_with_an_account_by_id_or_address(ana: User, bob: User) -> None:
    token, _ = service()
    for name in (str(ana.pk), ana.pk.hex, "ANA@example.org"):
        assert for_user(token, name).ask("PUT", f"conversations/{TEA.id}", json.loads(encode(TEA))).status_code < 300
    assert Known.objects.count() == 0
    assert program_of(ana).ask("GET", f"conversations/{TEA.id}").status_code == 200
    assert program_of(bob).ask("GET", f"conversations/{TEA.id}").status_code == 404
    User.objects.filter(pk=ana.pk).update(is_active=False)
    assert for_user(token, str(ana.pk)).ask("GET", "conversations").status_code == 404


def test_a_service_that_may_only_read_makes_no_archive(tables: None) -> None:
    token, _ = service("read")
    assert for_user(token, "user-1").ask("PUT", f"conversations/{TEA.id}", json.loads(encode(TEA))).status_code == 404
    assert Known.objects.count() == 0


def test_who_has_no_room_left_is_told_so_and_nothing_is_taken(ana: User) -> None:
    User.objects.filter(pk=ana.pk).update(most_bytes=100)
    answer = program_of(ana).ask("PUT", f"conversations/{TEA.id}", json.loads(encode(TEA)))
    assert answer.status_code == 507
    assert answer.json()["hint"]
    assert program_of(ana).ask("GET", "conversations").json()["conversations"] == []
    room.forget()
    User.objects.filter(pk=ana.pk).update(most_bytes=1_000_000)
    assert program_of(ana).ask("PUT", f"conversations/{TEA.id}", json.loads(encode(TEA))).status_code == 201


# -------------------------------------------------------------- what a push costs

MOST_STATEMENTS, MOST_WAITS = 22, 12


def test_a_push_of_a_new_conversation_is_few_statements_and_fewer_waits(
    ana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = program_of(ana)
    asked, together = counted(monkeypatch)
    answers = []
    for number in range(3):  # the first makes and opens the archive
        asked.clear()
        together.clear()
        new = json.loads(encode(talk(f"tea {number}", ["Which tea?", "Green tea."])))
        answers.append(program.ask("PUT", f"conversations/{new['id']}", new).status_code)
    assert answers == [201] * 3
    assert sum("INSERT INTO documents" in one for one in asked) == 1  # so they are counted
    assert len(asked) <= MOST_STATEMENTS, asked
    assert len(asked) - sum(together) + len(together) <= MOST_WAITS, asked


def counted(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[int]]:
    """The statements of this process from now on, and how many of them were sent together each time."""
    asked: list[str] = []
    together: list[int] = []
    execute, pipeline = psycopg.Cursor.execute, psycopg.Connection.pipeline

    def execute_counted(self: Any, query: Any, *arguments: Any, **more: Any) -> Any:
        asked.append(str(query))
        return execute(self, query, *arguments, **more)

    @contextlib.contextmanager
    def pipeline_counted(self: Any) -> Iterator[Any]:
        before = len(asked)
        with pipeline(self) as opened:
            yield opened
        together.append(len(asked) - before)

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("COPY waits for an answer before it sends rows")

    monkeypatch.setattr(psycopg.Cursor, "execute", execute_counted)
    monkeypatch.setattr(psycopg.Cursor, "copy", refused)
    monkeypatch.setattr(psycopg.Connection, "pipeline", pipeline_counted)
    return asked, together
