"""A server of its own: PostgreSQL that writes to disk, web processes, workers, all on this machine."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from . import copies
from .measuring import descendants

HERE = Path(__file__).parent.parent
PATHS = (HERE.parent / "src", HERE, HERE.parent / "tests")
LISTENS = """
import os, socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
if listener.fileno() != 3:
    os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "-m", "chatkeep", "serve"])
"""


class Server:
    """Runs until the end of its block. PostgreSQL is as an operator would set it: nothing is left out that keeps data.

    url: of its database. port: of its pages. environment: what its programs are told.
    """

    def __init__(self, folder: Path, *, workers: int = 2, processes: int = 2, **settings: str) -> None:
        self.folder = folder
        self._workers = workers
        self._stack = ExitStack()
        self._log = self._stack.enter_context((folder / "log").open("ab"))
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, PATHS)),
            "CHATKEEP_HOME": str(folder / "home"),
            "CHATKEEP_KEY": secrets.token_urlsafe(32),
            "CHATKEEP_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "CHATKEEP_WEB_PROCESSES": str(processes),
            "CHATKEEP_LOG_LEVEL": "error",
            **settings,
        }
        self.web: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Server:
        safe = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "512MB", "max_wal_size": "2GB"}
        self.cluster = self._stack.enter_context(import_module("postgres").running(**safe))
        self.url = self.cluster.fresh()
        self.environment["DATABASE_URL"] = self.url
        self.run("-m", "chatkeep", "server", "migrate")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in [*self.workers, *([self.web] if self.web else [])]:
            process.send_signal(signal.SIGTERM)
        for process in [*self.workers, *([self.web] if self.web else [])]:
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
        self._listener.close()
        self._stack.close()

    def run(self, *arguments: str) -> str:
        """A program of Chatkeep's, run to its end. Raises when it fails."""
        ran = subprocess.run(
            [sys.executable, *arguments], env=self.environment, cwd="/", capture_output=True, text=True
        )
        if ran.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {ran.stderr[-2000:]}")
        return ran.stdout

    def fill(self, people: int, conversations: int, *, written: int = 0) -> list[dict[str, Any]]:
        """People with conversations: who they are. written: so many have conversations of their own, the others copies
        of those; 0 for all.
        """
        own = min(written or people, people)
        found = self._people(0, own, conversations)
        if own < people:
            more = self._people(own, people, 0)
            copies.copy(self.url, [one["archive"] for one in found], [one["archive"] for one in more])
            found += [one | {"chats": found[place % own]["chats"]} for place, one in enumerate(more)]
        return found

    def _people(self, begin: int, end: int, conversations: int, *, hands: int = 2) -> list[dict[str, Any]]:
        """People with conversations of their own, by several processes at once, in order."""
        share = -(-(end - begin) // hands)
        running = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "crowd.people",
                    "--first",
                    str(first),
                    "--people",
                    str(min(share, end - first)),
                    "--conversations",
                    str(conversations),
                ],
                env=self.environment,
                stdout=subprocess.PIPE,
                text=True,
            )
            for first in range(begin, end, share)
        ]
        said = [process.communicate()[0] for process in running]
        if any(process.returncode for process in running):
            raise RuntimeError("The server could not be filled.")
        return [json.loads(line) for text in said for line in text.splitlines()]

    def serve(self) -> None:
        """Begin to answer, and wait until the pages do."""
        self.web = subprocess.Popen(
            [sys.executable, "-c", LISTENS, str(self._listener.fileno())],
            env=self.environment,
            pass_fds=[self._listener.fileno()],
            stdout=self._log,
            stderr=self._log,
        )
        until = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=30).close()
                return
            except (OSError, urllib.error.URLError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def work(self) -> None:
        """Begin to work."""
        while len(self.workers) < self._workers:
            self.workers.append(self.worker())

    def worker(self) -> subprocess.Popen[bytes]:
        """One worker more, which whoever asked for it looks after."""
        command = [sys.executable, "-m", "chatkeep", "worker"]
        return subprocess.Popen(command, env=self.environment, stdout=self._log, stderr=self._log)

    def processes(self) -> Mapping[str, list[int]]:
        """The processes of each kind, by their ids."""
        return {
            "web": descendants(self.web.pid)[1:] if self.web else [],
            "worker": [process.pid for process in self.workers if process.poll() is None],
            "database": descendants(self.cluster.pid),
        }

    def lines(self) -> Iterator[str]:
        """What PostgreSQL logged."""
        yield from (self.cluster.folder / "log").read_text(errors="replace").splitlines()
