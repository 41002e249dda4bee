"""WebDAV: a folder on a server that speaks it, as Nextcloud, ownCloud, a NAS or a web server do (RFC 4918).

Everything about the protocol is here; docs/providers/webdav.md says the same for people.

Servers differ in whether an upload that broke off leaves half a file, so an object is put under a passing name in our
own corner of the folder and moved into place: RFC 4918 section 9.9 lets a move replace what is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

import msgspec

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
from chatkeep.providers.http import Endpoints, Gate, Http, Response, retry_after
from chatkeep.providers.provider import Means, Provider
from chatkeep.storage import StoredObject, Traits, check_name, check_put, check_range

PARTIAL = ".chatkeep-partial"
"""Where objects lie until they are whole; never listed."""
SWEEP_AFTER_S = 24 * 3600
_DAV = "{DAV:}"
_ASKED = (
    b'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/>'
    b"<getlastmodified/></prop></propfind>"
)
_XML = {"Content-Type": "application/xml; charset=utf-8"}
_SHORT_WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.8)
_MOST_BYTES = 64 * 1024 * 1024
_SHA256_DIGITS = 64
_WITHOUT_HEAD = (405, 501)


class WebDav:
    """Named bytes as files below one folder of a WebDAV server.

    address: of the folder, "https://cloud.example/remote.php/dav/files/ana/Chatkeep". new: make it where it is not
    there. Raises Unavailable when it is not there and was not to be made, SignInAgain for a wrong password.
    """

    traits = Traits(parallel=4)

    def __init__(
        self,
        address: str,
        *,
        user: str,
        password: str,
        new: bool = False,
        gate: Gate | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(address)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.query
            or parts.fragment
            or parts.username
        ):
            raise WrongUse("The address of a WebDAV folder looks like https://cloud.example/dav/Chatkeep.")
        origin = f"{parts.scheme}://{parts.netloc}"
        self._root = f"{origin}{parts.path.rstrip('/')}/"
        self._path = unquote(urlsplit(self._root).path)
        plain = parts.scheme == "http"
        self._gate = gate or Gate()
        self._http = Http(Endpoints(origin) if plain else Endpoints(), gate=self._gate, provider="webdav")
        login = b64encode(f"{user}:{password}".encode()).decode()
        self._signed = {"Authorization": f"Basic {login}"}
        self._folders: set[str] = set()
        self._lock = threading.Lock()
        self._moving = threading.Lock()
        self._sleep = sleep
        try:
            self._begin(new=new)
        except BaseException:
            self.close()
            raise

    @property
    def requests(self) -> int:
        """All requests so far."""
        return self._http.requests

    def _begin(self, *, new: bool) -> None:
        found = self._send("PROPFIND", "", body=_ASKED, headers={**_XML, "Depth": "0"})
        if found.status == 404 and new:
            self._make_above()
        elif found.status == 404:
            raise Unavailable("The folder on the server is not there any more.", hint="Look whether it was moved.")
        elif found.status != 207:
            raise self._wrong(found, "the folder")
        self._folders.add("")
        if found.status == 207:
            self._sweep()

    def _make_above(self) -> None:
        """Make the folder, and those above it that are missing."""
        path = self._path.strip("/").split("/")
        origin = self._root[: len(self._root) - len(urlsplit(self._root).path)]
        for depth in range(len(path), -1, -1):
            address = origin + "/" + "".join(quote(part, safe="") + "/" for part in path[:depth])
            made = self._http.request("MKCOL", address, headers=self._signed, expects="anything")
            if made.status in (201, 405):
                break
            if made.status not in (404, 409):
                raise self._wrong(made, "the folder")
        for below in range(depth + 1, len(path) + 1):
            address = origin + "/" + "".join(quote(part, safe="") + "/" for part in path[:below])
            made = self._http.request("MKCOL", address, headers=self._signed, expects="anything")
            if made.status not in (201, 405):
                raise self._wrong(made, "the folder")

    def _sweep(self) -> None:
        """Remove what crashed puts left behind long ago; a young file may be another process at work."""
        now = datetime.now(UTC)
        with contextlib.suppress(ChatkeepError):
            for stored in self._children(PARTIAL):
                modified = stored.modified if isinstance(stored, StoredObject) else None
                if modified and isinstance(stored, StoredObject) and (now - modified).total_seconds() > SWEEP_AFTER_S:
                    self._send("DELETE", stored.name)

    # One request

    def _address(self, name: str) -> str:
        return self._root + "/".join(quote(part, safe="") for part in name.split("/")) if name else self._root

    def _send(
        self, method: str, name: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """The answer to one request about a name, of any status but a redirect, a refused sign-in, or a pause."""
        expects = "bytes" if method == "GET" else "anything"
        answer = self._http.request(
            method,
            self._address(name),
            headers={**self._signed, **(headers or {})},
            content=body,
            authorised=False,
            expects=expects,  # type: ignore[arg-type]
            cap=_MOST_BYTES,
        )
        elsewhere = urlsplit(answer.headers.get("location", "")).path
        if 300 <= answer.status < 400 and method == "GET" and elsewhere == urlsplit(self._address(name)).path + "/":
            return msgspec.structs.replace(answer, status=404)  # how some say that it is a folder
        if answer.status in (401, 429, 503) or 300 <= answer.status < 400:
            raise self._wrong(answer, name or "the folder")
        return answer

    def _wrong(self, answer: Response, what: str) -> ChatkeepError:
        """The error that a status means here."""
        status = answer.status
        if status == 401:
            return SignInAgain("The WebDAV server does not accept the user name or the password.")
        if status in (429, 503):
            wait = retry_after(answer)
            if wait is not None:
                return SlowDown("The WebDAV server asks for a pause.", wait_s=self._gate.close_for(wait))
            return Unavailable("The WebDAV server is too busy at present.")
        if status == 404:
            return NotFound(f"{what} is not there.")
        if status == 507:
            return QuotaFull("There is no space left on the WebDAV server.")
        if status == 423:
            return Unavailable(f"The WebDAV server has locked {what} at present.")
        if 300 <= status < 400:
            return Refused("The WebDAV server says that the folder has another address.", hint="Connect that address.")
        if status in (403, 405, 409, 413, 414, 415):
            return Refused(f"The WebDAV server does not allow this for {what} (status {status}).")
        return Unavailable(f"The WebDAV server did not do it (status {status}).")

    # Folders

    def _ready(self, folder: str) -> None:
        """Make a folder and all above it. One that is known to be there costs nothing."""
        with self._lock:
            known = folder in self._folders
        if known:
            return
        self._ready(folder.rpartition("/")[0])
        made = self._send("MKCOL", folder)
        if made.status not in (201, 405):  # 405: it is there already
            raise self._wrong(made, folder)
        with self._lock:
            self._folders.add(folder)

    def _forget_folders(self) -> None:
        with self._lock:
            self._folders = {""}

    # The verbs

    def put(self, name: str, data: bytes) -> StoredObject:
        check_put(name, data)
        self._check_ours(name)
        try:
            return self._put(name, data)
        except _Gone:  # somebody removed a folder that we had seen
            self._forget_folders()
            return self._put(name, data)

    def _put(self, name: str, data: bytes) -> StoredObject:
        self._ready(PARTIAL)
        passing = f"{PARTIAL}/{secrets.token_hex(16)}"
        checksum = {"OC-Checksum": f"SHA1:{hashlib.sha1(data, usedforsecurity=False).hexdigest()}"}
        sent = self._send("PUT", passing, body=data, headers={**checksum, "Content-Type": "application/octet-stream"})
        if sent.status in (404, 409):
            raise _Gone
        if not sent.ok:
            raise self._wrong(sent, name)
        try:
            self._ready(name.rpartition("/")[0])
            self._replace(passing, name)
        except BaseException:
            with contextlib.suppress(ChatkeepError):
                self._send("DELETE", passing)
            raise
        return StoredObject(name, len(data))

    def _replace(self, old: str, new: str) -> None:
        moved = self._moved(old, new, overwrite="F")
        if moved.status == 412:  # something has the name: a folder must not be replaced with all that is in it
            if self._is_folder(new):
                raise Refused(f"{new} is a folder.")
            moved = self._moved(old, new, overwrite="T")
        if moved.status in (404, 409) or (moved.status == 403 and not self._is_folder(new.rpartition("/")[0])):
            raise _Gone
        if moved.status not in (201, 204):
            raise self._wrong(moved, new)

    def _moved(self, old: str, new: str, *, overwrite: str) -> Response:
        headers = {"Destination": self._address(new), "Overwrite": overwrite}
        with self._moving:
            return self._unlocked("MOVE", old, headers)

    def _unlocked(self, method: str, name: str, headers: Mapping[str, str] | None = None) -> Response:
        """The answer to a request. While another one has locked the name (423) it is asked again, for a while."""
        answer = self._send(method, name, headers=headers)
        for wait_s in _SHORT_WAITS_S:
            if answer.status != 423:
                break
            self._sleep(wait_s)
            answer = self._send(method, name, headers=headers)
        return answer

    def _is_folder(self, name: str) -> bool:
        if not name:
            return True
        try:
            return not isinstance(self._look(name), StoredObject)
        except NotFound:
            return False

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        check_name(name)
        check_range(start, length)
        self._check_ours(name)
        if length == 0:
            self.stat(name)
            return b""
        wanted = {"Range": f"bytes={start}-{'' if length is None else start + length - 1}"}
        answer = self._read(name, wanted) if start or length is not None else self._get_whole(name)
        if answer.status == 416:
            self.stat(name)
            return b""
        if answer.status in (404, 405, 409) or (answer.ok and self._shows_a_folder(answer, name)):
            raise NotFound(f"{name} is not there.")
        if answer.status == 206:
            return self._in_range(answer, start, length)
        if answer.status != 200:
            raise self._wrong(answer, name)
        return answer.body[start:] if length is None else answer.body[start : start + length]

    def _get_whole(self, name: str) -> Response:
        """The answer to a GET of all of an object, with the head and the bytes of one version.

        While a file is replaced, rclone's server sends the length of the old one and as many bytes of the new one, and
        says that all went well (1.60, seen 2026-11-23). So the head is asked for again after the bytes, and they are
        read again until it is the same. Twice the same bytes are taken, for servers that name each answer anew.
        An object that is called by the SHA-256 of its bytes, as those of a vault are, proves itself.
        """
        before: bytes | None = None
        for wait_s in _SHORT_WAITS_S:
            answer = self._read(name, {})
            if answer.status != 200 or answer.body == before or _is_called_by_hash(name, answer.body):
                return answer
            now = self._send("HEAD", name, headers={"Accept-Encoding": "identity"})
            if now.status in _WITHOUT_HEAD or (now.status == 200 and _version(now) == _version(answer)):
                return answer
            before = answer.body
            self._sleep(wait_s)
        raise Unavailable(f"{name} was replaced again and again while it was read.")

    def _read(self, name: str, headers: Mapping[str, str]) -> Response:
        """The answer to a GET. Many servers replace a file by removing it first, so an absent one is sought again.

        With two more tries instead of four, rclone's server was caught in between once in some thousand reads.
        """
        for wait_s in _SHORT_WAITS_S[:4]:
            with contextlib.suppress(Unavailable):
                answer = self._send("GET", name, headers=headers)
                if answer.status != 404:
                    return answer
            self._sleep(wait_s)
        return self._send("GET", name, headers=headers)

    def _in_range(self, answer: Response, start: int, length: int | None) -> bytes:
        said = answer.headers.get("content-range", "")
        if not said.startswith(f"bytes {start}-") or (length is not None and len(answer.body) > length):
            raise Damaged("The WebDAV server sent another part of the file than was asked for.")
        return answer.body

    def _shows_a_folder(self, answer: Response, name: str) -> bool:
        """Whether a page about a folder came instead of an object; some servers write one."""
        return "text/html" in answer.headers.get("content-type", "") and self._is_folder(name)

    def stat(self, name: str) -> StoredObject:
        check_name(name)
        self._check_ours(name)
        found = self._look(name)
        if not isinstance(found, StoredObject):
            raise NotFound(f"{name} is not there.")
        return found

    def _look(self, name: str) -> StoredObject | str:
        """One object, or the name of a folder. Raises NotFound."""
        answer = self._send("PROPFIND", name, body=_ASKED, headers={**_XML, "Depth": "0"})
        if answer.status in (404, 405, 409):
            raise NotFound(f"{name} is not there.")
        if answer.status != 207:
            raise self._wrong(answer, name)
        for found in self._told(answer):
            if (found.name if isinstance(found, StoredObject) else found) == name:
                return found
        raise NotFound(f"{name} is not there.")

    def listing(self, prefix: str = "") -> list[StoredObject]:
        top = prefix.rpartition("/")[0]
        if top:
            check_name(top)
        found: list[StoredObject] = []
        waiting = [top]
        while waiting:
            for one in self._children(waiting.pop()):
                if isinstance(one, StoredObject):
                    found += [one] if one.name.startswith(prefix) else []
                elif one != PARTIAL and (one.startswith(prefix) or prefix.startswith(one + "/")):
                    waiting.append(one)
        return sorted(found, key=lambda stored: stored.name)

    def _children(self, folder: str) -> Iterator[StoredObject | str]:
        """What lies in a folder: objects, and the names of folders. Nothing when it is not there."""
        headers = {**_XML, "Depth": "1"}
        answer = self._send("PROPFIND", f"{folder}/" if folder else "", body=_ASKED, headers=headers)
        if answer.status == 404 and folder:
            return
        if answer.status == 404:
            raise Unavailable("The folder on the server is not there any more.", hint="Look whether it was moved.")
        if answer.status != 207:
            raise self._wrong(answer, folder or "the folder")
        for one in self._told(answer):
            if (one.name if isinstance(one, StoredObject) else one) != folder:
                yield one

    def _told(self, answer: Response) -> Iterator[StoredObject | str]:
        """The objects and folders that a multistatus answer names (RFC 4918 section 13)."""
        try:
            if b"<!DOCTYPE" in answer.body.upper():
                raise ElementTree.ParseError("a document type")
            answers = ElementTree.fromstring(answer.body).findall(f"{_DAV}response")  # noqa: S314 - no entities
        except ElementTree.ParseError as error:
            raise Unavailable("The WebDAV server sent a list that cannot be read.") from error
        for one in answers:
            name = self._name_of(one.findtext(f"{_DAV}href", ""))
            if name is not None:
                yield _object(name, one)

    def _name_of(self, href: str) -> str | None:
        path = unquote(urlsplit(href).path if "://" in href else href)
        if not (path + "/").startswith(self._path):
            return None
        name = path[len(self._path) :].rstrip("/")
        try:
            if name:
                check_name(name)
        except Refused:  # not ours: nothing that we write is called so
            return None
        return name

    def delete(self, name: str) -> None:
        check_name(name)
        self._check_ours(name)
        with contextlib.suppress(NotFound):
            if isinstance(self._look(name), StoredObject):  # deleting a folder would take all that is in it
                gone = self._unlocked("DELETE", name)
                if not gone.ok and gone.status not in (404, 409):
                    raise self._wrong(gone, name)

    def move(self, old: str, new: str) -> None:
        """Rename the object, whatever its size. See storage.move."""
        check_name(new)
        self._check_ours(new)
        self.stat(old)
        if old == new:
            return
        try:
            self._ready(new.rpartition("/")[0])
            self._replace(old, new)
        except _Gone:
            self._forget_folders()
            self._ready(new.rpartition("/")[0])
            self._replace(old, new)

    def _check_ours(self, name: str) -> None:
        if name.split("/")[0] == PARTIAL:
            raise Refused(f"{PARTIAL} is where unfinished objects lie.")
        if "?" in name:  # WsgiDAV 4.4 cuts the new name of a move off there, however it is escaped (seen 2026-11-23)
            raise Refused("A name with a question mark is not kept as it is by every WebDAV server.")

    def close(self) -> None:
        self._http.close()


class _Gone(Unavailable):
    """A folder that was there is there no more."""

    def __init__(self) -> None:
        super().__init__("A folder on the WebDAV server went away while it was written to.")


def _version(answer: Response) -> tuple[str | None, ...]:
    """What an answer says of the version of an object: its ETag, or where there is none, its date and length."""
    if etag := answer.headers.get("etag"):
        return (etag,)
    return answer.headers.get("last-modified"), answer.headers.get("content-length")


def _is_called_by_hash(name: str, data: bytes) -> bool:
    last = name.rpartition("/")[2]
    return len(last) == _SHA256_DIGITS and hashlib.sha256(data).hexdigest() == last


def _object(name: str, answer: ElementTree.Element) -> StoredObject | str:
    """One object of a multistatus answer, or the name of a folder."""
    if answer.find(f".//{_DAV}resourcetype/{_DAV}collection") is not None:
        return name
    size = answer.findtext(f".//{_DAV}getcontentlength", "")
    modified = answer.findtext(f".//{_DAV}getlastmodified", "")
    if not size.isdecimal():
        raise Unavailable("The WebDAV server does not say how large a file is.")
    try:
        moment = parsedate_to_datetime(modified) if modified else None
    except (ValueError, TypeError):
        moment = None
    return StoredObject(name, int(size), moment.astimezone(UTC) if moment else None)


def _open(settings: Mapping[str, str], new: bool, means: Means | None) -> WebDav:
    return WebDav(
        settings["address"],
        user=settings["user"],
        password=settings["password"],
        new=new,
        gate=means.gate if means else None,
    )


WEBDAV = Provider(
    name="webdav",
    title="WebDAV (Nextcloud, a NAS)",
    needs=("address", "user", "password"),
    secrets=("password",),
    open=_open,
)
