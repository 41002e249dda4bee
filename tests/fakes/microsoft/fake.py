"""The fake itself: who asks, what for, and what Graph answers."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import quote, unquote, urlencode

from fakes.consent import Consent, Issued
from fakes.microsoft.drive import Drive, GraphError, Item
from fakes.microsoft.feed import Feed
from fakes.microsoft.graph import Target, anchor
from fakes.microsoft.login import Login, email
from fakes.microsoft.sessions import Session, Sessions, json_body
from fakes.microsoft.shapes import answer, chosen, ctag, described, drive_id, error, etag
from fakes.wire import Request, Response

GRAPH = "graph.microsoft.com"
LOGIN = "login.microsoftonline.com"
UPLOADS = {"personal": "fake.up.1drv.com", "business": "contoso-my.sharepoint.com"}
DOWNLOADS = {"personal": "my.microsoftpersonalcontent.com", "business": "contoso-my.sharepoint.com"}
LARGEST_PUT = 250 * 1024 * 1024
ADDRESS_LASTS_S = 3600.0
NARROW = {"files.readwrite.appfolder"}
WIDE = {"files.readwrite", "files.readwrite.all"}
ASKED = ("Files.ReadWrite.AppFolder", "offline_access", "User.Read")


@dataclass
class User:
    """A person with an account. name: also what stands before the @ of the address."""

    name: str
    drive: Drive

    @property
    def email(self) -> str:
        return email(self.name, self.drive.kind)


class MicrosoftFake:
    """OneDrive as Microsoft Graph shows it. kind: of the drives, "personal" or "business".

    Knobs: page (children in one answer), auth_on_upload ("tolerate" or "refuse" a token shown to an upload or
    download address), approot_regression, drive_id_case ("upper", "lower", "mixed": it changes with every answer),
    false_412, hash_delay [s], throttled_in_batch (that many requests of the next batches get 429), feed.page,
    feed.repeats, feed.expired, sessions.range_style, a drive's total.
    """

    hosts = (GRAPH, LOGIN, *sorted({*UPLOADS.values(), *DOWNLOADS.values()}))

    def __init__(self, clock: Callable[[], float] = time.time, *, kind: str = "personal") -> None:
        self.clock, self.kind = clock, kind
        self.page = 200
        self.auth_on_upload = "tolerate"
        self.approot_regression = False
        self.drive_id_case = "upper"
        self.false_412 = False
        self.hash_delay = 0.0
        self.throttled_in_batch = 0
        self.app_name = "Chatkeep"
        self.feed = Feed()
        self.sessions = Sessions()
        self.users: dict[str, User] = {}
        self.login = Login(kind, lambda: self.clock())
        self._lock = threading.RLock()
        self._answered = 0

    # People, and what happens behind the client's back.

    def user(self, name: str = "alice") -> User:
        """A person, made with an empty drive at the first mention."""
        if name not in self.users:
            number = f"{abs(hash_of(name)):016X}"[:16]
            id = f"b!{number}{number.lower()}" if self.kind == "business" else number
            self.users[name] = User(name, Drive(id, self.kind, lambda: self.clock()))
        return self.users[name]

    def drive(self, name: str = "alice") -> Drive:
        return self.user(name).drive

    @property
    def consent(self) -> Consent:
        return self.login.consent

    def issue(self, user: str = "alice", *, scopes: tuple[str, ...] = ASKED) -> Issued:
        """Tokens without the dance."""
        return self.login.issue(user, scopes)

    def files(self, user: str = "alice") -> dict[str, bytes]:
        """All files of a drive by their path below its root."""
        drive = self.drive(user)
        return {drive.path(i): i.data for i in drive.items.values() if not i.deleted and i.data is not None}

    def write(self, path: str, data: bytes, user: str = "alice") -> None:
        """Another device writes a file; folders above it are made."""
        *above, name = path.split("/")
        with self._lock:
            drive = self.drive(user)
            drive.put(drive.folder(drive.root, above), name, data)

    def remove(self, path: str, user: str = "alice") -> None:
        """The person deletes a file or a folder."""
        with self._lock:
            drive = self.drive(user)
            drive.delete(drive.at(drive.root, path.split("/")))

    def rename(self, path: str, to: str, user: str = "alice") -> None:
        """The person moves or renames a file or a folder."""
        *above, name = to.split("/")
        with self._lock:
            drive = self.drive(user)
            drive.move(drive.at(drive.root, path.split("/")), drive.folder(drive.root, above), name)

    # What is answered.

    def answer(self, request: Request) -> Response:
        if not request.whole:  # what is cut off on its way is thrown away, fragments too
            return Response(400)
        with self._lock:
            self._answered += 1
            try:
                if request.host == LOGIN:
                    return self.login.answer(request)
                if request.host == GRAPH:
                    return self._graph(request)
                return self._content(request)
            except GraphError as problem:
                return error(problem, self.clock())

    def _graph(self, request: Request) -> Response:
        found = self.login.bearer(request)
        if isinstance(found, Response):
            return found
        name, scopes = found
        path = request.path.removeprefix("/v1.0")
        if path == request.path:
            raise GraphError(400, "BadRequest", "invalidVersion")
        if path == "/$batch" and request.method == "POST":
            return self._batch(request)
        return self._routed(request, path, self.user(name), scopes)

    def _routed(self, request: Request, path: str, user: User, scopes: set[str]) -> Response:
        if path == "/me":
            return self._me(user, scopes)
        if not scopes & (NARROW | WIDE):
            raise GraphError(403, "accessDenied")
        if path == "/me/drives":
            return answer(200, {"value": [self._drive_body(user)]})
        drive, rest = self._drive_of(path, user)
        self._check_regression(drive, scopes)
        if rest in ("", "/"):
            return answer(200, chosen(self._drive_body(user), request.fields().get("$select", "")))
        target = self._target(request, drive, rest, scopes)
        return self._verb(request, target)

    def _me(self, user: User, scopes: set[str]) -> Response:
        if "user.read" not in scopes:
            raise GraphError(403, "accessDenied")
        body = {"id": user.drive.id.lower(), "displayName": user.name.title(), "userPrincipalName": user.email}
        return answer(200, body | {"mail": user.email if user.drive.kind == "business" else None})

    def _drive_of(self, path: str, user: User) -> tuple[Drive, str]:
        if path == "/me/drive" or path.startswith(("/me/drive/", "/me/drive:")):
            return user.drive, path.removeprefix("/me/drive")
        found = re.fullmatch(r"/drives/([^/]+)(.*)", path, re.S)
        if found is None:
            raise GraphError(400, "BadRequest", "unsupportedSegment")
        if found[1].replace("%21", "!").lower() != user.drive.id.lower():
            raise GraphError(404, "itemNotFound")
        return user.drive, found[2]

    def _check_regression(self, drive: Drive, scopes: set[str]) -> None:
        if self.approot_regression and not scopes & WIDE and not drive.app_folder_repaired:
            raise GraphError(403, "accessDenied", "serviceReadOnly")

    def _drive_body(self, user: User) -> dict[str, Any]:
        drive = user.drive
        left = max(0, drive.total - drive.used)
        state = "exceeded" if not left else "critical" if left < drive.total // 100 else "normal"
        quota = {"total": drive.total, "used": drive.used, "remaining": left, "deleted": drive.in_bin, "state": state}
        return {
            "id": drive_id(drive, self._casing()),
            "driveType": drive.kind,
            "owner": {"user": {"displayName": user.name.title(), "email": user.email, "id": drive.id.lower()}},
            "quota": quota,
        }

    def _casing(self) -> str:
        return ("upper", "lower")[self._answered % 2] if self.drive_id_case == "mixed" else self.drive_id_case

    def _target(self, request: Request, drive: Drive, rest: str, scopes: set[str]) -> Target:
        kind, name, path, sub = anchor(rest)
        narrow = not scopes & WIDE
        if kind == "special":
            start = self._special(drive, name, make=request.method == "GET", repair=not narrow)
        elif kind == "root" or name == "root":
            start = drive.root
        else:
            start = drive.item(name)
        if narrow and not any(drive.within(start, app) for app in self._app_folder(drive)):
            raise GraphError(403, "accessDenied")
        return Target(drive, start, path, sub, kind == "special")

    def _app_folder(self, drive: Drive) -> list[Item]:
        return [item for item in drive.items.values() if item.special == "approot" and not item.deleted]

    def _special(self, drive: Drive, name: str, *, make: bool, repair: bool) -> Item:
        if name != "approot":  # this one folds no case
            raise GraphError(404, "itemNotFound")
        drive.app_folder_repaired |= repair
        for found in self._app_folder(drive):
            return found
        if not make:  # only a GET makes it
            raise GraphError(404, "itemNotFound")
        made = drive.folder(drive.root, ["Apps", self.app_name])
        made.special = "approot"
        return made

    def _verb(self, request: Request, target: Target) -> Response:
        feed = re.fullmatch(r"/(?:microsoft\.graph\.)?delta(?:\((?:token='([^']*)')?\))?", target.sub)
        if feed:
            return self._delta(request, target, feed[1] or "")
        verbs: dict[tuple[str, str], Callable[[Request, Target], Response]] = {
            ("GET", ""): self._get,
            ("PATCH", ""): self._patch,
            ("PUT", ""): self._commit_elsewhere,
            ("DELETE", ""): self._delete,
            ("GET", "/children"): self._children,
            ("POST", "/children"): self._make,
            ("GET", "/content"): self._download,
            ("PUT", "/content"): self._put,
            ("POST", "/createUploadSession"): self._begin,
            ("POST", "/microsoft.graph.createUploadSession"): self._begin,
            ("POST", "/permanentDelete"): self._delete_for_good,
            ("POST", "/copy"): self._copy,
        }
        verb = verbs.get((request.method, target.sub))
        if verb is None:
            raise GraphError(400, "BadRequest", "unsupportedSegment")
        return verb(request, target)

    def _written(self, request: Request, drive: Drive, item: Item) -> dict[str, Any]:
        hashed = self.clock() >= item.modified + self.hash_delay
        body = described(drive, item, hashed=hashed, casing=self._casing())
        if not item.is_folder and not item.deleted:
            body["@microsoft.graph.downloadUrl"] = self._download_address(request, drive, item)
        return body

    def _item(self, request: Request, target: Target, item: Item, status: int = 200) -> Response:
        body = chosen(self._written(request, target.drive, item), request.fields().get("$select", ""))
        return answer(status, body)

    def _get(self, request: Request, target: Target) -> Response:
        item = target.item()
        if request.headers.get("if-none-match", "") in (etag(target.drive, item), ctag(target.drive, item)):
            return answer(304)
        return self._item(request, target, item)

    def _check_match(self, request: Request, drive: Drive, item: Item | None) -> None:
        wanted = request.headers.get("if-match", "")
        if wanted and (item is None or wanted not in ("*", etag(drive, item), ctag(drive, item))):
            raise GraphError(412, "resourceModified", "entityTagDoesNotMatch")

    def _patch(self, request: Request, target: Target) -> Response:
        drive, item, body = target.drive, target.item(), json_body(request)
        self._check_match(request, drive, item)
        folder = drive.items[item.parent] if item.parent else item
        if "parentReference" in body:
            folder = self._folder_of(body["parentReference"], target)
        name = body.get("name", item.name)
        if (folder.id, name) != (item.parent, item.name):
            drive.move(item, folder, name)
        if "fileSystemInfo" in body:
            item.times |= body["fileSystemInfo"]
            drive.edited(item)
        return self._item(request, target, item)

    def _folder_of(self, reference: dict[str, Any], target: Target) -> Item:
        if "id" in reference:
            return target.drive.item(reference["id"])
        path = str(reference.get("path", "")).partition("root:")[2]
        return target.drive.at(target.drive.root, [part for part in path.split("/") if part])

    def _delete(self, request: Request, target: Target) -> Response:
        item = target.item()
        self._check_match(request, target.drive, item)
        if not item.parent:
            raise GraphError(403, "accessDenied")
        target.drive.delete(item)
        return answer(204)

    def _delete_for_good(self, request: Request, target: Target) -> Response:
        if target.drive.kind != "business":
            raise GraphError(400, "notSupported")
        item = target.item()
        self._delete(request, target)
        item.data = None if item.data is None else b""
        return answer(204)

    def _copy(self, request: Request, target: Target) -> Response:
        """Done at once; how it goes is asked at an address without a sign-in."""
        item, body = target.item(), json_body(request)
        if item.is_folder:
            raise GraphError(400, "notSupported")
        above = target.drive.items[item.parent]
        folder = self._folder_of(body["parentReference"], target) if "parentReference" in body else above
        name = body.get("name", item.name)
        if target.drive.child(folder, name) is not None:
            raise GraphError(409, "nameAlreadyExists")
        made, _ = target.drive.put(folder, name, item.data or b"")
        where = request.address(DOWNLOADS[target.drive.kind], f"/monitor/{quote(made.id)}")
        return Response(202, {"Location": where})

    def _children(self, request: Request, target: Target) -> Response:
        folder, options = target.item(), request.fields()
        top = options.get("$top", str(self.page))
        if not top.isdigit() or int(top) < 1:
            raise GraphError(400, "invalidRequest", "invalidTop")
        size = min(int(top), 1000, self.page if self.page < 200 else 1000)
        after = options.get("$skiptoken", "")
        waiting = [item for item in target.drive.children(folder) if not after or item.name.lower() > after]
        select = options.get("$select", "")
        body: dict[str, Any] = {
            "value": [chosen(self._written(request, target.drive, item), select) for item in waiting[:size]]
        }
        if len(waiting) > size:
            more = urlencode({**options, "$skiptoken": waiting[size - 1].name.lower()})
            body["@odata.nextLink"] = f"{request.address(GRAPH, request.path)}?{more}"
        return answer(200, body)

    def _make(self, request: Request, target: Target) -> Response:
        body, folder = json_body(request), target.item()
        if "folder" not in body:
            raise GraphError(400, "invalidRequest")
        behaviour = body.get("@microsoft.graph.conflictBehavior", body.get("@name.conflictBehavior", "fail"))
        there = target.drive.child(folder, body["name"])
        if there is not None and behaviour == "fail":
            raise GraphError(409, "nameAlreadyExists")
        name = body["name"] + " 1" if there is not None and behaviour == "rename" else body["name"]
        made = there if there is not None and behaviour == "replace" else target.drive.make_folder(folder, name)
        return self._item(request, target, made, 201)

    def _put(self, request: Request, target: Target) -> Response:
        if len(request.body) > LARGEST_PUT:
            raise GraphError(413, "invalidRequest", "requestTooLarge")
        there = self._there(target)
        self._check_match(request, target.drive, there)
        if there is not None and request.fields().get("@microsoft.graph.conflictBehavior") == "fail":
            raise GraphError(409, "nameAlreadyExists")
        if target.path:
            item, new = target.drive.put(*target.parent(), request.body)
        elif target.start.is_folder:
            raise GraphError(409, "nameAlreadyExists")
        else:
            above = target.drive.items[target.start.parent]
            item, new = target.drive.put(above, target.start.name, request.body)
        return self._item(request, target, item, 201 if new else 200)

    def _there(self, target: Target) -> Item | None:
        try:
            return target.item()
        except GraphError:
            return None

    def _begin(self, request: Request, target: Target) -> Response:
        there, body = self._there(target), json_body(request)
        self._check_match(request, target.drive, there)
        if self.false_412 and request.headers.get("if-match"):
            self.false_412 = False
            raise GraphError(412, "resourceModified", "entityTagDoesNotMatch")
        if request.headers.get("if-none-match") == "*" and there is not None:
            raise GraphError(412, "resourceModified", "entityTagDoesNotMatch")
        if target.path:
            start, path = target.start, target.path
        else:
            start, path = target.drive.items[target.start.parent], [target.start.name]
            body = {"item": {"@microsoft.graph.conflictBehavior": "replace", **body.get("item", {})}}
        session = self.sessions.begin(target.drive, start, path, body)
        address = request.address(UPLOADS[target.drive.kind], f"/up/{session.token}")
        return answer(200, {"uploadUrl": address, **self.sessions.described(session)})

    def _commit_elsewhere(self, request: Request, target: Target) -> Response:
        """A session whose name was taken meanwhile is committed under another one."""
        body = json_body(request)
        token = str(body.get("@microsoft.graph.sourceUrl", "")).rpartition("/up/")[2]
        session = self.sessions.open.get(token)
        if session is None or len(session.received) != session.total:
            raise GraphError(400, "invalidRequest")
        item, new = target.drive.put(*target.parent(), session.received)
        del self.sessions.open[token]
        return self._item(request, target, item, 201 if new else 200)

    def _delta(self, request: Request, target: Target, token: str) -> Response:
        drive, scope, options = target.drive, target.item(), request.fields()
        if drive.kind == "business" and scope is not drive.root:
            raise GraphError(501, "notSupported")
        if "deltaexcludeparent" in request.headers.get("prefer", "").lower() + "".join(request.headers):
            options["nothing_above"] = "1"
        select = options.get("$select", "")

        def written(item: Item) -> dict[str, Any]:
            return chosen(self._written(request, drive, item), select and select + ",parentReference,deleted")

        def address(token: str) -> str:
            kept = {name: value for name, value in options.items() if name.startswith("$")}
            more = urlencode({**kept, **({"token": token} if token else {})})
            plain = re.sub(r"delta\(.*\)$", "delta", request.path)
            return f"{request.address(GRAPH, plain)}?{more}"

        if token:
            options["token"] = token
        now = formatdate(self.clock(), usegmt=True)
        return answer(200, self.feed.answer(drive, scope, options, written, address), Date=now)

    def _batch(self, request: Request) -> Response:
        wanted = json_body(request).get("requests", [])
        if not wanted or len(wanted) > 20 or len({one.get("id") for one in wanted}) != len(wanted):
            raise GraphError(400, "BadRequest", "invalidBatch")
        answers: dict[str, dict[str, Any]] = {}
        for one in wanted:
            answers[one["id"]] = self._batched(request, one, answers)
        return answer(200, {"responses": [answers[id] for id in sorted(answers, reverse=True)]})

    def _batched(self, request: Request, one: dict[str, Any], so_far: dict[str, dict[str, Any]]) -> dict[str, Any]:
        if any(so_far[needed]["status"] >= 400 for needed in one.get("dependsOn", ())):
            return {"id": one["id"], "status": 424, "headers": {}, "body": {"error": {"code": "failedDependency"}}}
        if self.throttled_in_batch:
            self.throttled_in_batch -= 1
            said = error(GraphError(429, "activityLimitReached", headers={"Retry-After": "7"}), self.clock())
        else:
            said = self.answer(self._alone(request, one))
        body: Any = None
        if said.body:
            # What was asked with bytes is answered in base64, JSON or not.
            raw = not isinstance(one.get("body", {}), dict)
            body = base64.b64encode(said.body).decode() if raw else json.loads(said.body)
        return {"id": one["id"], "status": said.status, "headers": said.headers, **({"body": body} if body else {})}

    def _alone(self, request: Request, one: dict[str, Any]) -> Request:
        path, _, query = one["url"].partition("?")
        headers = {name.lower(): value for name, value in one.get("headers", {}).items()}
        body = one.get("body")
        if body is not None and "content-type" not in headers:
            raise GraphError(400, "BadRequest", "invalidBatch")
        sent = b"" if body is None else json.dumps(body).encode() if isinstance(body, dict) else base64.b64decode(body)
        headers["authorization"] = request.headers.get("authorization", "")
        whole = "/v1.0/" + path.lstrip("/")
        return Request(one["method"], GRAPH, whole, query, headers, sent, request.secure, request.base)

    # What lies on the hosts that need no sign-in.

    def _download_address(self, request: Request, drive: Drive, item: Item) -> str:
        until = int(self.clock() + ADDRESS_LASTS_S)
        token = base64.urlsafe_b64encode(f"{drive.id}|{item.id}|{until}".encode()).decode()
        return request.address(DOWNLOADS[drive.kind], f"/content/{quote(token)}")

    def _download(self, request: Request, target: Target) -> Response:
        item = target.item()
        if item.is_folder:
            raise GraphError(400, "invalidRequest", "cannotOpenFolder")
        return Response(302, {"Location": self._download_address(request, target.drive, item)})

    def _content(self, request: Request) -> Response:
        if "authorization" in request.headers and self.auth_on_upload == "refuse":
            raise GraphError(401, "unauthenticated")
        if request.path.startswith("/up/"):
            said = self.sessions.answer(request, request.path.removeprefix("/up/"))
            return said if isinstance(said, Response) else self._committed(request, *said)
        if request.path.startswith("/content/") and request.method in ("GET", "HEAD"):
            return self._bytes(request, request.path.removeprefix("/content/"))
        if request.path.startswith("/monitor/"):
            id = unquote(request.path.removeprefix("/monitor/"))
            return answer(200, {"status": "completed", "percentageComplete": 100.0, "resourceId": id})
        raise GraphError(404, "itemNotFound")

    def _committed(self, request: Request, session: Session, item: Item, new: bool) -> Response:
        return answer(201 if new else 200, self._written(request, session.drive, item))

    def _bytes(self, request: Request, token: str) -> Response:
        drive_of, id, until = base64.urlsafe_b64decode(token.replace("%3D", "=")).decode().split("|")
        if self.clock() > int(until):
            raise GraphError(401, "unauthenticated")
        drive = next(user.drive for user in self.users.values() if user.drive.id == drive_of)
        data = drive.item(id).data or b""
        kind = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
        if wanted is None or not any(wanted.groups()):
            return Response(200, kind, data)
        start = int(wanted[1]) if wanted[1] else max(0, len(data) - int(wanted[2]))
        end = min(int(wanted[2]) if wanted[1] and wanted[2] else len(data) - 1, len(data) - 1)
        if start >= len(data) or start > end:
            return Response(416, {"Content-Range": f"bytes */{len(data)}"})
        return Response(206, {**kind, "Content-Range": f"bytes {start}-{end}/{len(data)}"}, data[start : end + 1])


def hash_of(name: str) -> int:
    """The same number for the same name in every run."""
    return int.from_bytes(name.encode().ljust(8, b"#")[:8], "big") ^ 0x5DEECE66D1234567
