"""`chatkeep mcp --http` as a person starts it, with tokens that `chatkeep tokens` makes and revokes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client


def _environment(home: Path) -> dict[str, str]:
    return {"CHATKEEP_HOME": str(home), "PYTHONPATH": "src", "PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}


def _chatkeep(home: Path, *arguments: str) -> Any:
    ended = subprocess.run(
        [sys.executable, "-m", "chatkeep", *arguments, "--json"],
        env=_environment(home),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(ended.stdout)


@pytest.fixture
def address(home: Path) -> Iterator[str]:
    arguments = [sys.executable, "-m", "chatkeep", "mcp", "--http", "--port", "0"]
    process = subprocess.Popen(arguments, env=_environment(home), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/mcp", said)
    assert found, said
    yield found[0]
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    process.stdout.close()


def _call(address: str, token: str, tool: str, **arguments: Any) -> Any:
    async def call() -> Any:
        sent_with = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60)
        async with sent_with, Client(streamable_http_client(address, http_client=sent_with)) as client:
            return (await client.call_tool(tool, arguments)).structured_content

    return anyio.run(call)


def _status(address: str, token: str) -> int:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    return httpx2.post(address, json=body, headers=headers, timeout=60).status_code


@pytest.mark.slow
def test_a_token_reads_until_it_is_revoked(home: Path, address: str) -> None:
    made = _chatkeep(home, "tokens", "add", "assistant", "--scope", "read")
    writing = _chatkeep(home, "tokens", "add", "writer", "--scope", "write")
    found = _call(address, made["token"], "search_conversations", query='"Message 12"')
    assert found["hits"]
    assert _status(address, made["token"]) == 200
    assert _status(address, writing["token"]) == 403
    assert _status(address, made["token"][:-1] + ("a" if made["token"][-1] != "a" else "b")) == 401
    _chatkeep(home, "tokens", "revoke", str(made["id"]))
    assert _status(address, made["token"]) == 401


@pytest.mark.slow
def test_an_address_for_others_needs_a_name(home: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "chatkeep", "mcp", "--http", "--host", "0.0.0.0", "--port", "0"],
        env=_environment(home),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "--allow-host" in ended.stderr
