from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from fakes.echo import Echo
from fakes.server import Front
from fakes.wire import Response

ROOT = Path(__file__).parents[2]


@pytest.fixture
def front() -> Iterator[Front]:
    with Front([Echo()]) as front:
        yield front


def trusting(front: Front) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(front.ca_file))


def test_the_plain_door_takes_the_host_from_the_path(front: Front) -> None:
    answer = httpx2.post(f"{front.url}/echo.example.com/a%20b?c=d", content=b"12345")
    assert answer.json() == {
        "method": "POST",
        "host": "echo.example.com",
        "path": "/a%20b",
        "query": "c=d",
        "size": 5,
        "secure": False,
        "whole": True,
    }


def test_the_tls_door_takes_it_from_the_host_header(front: Front) -> None:
    address = f"https://127.0.0.1:{front.tls_port}/x"
    answer = httpx2.get(address, headers={"Host": "echo.example.com"}, verify=trusting(front))
    assert (answer.json()["host"], answer.json()["secure"]) == ("echo.example.com", True)


def test_nobody_trusts_the_certificate_who_was_not_told_to(front: Front) -> None:
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"https://127.0.0.1:{front.tls_port}/x")


def test_the_proxy_stands_in_for_every_host_and_one_connection_serves_many_requests(front: Front) -> None:
    with httpx2.Client(proxy=front.proxy, verify=trusting(front)) as client:
        seen = [client.get(f"https://{host}/y?z=1").json()["host"] for host in Echo.hosts * 3]
        with pytest.raises(httpx2.ConnectError):
            client.get("https://elsewhere.example.com/")
    assert seen == list(Echo.hosts * 3)


def test_bodies_without_a_length_are_taken_too(front: Front) -> None:
    answer = httpx2.put(f"{front.url}/echo.example.com/", content=iter([b"123", b"", b"45"]))
    assert answer.json()["size"] == 5


def test_an_answer_can_be_made_to_fail_from_the_nth_request_on(front: Front) -> None:
    front.faults.fail("GET echo.example.com/a", 503, headers={"Retry-After": "7"}, body=b"no", nth=2, times=2)
    got = [httpx2.get(f"{front.url}/echo.example.com/a?{i}") for i in range(4)]
    assert [one.status_code for one in got] == [200, 503, 503, 200]
    assert (got[1].headers["retry-after"], got[1].content) == ("7", b"no")
    assert front.journal.count("GET .*/a") == 4


def test_a_connection_can_break_while_a_body_comes_and_the_fake_sees_what_came(front: Front) -> None:
    front.faults.cut("PUT", after=70_000)
    with pytest.raises(httpx2.TransportError):
        httpx2.put(f"{front.url}/echo.example.com/", content=bytes(10_000_000))
    seen = front.fakes["echo.example.com"].seen  # type: ignore[attr-defined]
    assert [(len(one.body), one.whole) for one in seen] == [(70_000, False)]
    assert [entry.status for entry in front.journal.entries] == [0]


def test_an_answer_can_be_lost_after_all_was_done(front: Front) -> None:
    front.faults.lose("POST")
    with pytest.raises(httpx2.TransportError):
        httpx2.post(f"{front.url}/echo.example.com/", content=b"x")
    assert front.fakes["echo.example.com"].seen[0].whole  # type: ignore[attr-defined]


def test_an_answer_can_be_shortened_and_changed_and_a_body_too(front: Front) -> None:
    echo = front.fakes["echo.example.com"]
    echo.routes["/b"] = lambda request: Response(200, {}, request.body)  # type: ignore[attr-defined]
    front.faults.shorten("POST", to=3, nth=1)
    front.faults.corrupt("POST", at=1, nth=2)
    front.faults.garble("POST", at=-1, nth=3)
    with pytest.raises(httpx2.RemoteProtocolError):
        httpx2.post(f"{front.url}/echo.example.com/b", content=b"abcdef")
    assert httpx2.post(f"{front.url}/echo.example.com/b", content=b"abcdef").content == b"accdef"
    assert httpx2.post(f"{front.url}/echo.example.com/b", content=b"abcdef").content == b"abcdeg"


def test_a_stalled_answer_never_comes(front: Front) -> None:
    front.faults.stall("GET")
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(f"{front.url}/echo.example.com/", timeout=0.05)


def test_a_client_that_hangs_up_does_no_harm(front: Front) -> None:
    for sent in (b"", b"GET", b"POST /echo.example.com/ HTTP/1.1\r\nContent-Length: 5\r\n\r\nab"):
        with socket.create_connection(("127.0.0.1", int(front.url.rpartition(":")[2]))) as line:
            line.sendall(sent)
    assert httpx2.get(f"{front.url}/echo.example.com/").status_code == 200


def test_a_fake_that_stumbles_is_found_out() -> None:
    echo = Echo()
    echo.routes["/bad"] = lambda request: Response(int("x"))
    with pytest.raises(AssertionError, match="invalid literal"), Front([echo]) as front:
        assert httpx2.get(f"{front.url}/echo.example.com/bad").status_code == 500


def test_all_fakes_are_served_for_a_look_by_hand() -> None:
    env = {**os.environ, "PYTHONPATH": "src:tests"}
    command = [sys.executable, "-m", "fakes", "--port", "0", "--automatic", "allow"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first = process.stdout.readline()
        address = first.removeprefix("export CHATKEEP_CLOUD_BASE=").strip()
        assert httpx2.get(f"{address}/nowhere.example.com/").status_code == 502
        process.terminate()
    assert process.returncode == 0
