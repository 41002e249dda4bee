"""The same tools over HTTP, for those who bring a token: each request says anew whose archive it may read.

Nothing is remembered between requests, so a token that is taken back lets nobody in from the next request on, and
any of several processes may answer. The name in the Host header is checked before everything else, always: a page in a
browser that had a name of its own point to this machine (DNS rebinding) would otherwise speak for the person.
"""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Callable, Collection
from typing import Any, Protocol
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp, Receive, Scope, Send

from chatkeep.errors import NotFound, SlowDown
from chatkeep.mcp.reading import Readable
from chatkeep.mcp.server import made

PATH = "/mcp"
SCOPE = "read"
LARGEST_REQUEST = 256 << 10
_AT_ONCE = 100
_CHECKS_AT_ONCE = 4
_ACCESS = "chatkeep.access"


class Access(Protocol):
    """What a token allows: `chatkeep.api.tokens.Access`."""

    @property
    def archive_id(self) -> str: ...
    @property
    def scopes(self) -> Collection[str]: ...


Check = Callable[[str], Access | None]


def app(check: Check, archive_of: Callable[[str], Readable], *, hosts: Collection[str]) -> ASGIApp:
    """The server as an ASGI application. hosts: the Host headers it answers to, with their ports.

    check: what a token allows now; asked for each request, in a thread; may raise SlowDown. archive_of: the archive of
    an id, for threads.
    """

    def of_request(context: Context) -> Readable:
        request = context.request_context.request
        access = request.scope.get(_ACCESS) if request is not None else None
        if access is None:
            raise NotFound("This request came without a token.")
        return archive_of(access.archive_id)

    allowed = [*hosts]
    inner = made(of_request).streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=LARGEST_REQUEST,
        transport_security=TransportSecuritySettings(
            allowed_hosts=allowed,
            allowed_origins=[f"{kind}://{host}" for host in allowed for kind in ("http", "https")],
        ),
    )
    return _Guard(inner, check, frozenset(host.lower() for host in hosts))


class _Guard:
    """Lets in who named this server rightly and brought a token; everybody else gets a sentence."""

    def __init__(self, inner: ASGIApp, check: Check, hosts: frozenset[str]) -> None:
        self._inner = inner
        self._check = check
        self._hosts = hosts
        self._limiter: anyio.CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError("only HTTP is served")
        headers = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        if refused := self._wrong_name(headers):
            await _refuse(send, 421, refused, "Use the address that `chatkeep mcp --http` printed.")
            return
        given = [value for name, value in headers if name == b"authorization"]
        try:
            access = await self._access(given[0]) if len(given) == 1 else None
        except SlowDown as slow:
            await _refuse(send, 429, slow.what, slow.hint, wait_s=slow.wait_s)
            return
        if access is None:
            hint = "Send it as “Authorization: Bearer ck_…”. Make one with: chatkeep tokens add NAME --scope read"
            await _refuse(send, 401, "This needs a token that is valid.", hint)
        elif SCOPE not in access.scopes or not access.archive_id:
            await _refuse(send, 403, "This token may not read.", "Make one of a person, with the scope “read”.")
        else:
            await self._inner(dict(scope) | {_ACCESS: access}, receive, send)

    def _wrong_name(self, headers: list[tuple[bytes, str]]) -> str:
        named = [value.lower() for name, value in headers if name == b"host"]
        if len(named) != 1 or named[0] not in self._hosts:
            return "This server does not answer to that name."
        origins = [value for name, value in headers if name == b"origin"]
        if any(urlsplit(origin).netloc.lower() not in self._hosts for origin in origins):
            return "Pages of other sites may not ask here."
        return ""

    async def _access(self, given: str) -> Access | None:
        kind, _, token = given.partition(" ")
        if kind.lower() != "bearer" or not token:
            return None
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_CHECKS_AT_ONCE)
        return await anyio.to_thread.run_sync(self._check, token.strip(), limiter=self._limiter)


async def _refuse(send: Send, status: int, what: str, hint: str, *, wait_s: float = 0) -> None:
    body = json.dumps({"error": what, "hint": hint}, ensure_ascii=False).encode()
    headers = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if wait_s:
        headers.append((b"retry-after", str(math.ceil(wait_s)).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="chatkeep"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def names_of(host: str, port: int, more: Collection[str]) -> list[str]:
    """The Host headers of a server that listens there: those of this machine, and the names it was given besides."""
    here = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    shown = f"[{host}]" if ":" in host else host
    bound = [] if host in ("", "0.0.0.0", "::") else [f"{shown}:{port}"]  # noqa: S104 - a comparison
    given = [one for name in more for one in ((name,) if _has_port(name) else (name, f"{name}:{port}"))]
    return list(dict.fromkeys([*here, *bound, *given]))


def _has_port(name: str) -> bool:
    return name.rpartition(":")[2].isdigit() and not name.endswith("]")


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(128)
    except BaseException:
        found.close()
        raise
    return found


def serve(application: ASGIApp, listener: socket.socket) -> Any:
    """Answer at a listening socket until SIGINT or SIGTERM. Nothing of a request is logged."""
    import uvicorn

    config = uvicorn.Config(
        application,
        access_log=False,
        log_level="error",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_AT_ONCE,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=64 << 10,
    )
    uvicorn.Server(config).run(sockets=[listener])
