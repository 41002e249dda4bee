"""Assistants on a server: the token of one person reads the archive of that person, and of nobody else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from django.test import Client

from chatkeep.api import rates, tokens
from chatkeep.api.elsewhere import admitted
from chatkeep.mcp import guarded
from chatkeep.operations import import_from
from chatkeep.people import belonging
from chatkeep.people.models import User
from chatkeep.web import held

Somebody = tuple[User, Client]


@pytest.fixture
def address(tables: None) -> Iterator[str]:
    rates.forget()
    listener = guarded.listening("127.0.0.1", 0)
    port = listener.getsockname()[1]
    served = guarded.app(admitted, lambda id: held.means().archive_of(id), hosts=[f"127.0.0.1:{port}"])
    server = uvicorn.Server(uvicorn.Config(served, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}{guarded.PATH}"
    server.should_exit = True
    thread.join(30)
    listener.close()


def _token(person: User, *scopes: str) -> tuple[str, int]:
    text, row = tokens.add("assistant", scopes, archive=belonging.archives_of(person)[0], user=str(person.pk))
    return text, row.pk


def _fill(person: User, folder: Path, title: str) -> str:
    message = {
        "id": "m",
        "parentId": None,
        "role": "user",
        "content": f"{title}: nobody else reads this",
        "timestamp": 1,
    }
    chat = {"title": title, "models": ["x"], "history": {"messages": {"m": message}, "currentId": "m"}}
    export = folder / f"{title}.json"
    export.write_text(json.dumps([{"id": title, "user_id": "u", "title": title, "chat": chat}]))
    archive = held.means().archive_of(belonging.archives_of(person)[0])
    import_from(archive, [export])
    return archive.listing()[0].id


def _ask(address: str, token: str, tool: str, **arguments: Any) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    return httpx2.post(address, json=body, headers=headers, timeout=60)


def test_a_token_reads_what_is_its_persons_own_and_finds_nothing_else(
    alice: Somebody, charlie: Somebody, address: str, tmp_path: Path
) -> None:
    hers, his = _fill(alice[0], tmp_path, "Alices"), _fill(charlie[0], tmp_path, "Charlies")
    for person, own, other, others in ((alice, hers, his, "Charlies"), (charlie, his, hers, "Alices")):
        token, _ = _token(person[0], "read")
        assert not _ask(address, token, "read_conversation", id=own).json()["result"]["isError"]
        for tool, arguments in (
            ("read_conversation", {"id": other}),
            ("read_message", {"conversation": other, "message": "m"}),
        ):
            answer = _ask(address, token, tool, **arguments).json()["result"]
            assert answer["isError"]
            assert others not in json.dumps(answer)
        for tool, arguments in (("list_conversations", {}), ("search_conversations", {"query": "nobody"})):
            assert others not in _ask(address, token, tool, **arguments).text


def test_a_token_that_is_revoked_lets_nobody_in(alice: Somebody, address: str) -> None:
    token, number = _token(alice[0], "read")
    assert _ask(address, token, "list_conversations").status_code == 200
    tokens.revoke(number)
    assert _ask(address, token, "list_conversations").status_code == 401


def test_the_token_of_a_service_reads_nothing(address: str) -> None:
    service, _ = tokens.add("platform", ["read"], archive="")
    assert _ask(address, service, "list_conversations").status_code == 403
