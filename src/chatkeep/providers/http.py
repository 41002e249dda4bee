"""HTTP as all clouds are spoken to: where they are, when to wait, how a request is signed, counted and kept bounded.

What an answer means is each provider's own business; here only the line itself is translated: a provider that cannot
be reached, that breaks off, or in whose place somebody else answers, is Unavailable.
"""

from __future__ import annotations

import logging
import math
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies

import msgspec

from chatkeep import happenings
from chatkeep.errors import SlowDown, Unavailable, WrongUse
from chatkeep.providers.allowance import Allowance

if TYPE_CHECKING:
    import httpx2

LONGEST_WAIT_S = 3600.0
METADATA_CAP = 64 * 1024 * 1024
"""The most that is taken as an answer that is no object [bytes]; the largest listing page is a hundredth of it."""

Expected = Literal["json", "bytes", "anything"]

UNSENT = 128 * 1024
"""How much of a body may wait in this machine's socket [bytes].

A socket takes megabytes at once, and on a slow line the minute for the answer would run out before they are sent.
"""
SLOWEST = 4_000
"""The slowest line on which an answer is waited for: 32 kbit/s [bytes/s]."""
_NO_MORE_UNSENT = (socket.IPPROTO_TCP, getattr(socket, "TCP_NOTSENT_LOWAT", 0x201), UNSENT)
_KNOWS_UNSENT = sys.platform in ("darwin", "linux")


class Endpoints:
    """Where the providers are: at their real addresses, or all of them behind one base, as the test servers are.

    base: "" or "http://127.0.0.1:8000"; behind it the first part of the path is the real host. Only https is spoken,
    and plain http to this machine itself. TLS is always verified. Raises WrongUse for another base.
    """

    def __init__(self, base: str = "") -> None:
        self.base = base.rstrip("/")
        if self.base:
            parts = urlsplit(self.base)
            plain = parts.scheme == "http" and _loopback(self.base)
            if not parts.hostname or parts.query or not (plain or parts.scheme == "https"):
                raise WrongUse(
                    "The address for cloud providers must begin with https://, or lead to this machine itself."
                )

    def __call__(self, address: str) -> str:
        """The address to dial for a provider's real one."""
        self.check(address)
        if self.base and not address.startswith(self.base + "/"):
            return f"{self.base}/{address.removeprefix('https://')}"
        return address

    def check(self, address: str) -> None:
        """Refuse an address, perhaps one that a provider gave, to which nothing may be sent. Raises WrongUse."""
        ours = bool(self.base) and address.startswith(self.base + "/")
        if not ours and urlsplit(address).scheme != "https":
            raise WrongUse("Nothing is sent to a provider without encryption.")


def _loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class SharedPause(Protocol):
    """The pause of one account as all processes know it. Neither call raises: what cannot be kept holds nobody."""

    def left_s(self) -> float:
        """How long nobody shall ask yet [s]; 0.0 if anybody may."""

    def close_for(self, seconds: float) -> None:
        """Tell all others; an earlier, longer pause stays."""


LOOKS_EVERY_S = 1.0
"""How often a gate that is used asks what other processes were told, and so how late it may hear of it."""


class Gate:
    """Holds all threads of one account after the provider asked for a pause; with shared, those of all processes.

    patience_s: waits up to this are slept; for a longer one SlowDown is raised, for the job to be put off.
    shared: asked at most every LOOKS_EVERY_S, and told of pauses that are longer than that.
    """

    def __init__(
        self,
        *,
        patience_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        shared: SharedPause | None = None,
    ) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._sleep = sleep
        self._shared = shared
        self._opens = -math.inf
        self._known = -math.inf  # until when the others wait, as far as is known here
        self._looks = -math.inf
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when a request may be made. Raises SlowDown when that is too far off."""
        while (left := self._left()) > 0:
            if left > self._patience_s:
                raise SlowDown("The provider asked for a pause that is not over yet.", wait_s=left)
            self._sleep(left)

    def _left(self) -> float:
        self.look()
        with self._lock:
            return self._opens - self._clock()

    def look(self) -> None:
        """Learn what other processes were told, unless that was done just now. One thread asks; none waits for it."""
        if self._shared is None:
            return
        with self._lock:
            now = self._clock()
            if now < self._looks:
                return
            self._looks = now + LOOKS_EVERY_S
        left = min(self._shared.left_s(), LONGEST_WAIT_S)
        if left > 0:
            with self._lock:
                until = self._clock() + left
                self._opens, self._known = max(self._opens, until), max(self._known, until)

    def close_for(self, seconds: float) -> float:
        """Let nobody through for so long; an earlier, longer pause stays. Gives the seconds that are meant.

        What a provider says is not believed beyond an hour, and not at all if it is no number.
        """
        wait = min(max(seconds, 0.0), LONGEST_WAIT_S) if math.isfinite(seconds) else LONGEST_WAIT_S
        with self._lock:
            until = self._clock() + wait
            self._opens = max(self._opens, until)
            news = wait > LOOKS_EVERY_S and until > self._known + LOOKS_EVERY_S
            if news:
                self._known = until
        if news and self._shared:
            self._shared.close_for(wait)
        return wait


class Response(msgspec.Struct, frozen=True):
    """An answer, read to its end. headers: names in lower case. Shows itself without its content."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON; {} for an empty one and for what is no JSON, as the answer of a broken server."""
        try:
            return msgspec.json.decode(self.body) if self.body else {}
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}

    def __repr__(self) -> str:
        return f"Response(status={self.status}, {len(self.body)} bytes)"


def retry_after(response: Response, *, now: Callable[[], float] = time.time) -> float | None:
    """The pause that an answer asks for [s], from Retry-After as seconds or as a date; None if it asks for none.

    It is never longer than an hour: nobody means more, and a job must not be put off by years.
    """
    said = response.headers.get("retry-after", "").strip()
    try:
        return min(max(0.0, float(said)), LONGEST_WAIT_S)
    except ValueError:
        pass
    try:
        return min(max(0.0, parsedate_to_datetime(said).timestamp() - now()), LONGEST_WAIT_S)
    except (ValueError, TypeError, OverflowError):
        return None


_AT = {
    "googleapis.com": "google-drive",
    "google.com": "google-drive",
    "dropbox.com": "dropbox",
    "dropboxapi.com": "dropbox",
    "dropboxusercontent.com": "dropbox",
    "graph.microsoft.com": "onedrive",
    "login.microsoftonline.com": "onedrive",
    "sharepoint.com": "onedrive",
    "onedrive.com": "onedrive",
    "1drv.com": "onedrive",
    "microsoftpersonalcontent.com": "onedrive",
}


def provider_at(address: str) -> str:
    """Whose server an address leads to, of the clouds with addresses of their own; "other" for any other."""
    host = address.removeprefix("https://").partition("/")[0].partition(":")[0].lower()
    return next((name for suffix, name in _AT.items() if host == suffix or host.endswith(f".{suffix}")), "other")


class Signer(Protocol):
    """What gives access tokens; oauth.Access does."""

    @property
    def requests(self) -> int: ...
    def token(self, refused: str = "") -> str: ...


class Http:
    """Requests to one account, from any number of threads.

    access: signs the requests; without, none is signed. gate: waited at before each request. allowance: what the app
    may ask of the provider, spent before each request. provider: whose requests these are, where their addresses do
    not say it.
    A signed request that is answered 401 is repeated once with a fresh token. Nothing else is repeated, and no
    redirect is followed. Nothing is ever logged.
    silence_s: how long nothing may move on the line. The answer to a body has longer, for what is still on its way.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        access: Signer | None = None,
        gate: Gate | None = None,
        allowance: Allowance | None = None,
        connections: int = 16,
        silence_s: float = 60.0,
        provider: str = "",
    ) -> None:
        self.endpoints = endpoints
        self._provider = provider
        self._access = access
        self._gate = gate
        self._allowance = allowance
        self._connections = connections
        self._silence_s = silence_s
        self._made = 0
        self._before = access.requests if access else 0
        self._opened: httpx2.Client | None = None
        self._lock = threading.Lock()

    @property
    def requests(self) -> int:
        """All requests so far, those for fresh tokens and those that failed too."""
        return self._made + (self._access.requests - self._before if self._access else 0)

    def request(
        self,
        method: str,
        address: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        authorised: bool = True,
        expects: Expected = "json",
        cap: int = METADATA_CAP,
        units: int = 1,
    ) -> Response:
        """The answer to a request, of any status.

        address: the provider's real one, or one that a provider gave. authorised: send the access token; never to
            an address that carries its own authority.
        expects: of an answer that says it went well; "json" is what a stranger's page in the provider's place is not.
        cap: the longest body taken [bytes]. units: what the provider counts the request as, of the app's allowance.
        Raises Unavailable, and what the gate, the allowance and the access raise.
        """
        sent = dict(headers or {})
        token = self._access.token() if authorised and self._access else ""
        response = self._once(method, address, params, sent | _bearer(token), content, expects, cap, units)
        if response.status == 401 and token and self._access:
            token = self._access.token(refused=token)
            response = self._once(method, address, params, sent | _bearer(token), content, expects, cap, units)
        return response

    def _once(
        self,
        method: str,
        address: str,
        params: Mapping[str, str] | None,
        headers: dict[str, str],
        content: bytes | None,
        expects: Expected,
        cap: int,
        units: int,
    ) -> Response:
        if self._allowance:
            self._allowance.spend(units)
        if self._gate:
            self._gate.wait()
        client = self._client()
        with self._lock:
            self._made += 1
        if expects == "bytes":
            headers.setdefault("Accept-Encoding", "identity")  # a range is one of the object, not of its compression
        dialled = self.endpoints(address)
        with (
            self._told(method, address) as facts,
            _translated(),
            client.stream(
                method, dialled, params=params, headers=headers, content=content, timeout=self._patience(content)
            ) as answer,
        ):
            facts["code"] = str(answer.status_code)
            body = _whole(answer.iter_bytes(), cap)
            response = Response(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, body)
        pause = retry_after(response)
        if pause is not None:
            happenings.tell("remote_retry_after_seconds", pause, provider=facts["provider"])
        _check_kind(response, expects)
        return response

    @contextmanager
    def _told(self, method: str, address: str) -> Iterator[dict[str, str]]:
        """Tell of a request, also of one that was not answered: its code is "none" then."""
        provider = self._provider or provider_at(address.removeprefix(f"{self.endpoints.base}/"))
        with happenings.during("remote request", provider=provider, method=method, code="none") as facts:
            try:
                yield facts
            finally:
                happenings.tell("remote_requests_total", provider=provider, code=facts["code"])

    def _client(self) -> httpx2.Client:
        """Made at the first request: loading the library takes a tenth of a second that most commands can spare."""
        with self._lock:
            if self._opened is None:
                import httpx2

                _hush()
                limits = httpx2.Limits(max_connections=self._connections, keepalive_expiry=30.0)
                self._opened = httpx2.Client(limits=limits, transport=_line(limits), follow_redirects=False)
            return self._opened

    def _patience(self, content: bytes | None) -> httpx2.Timeout:
        import httpx2

        sending = min(len(content or b""), 2 * UNSENT) / SLOWEST  # as much again is on the line itself
        return httpx2.Timeout(self._silence_s, read=self._silence_s + sending, connect=20.0, pool=None)

    def close(self) -> None:
        """Let go of the connections. Quiet when called twice; a later request opens new ones."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened:
            opened.close()


def _line(limits: httpx2.Limits) -> httpx2.BaseTransport | None:
    """The way out with little UNSENT; None for the library's own, where a proxy is set or the system cannot do it."""
    import httpx2

    if not _KNOWS_UNSENT or getproxies().keys() & {"all", "http", "https"}:
        return None
    return httpx2.HTTPTransport(limits=limits, socket_options=[_NO_MORE_UNSENT])


def _hush() -> None:
    """Have the library log nothing: the address of an upload is a secret, and it logs addresses and headers."""
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


UNTRUSTED = "What answers in the provider's place cannot prove who it is, so nothing was sent."
WHY_UNTRUSTED = (
    "A network that wants you to sign in first does this, a clock that is far off, or somebody in between. Try another "
    "network, and look at the date and time of this machine."
)


def is_untrusted(error: BaseException) -> bool:
    """Whether an error comes from a certificate that could not be verified, however deep it lies."""
    found: BaseException | None = error
    for _ in range(10):
        if isinstance(found, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(found):
            return True
        found = found and (found.__cause__ or found.__context__ or getattr(found, "reason", None))
    return False


def _whole(chunks: Iterator[bytes], cap: int) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > cap:
            raise Unavailable("The provider sent more than was asked for.")
    return bytes(body)


def _check_kind(response: Response, expects: Expected) -> None:
    kind = response.headers.get("content-type", "")
    if response.ok and response.body and expects == "json" and "json" not in kind.lower():
        raise Unavailable(
            "Something else answered in the provider's place.",
            hint="A network that wants you to sign in first, as in hotels, does this. Open a page in a browser.",
        )


@contextmanager
def _translated() -> Iterator[None]:
    import httpx2

    try:
        yield
    except httpx2.TimeoutException as error:
        raise Unavailable("The provider did not answer in time.") from error
    except httpx2.ConnectError as error:
        if is_untrusted(error):
            raise Unavailable(UNTRUSTED, hint=WHY_UNTRUSTED) from error
        raise Unavailable("The provider cannot be reached.", hint="Check the connection to the internet.") from error
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise Unavailable("The connection to the provider broke off.") from error
