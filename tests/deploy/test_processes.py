"""The processes that answer on a server: as many as asked for, always, and their ends lose no request."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PROGRAM = """
import os, socket, sys, time
from chatkeep.web.processes import Processes, answer_until_told, handed_over

def application(environ, start_response):
    slow = environ["PATH_INFO"] == "/slow"
    if environ["PATH_INFO"] == "/broken":
        os._exit(3)
    time.sleep(1.5 if slow else 0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    who = environ.get("HTTP_X_FORWARDED_FOR", "") + "|" + environ["REMOTE_ADDR"] + "|" + environ["wsgi.url_scheme"]
    return [f"{os.getpid()} {who}".encode()]

listener = handed_over()
if listener is None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
print(listener.getsockname()[1], flush=True)
trusted = "trusted" in sys.argv
Processes(listener, lambda port: answer_until_told(application, port, threads=4, trusted_proxy=trusted), count=2).run()
print("ended", flush=True)
"""


@contextmanager
def program(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    source = Path(__file__).parent.parent.parent / "src"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        try:
            assert running.stdout
            yield running, int(running.stdout.readline())
        finally:
            with suppress(ProcessLookupError):
                running.send_signal(signal.SIGTERM)
            running.wait(30)


def ask(port: int, path: str = "/", **headers: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()
    finally:
        connection.close()


def answering(port: int) -> set[int]:
    return {int(ask(port).split()[0]) for _ in range(40)}


def wait_for_two(port: int, *, without: set[int]) -> set[int]:
    seen: set[int] = set()

    def look() -> None:
        seen.add(int(ask(port, "/slow").split()[0]))

    until = time.monotonic() + 20
    while len(seen - without) < 2 and time.monotonic() < until:
        slow = [threading.Thread(target=look) for _ in range(8)]
        for thread in slow:
            thread.start()
        for thread in slow:
            thread.join()
    return seen - without


def test_a_process_that_is_killed_is_replaced_and_the_others_answer_meanwhile() -> None:
    with program() as (_, port):
        first = wait_for_two(port, without=set())
        assert len(first) == 2
        killed = min(first)
        os.kill(killed, signal.SIGKILL)
        assert killed not in answering(port)
        assert len(wait_for_two(port, without={killed})) == 2


def test_sigterm_answers_what_is_under_way_and_then_ends_all() -> None:
    with program() as (running, port):
        said: list[str] = []
        asking = [threading.Thread(target=lambda: said.append(ask(port, "/slow"))) for _ in range(4)]
        for thread in asking:
            thread.start()
        time.sleep(0.7)
        pids = answering(port)
        running.send_signal(signal.SIGTERM)
        for thread in asking:
            thread.join()
        assert len(said) == 4
        assert running.wait(20) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        with pytest.raises(OSError, match="refused"):
            ask(port)


def test_a_killed_process_does_break_what_it_had_under_way() -> None:
    """The control: what SIGTERM spares is not spared by SIGKILL."""
    with program() as (_, port), pytest.raises((OSError, http.client.HTTPException)):
        ask(port, "/broken")


def test_sighup_replaces_all_processes_and_turns_nobody_away() -> None:
    with program() as (running, port):
        before = wait_for_two(port, without=set())
        stop, failures = threading.Event(), []

        def keep_asking() -> None:
            while not stop.is_set():
                try:
                    ask(port)
                except Exception as error:
                    failures.append(error)

        asking = threading.Thread(target=keep_asking)
        asking.start()
        running.send_signal(signal.SIGHUP)
        after = wait_for_two(port, without=before)
        stop.set()
        asking.join()
        assert failures == []
        assert len(after) == 2
        assert not before & answering(port)


def test_what_a_client_says_about_itself_is_believed_from_a_trusted_proxy_alone() -> None:
    claims = {"X_Forwarded_For": "6.6.6.6, 203.0.113.7", "X_Forwarded_Proto": "https"}
    with program() as (_, port):
        assert ask(port, **claims).split()[1] == "|127.0.0.1|http"
    with program("trusted") as (_, port):
        assert ask(port, **claims).split()[1] == "203.0.113.7|203.0.113.7|https"


def test_a_socket_that_systemd_hands_over_is_used_and_stays_open_between_two_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        script = 'exec 3<&0; exec env LISTEN_FDS=1 LISTEN_PID=$$ "$@"'
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent / "src")}
        for _ in range(2):
            command = ["sh", "-c", script, "sh", sys.executable, "-c", PROGRAM]
            with subprocess.Popen(command, env=environment, stdin=held.fileno(), stdout=subprocess.PIPE) as running:
                assert ask(port)  # asked before anybody answers: it waits at the port
                running.send_signal(signal.SIGTERM)
                assert running.wait(20) == 0
