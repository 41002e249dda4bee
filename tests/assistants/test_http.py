"""The tools over HTTP: a token for every request, the right name for the server, and nobody's archive but one's own."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
import uvicorn
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

from assistants.conftest import chat, fill
from chatkeep.archive import Archive
from chatkeep.errors import SlowDown
from chatkeep.mcp import guarded

ALICE, BOB = "ck_alice", "ck_bob"


@dataclass(frozen=True)
class Access:
    archive_id: str
    scopes: frozenset[str] = frozenset({"read"})


@dataclass
class Running:
    """A server that runs. tokens: what each allows now. asked: archives that were asked for."""

    port: int
    tokens: dict[str, Access]
    asked: list[str] = field(default_factory=list)

    def call(self, token: str, tool: str, **arguments: Any) -> Any:
        """What a tool gives to an assistant with this token."""

        async def call() -> Any:
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx2.AsyncClient(headers=headers, timeout=30) as sent_with:
                url = f"http://127.0.0.1:{self.port}{guarded.PATH}"
                async with Client(streamable_http_client(url, http_client=sent_with)) as client:
                    return await client.call_tool(tool, arguments)

        return anyio.run(call)

    def post(self, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """What a plain request gets: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest("POST", guarded.PATH, skip_host="Host" in headers, skip_accept_encoding=True)
            sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"} | headers
            for name, value in (sent | {"Content-Length": str(len(body))}).items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


LIST = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_conversations", "arguments": {}}}
).encode()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    archives = {}
    for name in ("alice", "bob"):
        fill(tmp_path / name, [chat(f"c-{name}", f"Secret of {name}", [f"only {name} may read this"])])
        archives[name] = Archive.open(tmp_path / name)
    listener = guarded.listening("127.0.0.1", 0)
    port = listener.getsockname()[1]
    found = Running(port, {ALICE: Access("alice"), BOB: Access("bob")})

    def archive_of(id: str) -> Archive:
        found.asked.append(id)
        return archives[id]

    served = guarded.app(found.tokens.get, archive_of, hosts=guarded.names_of("127.0.0.1", port, ["chats.example"]))
    server = uvicorn.Server(uvicorn.Config(served, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield found
    server.should_exit = True
    thread.join(30)
    listener.close()
    for archive in archives.values():
        archive.close()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_everybody_reads_their_own_archive_alone(running: Running) -> None:
    for token, own, other in ((ALICE, "alice", "bob"), (BOB, "bob", "alice")):
        listed = running.call(token, "list_conversations").structured_content
        assert [one["title"] for one in listed["conversations"]] == [f"Secret of {own}"]
        found = running.call(token, "search_conversations", query=f"only {other}").structured_content
        assert found["hits"] == []
    assert set(running.asked) == {"alice", "bob"}


def test_a_conversation_of_somebody_else_is_not_found(running: Running) -> None:
    [hers] = running.call(ALICE, "list_conversations").structured_content["conversations"]
    assert not running.call(ALICE, "read_conversation", id=hers["id"]).is_error
    result = running.call(BOB, "read_conversation", id=hers["id"])
    assert result.is_error
    nobodys = running.call(BOB, "read_conversation", id="ffffffff-0000-5000-8000-000000000000")
    assert result.content[0].text.replace(hers["id"], "") == nobodys.content[0].text.replace(
        "ffffffff-0000-5000-8000-000000000000", ""
    )


def test_a_token_that_is_taken_back_lets_nobody_in_from_the_next_request_on(running: Running) -> None:
    async def talk() -> list[int]:
        statuses = []
        async with httpx2.AsyncClient(headers=_bearer(ALICE), timeout=30) as client:
            for _ in range(2):
                headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
                url = f"http://127.0.0.1:{running.port}{guarded.PATH}"
                statuses.append((await client.post(url, content=LIST, headers=headers)).status_code)
                running.tokens.pop(ALICE, None)
        return statuses

    assert anyio.run(talk) == [200, 401]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer ck_nobody"},
        {"Authorization": f"Basic {ALICE}"},
        {"Authorization": ALICE},
    ],
)
def test_without_a_valid_token_nothing_is_answered(running: Running, headers: dict[str, str]) -> None:
    status, body = running.post(LIST, **headers)
    assert status == 401
    assert b"Secret" not in body
    assert json.loads(body)["hint"]
    assert running.asked == []


def test_a_token_that_may_not_read_or_is_of_no_person_is_refused(running: Running) -> None:
    running.tokens |= {"ck_write": Access("alice", frozenset({"write"})), "ck_service": Access("")}
    assert running.post(LIST, **_bearer("ck_write"))[0] == 403
    assert running.post(LIST, **_bearer("ck_service"))[0] == 403
    assert running.asked == []
    assert running.post(LIST, **_bearer(ALICE))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "localhost:1",
        "127.0.0.1.evil.example:{port}",
        "127.0.0.1:{port}@x",
    ],
)
def test_a_server_that_is_named_wrongly_does_not_answer(running: Running, host: str) -> None:
    named = host.format(port=running.port)
    status, body = running.post(LIST, Host=named, **_bearer(ALICE))
    assert status == 421
    assert b"Secret" not in body
    assert running.asked == []


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "chats.example"])
def test_a_server_that_is_named_rightly_answers(running: Running, host: str) -> None:
    status, body = running.post(LIST, Host=host.format(port=running.port), **_bearer(ALICE))
    assert (status, b"Secret of alice" in body) == (200, True)


def test_a_page_of_another_site_may_not_ask(running: Running) -> None:
    assert running.post(LIST, Origin="https://evil.example", **_bearer(ALICE))[0] == 421
    assert running.post(LIST, Origin="null", **_bearer(ALICE))[0] == 421
    assert running.post(LIST, Origin=f"http://localhost:{running.port}", **_bearer(ALICE))[0] == 200


def test_a_token_that_asks_too_often_is_told_to_wait(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(token: str) -> Access:
        raise SlowDown("This token may ask 600 times a minute.", wait_s=2.5, hint="Wait.")

    served = guarded.app(check, lambda _: pytest.fail("nothing is read"), hosts=["a.example"])  # type: ignore[arg-type]

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=served)
        async with httpx2.AsyncClient(transport=transport, base_url="http://a.example") as client:
            return await client.post(guarded.PATH, content=LIST, headers=_bearer("ck_x"))

    answer = anyio.run(ask)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")


def test_a_request_that_is_too_large_is_refused(running: Running) -> None:
    status, _ = running.post(b" " * (guarded.LARGEST_REQUEST + 1), **_bearer(ALICE))
    assert status == 413
    assert running.asked == []


def test_names_that_are_given_count_with_the_port_and_without() -> None:
    assert guarded.names_of("0.0.0.0", 8766, ["a.example", "b.example:443"])[3:] == [
        "a.example",
        "a.example:8766",
        "b.example:443",
    ]
    assert guarded.names_of("::1", 1, [])[-1] == "[::1]:1"
