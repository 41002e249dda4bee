"""Questions come at their moments, and a server that stalls cannot hide it."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from crowd.asking import Answers, Question, ask, hurry


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, bytes]]
    gate: threading.Event

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.seen.append((self.command, self.path, body))
        if self.path == "/gone":
            self.close_connection = True
            return
        self.gate.wait(10)
        self.send_response(404 if self.path == "/missing" else 200)
        if self.path == "/chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            return
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[int, type[Handler]]]:
    kind = type("Asked", (Handler,), {"seen": [], "gate": threading.Event()})
    kind.gate.set()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running.server_address[1], kind
        running.shutdown()
        thread.join()


def test_every_question_is_asked_with_all_it_has(server: tuple[int, type[Handler]]) -> None:
    port, kind = server
    questions = [Question("/a"), Question("/b", method="POST", body=b"xyz"), Question("/chunks")]
    answers = ask(port, questions, rate=200)
    assert [answer.status for answer in answers.all] == [200, 200, 200]
    assert [answer.size for answer in answers.all] == [5, 5, 5]
    assert sorted(kind.seen) == [("GET", "/a", b""), ("GET", "/chunks", b""), ("POST", "/b", b"xyz")]


def test_what_fails_is_counted_and_what_never_came_has_no_time(server: tuple[int, type[Handler]]) -> None:
    answers = ask(server[0], [Question("/missing"), Question("/gone"), Question("/")], rate=200)
    assert sorted(answer.status for answer in answers.wrong) == [0, 404]
    assert answers.quantile(0.99) == float("inf")
    assert answers.quantile(0.0) < 5


def test_a_stall_shows_in_every_question_that_came_meanwhile(server: tuple[int, type[Handler]]) -> None:
    port, kind = server
    kind.gate.clear()
    threading.Timer(0.6, kind.gate.set).start()
    answers = ask(port, [Question("/") for _ in range(60)], rate=100)
    assert len([answer for answer in answers.all if answer.seconds > 0.2]) >= 30
    # The control: one hand that waits for each answer asks only one question while the server stalls.
    kind.gate.clear()
    threading.Timer(0.6, kind.gate.set).start()
    waited = hurry(port, [Question("/") for _ in range(60)], hands=1)
    assert len([answer for answer in waited.all if answer.seconds > 0.2]) == 1


def test_questions_come_at_the_rate_that_was_asked_for(server: tuple[int, type[Handler]]) -> None:
    began = time.perf_counter()
    answers = ask(server[0], [Question("/") for _ in range(50)], rate=100)
    assert time.perf_counter() - began >= 0.49
    assert 30 < answers.rate <= 102
    assert Answers().rate == 0
