"""The doors through which clients reach the fakes: plain, TLS, and as a proxy that stands in for the whole internet.

Plain: the first part of the path is the real host, "http://127.0.0.1:P/www.googleapis.com/drive/v3/files". TLS: the
Host header tells. Proxy: CONNECT on the plain port, then TLS; what stock programs speak that know no other address
than the real one. All on loopback, one thread per connection.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import tempfile
import threading
import time
import traceback
from collections.abc import Sequence
from functools import cached_property
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any

from fakes import certificates
from fakes.faults import Fault, Faults, Journal, changed_at, garbled
from fakes.wire import Fake, Request, Response

_PIECE = 64 * 1024


class Front:
    """Serves all given fakes until the end of its block.

    errors: what a fake stumbled over; must stay empty. certified: how the certificate of the TLS door is made where
    that is not as usual, see certificates.make; set it before anybody asks for that door.
    """

    def __init__(self, fakes: Sequence[Fake], *, port: int = 0, tls_port: int = 0) -> None:
        self.fakes = {host: fake for fake in fakes for host in fake.hosts}
        self.faults = Faults()
        self.journal = Journal()
        self.errors: list[str] = []
        self.certified: dict[str, Any] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="chatkeep-fakes-"))
        self._plain = _Door(self, port, secure=False)
        self._tls_port = tls_port
        self._lock = threading.RLock()

    @property
    def url(self) -> str:
        """The plain door, and the proxy."""
        return f"http://127.0.0.1:{self._plain.port}"

    @property
    def proxy(self) -> str:
        return self.url

    @cached_property
    def _certificates(self) -> tuple[Path, ssl.SSLContext]:
        return certificates.make(self.fakes, self._folder, **self.certified)

    @property
    def context(self) -> ssl.SSLContext:
        with self._lock:
            return self._certificates[1]

    @property
    def ca_file(self) -> Path:
        """The authority that a client must trust to come in by TLS."""
        with self._lock:
            return self._certificates[0]

    @cached_property
    def _tls(self) -> _Door:
        return _Door(self, self._tls_port, secure=True)

    @property
    def tls_port(self) -> int:
        """The port of the TLS door, which is opened when somebody asks."""
        with self._lock:
            return self._tls.port

    def environment(self) -> dict[str, str]:
        """What to set for a program that knows only the real addresses."""
        return {"HTTPS_PROXY": self.proxy, "https_proxy": self.proxy, "SSL_CERT_FILE": str(self.ca_file)}

    def close(self) -> None:
        self.faults.released.set()
        self._plain.close()
        if "_tls" in self.__dict__:
            self._tls.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Front:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is None and self.errors:
            raise AssertionError("\n".join(self.errors))


class _Door:
    """A listening port, and the connections that came in by it."""

    def __init__(self, front: Front, port: int, *, secure: bool) -> None:
        self.front = front
        self.secure = secure
        self._listening = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, peer = self._listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                if self._closed:
                    connection.close()
                    return
                self._open.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection, peer), daemon=True)
                self._threads.add(thread)
            thread.start()

    def _serve(self, connection: socket.socket, peer: Any) -> None:
        try:
            with contextlib.suppress(OSError, ssl.SSLError, ValueError):
                _Visit(connection, peer, self)
        finally:
            with self._lock:
                self._open.discard(connection)
                self._threads.discard(threading.current_thread())
            with contextlib.suppress(OSError):
                connection.close()

    def swapped(self, old: socket.socket, new: socket.socket) -> None:
        """A connection goes on encrypted, as another socket."""
        with self._lock:
            self._open.discard(old)
            self._open.add(new)

    def left(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            waiting = [*self._threads, self._accepting]
            for connection in self._open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)  # of the line, below its encryption
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in waiting:
            thread.join(5)


class _Dropped(OSError):
    """The connection is to end here."""


class _Visit(BaseHTTPRequestHandler):
    """One connection, from its first request to its last. The base class reads lines and headers."""

    protocol_version = "HTTP/1.1"
    server_version = "fakes"
    wbufsize = -1

    def __init__(self, connection: socket.socket, peer: Any, door: _Door) -> None:
        self.door = door
        self.front = door.front
        self.secure = door.secure
        self.tunnel = ""
        super().__init__(connection, peer, door)  # type: ignore[arg-type]

    def setup(self) -> None:
        if self.secure:
            self.request = self._encrypted(self.request)
        super().setup()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        with contextlib.suppress(OSError):
            self.connection.close()
        self.door.left(self.connection)

    def _encrypted(self, plain: socket.socket) -> ssl.SSLSocket:
        inside = self.front.context.wrap_socket(plain, server_side=True)
        self.door.swapped(plain, inside)
        return inside

    def log_message(self, *args: object) -> None:
        """The journal knows it."""

    def __getattr__(self, name: str) -> Any:
        if name == "do_CONNECT":
            return self._connect
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _connect(self) -> None:
        self.tunnel = self.path.rpartition(":")[0]
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.wfile.flush()
        self.connection = self._encrypted(self.connection)
        self.rfile = self.connection.makefile("rb", self.rbufsize)
        self.wfile = self.connection.makefile("wb")
        self.secure, self.close_connection = True, False

    def _answer(self) -> None:
        host, path, query = self._where()
        fault = self.front.faults.striking(self.command, host, path, query)
        body, whole = self._body(fault)
        request = Request(
            method=self.command,
            host=host,
            path=path,
            query=query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            secure=self.secure,
            base="" if self.secure else self.front.url,
            whole=whole,
        )
        response = self._treated(garbled(request, fault), fault)
        dropped = not whole or response is None
        self.front.journal.note(request, None if dropped else response)
        if dropped or response is None:
            raise _Dropped
        self._send(response, fault)

    def _where(self) -> tuple[str, str, str]:
        path, _, query = self.path.partition("?")
        if self.secure:
            return (self.tunnel or self.headers.get("Host", "")).partition(":")[0], path, query
        host, _, rest = path.removeprefix("/").partition("/")
        return host, "/" + rest, query

    def _body(self, fault: Fault | None) -> tuple[bytes, bool]:
        """What came of the body, and whether that is all of it."""
        most = fault.at if fault and fault.how == "cut" else None
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body, whole = self._chunks()
        else:
            size = int(self.headers.get("Content-Length") or 0)
            body = self._read(size if most is None else min(size, most))
            whole = len(body) == size
        if most is not None:
            if fault and fault.then:
                fault.then()
            return body[:most], False
        return body, whole

    def _read(self, size: int) -> bytes:
        pieces: list[bytes] = []
        left = size
        while left:
            try:
                piece = self.rfile.read(min(_PIECE, left))
            except OSError:
                break
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
            self.front.faults.carry(len(piece))
        return b"".join(pieces)

    def _chunks(self) -> tuple[bytes, bool]:
        body = bytearray()
        while True:
            line = self.rfile.readline(1024)
            if not line.strip():
                return bytes(body), False
            size = int(line.split(b";")[0], 16)
            piece = self._read(size)
            body += piece
            if len(piece) < size:
                return bytes(body), False
            self.rfile.readline(1024)
            if size == 0:
                return bytes(body), True

    def _treated(self, request: Request, fault: Fault | None) -> Response | None:
        """What is answered, or None where the connection is dropped instead."""
        faults = self.front.faults
        if faults.delay_s:
            time.sleep(faults.delay_s)
        if fault and fault.how == "stall":
            faults.released.wait()
            return None
        if fault and fault.how == "fail":
            return Response(fault.status, dict(fault.headers), fault.body)
        fake = self.front.fakes.get(request.host)
        if fake is None:
            return Response(502, {"Content-Type": "text/plain"}, b"No fake stands for this host.")
        try:
            response = fake.answer(request)
        except Exception:
            self.front.errors.append(f"{request.method} {request.host}{request.path}\n{traceback.format_exc()}")
            return Response(500, {"Content-Type": "text/plain"}, b"The fake stumbled.")
        return None if fault and fault.how == "lose" else response

    def _send(self, response: Response, fault: Fault | None) -> None:
        body = response.body
        if fault and fault.how == "corrupt":
            body = changed_at(body, fault.at)
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        bodiless = self.command == "HEAD" or response.status in (204, 304)
        if not bodiless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not bodiless:
            shown = body[: fault.at] if fault and fault.how == "shorten" else body
            self.front.faults.carry(len(shown))
            self.wfile.write(shown)
        self.wfile.flush()
        if fault and fault.how == "shorten":
            raise _Dropped
