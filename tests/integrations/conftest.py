"""A Chatkeep that runs as a person runs it, with tokens, which tests stop and start again."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

INTEGRATIONS = Path(__file__).parents[2] / "integrations"


@dataclass
class Running:
    """A Chatkeep in a process of its own."""

    home: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> Any:
        """What a command of the command line gives."""
        ended = subprocess.run(
            [sys.executable, "-m", "chatkeep", *arguments, "--json"],
            env=self._environment(),
            capture_output=True,
            check=True,
            timeout=120,
        )
        return json.loads(ended.stdout)

    def token(self, name: str, *scopes: str) -> str:
        """A new token."""
        made = self.command("tokens", "add", name, *(part for scope in scopes for part in ("--scope", scope)))
        return str(made["token"])

    def start(self) -> None:
        """Start it, and wait until it answers."""
        arguments = [sys.executable, "-m", "chatkeep", "serve", "--no-browser", "--port", str(self.port)]
        self.process = subprocess.Popen(
            arguments, env=self._environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                urllib.request.urlopen(f"{self.url}/api/v1/openapi.json", timeout=5).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise TimeoutError("Chatkeep did not start")

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)
            self.process = None

    def titles(self) -> list[str]:
        """The titles of what is kept, sorted."""
        return sorted(one["title"] for one in self.command("list"))

    def _environment(self) -> dict[str, str]:
        return {"CHATKEEP_HOME": str(self.home), "PYTHONPATH": "src", "PATH": os.environ["PATH"]}


@pytest.fixture
def chatkeep(tmp_path: Path) -> Iterator[Running]:
    """A Chatkeep that is not started yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = Running(tmp_path / "chatkeep", port)
    running.home.mkdir()
    yield running
    running.stop()


def load(name: str, path: str) -> ModuleType:
    """A program of integrations/ as a module of its own, new each time."""
    spec = importlib.util.spec_from_file_location(name, INTEGRATIONS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def wait_for(what: Any, *, seconds: float = 30) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not become so in time"
        time.sleep(0.05)
