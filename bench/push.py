#!/usr/bin/env python3
"""Print how many conversations a second a chat platform can push, each of ten messages: one by one, and in batches.

    bench/push.py                a server: PostgreSQL that writes to disk, two web processes, two workers, 1,000 users
    bench/push.py --laptop       `chatkeep serve` for one person

Every answer says that its conversation is on disk. Everything runs on this machine, whoever pushes included. Each user
has pushed before. Processor time says more than the rate where the machine is busy with other things.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).parent.parent / "tests"))  # PostgreSQL

from chatkeep.merge import settle
from chatkeep.model import Conversation, Message, Part, Participant, encode, identify
from crowd.measuring import descendants, seconds_of
from crowd.server import PATHS, Server

WORDS = ("which", "tea", "is", "best", "after", "dinner", "and", "how", "long", "should", "it", "steep", "in", "water")
PEOPLE = (Participant(id="assistant", role="assistant"), Participant(id="user", role="person"))


def conversation(number: int) -> bytes:
    """A conversation of ten messages of some forty words, different from all others."""
    messages = tuple(
        Message(
            id=identify("push", str(number), str(place)),
            author=PEOPLE[place % 2].id,
            sent_at=f"2024-05-01T10:{place:02}:00Z",
            parts=(
                Part(
                    type="text",
                    text=" ".join(WORDS[(number * 7 + place * 3 + word) % len(WORDS)] for word in range(40))
                    + f" {number}",
                ),
            ),
        )
        for place in range(10)
    )
    made = Conversation(
        format=1,
        id=identify("push", str(number)),
        source_id=str(number),
        platform="openwebui",
        title=f"Tea {number}",
        participants=PEOPLE,
        messages=messages,
    )
    return encode(settle(made))


class Pusher:
    """Pushes from several threads, each over one connection that stays open."""

    def __init__(self, port: int, token: str, *, users: int) -> None:
        self._port, self._users = port, users
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def rate(self, total: int, *, threads: int, at_once: int, first: int) -> float:
        """Conversations a second, until the last is answered."""
        bodies = [conversation(number) for number in range(first, first + total)]
        shares = [bodies[start::threads] for start in range(threads)]
        running = [
            threading.Thread(target=self._push, args=(share, at_once, range(number, total, threads)))
            for number, share in enumerate(shares)
        ]
        begun = time.monotonic()
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return total / (time.monotonic() - begun)

    def _push(self, bodies: list[bytes], at_once: int, users: range) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        for start, user in zip(range(0, len(bodies), at_once), users, strict=False):
            some = bodies[start : start + at_once]
            headers = dict(self._headers)
            if self._users:
                headers["Chatkeep-On-Behalf-Of"] = f"user-{user % self._users}"
            if at_once == 1:
                connection.request("PUT", f"/api/v1/conversations/{json.loads(some[0])['id']}", some[0], headers)
            else:
                connection.request("POST", "/api/v1/conversations", b"[" + b",".join(some) + b"]", headers)
            answer = connection.getresponse()
            told = answer.read()
            if answer.status not in (200, 201):
                raise RuntimeError(f"{answer.status}: {told[:300]!r}")


class Place(NamedTuple):
    """Where to push. users: for whom, in turn; 0 for the one whose token it is. used: processor time so far [s]."""

    port: int
    token: str
    users: int
    used: Callable[[], dict[str, float]]


@contextmanager
def laptop(folder: Path) -> Iterator[Place]:
    """`chatkeep serve` of one person."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, PATHS)),
        "CHATKEEP_HOME": str(folder / "home"),
        "CHATKEEP_PORT": "0",
    }
    command = [sys.executable, "-m", "chatkeep"]
    add = [*command, "tokens", "add", "bench", "--scope", "write", "--per-minute", "1000000"]
    token = subprocess.run(add, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    serving = subprocess.Popen(
        [*command, "serve", "--no-browser"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert serving.stdout is not None
        port = next(
            int(line.split("//127.0.0.1:")[1].split("/")[0]) for line in serving.stdout if "//127.0.0.1:" in line
        )
        yield Place(port, token, 0, lambda: {"web": seconds_of(descendants(serving.pid))})
    finally:
        serving.terminate()
        serving.wait(30)


@contextmanager
def server(folder: Path, users: int) -> Iterator[Place]:
    """A server for many people, and a service that pushes for them."""
    with Server(folder) as running:
        add = ["-m", "chatkeep", "tokens", "add", "bench", "--scope", "write", "--service", "--per-minute", "1000000"]
        token = running.run(*add).strip()
        running.serve()
        running.work()
        yield Place(
            running.port,
            token,
            users,
            lambda: {kind: seconds_of(pids) for kind, pids in running.processes().items()},
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--laptop", action="store_true")
    parser.add_argument("--conversations", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=20)
    parser.add_argument("--users", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chatkeep-push-") as name:
        folder = Path(name)
        with laptop(folder) if given.laptop else server(folder, given.users) as place:
            _tell(place, given.conversations, given.threads)


def _tell(place: Place, conversations: int, threads: int) -> None:
    pusher = Pusher(place.port, place.token, users=place.users)
    pusher.rate(max(200, place.users), threads=threads, at_once=1, first=10_000_000)
    for at_once in (1, 20):
        before = place.used()
        rate = pusher.rate(conversations, threads=threads, at_once=at_once, first=at_once * 1_000_000)
        spent = {kind: 1000 * (now - before.get(kind, 0)) / conversations for kind, now in place.used().items()}
        told = ", ".join(f"{kind} {ms:.1f} ms" for kind, ms in spent.items())
        print(f"{at_once:>3} with each request: {rate:,.0f} conversations a second; processor for each: {told}")


if __name__ == "__main__":
    main()
