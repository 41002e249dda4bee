"""Google's sign-in and Drive as a client sees them: API v3, and of v2 what If-Match needs.

What is marked in the reference as recalled and not seen is a switch here. Sources: the discovery documents of drive.v3
and drive.v2 (revision 20261106), and what rclone 1.60 and google-api-python-client 2.202 send and accept.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from fakes.consent import Consent, Issued, Person, Policy, loopback
from fakes.google_drive import Drive, File, Wrong, stamp
from fakes.google_queries import BadQuery, masked
from fakes.wire import Request, Response

AUTH = "https://www.googleapis.com/auth/"
DRIVE_FILE = AUTH + "drive.file"
UNIT = 256 * 1024
SESSION_LASTS_S = 7 * 86400
LARGEST = 5_497_558_138_880

LIST_DEFAULT = "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)"
FILE_DEFAULT = "kind,id,name,mimeType"
CHANGES_DEFAULT = (
    "kind,nextPageToken,newStartPageToken,changes(kind,type,time,removed,fileId,file(kind,id,name,mimeType))"
)

# Units of the quota model since 1 May 2026, by what a call does.
COSTS = {"list": 100, "download": 200, "modify": 50, "read": 5}


@dataclass
class Session:
    """A resumable upload under way."""

    user: str
    app: str
    meta: dict[str, Any]
    target: str
    total: int | None
    fields: str
    version: int
    match: str
    begun: float
    parent: str = ""
    data: bytes = b""
    done: Response | None = None


class GoogleFake:
    """Google for several people.

    Switches: list_lag [s], new files appear late in lists; feed_lag [s], changes late in the feed; partial_store, each
    first chunk of an upload is kept in part; duplicate_names False refuses what Drive always takes; default_fields
    False tells everything without a mask; units_per_minute; page_cap, the longest page; simple_limit [bytes], refuses
    larger bodies that are not resumable; testing, consents die after 7 days; root_visible, files/root is told to apps
    that see only their own files.
    """

    hosts = ("www.googleapis.com", "oauth2.googleapis.com", "accounts.google.com", "content.googleapis.com")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        people = {
            "alice": Person("1001", "Alice Example", "alice@example.com"),
            "bob": Person("1002", "Bob Example", "bob@example.com"),
        }
        self.consent = Consent(_policy(), people, clients={"cid": "csec", "other": "osec"}, clock=lambda: self.clock())
        self.users = {name: Drive(person.id, lambda: self.clock()) for name, person in people.items()}
        self.sessions: dict[str, Session] = {}
        self.list_lag = 0.0
        self.feed_lag = 0.0
        self.partial_store = False
        self.duplicate_names = True
        self.default_fields = True
        self.units_per_minute = 325_000
        self.page_cap = 1000
        self.simple_limit: int | None = None
        self.root_visible = False
        self.spent: deque[tuple[float, int]] = deque()
        self._partly: set[str] = set()

    @property
    def testing(self) -> bool:
        return self.consent.policy.refresh_lasts_s is not None

    @testing.setter
    def testing(self, on: bool) -> None:
        self.consent.policy.refresh_lasts_s = 7 * 86400 if on else None

    def issue(self, user: str = "alice", *, scopes: tuple[str, ...] = (DRIVE_FILE,), client: str = "") -> Issued:
        """Tokens without the dance."""
        return self.consent.issue(user, scopes=scopes, client=client)

    def lose_sessions(self) -> None:
        """Uploads under way cannot be continued."""
        with self.lock:
            self.sessions.clear()

    def answer(self, request: Request) -> Response:
        answered = self.consent.answer(request)
        if answered:
            return answered
        with self.lock:
            if request.path == "/batch/drive/v3" and request.method == "POST":
                return self._batch(request)
            return self._answer(request)

    def _answer(self, request: Request) -> Response:
        try:
            if "upload_id" in request.fields():
                return self._session(request)
            return self._routed(request)
        except Wrong as wrong:
            return _error(wrong)
        except BadQuery:
            return _error(Wrong(400, "invalid", "Invalid Value"))

    def _routed(self, request: Request) -> Response:
        for pattern, methods in _ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and request.method in methods:
                name, cost = methods[request.method]
                call = self._signed(request)
                self._spend("download" if call.fields.get("alt") == "media" else cost)
                answered: Response = getattr(self, name)(call, *found.groups())
                return answered
        raise Wrong(404, "notFound", "Not Found")

    def _signed(self, request: Request) -> Call:
        grant = self.consent.grant_of(request)
        if grant is None:
            raise Wrong(401, "authError", "Invalid Credentials", "Authorization")
        whole = {AUTH + "drive", AUTH + "drive.readonly"} & set(grant.scopes)
        if not whole and DRIVE_FILE not in grant.scopes and AUTH + "drive.appdata" not in grant.scopes:
            raise Wrong(403, "insufficientPermissions", "Insufficient Permission")
        return Call(request, self.users[grant.user], grant.user, "" if whole else grant.client, grant.client)

    def _spend(self, kind: str) -> None:
        now = self.clock()
        while self.spent and self.spent[0][0] <= now - 60:
            self.spent.popleft()
        if sum(units for _, units in self.spent) + COSTS[kind] > self.units_per_minute:
            raise Wrong(403, "userRateLimitExceeded", "User Rate Limit Exceeded")
        self.spent.append((now, COSTS[kind]))

    # About

    def about(self, call: Call) -> Response:
        if "fields" not in call.fields:
            raise Wrong(400, "required", "The 'fields' parameter is required for this method.", "fields")
        person = self.consent.people[call.user]
        room: dict[str, Any] = {"usage": str(call.drive.used), "usageInDrive": str(call.drive.used)}
        trashed = sum(len(file.data) for file in call.drive.files.values() if call.drive.trashed(file))
        room["usageInDriveTrash"] = str(trashed)
        if call.drive.limit is not None:
            room["limit"] = str(call.drive.limit)
        told = {
            "kind": "drive#about",
            "user": {
                "kind": "drive#user",
                "displayName": person.name,
                "emailAddress": person.email,
                "permissionId": person.id,
                "me": True,
            },
            "storageQuota": room,
            "maxUploadSize": str(LARGEST),
        }
        return _json(masked(told, call.fields["fields"]))

    # Files

    def generate_ids(self, call: Call) -> Response:
        count = int(call.fields.get("count", 10))
        if not 1 <= count <= 1000:
            raise Wrong(400, "invalid", "Invalid value for: count", "count")
        ids = call.drive.new_ids(count)
        return _json({"kind": "drive#generatedIds", "space": "drive", "ids": ids})

    def list_files(self, call: Call) -> Response:
        found = call.drive.search(call.fields.get("q", ""), call.app, self.list_lag)
        found = _ordered(found, call.fields.get("orderBy", ""))
        size = min(int(call.fields.get("pageSize", call.fields.get("maxResults", 100))), 1000, self.page_cap)
        begin = int(call.fields.get("pageToken") or 0)
        page = {
            "kind": "drive#fileList",
            "incompleteSearch": False,
            ("files" if call.version == 3 else "items"): [
                self._told(call, file) for file in found[begin : begin + size]
            ],
        }
        if begin + size < len(found):
            page["nextPageToken"] = str(begin + size)
        mask = call.fields.get("fields") or (LIST_DEFAULT if call.version == 3 and self.default_fields else "*")
        return _json(masked(page, mask))

    def get_file(self, call: Call, id: str) -> Response:
        if call.drive.real(id) == call.drive.root:
            return self._root(call)
        file = call.drive.file(id, call.app)
        return self._download(call, file) if call.fields.get("alt") == "media" else self._resource(call, file)

    def _root(self, call: Call) -> Response:
        if call.app and not self.root_visible:
            raise Wrong(404, "notFound", "File not found: root.", "fileId")
        top = {"kind": "drive#file", "id": call.drive.root, "name": "My Drive"}
        return _json(masked(top, call.fields.get("fields", "*")))

    def _download(self, call: Call, file: File) -> Response:
        if file.folder:
            raise Wrong(403, "fileNotDownloadable", "Only files with binary content can be downloaded.")
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", call.request.headers.get("range", ""))
        size, headers = len(file.data), {"Content-Type": file.mime}
        if not asked or not (asked[1] or asked[2]):
            return Response(200, headers, file.data)
        start = int(asked[1]) if asked[1] else max(0, size - int(asked[2]))
        end = min(int(asked[2]), size - 1) if asked[1] and asked[2] else size - 1
        if start >= size:
            raise Wrong(416, "requestedRangeNotSatisfiable", "Request range not satisfiable", f"bytes */{size}")
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
        return Response(206, headers, file.data[start : end + 1])

    def create_file(self, call: Call) -> Response:
        return self._created(call, call.body(), b"")

    def _created(self, call: Call, meta: dict[str, Any], data: bytes) -> Response:
        if not self.duplicate_names:
            parent = call.drive.check_parents(meta.get("parents", []), call.app)
            if any(file.parent == parent and file.name == meta.get("name") for file in call.drive.files.values()):
                raise Wrong(400, "duplicate", "There is a file of this name.")
        return self._resource(call, call.drive.create(meta, data, call.client))

    def update_file(self, call: Call, id: str) -> Response:
        return self._updated(call, id, call.body(), None)

    def _updated(self, call: Call, id: str, meta: dict[str, Any], data: bytes | None) -> Response:
        file = call.drive.file(id, call.app)
        call.check_match(file)
        return self._resource(call, call.drive.update(file, meta, data, call.app, call.fields.get("addParents", "")))

    def delete_file(self, call: Call, id: str) -> Response:
        file = call.drive.file(id, call.app)
        call.check_match(file)
        call.drive.delete(file)
        return Response(204)

    def empty_trash(self, call: Call) -> Response:
        if call.app:
            raise Wrong(403, "insufficientPermissions", "Insufficient Permission")
        for file in [file for file in call.drive.files.values() if file.trashed]:
            call.drive.delete(file)
        return Response(204)

    def _resource(self, call: Call, file: File) -> Response:
        mask = call.fields.get("fields") or (FILE_DEFAULT if call.version == 3 and self.default_fields else "*")
        return _json(masked(self._told(call, file), mask))

    def _told(self, call: Call, file: File) -> dict[str, Any]:
        return told_v2(call.drive, file) if call.version == 2 else told_v3(call.drive, file)

    # Uploads

    def upload(self, call: Call, id: str = "") -> Response:
        kind = call.fields.get("uploadType", "")
        if kind == "resumable":
            return self._begin(call, id)
        if kind == "multipart":
            meta, mime, data = _related(call.request)
        elif kind == "media":
            meta, mime, data = {}, call.request.headers.get("content-type", ""), call.request.body
        else:
            raise Wrong(400, "badRequest", "Unsupported uploadType")
        if self.simple_limit is not None and len(data) > self.simple_limit:
            raise Wrong(413, "uploadTooLarge", "The upload is too large for this kind.")
        meta = _renamed(meta, call.version)
        meta.setdefault("mimeType", mime)
        return self._updated(call, id, meta, data) if id else self._created(call, meta, data)

    def _begin(self, call: Call, id: str) -> Response:
        meta = _renamed(call.body(), call.version)
        meta.setdefault("mimeType", call.request.headers.get("x-upload-content-type", ""))
        if id:
            call.check_match(call.drive.file(id, call.app))
        else:
            call.drive.check_parents(meta.get("parents", []), call.app)
            if meta.get("id") in call.drive.files:
                raise Wrong(409, "fileIdInUse", "A file already exists with the provided ID.", "id")
        total = call.request.headers.get("x-upload-content-length")
        if total:
            call.drive.check_room(int(total))
        key = hashlib.sha256(f"session {len(self.sessions)} {self.clock()}".encode()).hexdigest()[:40]
        self.sessions[key] = Session(
            user=call.user,
            app=call.client,
            meta=meta,
            target=id,
            total=int(total) if total else None,
            fields=call.fields.get("fields", ""),
            version=call.version,
            match=call.request.headers.get("if-match", ""),
            begun=self.clock(),
            parent=call.fields.get("addParents", ""),
        )
        query = f"uploadType=resumable&upload_id={key}"
        location = call.request.address(call.request.host, f"{call.request.path}?{query}")
        return Response(200, {"Location": location, "X-GUploader-UploadID": key})

    def _session(self, request: Request) -> Response:
        key = request.fields()["upload_id"]
        session = self.sessions.get(key)
        if session is None or self.clock() > session.begun + SESSION_LASTS_S:
            raise Wrong(404, "notFound", "Not Found")
        if request.method == "DELETE":
            del self.sessions[key]
            return Response(499)
        if session.done:
            return session.done
        asked = request.headers.get("content-range", "")
        if re.fullmatch(r"bytes \*/(\*|\d+)", asked):
            if asked == f"bytes */{len(session.data)}":
                return self._finish(session, request)
            return _incomplete(session)
        self._take(key, session, request, asked)
        if session.total is not None and len(session.data) == session.total and request.whole:
            return self._finish(session, request)
        return _incomplete(session)

    def _take(self, key: str, session: Session, request: Request, asked: str) -> None:
        """Keep what came. Of a body that was cut off, and of a last chunk that is not whole, whole units are kept."""
        start, last, total = 0, len(request.body) - 1, str(len(request.body))
        if asked:
            found = re.fullmatch(r"bytes (\d+)-(\d+)/(\*|\d+)", asked)
            if not found:
                raise Wrong(400, "badRequest", "Failed to parse Content-Range header.")
            start, last, total = int(found[1]), int(found[2]), found[3]
        if request.whole and len(request.body) != last + 1 - start:
            raise Wrong(400, "badRequest", "The range does not fit the body.")
        if total != "*":
            session.total = int(total)
        final = session.total is not None and last + 1 == session.total
        if start > len(session.data) or (not final and (last + 1 - start) % UNIT):
            raise Wrong(400, "badRequest", "Invalid request. The chunk begins or ends where none may.")
        body = request.body if request.whole or not asked else request.body[: len(request.body) // UNIT * UNIT]
        if not request.whole:
            body = body[: len(body) // UNIT * UNIT]
        if self.partial_store and key not in self._partly:
            self._partly.add(key)
            body = body[: len(body) // 2 // UNIT * UNIT]
        session.data = session.data[:start] + body

    def _finish(self, session: Session, request: Request) -> Response:
        signed = Call(
            replace(request, query=f"fields={session.fields}" if session.fields else "", headers={}),
            self.users[session.user],
            session.user,
            session.app,
            session.app,
            version=session.version,
            match=session.match,
            parent=session.parent,
        )
        meta, data = dict(session.meta), session.data
        done = (
            self._updated(signed, session.target, meta, data) if session.target else self._created(signed, meta, data)
        )
        session.done = done
        return done

    # Changes

    def start_token(self, call: Call) -> Response:
        return _json({"kind": "drive#startPageToken", "startPageToken": str(len(call.drive.log) + 1)})

    def changes(self, call: Call) -> Response:
        token = call.fields.get("pageToken", "")
        if not token.isdecimal() or not 1 <= int(token) <= len(call.drive.log) + 1:
            raise Wrong(400, "invalid", "Invalid Value", "pageToken")
        newest = self.clock() - self.feed_lag
        told = [entry for entry in call.drive.log if entry[0] <= newest]
        begin = min(int(token) - 1, len(told))
        last = {id: number for number, (_, id, app) in enumerate(told) if not call.app or app == call.app}
        numbers = sorted(number for number in last.values() if number >= begin)
        size = min(int(call.fields.get("pageSize", 100)), 1000, self.page_cap)
        page = [self._change(call, told[number]) for number in numbers[:size]]
        body: dict[str, Any] = {"kind": "drive#changeList", "changes": page}
        if len(numbers) > size:
            body["nextPageToken"] = str(numbers[size - 1] + 2)
        else:
            body["newStartPageToken"] = str(len(told) + 1)
        return _json(masked(body, call.fields.get("fields") or (CHANGES_DEFAULT if self.default_fields else "*")))

    def _change(self, call: Call, entry: tuple[float, str, str]) -> dict[str, Any]:
        at, id, _ = entry
        file = call.drive.files.get(id)
        told = {"kind": "drive#change", "type": "file", "changeType": "file", "time": stamp(at), "fileId": id}
        return told | ({"removed": False, "file": told_v3(call.drive, file)} if file else {"removed": True})

    # Batch

    def _batch(self, request: Request) -> Response:
        parts = _parts(request.headers.get("content-type", ""), request.body)
        if len(parts) > 100:
            return _error(Wrong(400, "badRequest", "The batch request cannot contain more than 100 calls."))
        boundary = "batch_answer"
        out = bytearray()
        for headers, content in parts:
            answer = self._part(request, content)
            out += f"--{boundary}\r\nContent-Type: application/http\r\n".encode()
            if "content-id" in headers:
                out += f"Content-ID: <response-{headers['content-id'].strip('<>')}>\r\n".encode()
            out += f"\r\nHTTP/1.1 {answer.status} Answer\r\n".encode()
            for name, value in answer.headers.items():
                out += f"{name}: {value}\r\n".encode()
            out += f"Content-Length: {len(answer.body)}\r\n\r\n".encode() + answer.body + b"\r\n"
        out += f"--{boundary}--\r\n".encode()
        return Response(200, {"Content-Type": f"multipart/mixed; boundary={boundary}"}, bytes(out))

    def _part(self, request: Request, content: bytes) -> Response:
        content = content.lstrip(b"\r\n")
        if b"\r\n" not in content:
            content = content.replace(b"\n", b"\r\n")
        line, _, rest = content.partition(b"\r\n")
        method, _, address = line.decode().removesuffix(" HTTP/1.1").partition(" ")
        head, _, body = rest.partition(b"\r\n\r\n") if not rest.startswith(b"\r\n") else (b"", b"", rest[2:])
        headers = {
            name.lower(): value for name, value in BytesParser(policy=HTTP).parsebytes(head + b"\r\n\r\n").items()
        }
        headers.setdefault("authorization", request.headers.get("authorization", ""))
        path, _, query = address.removeprefix(f"/{request.host}").partition("?")
        if path.startswith("/upload/") or "alt=media" in query:
            return _error(Wrong(400, "badRequest", "Media is not possible in a batch."))
        body = body[: int(headers["content-length"])] if "content-length" in headers else body.rstrip(b"\r\n")
        return self._answer(replace(request, method=method, path=path, query=query, headers=headers, body=body))


class Call:
    """A signed request. app: whose files are seen, "" for all; client: who asks."""

    def __init__(
        self,
        request: Request,
        drive: Drive,
        user: str,
        app: str,
        client: str,
        *,
        version: int = 0,
        match: str = "",
        parent: str = "",
    ) -> None:
        self.request = request
        self.drive = drive
        self.user = user
        self.app = app
        self.client = client
        self.fields = request.fields() | ({"addParents": parent} if parent else {})
        self.version = version or (2 if "/drive/v2/" in request.path else 3)
        self.match = match or request.headers.get("if-match", "")

    def body(self) -> dict[str, Any]:
        try:
            found = json.loads(self.request.body or b"{}")
        except ValueError:
            raise Wrong(400, "parseError", "Parse Error") from None
        return _renamed(found, self.version)

    def check_match(self, file: File) -> None:
        """v3 knows no precondition; v2 does."""
        if self.version == 2 and self.match and self.match not in ("*", file.etag):
            raise Wrong(412, "conditionNotMet", "Precondition Failed", "If-Match")


_FILES = r"/drive/v[23]/files"
_UPLOAD = r"(?:/resumable)?/upload/drive/v[23]/files"
_ROUTES: list[tuple[str, dict[str, tuple[str, str]]]] = [
    (r"/drive/v[23]/about", {"GET": ("about", "read")}),
    (r"/drive/v3/files/generateIds", {"GET": ("generate_ids", "read")}),
    (r"/drive/v3/files/trash", {"DELETE": ("empty_trash", "modify")}),
    (r"/drive/v3/changes/startPageToken", {"GET": ("start_token", "read")}),
    (r"/drive/v3/changes", {"GET": ("changes", "list")}),
    (_FILES, {"GET": ("list_files", "list"), "POST": ("create_file", "modify")}),
    (
        _FILES + r"/([^/]+)",
        {
            "GET": ("get_file", "read"),
            "PATCH": ("update_file", "modify"),
            "PUT": ("update_file", "modify"),
            "DELETE": ("delete_file", "modify"),
        },
    ),
    (_UPLOAD, {"POST": ("upload", "modify")}),
    (_UPLOAD + r"/([^/]+)", {"PATCH": ("upload", "modify"), "PUT": ("upload", "modify")}),
]


def _policy() -> Policy:
    """Source: reference of Google's OAuth for installed apps; the client secret: google-api-dotnet-client#1827."""
    return Policy(
        authorize=("accounts.google.com/o/oauth2/v2/auth", "accounts.google.com/o/oauth2/auth"),
        token=("oauth2.googleapis.com/token", "www.googleapis.com/oauth2/v4/token"),
        revoke=("oauth2.googleapis.com/revoke",),
        device=("oauth2.googleapis.com/device/code",),
        device_page="accounts.google.com/device",
        redirect=loopback("127.0.0.1", "localhost", "::1"),
        secret="demanded",
        access_prefix="ya29.",
        refresh_prefix="1//",
        refresh_when=lambda asked: asked.get("access_type") == "offline",
        words={
            "pending": (428, "authorization_pending", "Precondition Required"),
            "too_often": (403, "slow_down", "Forbidden"),
            "denied": (403, "access_denied", "Forbidden"),
        },
    )


def told_v3(drive: Drive, file: File) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kind": "drive#file",
        "id": file.id,
        "name": file.name,
        "mimeType": file.mime,
        "parents": [file.parent],
        "trashed": drive.trashed(file),
        "explicitlyTrashed": file.trashed,
        "createdTime": file.created,
        "modifiedTime": file.modified,
        "version": str(file.version),
        "spaces": ["drive"],
        "ownedByMe": True,
    }
    if file.app_properties:
        told["appProperties"] = dict(file.app_properties)
    if file.properties:
        told["properties"] = dict(file.properties)
    return told | _content(file, "size", "headRevisionId")


def _content(file: File, size: str, revision: str) -> dict[str, Any]:
    if file.folder:
        return {}
    return {
        size: str(len(file.data)),
        "quotaBytesUsed": str(len(file.data)),
        "md5Checksum": hashlib.md5(file.data).hexdigest(),
        "sha1Checksum": hashlib.sha1(file.data).hexdigest(),
        "sha256Checksum": hashlib.sha256(file.data).hexdigest(),
        revision: f"{file.id}-r{file.revision}",
    }


def told_v2(drive: Drive, file: File) -> dict[str, Any]:
    return {
        "kind": "drive#file",
        "id": file.id,
        "etag": file.etag,
        "title": file.name,
        "mimeType": file.mime,
        "parents": [{"kind": "drive#parentReference", "id": file.parent, "isRoot": file.parent == drive.root}],
        "labels": {"trashed": drive.trashed(file), "starred": False, "hidden": False, "restricted": False},
        "createdDate": file.created,
        "modifiedDate": file.modified,
        "version": str(file.version),
    } | _content(file, "fileSize", "headRevisionId")


def _renamed(meta: dict[str, Any], version: int) -> dict[str, Any]:
    """Metadata of v2 in the words of v3."""
    if version == 3:
        return meta
    told = {"title": "name", "modifiedDate": "modifiedTime", "createdDate": "createdTime"}
    renamed = {told.get(name, name): value for name, value in meta.items()}
    if "parents" in renamed:
        renamed["parents"] = [parent["id"] if isinstance(parent, dict) else parent for parent in renamed["parents"]]
    return renamed


def _ordered(files: list[File], order: str) -> list[File]:
    keys: dict[str, Callable[[File], Any]] = {
        "name": lambda file: file.name,
        "modifiedTime": lambda file: file.modified,
        "createdTime": lambda file: file.created,
        "folder": lambda file: not file.folder,
    }
    for part in reversed([part for part in order.split(",") if part]):
        name, _, way = part.strip().partition(" ")
        if name not in keys:
            raise Wrong(400, "invalid", "Invalid Value", "orderBy")
        files = sorted(files, key=keys[name], reverse=way == "desc")
    return files


def _incomplete(session: Session) -> Response:
    """308 without Location, so that nobody takes it for a redirect; without Range while nothing was kept."""
    return Response(308, {"Range": f"bytes=0-{len(session.data) - 1}"} if session.data else {})


def _json(value: Any) -> Response:
    return Response(200, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(value).encode())


def _error(wrong: Wrong) -> Response:
    detail = {"domain": "global", "reason": wrong.reason, "message": wrong.message}
    if wrong.location:
        detail |= {"locationType": "parameter", "location": wrong.location}
    body = {"error": {"code": wrong.status, "message": wrong.message, "errors": [detail]}}
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    if wrong.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
    if wrong.status == 416:
        headers["Content-Range"] = wrong.location
    return Response(wrong.status, headers, json.dumps(body).encode())


def _parts(kind: str, body: bytes) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a multipart body: headers in lower case, and content as it is."""
    found = re.search(r'boundary="?([^";]+)"?', kind)
    if not found:
        raise Wrong(400, "badContent", "Missing boundary")
    line = b"\r\n" if body.partition(b"\n")[0].endswith(b"\r") else b"\n"  # Python's own writer ends lines with LF
    read = []
    for part in (line + body).split(line + b"--" + found[1].encode())[1:]:
        if part.startswith(b"--"):
            break
        head, _, content = part.partition(line)[2].partition(line + line)
        headers = BytesParser(policy=HTTP).parsebytes(head + b"\r\n\r\n")
        read.append(({name.lower(): str(value) for name, value in headers.items()}, content))
    return read


def _related(request: Request) -> tuple[dict[str, Any], str, bytes]:
    parts = _parts(request.headers.get("content-type", ""), request.body)
    if len(parts) != 2:
        raise Wrong(400, "badContent", "Malformed multipart body.")
    return json.loads(parts[0][1]), parts[1][0].get("content-type", ""), parts[1][1]
