"""Sending bytes to Drive: small ones in one request, larger ones in a session that can be continued after anything.

The address of a session carries authority of its own, so it is sent without our token and noted sealed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from chatkeep.errors import Unavailable
from chatkeep.providers.google_drive.calls import UPLOAD, Calls, multipart
from chatkeep.providers.google_drive.tree import FIELDS
from chatkeep.providers.http import Response
from chatkeep.providers.notes import Notes

SIMPLE = 5_000_000
"""The largest body in one request [bytes].

Source: guide of the Drive API, "Upload file data": 5 MB or less; 2026-11.
"""

UNIT = 256 * 1024
TOLD = f"{FIELDS},sha256Checksum"
STANDSTILLS = 4
"""How often in a row Drive may keep nothing of what it is sent before we give up for now."""

_KINDS = {
    "md": "text/markdown",
    "txt": "text/plain",
    "html": "text/html",
    "json": "application/json",
    "zip": "application/zip",
}


class _Session(msgspec.Struct, array_like=True):
    """An upload under way. target: the id it is for, whether to be made or replaced."""

    address: str
    digest: str
    target: str


class _Gone(Exception):
    """The session is over before the object is there; another must be begun."""


def kind(name: str) -> str:
    """What Drive is told that an object is, so that it can show readable copies."""
    return (
        _KINDS.get(name.rpartition(".")[2].lower(), "application/octet-stream")
        if "." in name
        else ("application/octet-stream")
    )


def right(file: Mapping[str, Any], data: bytes) -> bool:
    """Whether Drive has just these bytes, by the best hash that it tells. MD5 takes three times as long as SHA-256."""
    for name, kind in (("sha256Checksum", "sha256"), ("md5Checksum", "md5")):
        if name in file:
            return bool(hashlib.new(kind, data, usedforsecurity=False).hexdigest() == file[name])
    return False


class Uploads:
    """Sends objects. Gives Drive's answer, whatever its status, for the caller to judge."""

    def __init__(self, calls: Calls, notes: Notes) -> None:
        self._calls = calls
        self._notes = notes

    def unfinished(self, name: str, data: bytes) -> str:
        """The id that these same bytes were being sent to when it broke off, "" if they were not."""
        session = self._noted(name, data)
        return session.target if session else ""

    def create(self, name: str, data: bytes, *, id: str, parent: str, title: str) -> Response:
        """Make a file of an id that was generated before. 409 says that there is one already."""
        meta = {"id": id, "name": title, "parents": [parent], "mimeType": kind(title)}
        if len(data) <= SIMPLE:
            headers, body = multipart(meta, kind(title), data)
            params = {"uploadType": "multipart", "fields": TOLD}
            return self._calls.request("POST", UPLOAD, params=params, headers=headers, content=body)
        return self._large("POST", UPLOAD, name, data, meta, target=id)

    def replace(self, name: str, data: bytes, *, id: str) -> Response:
        """Give a file new content. 404 says that it is gone."""
        address = f"{UPLOAD}/{id}"
        if len(data) <= SIMPLE:
            headers = {"Content-Type": kind(name)}
            params = {"uploadType": "media", "fields": TOLD}
            return self._calls.request("PATCH", address, params=params, headers=headers, content=data)
        return self._large("PATCH", address, name, data, {}, target=id)

    def _large(self, method: str, address: str, name: str, data: bytes, meta: dict[str, Any], target: str) -> Response:
        for _ in range(2):
            session = self._noted(name, data)
            offset: int | Response = 0
            try:
                if session and session.target == target:
                    offset = self._offset(session, len(data))
                else:
                    begun = self._begin(method, address, name, data, meta, target)
                    if isinstance(begun, Response):
                        return begun
                    session = begun
                return self._sent(name, session, data, offset)
            except _Gone:
                self._notes.drop(_key(name))
        raise Unavailable("Google Drive ended an upload twice before it was whole.")

    def _begin(
        self, method: str, address: str, name: str, data: bytes, meta: dict[str, Any], target: str
    ) -> _Session | Response:
        """A new session, noted before it is used; or the answer that refuses it."""
        headers = {
            "Content-Type": "application/json; charset=UTF-8",
            "X-Upload-Content-Type": kind(name),
            "X-Upload-Content-Length": str(len(data)),
        }
        params = {"uploadType": "resumable", "fields": TOLD}
        body = msgspec.json.encode(meta)
        answer = self._calls.request(method, address, params=params, headers=headers, content=body, expects="anything")
        if not answer.ok:
            return answer
        if not answer.headers.get("location"):
            raise Unavailable("Google Drive began an upload and did not say where.")
        session = _Session(answer.headers["location"], _digest(data), target)
        self._notes.put(_key(name), msgspec.msgpack.encode(session))
        return session

    def _offset(self, session: _Session, size: int) -> int | Response:
        """How much Drive has of an upload that broke off; or its last answer, if that was all."""
        return self._judged(self._put(session, b"", f"bytes */{size}"))

    def _sent(self, name: str, session: _Session, data: bytes, offset: int | Response) -> Response:
        """Send what is missing until all is there. Drive may keep less than it was sent: it says how much."""
        standing = 0
        while isinstance(offset, int):
            span = f"bytes {offset}-{len(data) - 1}/{len(data)}"
            now = self._judged(self._put(session, data[offset:], span))
            standing = standing + 1 if isinstance(now, int) and now <= offset else 0
            if standing >= STANDSTILLS:
                raise Unavailable("Google Drive keeps nothing of what it is sent.")
            offset = now
        if offset.ok:
            self._notes.drop(_key(name))
        return offset

    def _put(self, session: _Session, data: bytes, span: str) -> Response:
        headers = {"Content-Range": span}
        return self._calls.request("PUT", session.address, headers=headers, content=data, authorised=False)

    def _judged(self, answer: Response) -> int | Response:
        """How far an upload is (308: no Range means nothing at all), or the answer that ends it."""
        if answer.status == 308:
            found = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("range", ""))
            return int(found[1]) + 1 if found else 0
        if answer.status in (400, 404, 410):
            raise _Gone
        return answer

    def _noted(self, name: str, data: bytes) -> _Session | None:
        kept = self._notes.get(_key(name))
        if kept is None:
            return None
        try:
            session = msgspec.msgpack.decode(kept, type=_Session)
        except msgspec.DecodeError:
            return None
        return session if session.digest == _digest(data) else None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _key(name: str) -> str:
    return f"upload {hashlib.sha256(name.encode()).hexdigest()[:32]}"
