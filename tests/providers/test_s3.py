"""The S3 storage against two servers of others, and what each refusal of a service means.

SeaweedFS is a store that people run, in Go; moto imitates Amazon's answers.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vault.small_archive import PASSPHRASE, Restic, as_files, contents, documents

from chatkeep import vault
from chatkeep.errors import Damaged, NotFound, QuotaFull, Refused, SignInAgain, SlowDown, Unavailable, WrongUse
from chatkeep.providers.s3 import S3, S3_PROVIDER
from chatkeep.storage import Retrying, Storage, delete_many, put_many
from chatkeep.testing.storage_suite import StorageSuite
from fakes.server import Front
from fakes.wire import Request, Response

KEYS = {"access_key": "AKIAEXAMPLE", "secret_key": "very-secret-indeed"}
NAMED = {"AWS_ACCESS_KEY_ID": KEYS["access_key"], "AWS_SECRET_ACCESS_KEY": KEYS["secret_key"]}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@contextlib.contextmanager
def _seaweedfs(folder: Path) -> Iterator[str]:
    """The address of a SeaweedFS: a master, a volume server, a filer and a gateway for S3 in one process."""
    may = {"credentials": [{"accessKey": KEYS["access_key"], "secretKey": KEYS["secret_key"]}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [{"name": "ana", **may}]}))
    (folder / "data").mkdir()
    parts = ("master.port", "volume.port", "filer.port", "s3.port")
    ports = dict(zip([name for part in parts for name in (part, f"{part}.grpc")], _free_ports(8), strict=True))
    command = [Path(sys.executable).with_name("weed"), "server", "-s3", f"-dir={folder / 'data'}", "-ip=127.0.0.1"]
    command += ["-ip.bind=127.0.0.1", *(f"-{name}={port}" for name, port in ports.items()), "-volume.max=0"]
    command += [f"-s3.config={folder / 's3.json'}", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += ["-master.volumeSizeLimitMB=64", "-master.telemetry=false"]  # it would tell its makers that it runs
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield f"127.0.0.1:{ports['s3.port']}"
        finally:
            server.kill()


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one, with a bucket called kept."""
    with _seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as address:
        _make_bucket(address)
        yield address


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of an imitation of Amazon's service, with a bucket called kept."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "{}:{}".format(*server.get_host_and_port())
    _make_bucket(address)
    yield address
    server.stop()


def _make_bucket(address: str) -> None:
    """As soon as the service takes it: it may need some seconds until all its parts have found each other."""
    import urllib3
    from minio import Minio
    from minio.error import S3Error

    pool = urllib3.PoolManager(retries=False, timeout=5.0)
    client = Minio(endpoint=address, secure=False, region="us-east-1", http_client=pool, **KEYS)
    limit = time.monotonic() + 90
    while True:
        try:
            client.make_bucket(bucket_name="kept")
            break
        except (S3Error, urllib3.exceptions.HTTPError):
            if time.monotonic() > limit:
                raise
            time.sleep(0.3)
    pool.clear()


@pytest.fixture(params=["seaweedfs", "moto"])
def service(request: pytest.FixtureRequest) -> str:
    """The address of an S3 service, with a bucket called kept."""
    return f"http://{request.getfixturevalue(request.param)}"


_number = iter(range(10**6))


class TestS3(StorageSuite):
    boundaries = (1, 65536, 5 * 1024 * 1024)

    @pytest.fixture
    def settings(self, service: str) -> dict[str, str]:
        return {"address": service, "bucket": "kept", "folder": f"Chatkeep {next(_number)}", **KEYS}

    @pytest.fixture
    def plain(self, settings: dict[str, str]) -> Iterator[S3]:
        made = S3_PROVIDER.open(settings, True, None)
        assert isinstance(made, S3)
        yield made
        made.close()

    @pytest.fixture
    def storage(self, plain: S3) -> Storage:
        """As connections open it: moto answers 500 when two write one name at the same moment."""
        return Retrying(plain, first_wait_s=0.01)

    @pytest.fixture
    def second(self, settings: dict[str, str]) -> Iterator[Storage]:
        made = S3_PROVIDER.open(settings, False, None)
        yield made
        made.close()

    def test_every_verb_is_one_request(self, plain: S3) -> None:
        for call in (
            lambda: plain.put("a", b"x" * 6_000_000),
            lambda: plain.get("a", start=1, length=5),
            lambda: plain.stat("a"),
            plain.listing,
            lambda: plain.delete("a"),
        ):
            before = plain.requests
            call()
            assert plain.requests == before + 1

    def test_a_thousand_are_deleted_by_one_request(self, plain: S3) -> None:
        put_many(plain, {f"a/{i}": b"x" for i in range(30)})
        before = plain.requests
        delete_many(plain, [f"a/{i}" for i in range(1000)])
        assert plain.requests == before + 1
        assert plain.listing() == []

    def test_only_its_own_folder_is_seen(self, storage: Storage, settings: dict[str, str]) -> None:
        beside = S3_PROVIDER.open({**settings, "folder": settings["folder"] + "2"}, True, None)
        beside.put("a", b"of the other")
        assert storage.listing() == []
        beside.close()

    def test_stock_restic_finds_a_vault_there_clean_and_restores_it(
        self, storage: Storage, settings: dict[str, str], tmp_path: Path
    ) -> None:
        held = documents(20)
        kept, _ = vault.create(storage, passphrase=PASSPHRASE, hostname="laptop")
        assert kept.save(contents(held), host="laptop").verified
        restic = Restic(tmp_path, repository=f"s3:{settings['address']}/kept/{settings['folder']}/Vault", **NAMED)
        assert restic.is_clean()
        assert as_files(held).items() <= restic.restored(tmp_path / "restored").items()

    def test_a_bucket_that_is_not_there_is_not_taken_for_an_empty_one(self, service: str, storage: Storage) -> None:
        with pytest.raises(Unavailable, match="no bucket"):
            S3(service, bucket="elsewhere", **KEYS)


@pytest.mark.parametrize("address", ["http://s3.example", "ftp://x", "https://", "https://x/path", "s3.example"])
def test_an_address_that_would_send_in_the_clear_is_refused(address: str) -> None:
    with pytest.raises(WrongUse):
        S3(address, bucket="kept", **KEYS)


class _Says:
    """A service that gives one answer, after saying that the bucket is there."""

    hosts = ("kept",)  # the first part of the path is the bucket

    def __init__(self) -> None:
        self.response = Response(200)

    def answer(self, request: Request) -> Response:
        return self.response


@pytest.fixture
def says() -> Iterator[tuple[_Says, S3]]:
    fake = _Says()
    with Front([fake]) as front:
        storage = S3(front.url, bucket="kept", **KEYS)
        yield fake, storage
        storage.close()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (404, "NoSuchKey", NotFound),
        (404, "NoSuchBucket", Unavailable),
        (403, "AccessDenied", Refused),
        (403, "InvalidAccessKeyId", SignInAgain),
        (403, "SignatureDoesNotMatch", SignInAgain),
        (403, "QuotaExceeded", QuotaFull),
        (503, "SlowDown", SlowDown),
        (500, "InternalError", Unavailable),
        (400, "BadDigest", Damaged),
    ],
)
def test_what_a_code_means(says: tuple[_Says, S3], status: int, code: str, error: type[Exception]) -> None:
    fake, storage = says
    body = f"<Error><Code>{code}</Code><Message>no</Message><Resource>/kept</Resource></Error>".encode()
    fake.response = Response(status, {"content-type": "application/xml"}, body)
    with pytest.raises(error) as raised:
        storage.get("a")
    assert not any(secret in str(raised.value) for secret in KEYS.values())


@pytest.mark.parametrize(("asked", "wait_s"), [("", 5.0), ("37", 37.0), ("90000", 3600.0), ("soon", 5.0)])
def test_the_pause_that_a_service_asks_for_is_kept(says: tuple[_Says, S3], asked: str, wait_s: float) -> None:
    fake, storage = says
    headers = {"content-type": "application/xml"} | ({"retry-after": asked} if asked else {})
    fake.response = Response(503, headers, b"<Error><Code>SlowDown</Code></Error>")
    with pytest.raises(SlowDown) as raised:
        storage.get("a")
    assert raised.value.wait_s == wait_s


def test_a_service_that_cannot_prove_who_it_is_is_told_apart_from_no_network(says: tuple[_Says, S3]) -> None:
    with Front([_Says()]) as front, pytest.raises(Unavailable, match="cannot prove") as raised:
        S3(f"https://127.0.0.1:{front.tls_port}", bucket="kept", **KEYS)
    assert "sign in first" in raised.value.hint


def test_a_page_in_place_of_the_service_is_no_object(says: tuple[_Says, S3]) -> None:
    fake, storage = says
    fake.response = Response(200, {"content-type": "text/html"}, b"<html>sign in to the hotel")
    with pytest.raises(Unavailable):
        storage.listing()


def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        S3("http://127.0.0.1:9", bucket="kept", **KEYS)
