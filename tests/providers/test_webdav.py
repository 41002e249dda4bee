"""The WebDAV storage against two servers of others: rclone's, in Go, and WsgiDAV, in Python."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from waitress import create_server

from chatkeep.errors import NotFound, QuotaFull, Refused, SignInAgain, SlowDown, Unavailable, WrongUse
from chatkeep.providers.webdav import PARTIAL, WebDav
from chatkeep.storage import Retrying, Storage
from chatkeep.testing.storage_suite import StorageSuite
from fakes.server import Front
from fakes.wire import Request, Response

USER, PASSWORD = "ana", "tr0ub4dor"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def rclone_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a WebDAV server of rclone, as it is without further options.

    It sends the length of an old file with bytes of the new one to who reads while one is replaced. Its cache of files
    (--vfs-cache-mode writes, --vfs-write-back 0) shows half of each; docs/providers/webdav.md has what that means.
    """
    folder, port = tmp_path_factory.mktemp("rclone-dav"), _free_port()
    command = ["rclone", "serve", "webdav", str(folder), "--addr", f"127.0.0.1:{port}", "--user", USER]
    command += ["--pass", PASSWORD, "--config", str(folder.with_name("none"))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield _awaited(f"http://127.0.0.1:{port}")
        finally:
            server.kill()


def _awaited(address: str) -> str:
    for _ in range(200):
        try:
            httpx2.get(address, timeout=2)
            return address
        except httpx2.HTTPError:
            time.sleep(0.05)
    raise AssertionError("the server did not start")


@pytest.fixture(scope="session")
def wsgidav_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a WebDAV server of WsgiDAV."""
    from wsgidav.wsgidav_app import WsgiDAVApp

    app = WsgiDAVApp(
        {
            "provider_mapping": {"/": str(tmp_path_factory.mktemp("wsgidav"))},
            "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "verbose": 0,
            "logging": {"enable": False},
        }
    )
    server = create_server(app, host="127.0.0.1", port=0, threads=8)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.trigger.pull_trigger(lambda: _end(server))
    thread.join(5)


def _end(server: Any) -> None:
    server.close()
    raise SystemExit  # ends the loop of its thread, as waitress means it


_number = iter(range(10**6))


class _Dav(StorageSuite):
    many = 60

    @pytest.fixture
    def address(self, server: str) -> str:
        return f"{server}/Anas%20Ordner/{next(_number)}/Chatkeep"

    @pytest.fixture
    def storage(self, address: str) -> Iterator[Storage]:
        made = Retrying(WebDav(address, user=USER, password=PASSWORD, new=True), first_wait_s=0.01)
        yield made
        made.close()

    @pytest.fixture
    def second(self, storage: Storage, address: str) -> Iterator[Storage]:
        made = Retrying(WebDav(address + "/", user=USER, password=PASSWORD), first_wait_s=0.01)
        yield made
        made.close()

    def test_a_wrong_password_is_said(self, storage: Storage, address: str) -> None:
        with pytest.raises(SignInAgain) as raised:
            WebDav(address, user=USER, password="another")
        assert "another" not in str(raised.value)

    def test_a_folder_that_is_not_there_is_not_taken_for_an_empty_one(self, storage: Storage, address: str) -> None:
        with pytest.raises(Unavailable):
            WebDav(address + "-elsewhere", user=USER, password=PASSWORD)

    def test_a_folder_is_neither_replaced_nor_deleted_by_an_object_of_its_name(self, storage: Storage) -> None:
        storage.put("a/b", b"x")
        with pytest.raises(Refused):
            storage.put("a", b"y")
        storage.delete("a")
        assert [stored.name for stored in storage.listing()] == ["a/b"]

    def test_a_folder_that_somebody_removed_is_made_again(
        self, storage: Storage, second: Storage, address: str
    ) -> None:
        storage.put("a/b/c", b"x")
        httpx2.delete(address + "/a/", auth=(USER, PASSWORD))
        storage.put("a/b/c", b"again")
        assert second.get("a/b/c") == b"again"

    def test_unfinished_objects_are_not_seen(self, storage: Storage, address: str) -> None:
        storage.put("a", b"x")
        httpx2.put(f"{address}/{PARTIAL}/half", content=b"half", auth=(USER, PASSWORD))
        assert [stored.name for stored in storage.listing()] == ["a"]
        with pytest.raises(Refused):
            storage.get(f"{PARTIAL}/half")


class TestWebDavOfRclone(_Dav):
    @pytest.fixture
    def server(self, rclone_server: str) -> str:
        return rclone_server


class TestWebDavOfWsgiDav(_Dav):
    @pytest.fixture
    def server(self, wsgidav_server: str) -> str:
        return wsgidav_server


@pytest.mark.parametrize(
    "address", ["http://cloud.example/dav", "ftp://x/y", "https://", "https://a:b@c/d", "https://x/y?z", "cloud/dav"]
)
def test_an_address_that_would_send_the_password_in_the_clear_is_refused(address: str) -> None:
    with pytest.raises(WrongUse):
        WebDav(address, user=USER, password=PASSWORD)


class _Says:
    """A server that gives one answer."""

    hosts = ("dav.example",)

    def __init__(self) -> None:
        self.response = Response(207, {"content-type": "application/xml"}, _folder("/dav.example/x/"))

    def answer(self, request: Request) -> Response:
        return self.response


def _folder(path: str) -> bytes:
    kind = "<D:resourcetype><D:collection/></D:resourcetype>"
    return (
        f'<D:multistatus xmlns:D="DAV:"><D:response><D:href>{path}</D:href><D:propstat><D:prop>{kind}</D:prop>'
        "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"
    ).encode()


@pytest.fixture
def says() -> Iterator[tuple[_Says, WebDav]]:
    fake = _Says()
    with Front([fake]) as front:
        storage = WebDav(f"{front.url}/dav.example/x", user=USER, password=PASSWORD)
        yield fake, storage
        storage.close()


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (401, {}, SignInAgain),
        (403, {}, Refused),
        (404, {}, NotFound),
        (301, {"location": "https://elsewhere.example/"}, Refused),
        (429, {"retry-after": "120"}, SlowDown),
        (503, {"retry-after": "7200"}, SlowDown),
        (503, {}, Unavailable),
        (500, {}, Unavailable),
        (507, {}, QuotaFull),
    ],
)
def test_what_a_status_means(says: tuple[_Says, WebDav], status: int, headers: dict[str, str], error: type) -> None:
    fake, storage = says
    fake.response = Response(status, headers)
    with pytest.raises(error) as raised:
        storage.get("a")
    assert PASSWORD not in str(raised.value)
    if error is SlowDown:
        assert raised.value.wait_s == min(float(headers["retry-after"]), 3600)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>sign in",
        b"",
        b'<!DOCTYPE a [<!ENTITY b "c">]><multistatus xmlns="DAV:"/>',
        b'<multistatus xmlns="DAV:"><response><href>/dav.example/x/a</href></response></multistatus>',
    ],
    ids=["a page", "nothing", "entities", "no size"],
)
def test_a_list_that_cannot_be_read_is_not_taken_for_an_empty_one(says: tuple[_Says, WebDav], body: bytes) -> None:
    fake, storage = says
    fake.response = Response(207, {"content-type": "application/xml"}, body)
    with pytest.raises(Unavailable):
        storage.listing()


def test_what_lies_outside_the_folder_is_not_listed(says: tuple[_Says, WebDav]) -> None:
    fake, storage = says
    fake.response = Response(207, {"content-type": "application/xml"}, _folder("/dav.example/y/"))
    assert storage.listing() == []


def test_another_range_than_was_asked_for_is_not_taken(says: tuple[_Says, WebDav]) -> None:
    fake, storage = says
    fake.response = Response(206, {"content-range": "bytes 0-3/10"}, b"abcd")
    with pytest.raises(Exception, match="another part"):
        storage.get("a", start=4, length=4)
    fake.response = Response(200, {}, b"0123456789")
    assert storage.get("a", start=4, length=4) == b"4567"


class _Replaces:
    """A server whose file has new bytes before it has a new head: the old length cuts the first answer short.

    heads: the ETag of each answer to GET and HEAD in turn, the last one for ever.
    """

    hosts = ("dav.example",)

    def __init__(self, heads: list[str], bodies: list[bytes], *, head_status: int = 200) -> None:
        self.heads, self.bodies, self.head_status = heads, bodies, head_status
        self.asked: list[str] = []

    def answer(self, request: Request) -> Response:
        if request.method == "PROPFIND":
            return Response(207, {"content-type": "application/xml"}, _folder("/dav.example/x/"))
        self.asked.append(request.method)
        headers = {"etag": self.heads.pop(0) if len(self.heads) > 1 else self.heads[0]}
        if request.method == "HEAD":
            return Response(self.head_status, headers)
        return Response(200, headers, self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0])


_WHOLE = b"the new one, whole"


@pytest.mark.parametrize(
    ("heads", "bodies", "head_status", "asked"),
    [
        (["old", "new"], [_WHOLE[:5], _WHOLE], 200, ["GET", "HEAD", "GET", "HEAD"]),
        (["new"], [_WHOLE], 200, ["GET", "HEAD"]),
        (["old", "new"], [_WHOLE], 405, ["GET", "HEAD"]),
        ([str(i) for i in range(9)], [_WHOLE], 200, ["GET", "HEAD", "GET"]),
    ],
    ids=["replaced meanwhile", "at rest", "without HEAD", "a new ETag each time"],
)
def test_a_head_of_one_version_with_bytes_of_another_is_not_taken(
    heads: list[str], bodies: list[bytes], head_status: int, asked: list[str]
) -> None:
    fake = _Replaces(heads, bodies, head_status=head_status)
    with Front([fake]) as front:
        storage = WebDav(f"{front.url}/dav.example/x", user=USER, password=PASSWORD)
        assert (storage.get("a"), fake.asked) == (_WHOLE, asked)
        storage.close()


def test_an_object_that_is_replaced_all_the_time_is_said_and_not_guessed() -> None:
    fake = _Replaces([str(i) for i in range(99)], [b"%d" % i for i in range(99)])
    with Front([fake]) as front:
        storage = WebDav(f"{front.url}/dav.example/x", user=USER, password=PASSWORD, sleep=lambda _: None)
        with pytest.raises(Unavailable, match="again and again"):
            storage.get("a")
        storage.close()


def test_an_object_called_by_its_hash_is_asked_for_once() -> None:
    fake = _Replaces(["old", "new"], [_WHOLE])
    with Front([fake]) as front:
        storage = WebDav(f"{front.url}/dav.example/x", user=USER, password=PASSWORD)
        assert storage.get(f"data/{hashlib.sha256(_WHOLE).hexdigest()}") == _WHOLE
        assert fake.asked == ["GET"]
        storage.close()


def test_an_upload_that_breaks_off_leaves_nothing_to_be_seen(wsgidav_server: str, tmp_path: Path) -> None:
    storage = WebDav(f"{wsgidav_server}/{next(_number)}/broken", user=USER, password=PASSWORD, new=True)
    storage.put("a", b"whole")
    host, _, port = wsgidav_server.removeprefix("http://").partition(":")
    folder = storage._path + PARTIAL
    with socket.create_connection((host, int(port))) as line:
        login = storage._signed["Authorization"]
        line.sendall(
            f"PUT {folder}/x HTTP/1.1\r\nHost: x\r\nAuthorization: {login}\r\nContent-Length: 100\r\n\r\nhalf".encode()
        )
    assert [stored.name for stored in storage.listing()] == ["a"]
    storage.close()
