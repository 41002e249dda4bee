"""`chatkeep mcp` as an assistant starts it: a process that speaks over standard input and output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client


def _environment(home: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, ["src", os.environ.get("PYTHONPATH", "")]))
    return {"CHATKEEP_HOME": str(home), "PYTHONPATH": path, "PATH": os.environ["PATH"]}


def test_an_assistant_searches_and_reads_over_standard_input(home: Path) -> None:
    async def talk() -> tuple[Any, Any]:
        server = StdioServerParameters(command=sys.executable, args=["-m", "chatkeep", "mcp"], env=_environment(home))
        async with Client(stdio_client(server)) as client:
            found = await client.call_tool("search_conversations", {"query": '"Message 200"'})
            assert found.structured_content is not None
            hit = found.structured_content["hits"][0]
            read = await client.call_tool(
                "read_conversation", {"id": hit["conversation"], "around_message": hit["message"], "count": 3}
            )
            return found.structured_content, read.structured_content

    found, read = anyio.run(talk)
    assert found["untrusted"] is True
    assert "Message 200 about sourdough" in [one["text"] for one in read["messages"]]


def test_a_server_is_told_to_use_http(tmp_path: Path) -> None:
    environment = _environment(tmp_path) | {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1/nothing",
        "CHATKEEP_KEY": "a key of the tests that nobody else has",
        "CHATKEEP_PUBLIC_URL": "https://chats.example",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "chatkeep", "mcp"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "--http" in ended.stderr
    assert ended.stdout == ""


def test_help_does_not_load_what_assistants_need() -> None:
    code = "import sys; from chatkeep.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n" + (
        "print(sorted({'mcp', 'pydantic', 'starlette', 'anyio', 'django'} & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=_environment(Path("/nonexistent")), capture_output=True, text=True, check=True
    )
    assert ended.stderr.strip() == "[]"
