from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from tests.providers.test_oauth import SIGN_IN

from chatkeep.errors import SignInAgain, SlowDown, Unavailable, WrongUse
from chatkeep.providers import http as http_module
from chatkeep.providers.http import Endpoints, Gate, Http
from chatkeep.providers.oauth import Access
from fakes.echo import Echo
from fakes.given import CLIENT, Cloud, MemoryTokens
from fakes.server import Front
from fakes.wire import Response

HERE = "https://echo.example.com"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    echo = Echo()
    with Front([echo]) as front:
        yield Cloud(front, echo)


@pytest.fixture
def http(cloud: Cloud) -> Iterator[Http]:
    access = Access(SIGN_IN, CLIENT, MemoryTokens(cloud.tokens()), Endpoints(cloud.url), clock=cloud.fake.clock)
    http = Http(Endpoints(cloud.url), access=access, silence_s=5)
    yield http
    http.close()


def test_a_request_is_signed_only_if_it_is_to_be(cloud: Cloud, http: Http) -> None:
    http.request("GET", f"{HERE}/a")
    http.request("GET", f"{HERE}/b", authorised=False)
    signed = ["authorization" in request.headers for request in cloud.fake.seen]
    assert signed == [True, False]


def test_a_refused_token_is_renewed_once_and_the_request_repeated_once(cloud: Cloud, http: Http) -> None:
    assert http.request("PUT", f"{HERE}/signed", content=b"12345").ok
    cloud.fake.consent.expire_access()
    answer = http.request("PUT", f"{HERE}/signed", content=b"12345")
    assert answer.json()["size"] == 5
    assert (http.requests, cloud.journal.count("PUT"), cloud.journal.count("token")) == (4, 3, 1)
    cloud.faults.fail("PUT", 401, times=9)
    assert http.request("PUT", f"{HERE}/signed").status == 401
    assert cloud.journal.count("PUT") == 5


def test_many_threads_with_a_stale_token_cause_one_refresh(cloud: Cloud, http: Http) -> None:
    cloud.fake.consent.expire_access()
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda i: http.request("GET", f"{HERE}/signed/{i}").status, range(40)))
    assert done == [200] * 40
    assert cloud.journal.count("token") == 1


def test_when_the_consent_is_over_that_is_said(cloud: Cloud, http: Http) -> None:
    cloud.fake.consent.revoke_all()
    with pytest.raises(SignInAgain):
        http.request("GET", f"{HERE}/signed")


@pytest.mark.parametrize(
    "fault",
    [
        lambda faults: faults.lose("GET"),
        lambda faults: faults.shorten("GET", to=5),
        lambda faults: faults.stall("GET"),
        lambda faults: faults.fail("GET", 200, headers={"Content-Type": "text/html"}, body=b"<html>Welcome"),
    ],
    ids=["lost", "cut off", "silence", "a stranger's page"],
)
def test_a_line_that_fails_is_unavailable(cloud: Cloud, fault: Callable[..., object]) -> None:
    http = Http(Endpoints(cloud.url), silence_s=0.2)
    fault(cloud.faults)
    with pytest.raises(Unavailable) as raised:
        http.request("GET", f"{HERE}/x?token=secret")
    assert "secret" not in str(raised.value)
    assert http.request("GET", f"{HERE}/x").ok
    assert http.requests == 2
    http.close()


class SlowLine:
    """A server at the end of a line of so many bytes a second, on which little is under way at once."""

    def __init__(self, bytes_per_s: int) -> None:
        self.rate = bytes_per_s
        self.listening = socket.socket()
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        self.listening.bind(("127.0.0.1", 0))
        self.listening.listen()
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        line, _ = self.listening.accept()
        with contextlib.suppress(OSError), line, self.listening:
            head = b""
            while b"\r\n\r\n" not in head:
                head += line.recv(1024)
            head, _, begun = head.partition(b"\r\n\r\n")
            found = re.search(rb"content-length: (\d+)", head.lower())
            assert found
            left = int(found[1]) - len(begun)
            while left > 0 and (piece := line.recv(8192)):
                left -= len(piece)
                time.sleep(len(piece) / self.rate)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")


@pytest.mark.parametrize("kept_short", [True, False], ids=["kept short", "control"])
def test_on_a_slow_line_the_answer_is_waited_for_from_when_the_body_has_gone(
    monkeypatch: pytest.MonkeyPatch, kept_short: bool
) -> None:
    if sys.platform not in ("darwin", "linux"):
        pytest.skip("only there a socket can be told to keep little back")
    monkeypatch.setattr(http_module, "SLOWEST", 512_000)
    monkeypatch.setattr(http_module, "_KNOWS_UNSENT", kept_short)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    http = Http(Endpoints(SlowLine(512_000).url), silence_s=1.0)
    with contextlib.closing(http), nullcontext() if kept_short else pytest.raises(Unavailable, match="in time"):
        assert http.request("PUT", f"{HERE}/x", content=b"x" * 2_000_000).ok


def test_nobody_there_is_unavailable(cloud: Cloud) -> None:
    http = Http(Endpoints(cloud.url))
    cloud.front.close()
    with pytest.raises(Unavailable, match="cannot be reached"):
        http.request("GET", f"{HERE}/x")
    http.close()


def test_an_answer_without_end_is_not_taken(cloud: Cloud, http: Http) -> None:
    cloud.fake.routes["/long"] = lambda request: Response(200, {"Content-Type": "application/json"}, b"x" * 5000)
    with pytest.raises(Unavailable, match="more than"):
        http.request("GET", f"{HERE}/long", cap=4999)
    assert len(http.request("GET", f"{HERE}/long", cap=5000).body) == 5000


def test_a_redirect_is_given_back_and_not_followed(cloud: Cloud, http: Http) -> None:
    cloud.fake.routes["/there"] = lambda request: Response(302, {"Location": "http://example.com/x"})
    assert http.request("GET", f"{HERE}/there").status == 302
    with pytest.raises(WrongUse):
        http.request("GET", "http://example.com/x", authorised=False)


def test_every_request_waits_at_the_gate(cloud: Cloud) -> None:
    gate = Gate(patience_s=1)
    http = Http(Endpoints(cloud.url), gate=gate)
    gate.close_for(60)
    with pytest.raises(SlowDown):
        http.request("GET", f"{HERE}/x")
    assert (cloud.journal.count(), http.requests) == (0, 0)
    http.close()


def test_commands_that_speak_to_no_provider_do_not_load_http() -> None:
    asked = "import sys, chatkeep.providers; print('httpx2' in sys.modules, 'authlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_server_that_cannot_prove_who_it_is_is_told_apart_from_no_network(cloud: Cloud) -> None:
    for base, told in (
        (f"https://127.0.0.1:{cloud.front.tls_port}", "cannot prove"),
        ("https://127.0.0.1:9", "reached"),
    ):
        with pytest.raises(Unavailable, match=told) as raised:
            Http(Endpoints(base), silence_s=5).request("GET", f"{HERE}/a", authorised=False)
        assert raised.value.hint
    assert cloud.fake.seen == []
