"""A message leads nowhere into our own network, whatever its address is written like or becomes."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest

from chatkeep.errors import Refused, Unavailable
from chatkeep.providers import posting

LOOPBACK = posting.networks(["127.0.0.0/8"])


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.got.append((self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"]))))  # type: ignore[attr-defined]
        self.server.answer(self)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[HTTPServer]:
    """A server on this machine that must be reached by nobody, unless it is allowed."""
    server = HTTPServer(("127.0.0.1", 0), _Receiver)
    server.got = []  # type: ignore[attr-defined]
    server.answer = _fine  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def _fine(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(204)
    handler.end_headers()


# Every way to write an address that people have got into somebody's network with.
OURS = [
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.1",
    "017700000001",
    "0177.0x0.0.1",
    "127.0.0.01",
    "127.0.0.0x1",
    "0",
    "0.0.0.0",
    "0x0",
    "00",
    "0.0.0.1",
    "0.1.2.3",
    "0.255.255.255",
    "localhost",
    "10.0.0.1",
    "10.255.255.255",
    "167772161",
    "0xa000001",
    "012.0.0.1",
    "10.1",
    "172.16.0.1",
    "172.31.255.255",
    "0xac100001",
    "2886729729",
    "192.168.0.1",
    "192.168.1.1",
    "192.168.255.255",
    "0xc0a80001",
    "3232235521",
    "0300.0250.0.1",
    "192.168.257",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "0xa9.0xfe.0xa9.0xfe",
    "169.254.43518",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.0.192",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "198.19.255.255",
    "192.88.99.1",
    "224.0.0.1",
    "224.0.0.251",
    "239.255.255.250",
    "240.0.0.1",
    "250.1.2.3",
    "255.255.255.255",
    "4294967295",
    "0xffffffff",
    "0x0a.0x0.0x0.0x1",
    "10.0.1",
    "012.1",
    "0xac.0x10.0.1",
    "0254.020.0.1",
    "172.1048577",
    "0xc0.0xa8.1.1",
    "192.11010305",
    "0x64400001",
    "1681915905",
    "0xc0000001",
    "0xe0000001",
    "3758096385",
    "0xf0000001",
    "4026531841",
    "0x00000000",
    "0x7fffffff",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::0001]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::10.0.0.1]",
    "[::8.8.8.8]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:7f00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[0:0:0:0:0:ffff:7f00:1]",
    "[::FFFF:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:a00:1]",
    "[::ffff:192.168.1.1]",
    "[::ffff:c0a8:101]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::ffff:0.0.0.0]",
    "[::ffff:8.8.8.8]",
    "[::ffff:0:127.0.0.1]",
    "[::ffff:0:7f00:1]",
    "[::ffff:0:a9fe:a9fe]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b::8.8.8.8]",
    "[64:ff9b:1::1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:1::1]",
    "[2002:a00:1::]",
    "[2002:c0a8:101::1]",
    "[2002:a9fe:a9fe::]",
    "[2002:808:808::1]",
    "[2001::1]",
    "[2001:0:7f00:1::]",
    "[2001:0:53aa:64c:0:7b03:80ff:fffe]",
    "[2001:10::1]",
    "[2001:20::1]",
    "[2001:2::1]",
    "[2001:db8::1]",
    "[2001:db8:ffff::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[100::1]",
    "[fe80::1]",
    "[fe80::a9fe:a9fe]",
    "[febf::1]",
    "[fec0::1]",
    "[feff::1]",
    "[fc00::1]",
    "[fd00::1]",
    "[fd00:ec2::254]",
    "[fdff:ffff::1]",
    "[ff01::1]",
    "[ff02::1]",
    "[ff02::fb]",
    "[ff0e::1]",
    "[4000::1]",
    "[8000::1]",
    "[e000::1]",
]

THEIRS = ("8.8.8.8", "1.1.1.1", "93.184.216.34", "172.15.0.1", "172.32.0.1", "11.0.0.1", "100.128.0.1", "169.253.0.1")
THEIRS_6 = ("[2606:4700:4700::1111]", "[2a00:1450:4001:80b::200e]", "[2400:cb00::1]")


@pytest.mark.parametrize("host", OURS)
def test_no_way_of_writing_an_address_of_ours_is_asked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(posting._Pinned, "connect", lambda self: asked.append(self.host))
    with pytest.raises((Refused, Unavailable)):
        posting.post(f"https://{host}:443/", b"{}", {})
    assert asked == []


def test_there_are_some_hundred_and_fifty_of_them() -> None:
    assert len(set(OURS)) == len(OURS)
    assert len(OURS) >= 140


@pytest.mark.parametrize("host", [*THEIRS, *THEIRS_6])
def test_addresses_of_the_internet_are_asked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(connection: posting._Pinned) -> None:
        asked.append(connection._address)
        raise ConnectionRefusedError

    monkeypatch.setattr(posting._Pinned, "connect", refuse)
    with pytest.raises(Unavailable):
        posting.post(f"https://{host}/", b"{}", {})
    assert asked == [host.strip("[]")]


def test_one_closed_address_among_open_ones_is_enough() -> None:
    for addresses in (["8.8.8.8", "127.0.0.1"], ["::1", "8.8.8.8"], ["fe80::1%eth0"], ["8.8.8.8", "fd00::1"]):
        with pytest.raises(Refused):
            posting.post("https://chat.example/", b"{}", {}, look_up=lambda host, port, found=addresses: found)  # type: ignore[misc]


def test_a_name_that_leads_elsewhere_the_second_time_is_looked_up_once(receiver: HTTPServer) -> None:
    """Rebinding: the name leads to the internet while it is checked, and to this machine when it is asked."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["192.0.2.1"] if len(asked) % 2 else ["127.0.0.1"]  # TEST-NET stands for the internet here

    internet = posting.networks(["192.0.2.0/24"])
    url = f"http://rebind.example:{receiver.server_port}/"
    with pytest.raises(Unavailable):
        posting.post(url, b"{}", {}, allowed=internet, look_up=rebinding, whole_s=0.5)
    assert asked == ["rebind.example"]
    assert receiver.got == []  # type: ignore[attr-defined]

    # The control: who checks the name, and then asks for it by name, is led to this machine.
    asked.clear()
    parts = urlsplit(url)
    assert all(ip_address(one) in internet[0] for one in rebinding(str(parts.hostname), 0))
    careless = http.client.HTTPConnection(rebinding(str(parts.hostname), 0)[0], parts.port, timeout=5)
    careless.request("POST", "/", body=b"{}")
    assert careless.getresponse().status == 204
    careless.close()
    assert len(receiver.got) == 1  # type: ignore[attr-defined]


def test_networks_that_are_allowed_may_be_asked(receiver: HTTPServer) -> None:
    url = f"http://localhost:{receiver.server_port}/hooks?a=1"
    with pytest.raises(Refused):
        posting.post(url, b'{"a": 1}', {})
    only_4 = lambda host, port: ["127.0.0.1"]  # noqa: E731
    assert posting.post(url, b'{"a": 1}', {"X-Mark": "7"}, allowed=LOOPBACK, look_up=only_4) == 204
    [(path, headers, body)] = receiver.got  # type: ignore[attr-defined]
    assert (path, headers["X-Mark"], headers["Host"], body) == (
        "/hooks?a=1",
        "7",
        f"localhost:{receiver.server_port}",
        b'{"a": 1}',
    )


def test_no_redirect_is_followed(receiver: HTTPServer) -> None:
    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(307)
        handler.send_header("Location", "http://169.254.169.254/latest/meta-data")
        handler.end_headers()

    receiver.answer = elsewhere  # type: ignore[attr-defined]
    assert posting.post(f"http://127.0.0.1:{receiver.server_port}/", b"{}", {}, allowed=LOOPBACK) == 307
    assert len(receiver.got) == 1  # type: ignore[attr-defined]


def test_no_proxy_of_the_environment_is_used(receiver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{receiver.server_port}")
    with pytest.raises(Refused):
        posting.post("https://169.254.169.254/", b"{}", {})
    assert receiver.got == []  # type: ignore[attr-defined]


def test_one_that_answers_letter_by_letter_is_cut_off() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        taken, _ = listener.accept()
        with taken:
            for letter in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
                try:
                    taken.sendall(bytes([letter]))
                except OSError:
                    return
                time.sleep(0.02)

    threading.Thread(target=drip, daemon=True).start()
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        posting.post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"{}", {}, allowed=LOOPBACK, whole_s=0.5)
    assert time.monotonic() - begun < 10
    listener.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "chat.example",
        "ftp://chat.example/",
        "file:///etc/passwd",
        "gopher://chat.example/",
        "https:///hooks",
        "https://me:word@chat.example/",
        "https://chat.example@127.0.0.1/",
        "https://chat.example:22/",
        "https://chat.example:6x/",
        "https://chat.example:99999/",
        "https://chat example/",
        "https://chat.example\\@127.0.0.1/",
        "https://chat.example/\r\nHost: other",
        "https://127.0.0.1%2f@chat.example/",
        "https://ⓛocalhost/",
        "https://[fe80::1%25eth0]/",
        "https://[::1",
    ],
)
def test_what_is_no_plain_address_of_a_webhook_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        posting.checked(url)


def test_http_is_spoken_to_networks_of_ours_alone() -> None:
    with pytest.raises(Refused):
        posting.post("http://8.8.8.8/", b"{}", {})
