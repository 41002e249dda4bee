"""S3: a bucket at Amazon or at one of the many that speak its language (Backblaze, Hetzner, MinIO, Garage …).

Everything about the protocol is here; docs/providers/s3.md says the same for people. The requests are made and signed
by the library of MinIO; what they cost and what their errors mean is ours.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

from chatkeep import happenings
from chatkeep.errors import (
    ChatkeepError,
    Damaged,
    NotFound,
    QuotaFull,
    Refused,
    SignInAgain,
    SlowDown,
    Unavailable,
    WrongUse,
)
from chatkeep.providers.http import UNTRUSTED, WHY_UNTRUSTED, Endpoints, Gate, Response, is_untrusted, retry_after
from chatkeep.providers.provider import Means, Provider
from chatkeep.storage import StoredObject, Traits, check_name, check_put, check_range

if TYPE_CHECKING:
    from minio import Minio

FOLDER_NAME = "Chatkeep"
AT_ONCE = 1000
"""How many objects one request may delete. Source: DeleteObjects, API reference, seen 2026-11-23."""
_COPY_AT_MOST = 5 * 1024**3
_GONE = {"NoSuchKey", "NoSuchObject", "NotFound", "ResourceNotFound"}
_SIGN_IN = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "AuthorizationHeaderMalformed",
}
_FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "XAmzQuotaExceeded"}
_BUSY = {"SlowDown", "ServiceUnavailable", "RequestLimitExceeded", "TooManyRequests", "Throttling"}
_PAUSE_S = 5.0  # where the service does not say how long
_LATER = {"InternalError", "RequestTimeout", "OperationAborted", "XMinioServerNotInitialized"}
_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"}


class S3:
    """Named bytes as objects of a bucket, below one prefix.

    address: of the service, "https://s3.eu-central-1.amazonaws.com". The bucket must be there: it is never made,
    because where and how it is kept is a decision with a price. Raises Unavailable when it is not there,
    SignInAgain, Refused.
    """

    traits = Traits(parallel=8)

    def __init__(
        self,
        address: str,
        *,
        bucket: str,
        access_key: str,
        secret_key: str,
        region: str = "us-east-1",
        folder: str = FOLDER_NAME,
        gate: Gate | None = None,
    ) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise WrongUse("The address of an S3 service looks like https://s3.eu-central-1.amazonaws.com.")
        Endpoints(f"{parts.scheme}://{parts.netloc}")  # plain http to this machine alone
        check_name(folder)
        self._bucket = bucket
        self._root = folder + "/"
        self._gate = gate or Gate()
        self._pool = _CountingPool(self._gate)
        self._client = _client(parts.netloc, parts.scheme == "https", access_key, secret_key, region, self._pool.pool)
        try:
            self._look_for_bucket()
        except BaseException:
            self.close()
            raise

    def _look_for_bucket(self) -> None:
        with self._translated("the bucket"):
            if not self._client.bucket_exists(bucket_name=self._bucket):
                raise Unavailable(
                    f"There is no bucket {self._bucket} there.", hint="Make it in the console of the service first."
                )

    @property
    def requests(self) -> int:
        """All requests so far."""
        return self._pool.made

    def _key(self, name: str) -> str:
        check_name(name)
        return self._root + name

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        from minio.error import MinioException, S3Error
        from urllib3.exceptions import HTTPError

        try:
            yield
        except S3Error as error:
            # Its text names the address and the key.
            raise self._wrong(str(error.code), what, asked_s=_pause(error.response.headers)) from None
        except (MinioException, HTTPError, OSError) as error:
            if is_untrusted(error):
                raise Unavailable(UNTRUSTED, hint=WHY_UNTRUSTED) from None
            raise Unavailable("The S3 service cannot be reached, or broke off.") from None
        except ParseError:
            raise Unavailable("Something else answered in the place of the S3 service.") from None
        except ValueError:
            raise Refused(f"The S3 service takes no such name or setting ({what}).") from None

    def _wrong(self, code: str, what: str, *, asked_s: float | None = None) -> ChatkeepError:
        """The error that a code of S3 means here."""
        if code in _GONE:
            return NotFound(f"{what} is not there.")
        if code in _SIGN_IN:
            return SignInAgain("The S3 service does not accept the access key.")
        if code in _FULL:
            return QuotaFull("There is no space left in the bucket.")
        if code in _BUSY:
            wait_s = self._gate.close_for(_PAUSE_S if asked_s is None else asked_s)
            return SlowDown("The S3 service asks for a pause.", wait_s=wait_s)
        if code in _LATER:
            return Unavailable(f"The S3 service could not do it at present ({code}).")
        if code in _DAMAGED:
            return Damaged("What arrived at the S3 service is not what was sent.")
        if code == "NoSuchBucket":
            return Unavailable(f"There is no bucket {self._bucket} any more.")
        return Refused(f"The S3 service does not allow this for {what} ({code}).")

    def put(self, name: str, data: bytes) -> StoredObject:
        check_put(name, data)
        with self._translated(name):
            self._client.put_object(
                bucket_name=self._bucket,
                object_name=self._key(name),
                data=io.BytesIO(data),
                length=len(data),
                part_size=max(len(data), 5 * 1024 * 1024),  # one request, whatever the size
            )
        return StoredObject(name, len(data))

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        if length == 0:
            self.stat(name)
            return b""
        try:
            with self._translated(name):
                return self._read(name, start, length)
        except _PastTheEnd:
            return b""

    def _read(self, name: str, start: int, length: int | None) -> bytes:
        from minio.error import S3Error

        try:
            answer = self._client.get_object(
                bucket_name=self._bucket, object_name=self._key(name), offset=start, length=length or 0
            )
        except S3Error as error:
            if error.code == "InvalidRange":
                raise _PastTheEnd from None
            raise
        try:
            data = bytes(answer.data)
        finally:
            answer.close()
            answer.release_conn()
        expected = answer.headers.get("Content-Length", "")
        if expected.isdecimal() and int(expected) != len(data):
            raise Unavailable("The S3 service sent less than it said.")
        return data

    def stat(self, name: str) -> StoredObject:
        key = self._key(name)
        with self._translated(name):
            found = self._client.stat_object(bucket_name=self._bucket, object_name=key)
        return _stored(name, found)

    def listing(self, prefix: str = "") -> list[StoredObject]:
        if prefix:
            check_name(prefix.rstrip("/") or prefix)
        with self._translated("the listing"):
            found = list(
                self._client.list_objects(bucket_name=self._bucket, prefix=self._root + prefix, recursive=True)
            )
        listed = [_stored(str(one.object_name).removeprefix(self._root), one) for one in found if not one.is_dir]
        return sorted(listed, key=lambda stored: stored.name)

    def delete(self, name: str) -> None:
        key = self._key(name)
        with self._translated(name):
            self._client.remove_object(bucket_name=self._bucket, object_name=key)

    def delete_many(self, names: Iterable[str]) -> None:
        """Delete several objects, a thousand by a request. See storage.delete_many."""
        from minio.deleteobjects import DeleteObject

        keys = [self._key(name) for name in dict.fromkeys(names)]
        for first in range(0, len(keys), AT_ONCE):
            wanted = [DeleteObject(name=key) for key in keys[first : first + AT_ONCE]]
            with self._translated("several objects"):
                failed = list(self._client.remove_objects(bucket_name=self._bucket, delete_object_list=iter(wanted)))
            for error in failed:
                if error.code not in _GONE:
                    raise self._wrong(str(error.code), "several objects")

    def move(self, old: str, new: str) -> None:
        """Copy at the service, then delete: a crash between them leaves both names. See storage.move.

        Raises Refused above 5 GB, the most that one copy takes.
        """
        from minio.commonconfig import CopySource

        source, target = self._key(old), self._key(new)
        if self.stat(old).size > _COPY_AT_MOST:
            raise Refused(f"{old} is too large to be moved at the S3 service.")
        if old == new:
            return
        with self._translated(old):
            self._client.copy_object(
                bucket_name=self._bucket,
                object_name=target,
                source=CopySource(bucket_name=self._bucket, object_name=source),
            )
        self.delete(old)

    def close(self) -> None:
        self._pool.pool.clear()


class _PastTheEnd(Exception):
    """The range begins after the end of the object."""


class _CountingPool:
    """The connections of one storage: counted, held at the gate, verified, and never repeated by themselves."""

    def __init__(self, gate: Gate) -> None:
        import urllib3

        self.made = 0
        lock = threading.Lock()
        outer = self

        class Pool(urllib3.PoolManager):
            def urlopen(self, method: str, url: str, *given: Any, **more: Any) -> Any:
                gate.wait()
                with lock:
                    outer.made += 1
                with happenings.during("remote request", provider="s3", method=method, code="none") as facts:
                    try:
                        answer = super().urlopen(method, url, *given, **more)
                        facts["code"] = str(answer.status)
                        return answer
                    finally:
                        happenings.tell("remote_requests_total", provider="s3", code=facts["code"])

        self.pool = Pool(
            maxsize=16,
            timeout=urllib3.Timeout(connect=20, read=60),
            retries=urllib3.Retry(0, redirect=False, raise_on_status=False),
            cert_reqs="CERT_REQUIRED",
        )


def _client(host: str, secure: bool, access_key: str, secret_key: str, region: str, pool: Any) -> Minio:
    from minio import Minio

    return Minio(
        endpoint=host, access_key=access_key, secret_key=secret_key, region=region, secure=secure, http_client=pool
    )


def _stored(name: str, found: Any) -> StoredObject:
    modified = found.last_modified
    return StoredObject(name, int(found.size or 0), modified.astimezone(UTC) if modified else None)


def _open(settings: Mapping[str, str], new: bool, means: Means | None) -> S3:
    return S3(
        settings["address"],
        bucket=settings["bucket"],
        access_key=settings["access_key"],
        secret_key=settings["secret_key"],
        region=settings.get("region") or "us-east-1",
        folder=settings.get("folder", FOLDER_NAME).strip("/"),
        gate=means.gate if means else None,
    )


def _pause(headers: Mapping[str, str]) -> float | None:
    """The pause that the service asks for [s]; None if it does not say how long."""
    return retry_after(Response(503, {"retry-after": headers.get("Retry-After") or ""}, b""))


S3_PROVIDER = Provider(
    name="s3",
    title="S3 (Amazon, Backblaze, MinIO …)",
    needs=("address", "bucket", "access_key", "secret_key"),
    may=("region", "folder"),
    secrets=("secret_key",),
    open=_open,
)
