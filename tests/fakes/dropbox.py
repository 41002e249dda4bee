"""A Dropbox that keeps state: what its API v2 promises, and the quirks that clients meet.

Facts: the published API description of August 2026, and what the official SDK and rclone put on the wire. Where
a quirk is not always there it has a switch. Every route checks its host, style, content type, scope and arguments, so
that a client that only happens to work is found out.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fakes.consent import Consent, Issued, Person, Policy
from fakes.dropbox_calls import (
    ANY_PATH,
    FOLDER_PATH,
    NEW_PATH,
    Bad,
    argument_of,
    as_error,
    as_json,
    as_text,
    entries_of,
    mode_of,
    one_of_many,
    path_of,
    ranged,
    tag_of,
    under,
)
from fakes.dropbox_tree import Node, Tree, Wrong, check_name, deleted, lower
from fakes.dropbox_uploads import LIFE_S, Session, check_hash
from fakes.rclone import RETURN
from fakes.wire import Request, Response

API, CONTENT, NOTIFY = "api.dropboxapi.com", "content.dropboxapi.com", "notify.dropboxapi.com"
READ, WRITE, LOOK, ACCOUNT = (
    "files.content.read",
    "files.content.write",
    "files.metadata.read",
    "account_info.read",
)
SCOPES = (ACCOUNT, LOOK, READ, WRITE)
PEOPLE = ("alice", "bob", "charlie")
TOKEN_PATHS = ("/oauth2/token", "/1/oauth2/token")
HOST_OF = {"rpc": API, "upload": CONTENT, "download": CONTENT, "longpoll": NOTIFY}

Call = Callable[["DropboxFake", "Account", dict[str, Any], Request], Any]


class Unauthorised(Exception):
    """No access token, or not a good one. tag, more: of the error that is told."""

    def __init__(self, tag: str, **more: str) -> None:
        super().__init__(tag)
        self.tag = tag
        self.more = more


@dataclass(frozen=True)
class Route:
    """One thing the API can do. arguments: names that are known; those with True must be there."""

    style: str
    scope: str
    arguments: dict[str, bool]
    call: Call


@dataclass
class Cursor:
    """A place in a listing and in what happened after it. waiting: entries of the listing not yet told."""

    path: str
    deep: bool
    limit: int
    at: int
    waiting: list[dict[str, Any]] = field(default_factory=list)
    forgotten: bool = False


@dataclass
class Account:
    """One person's Dropbox as one app folder sees it."""

    person: Person
    tree: Tree
    quota: int = 2 * 2**30
    team: dict[str, Any] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    jobs: dict[str, tuple[int, Callable[[], dict[str, Any]]]] = field(default_factory=dict)
    committing: threading.Lock = field(default_factory=threading.Lock)
    happened: threading.Condition = field(default_factory=threading.Condition)


LIST_OPTIONS = (
    "recursive limit include_deleted include_media_info include_has_explicit_shared_members include_mounted_folders "
    "include_non_downloadable_files include_restorable_info include_property_groups shared_link"
)
UPLOAD_OPTIONS = "mode autorename client_modified mute strict_conflict content_hash property_groups"
COMMIT_FIELDS = {"path", *UPLOAD_OPTIONS.split()}
ROUTES: dict[str, Route] = {}


def route(name: str, style: str, scope: str, needs: str = "", may: str = "") -> Callable[[Call], Call]:
    def keep(call: Call) -> Call:
        known = dict.fromkeys(may.split(), False) | dict.fromkeys(needs.split(), True)
        ROUTES[f"/2/{name}"] = Route(style, scope, known, call)
        return call

    return keep


class DropboxFake:
    """Dropbox for a few people, each with an app folder of their own.

    Knobs, all of which may be turned while it runs:
    commit_lock: commits at the same time are refused, as they are at Dropbox. refused: how many were.
    refuse_commits: that many of the next commits are refused so in any case.
    during_commit: called while a commit is under way.
    summary_noise: what is added to error summaries differs each time.
    longpoll_spurious: says that something changed when nothing did. longpoll_wait_s: instead of half a minute.
    page_limit: no page of a listing is longer. request_limit: largest body [bytes].
    job_polls: how often a job is still in progress.
    parents_in_lower_case: display paths are right in their last part only.
    forgets_sessions: a session is gone once its file is there.
    renames: bends a path that is written to. spoils: other bytes are kept than were sent.
    before: called with the route of each call, before anything is done.
    """

    hosts = (API, CONTENT, NOTIFY, "api.dropbox.com", "www.dropbox.com")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.commit_lock = True
        self.refuse_commits = 0
        self.during_commit: Callable[[], None] = lambda: None
        self.summary_noise = True
        self.longpoll_spurious = False
        self.longpoll_wait_s = 0.05
        self.page_limit = 2000
        self.request_limit = 150 * 2**20
        self.job_polls = 1
        self.parents_in_lower_case = False
        self.forgets_sessions = True
        self.before: Callable[[str], None] = lambda route: None
        self.spoils = False
        self.renames: Callable[[str], str] = lambda name: name
        self.redirects = {RETURN, *(f"http://localhost:{port}/connect/return" for port in (8765, 8766, 8767))}
        self.people = {
            name: Person(_account_id(name), f"{name.title()} Example", f"{name}@example.com") for name in PEOPLE
        }
        self.consent = Consent(self._policy(), self.people, clock=lambda: self.clock())
        self.consent.granted = lambda asked: asked or SCOPES  # without a word on scopes: what the app may have
        self.apps: dict[tuple[str, str], Account] = {}
        self.calls: list[str] = []
        self.refused = 0
        self._numbers = 0
        self._pauses: list[tuple[str, int]] = []
        self._lock = threading.RLock()

    def _policy(self) -> Policy:
        return Policy(
            authorize=("www.dropbox.com/oauth2/authorize", "www.dropbox.com/1/oauth2/authorize"),
            token=tuple(f"{host}{path}" for host in (API, "api.dropbox.com") for path in TOKEN_PATHS),
            redirect=lambda address: address in self.redirects,
            without_redirect=True,
            refresh_when=lambda asked: asked.get("token_access_type") == "offline",
            access_lasts_s=14400,
            access_prefix="sl.",
            token_type="bearer",
            more=_about,
        )

    # What tests do from outside

    def issue(self, user: str = "alice", scopes: tuple[str, ...] = SCOPES, client: str = "") -> Issued:
        """Tokens without the dance."""
        return self.consent.issue(user, scopes=scopes, client=client)

    def account(self, user: str = "alice", client: str = "") -> Account:
        """What the app folder of one app holds for a person; a new one is empty."""
        with self._lock:
            app = client or next(iter(self.consent.clients))
            return self.apps.setdefault((user, app), Account(self.people[user], Tree(lambda: self.clock())))

    def write(self, path: str, data: bytes, user: str = "alice") -> Node:
        """Another device writes a file."""
        with self._changing(self.account(user)) as tree:
            return tree.write(path, data)

    def remove(self, path: str, user: str = "alice") -> None:
        """The person deletes a file or a folder."""
        with self._changing(self.account(user)) as tree:
            tree.remove(path)

    def files(self, user: str = "alice") -> dict[str, bytes]:
        """Everything that is there, by path."""
        with self._lock:
            nodes = self.account(user).tree.nodes.values()
            return {node.path: node.data for node in nodes if node.data is not None}

    def throttle(self, times: int, *, retry_after: int, writes: bool = False) -> None:
        """Ask for a pause instead of doing what the next calls ask."""
        self._pauses = [("too_many_write_operations" if writes else "too_many_requests", retry_after)] * times

    def damage(self, path: str, user: str = "alice") -> None:
        """Turn a bit of a stored file, which its hash does not know of."""
        with self._lock:
            node = self.account(user).tree.file(path)
            assert node.data
            node.data = bytes([node.data[0] ^ 1]) + node.data[1:]

    def reset_cursors(self, user: str = "alice") -> None:
        """From now on every cursor that was given out is answered with "reset"."""
        with self._lock:
            for cursor in self.account(user).cursors.values():
                cursor.forgotten = True

    @contextlib.contextmanager
    def _changing(self, account: Account) -> Iterator[Tree]:
        with self._lock:
            yield account.tree
        with account.happened:
            account.happened.notify_all()

    # What clients see

    def answer(self, request: Request) -> Response:
        if not request.whole:  # what broke off is not taken
            return as_text(400, "The request ended early.")
        if consented := self.consent.answer(request):
            return consented
        try:
            response = self._api(request)
        except Bad as bad:
            name = request.path.removeprefix("/2/")
            response = as_text(400, f'Error in call to API function "{name}": {bad}')
        except Unauthorised as refused:
            error = {".tag": refused.tag, **refused.more}
            response = as_json({"error_summary": self._summary(refused.tag), "error": error}, 401)
        except Wrong as wrong:
            response = as_json({"error_summary": self._summary(*wrong.tags), "error": as_error(wrong)}, 409)
        response.headers["X-Dropbox-Request-Id"] = f"{self._number():032x}"
        return response

    def _summary(self, *tags: str) -> str:
        noise = secrets.choice(("", ".", "..", "...", "", "-", "_.")) if self.summary_noise else ""
        return "/".join(tags) + "/" + noise

    def _number(self) -> int:
        with self._lock:
            self._numbers += 1
            return self._numbers

    def _api(self, request: Request) -> Response:
        found = ROUTES.get(request.path)
        if found is None:
            return as_text(404, "Unknown API function.")
        if request.host != HOST_OF[found.style]:
            return as_text(404, f"The host {request.host} does not have this API function.")
        if request.method != "POST" and not (request.method == "GET" and found.style == "download"):
            return as_text(405, "Method not allowed.")
        with self._lock:
            self.calls.append(request.path.removeprefix("/2/"))
            self.before(request.path.removeprefix("/2/"))
            if self._pauses:
                return self._pause(*self._pauses.pop())
        account = self._who(request, found)
        arg = argument_of(request, found.style, found.arguments)
        result = found.call(self, account, arg, request)
        return result if isinstance(result, Response) else as_json(result)

    def _pause(self, reason: str, retry_after: int) -> Response:
        error = {"reason": {".tag": reason}, "retry_after": retry_after}
        response = as_json({"error_summary": self._summary(reason), "error": error}, 429)
        response.headers["Retry-After"] = str(retry_after)
        return response

    def _who(self, request: Request, found: Route) -> Account:
        """Whose call it is. Raises Unauthorised, with the error that clients look at."""
        signed = request.headers.get("authorization", "")
        if found.style == "longpoll":
            if signed:
                raise Bad("Your request includes an Authorization header, but this function does not use it.")
            return Account(next(iter(self.people.values())), Tree(self.clock))
        if not signed:
            raise Bad('Must provide HTTP header "Authorization" or URL parameter "authorization".')
        grant = self.consent.grant_of(request)
        if grant is None:
            ours = signed.removeprefix("Bearer ").startswith("sl.") and self.consent.live_grants()
            raise Unauthorised("expired_access_token" if ours else "invalid_access_token")
        if found.scope and found.scope not in grant.scopes:
            raise Unauthorised("missing_scope", required_scope=found.scope)
        return self.account(grant.user, grant.client)

    # Routes: accounts

    @route("auth/token/revoke", "rpc", "")
    def _revoke(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        mine = self.consent.grant_of(request)
        for grant in [*self.consent.live_grants(), mine]:
            if mine and grant and (grant.user, grant.client) == (mine.user, mine.client):
                grant.revoked = True

    @route("users/get_current_account", "rpc", ACCOUNT)
    def _current(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        person = account.person
        given, _, surname = person.name.partition(" ")
        names = {"given_name": given, "surname": surname, "familiar_name": given, "abbreviated_name": f"{given[0]}E"}
        return {
            "account_id": person.id,
            "name": names | {"display_name": person.name},
            "email": person.email,
            "email_verified": True,
            "disabled": False,
            "locale": "en",
            "referral_link": "https://www.dropbox.com/referrals/x",
            "is_paired": False,
            "account_type": {".tag": "basic"},
            "root_info": {".tag": "user", "root_namespace_id": "3235641", "home_namespace_id": "3235641"},
        }

    @route("users/get_space_usage", "rpc", ACCOUNT)
    def _usage(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        individual = {".tag": "individual", "allocated": account.quota}
        with self._lock:
            return {
                "used": account.tree.used,
                "allocation": {".tag": "team", **account.team} if account.team else individual,
            }

    # Routes: what is there

    @route(
        "files/get_metadata",
        "rpc",
        LOOK,
        "path",
        "include_media_info include_deleted include_has_explicit_shared_members include_property_groups",
    )
    def _metadata(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        path = path_of(arg, "path", ANY_PATH)
        with self._lock, under("path"):
            if path == "/":
                raise Bad("request body: path: The root folder is unsupported.")
            node = account.tree.find(path)
            if node:
                return self._told(node.metadata(tag=True))
            if arg.get("include_deleted") and lower(path) in account.tree.history:
                return deleted(path)
            raise Wrong("not_found")

    @route("files/download", "download", READ, "path", "rev")
    def _download(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        with self._lock:
            node = account.tree.file(path_of(arg, "path", ANY_PATH))
        assert node.data is not None
        tag = f'"{node.rev}"'
        told = json.dumps(self._told(node.metadata(tag=False))).replace("\x7f", "\\u007f")
        headers = {"Dropbox-API-Result": told, "ETag": tag, "Accept-Ranges": "bytes"}
        headers["Content-Type"] = "application/octet-stream"
        if request.method == "GET" and request.headers.get("if-none-match") == tag:
            return Response(304, {"ETag": tag})
        return ranged(request.headers.get("range", ""), node.data, headers)

    @route("files/list_revisions", "rpc", LOOK, "path", "mode limit before_rev include_restorable_info")
    def _revisions(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        with self._lock:
            node = account.tree.find(path := path_of(arg, "path", ANY_PATH))
            kept = account.tree.history.get(lower(node.path if node else path), [])
            if not kept:
                raise Wrong("path", "not_found")
            entries = [old.metadata(tag=False) for old in reversed(kept)][: arg.get("limit", 10)]
            return {"is_deleted": node is None, "entries": entries, "has_more": False}

    # Routes: listing and what changed

    @route("files/list_folder", "rpc", LOOK, "path", LIST_OPTIONS)
    def _list(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        return self._page(account, self._begin(account, arg))

    @route("files/list_folder/get_latest_cursor", "rpc", LOOK, "path", LIST_OPTIONS)
    def _latest(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        cursor = self._begin(account, arg)
        cursor.waiting.clear()
        return {"cursor": self._keep(account, cursor)}

    def _begin(self, account: Account, arg: dict[str, Any]) -> Cursor:
        path = path_of(arg, "path", FOLDER_PATH)
        if path == "/":
            raise Bad('request body: path: Specify the root folder as an empty string rather than as "/".')
        limit = arg.get("limit", 2000)
        if not 1 <= limit <= 2000:
            raise Bad("request body: limit: must be between 1 and 2000")
        with self._lock, under("path"):
            top = account.tree.find(path) if path else None
            if path and top is None:
                raise Wrong("not_found")
            if top and top.data is not None:
                raise Wrong("not_folder")
            deep = bool(arg.get("recursive"))
            found = list(account.tree.below(top.path if top else "", deep=deep))
            told = [node.metadata(tag=True) for node in ([top, *found] if top and deep else found)]
            if arg.get("include_deleted"):
                told += [
                    deleted(kept[-1].path) for at, kept in account.tree.history.items() if not account.tree.find(at)
                ]
            return Cursor(top.path if top else "", deep, limit, len(account.tree.events), told)

    def _keep(self, account: Account, cursor: Cursor) -> str:
        name = f"AA{self._number():04d}{secrets.token_urlsafe(18)}"
        with self._lock:
            account.cursors[name] = cursor
        return name

    def _page(self, account: Account, cursor: Cursor) -> dict[str, Any]:
        size = min(cursor.limit, self.page_limit)
        entries, rest = cursor.waiting[:size], cursor.waiting[size:]
        following = Cursor(cursor.path, cursor.deep, cursor.limit, cursor.at, rest)
        entries = [self._told(entry) for entry in entries]
        more = bool(rest or account.tree.since(cursor.at, cursor.path, deep=cursor.deep))
        return {"entries": entries, "cursor": self._keep(account, following), "has_more": more}

    def _cursor(self, account: Account, arg: dict[str, Any]) -> Cursor:
        cursor = account.cursors.get(arg["cursor"])
        if cursor is None:
            raise Bad('Invalid "cursor" parameter.')
        if cursor.forgotten:
            raise Wrong("reset")
        return cursor

    @route("files/list_folder/continue", "rpc", LOOK, "cursor")
    def _continue(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        with self._lock:
            cursor = self._cursor(account, arg)
            if cursor.waiting:
                return self._page(account, cursor)
            now = len(account.tree.events)
            told = account.tree.since(cursor.at, cursor.path, deep=cursor.deep)
            return self._page(account, Cursor(cursor.path, cursor.deep, cursor.limit, now, told))

    @route("files/list_folder/longpoll", "longpoll", "", "cursor", "timeout")
    def _longpoll(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        if not 30 <= arg.get("timeout", 30) <= 480:
            raise Bad("request body: timeout: must be between 30 and 480")
        owners = [one for one in self.apps.values() if arg["cursor"] in one.cursors]
        if not owners:
            raise Bad('Invalid "cursor" parameter.')
        cursor = self._cursor(owners[0], arg)

        def news() -> bool:
            return bool(owners[0].tree.since(cursor.at, cursor.path, deep=cursor.deep)) or self.longpoll_spurious

        with owners[0].happened:
            return {"changes": owners[0].happened.wait_for(news, self.longpoll_wait_s)}

    def _told(self, entry: dict[str, Any]) -> dict[str, Any]:
        if not self.parents_in_lower_case:
            return entry
        head, _, name = entry["path_display"].rpartition("/")
        return entry | {"path_display": f"{lower(head)}/{name}"}

    # Routes: folders, moving, deleting

    @route("files/create_folder_v2", "rpc", WRITE, "path", "autorename")
    def _create_folder(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        path = path_of(arg, "path", NEW_PATH)
        with under("path"), self._commit(account), self._changing(account) as tree:
            return {"metadata": tree.folder(path).metadata(tag=False)}

    @route("files/delete_v2", "rpc", WRITE, "path", "parent_rev")
    def _delete(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        with self._commit(account):
            return self._delete_one(account, arg)

    def _delete_one(self, account: Account, arg: dict[str, Any]) -> dict[str, Any]:
        path = path_of(arg, "path", ANY_PATH)
        with self._changing(account) as tree:
            node = tree.find(path)
            if node and arg.get("parent_rev") not in (None, node.rev):
                raise Wrong("path_write", "conflict", "file" if node.data is not None else "folder")
            with under("path_lookup"):
                return {"metadata": tree.remove(path).metadata(tag=True)}

    @route("files/delete_batch", "rpc", WRITE, "entries")
    def _delete_batch(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        entries = entries_of(arg)

        def done() -> dict[str, Any]:
            try:
                with self._commit(account):
                    each = [one_of_many(partial(self._delete_one, account, one)) for one in entries]
            except Wrong as wrong:
                return {".tag": "failed", "failed": as_error(wrong)}
            return {".tag": "complete", "entries": each}

        return self._launch(account, done)

    @route("files/delete_batch/check", "rpc", WRITE, "async_job_id")
    def _delete_check(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        return self._check(account, arg["async_job_id"])

    def _launch(self, account: Account, done: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        name = f"dbjid:{self._number():08d}{secrets.token_urlsafe(12)}"
        account.jobs[name] = (self.job_polls, done)
        return {".tag": "async_job_id", "async_job_id": name}

    def _check(self, account: Account, name: str) -> dict[str, Any]:
        if name not in account.jobs:
            raise Wrong("invalid_async_job_id")
        left, done = account.jobs[name]
        if left > 0:
            account.jobs[name] = (left - 1, done)
            return {".tag": "in_progress"}
        result = done()
        account.jobs[name] = (0, lambda: result)
        return result

    @route(
        "files/move_v2", "rpc", WRITE, "from_path to_path", "allow_shared_folder autorename allow_ownership_transfer"
    )
    def _move(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        old, new = path_of(arg, "from_path", ANY_PATH), path_of(arg, "to_path", NEW_PATH)
        with contextlib.ExitStack() as commit:
            with under("to"):
                commit.enter_context(self._commit(account))
            with self._changing(account) as tree:
                return {"metadata": tree.move(old, new).metadata(tag=True)}

    @route("files/restore", "rpc", WRITE, "path rev")
    def _restore(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        path = path_of(arg, "path", NEW_PATH)
        with under("path_write"), self._commit(account), self._changing(account) as tree:
            old = tree.find(f"rev:{arg['rev']}")
            if old is None or lower(old.path) != lower(path):
                return self._fail("invalid_revision")
            return tree.write(path, old.data or b"", modified=old.client_modified).metadata(tag=False)

    def _fail(self, *tags: str) -> Response:
        wrong = Wrong(*tags)
        return as_json({"error_summary": self._summary(*tags), "error": as_error(wrong)}, 409)

    # Routes: writing

    @contextlib.contextmanager
    def _commit(self, account: Account) -> Iterator[None]:
        """One at a time for each account; who comes meanwhile is refused."""
        with self._lock:
            refused = self.refuse_commits > 0
            self.refuse_commits -= refused
        mine = not refused and account.committing.acquire(blocking=not self.commit_lock)
        if not mine:
            self.refused += 1
            raise Wrong("too_many_write_operations")
        try:
            self.during_commit()
            yield
        finally:
            account.committing.release()

    def _write(self, account: Account, commit: dict[str, Any], data: bytes) -> dict[str, Any]:
        """Make a file of bytes as the client asked. Raises Wrong as a write error."""
        if unknown := commit.keys() - COMMIT_FIELDS:
            raise Bad(f"request body: commit: unknown field '{min(unknown)}'")
        path = check_name(path_of(commit, "path", NEW_PATH))
        mode, strict = mode_of(commit), bool(commit.get("strict_conflict"))
        with self._changing(account) as tree:
            there = tree.find(path)
            size = len(there.data or b"") if there else 0
            if tree.used - size + len(data) > account.quota:
                raise Wrong("insufficient_space")
            if there and there.data == data and mode != "overwrite" and not strict:
                return self._told(there.metadata(tag=False))
            if _clashes(there, mode, strict=strict):
                if not commit.get("autorename"):
                    raise Wrong("conflict", "file")
                path = _other(tree, path)
            if self.spoils:
                data += b"!"
            node = tree.write(self.renames(path), data, modified=commit.get("client_modified") or "")
            return self._told(node.metadata(tag=False))

    @route(
        "files/upload",
        "upload",
        WRITE,
        "path",
        UPLOAD_OPTIONS,
    )
    def _upload(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        self._check_size(request.body)
        check_hash(arg, request.body)
        try:
            with self._commit(account):
                return self._write(account, arg, request.body)
        except Wrong as wrong:
            held = Session(self.clock(), data=bytearray(request.body), closed=True)
            raise Wrong(
                "path", *wrong.tags, _outermost={"upload_session_id": self._hold(account, held)}, **wrong.more
            ) from None

    def _check_size(self, body: bytes) -> None:
        if len(body) > self.request_limit:
            raise Wrong("payload_too_large")

    def _hold(self, account: Account, session: Session) -> str:
        name = f"pid_upload_session:{self._number():06d}{secrets.token_urlsafe(60)}"
        with self._lock:
            account.sessions[name] = session
        return name

    def _session(self, account: Account, cursor: dict[str, Any]) -> Session:
        session = account.sessions.get(cursor["session_id"])
        if session is None or self.clock() - session.started > LIFE_S:
            raise Wrong("not_found")
        return session

    @route("files/upload_session/start", "upload", WRITE, "", "close session_type content_hash")
    def _start(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        self._check_size(request.body)
        check_hash(arg, request.body)
        concurrent = tag_of(arg.get("session_type") or "sequential") == "concurrent"
        if concurrent and request.body:
            raise Wrong("concurrent_session_data_not_allowed")
        if concurrent and arg.get("close"):
            raise Wrong("concurrent_session_close_not_allowed")
        session = Session(self.clock(), concurrent, bytearray(request.body), closed=bool(arg.get("close")))
        return {"session_id": self._hold(account, session)}

    @route("files/upload_session/start_batch", "rpc", WRITE, "num_sessions", "session_type")
    def _start_batch(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        if not 1 <= arg["num_sessions"] <= 1000:
            raise Bad("request body: num_sessions: must be between 1 and 1000")
        concurrent = tag_of(arg.get("session_type") or "sequential") == "concurrent"
        sessions = (Session(self.clock(), concurrent) for _ in range(arg["num_sessions"]))
        return {"session_ids": [self._hold(account, session) for session in sessions]}

    @route("files/upload_session/append_v2", "upload", WRITE, "cursor", "close content_hash")
    def _append(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        self._check_size(request.body)
        with self._lock:
            session = self._session(account, arg["cursor"])
            check_hash(arg, request.body)
            session.append(arg["cursor"]["offset"], request.body, close=bool(arg.get("close")))

    @route("files/upload_session/append_batch", "upload", WRITE, "entries", "content_hash")
    def _append_batch(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        self._check_size(request.body)
        check_hash(arg, request.body)
        entries, at, results = entries_of(arg), 0, []
        if sum(entry["length"] for entry in entries) != len(request.body):
            raise Wrong("length_mismatch")
        for entry in entries:
            piece = request.body[at : at + entry["length"]]
            at += len(piece)
            results.append(one_of_many(partial(self._append_one, account, entry, piece)))
        return {"entries": results}

    def _append_one(self, account: Account, entry: dict[str, Any], piece: bytes) -> dict[str, Any]:
        with self._lock:
            session = self._session(account, entry["cursor"])
            session.append(entry["cursor"]["offset"], piece, close=bool(entry.get("close")))
        return {}

    @route("files/upload_session/finish", "upload", WRITE, "cursor commit", "content_hash")
    def _finish(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        self._check_size(request.body)
        with self._lock, under("lookup_failed"):
            session = self._session(account, arg["cursor"])
            if session.concurrent and request.body:
                raise Wrong("concurrent_session_data_not_allowed")
        check_hash(arg, request.body)
        offset = arg["cursor"]["offset"]
        if request.body:
            with self._lock, under("lookup_failed"):
                session.append(offset, request.body, close=False)
        with self._commit(account):
            return self._settle(account, arg, session, offset + len(request.body))

    def _settle(self, account: Account, arg: dict[str, Any], session: Session, size: int) -> dict[str, Any]:
        data = session.whole(size)
        with under("path"):
            told = self._write(account, arg["commit"], data)
        if self.forgets_sessions:
            account.sessions.pop(arg["cursor"]["session_id"], None)
        return told

    @route("files/upload_session/finish_batch_v2", "rpc", WRITE, "entries")
    def _finish_batch(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        return {"entries": self._finish_all(account, entries_of(arg))}

    @route("files/upload_session/finish_batch", "rpc", WRITE, "entries")
    def _finish_batch_later(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        entries = entries_of(arg)
        return self._launch(account, lambda: {".tag": "complete", "entries": self._finish_all(account, entries)})

    @route("files/upload_session/finish_batch/check", "rpc", WRITE, "async_job_id")
    def _finish_check(self, account: Account, arg: dict[str, Any], request: Request) -> Any:
        return self._check(account, arg["async_job_id"])

    def _finish_all(self, account: Account, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        mine = account.committing.acquire(blocking=not self.commit_lock)
        try:
            if mine:
                self.during_commit()
            return [one_of_many(partial(self._finish_one, account, one, mine=mine)) for one in entries]
        finally:
            if mine:
                account.committing.release()

    def _finish_one(self, account: Account, entry: dict[str, Any], *, mine: bool) -> dict[str, Any]:
        with self._lock:
            refused = not mine or self.refuse_commits > 0
            self.refuse_commits -= mine and self.refuse_commits > 0
            if refused:
                self.refused += 1
                raise Wrong("too_many_write_operations")
            with under("lookup_failed"):
                session = self._session(account, entry["cursor"])
                if not session.closed:
                    raise Wrong("not_closed")
            return self._settle(account, entry, session, entry["cursor"]["offset"])


def _account_id(user: str) -> str:
    return "dbid:" + user.encode().hex().ljust(35, "0")[:35]


def _about(person: Person, first: bool) -> dict[str, Any]:
    """What a token answer says of a person; one to a refresh says nothing, not even the scope."""
    return {"account_id": person.id, "uid": str(sum(person.id.encode()))} if first else {"scope": None}


def _clashes(there: Node | None, mode: str, *, strict: bool) -> bool:
    if mode == "overwrite":
        return False
    if mode == "add":
        return there is not None and there.data is not None
    return strict if there is None else there.rev != mode


def _other(tree: Tree, path: str) -> str:
    head, dot, kind = path.rpartition(".") if "." in path.rpartition("/")[2][1:] else (path, "", "")
    tried = (f"{head} ({number}){dot}{kind}" for number in range(1, 1000))
    return next(name for name in tried if tree.find(name) is None)
