"""An address that somebody gave is called, and on a server it never leads into the server's own network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from chatkeep.errors import ChatkeepError, Refused, Unavailable, WrongUse
from chatkeep.providers import calling


class Receiver(HTTPServer):
    """Keeps what it is sent: method, path, headers, body."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status = 200
        outer = self

        class Take(BaseHTTPRequestHandler):
            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.got.append((self.command, self.path, dict(self.headers), body))
                self.send_response(outer.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = _take  # noqa: N815 - the names that the library calls

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Take)
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    thread = threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def test_a_keeper_of_a_laptop_may_call_what_is_in_their_own_network(receiver: Receiver) -> None:
    calling.call(f"{receiver.url}/topic", content=b"hello", headers={"Title": "x"}, guarded=False)
    ((method, path, headers, body),) = receiver.got
    assert (method, path, headers["Title"], body) == ("POST", "/topic", "x", b"hello")


@pytest.mark.parametrize(("status", "error"), [(302, Refused), (404, Refused), (429, Unavailable), (503, Unavailable)])
def test_an_answer_that_is_no_yes_is_an_error_and_no_redirect_is_followed(
    receiver: Receiver, status: int, error: type[ChatkeepError]
) -> None:
    receiver.status = status
    with pytest.raises(error):
        calling.call(receiver.url, guarded=False)
    assert len(receiver.got) == 1


INSIDE = [
    "127.0.0.1", "10.0.0.5", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.5", "2002:7f00:1::",
]  # fmt: skip


@pytest.mark.parametrize("inside", INSIDE)
def test_a_server_calls_nothing_inside_its_own_network(inside: str) -> None:
    with pytest.raises(Refused, match="open internet"):
        calling.call("https://hook.example/", guarded=True, lookup=lambda *_: [inside])
    with pytest.raises(Refused, match="open internet"):  # one of several is enough
        calling.call("https://hook.example/", guarded=True, lookup=lambda *_: ["93.184.216.34", inside])


@pytest.mark.parametrize("open_one", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_what_belongs_to_the_open_internet_is_known(open_one: str) -> None:
    assert calling.is_open(open_one)


@pytest.mark.parametrize(
    "address", ["http://hook.example/", "ftp://x", "file:///etc/passwd", "", "https://", "x", "https://h:99999/"]
)
def test_a_server_calls_https_alone(address: str) -> None:
    with pytest.raises(WrongUse):
        calling.call(address, guarded=True, lookup=lambda *_: ["93.184.216.34"])


def test_a_guarded_call_goes_to_the_address_that_was_looked_at(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that changes its mind between the look and the call reaches nothing: the name is looked up once."""
    looked: list[str] = []

    def lookup(host: str, port: int) -> list[str]:
        looked.append(host)
        return ["127.0.0.1"]

    monkeypatch.setattr(calling, "is_open", lambda _: True)
    with pytest.raises(Unavailable):  # it reached the receiver, which speaks no TLS
        calling.call(f"https://hook.invalid:{receiver.server_port}/", guarded=True, lookup=lookup)
    assert looked == ["hook.invalid"]
