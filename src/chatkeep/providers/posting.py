"""A message to an address that somebody gave us: posted without letting it lead into our own network.

An address is a name; where the name leads is decided by whoever owns it, and may change between two look-ups. So it is
looked up once, everything it leads to is checked, and the connection goes to an address that was checked. Nothing is
followed further: no redirect, no proxy. docs/decisions/webhooks-go-out-only.md.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from chatkeep.errors import Refused, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LookUp = Callable[[str, int], Sequence[str]]
WHOLE_S = 10.0
_PORTS = (80, 443)
_FIRST_FREE_PORT = 1024
# IPv6 in which an IPv4 address stands: mapped, compatible, NAT64, 6to4, Teredo. No server is reached so.
_TRANSLATED = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "::/96",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
    )
)
_LEFT_OVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allowed: Sequence[Network] = (),
    look_up: LookUp | None = None,
    whole_s: float = WHOLE_S,
    trust: ssl.SSLContext | None = None,
) -> int:
    """Post a body and give the status of the answer; what else is answered is not read.

    allowed: networks of our own that may be reached, over http too. whole_s: how long all of it may take [s].
    Raises Refused for an address that must not be asked, Unavailable when nothing answered in time.
    """
    parts = checked(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _choose(str(parts.hostname), port, allowed, look_up or _look_up)
    if parts.scheme == "http" and not _is_in(address, allowed):
        raise Refused("A webhook on the internet has to begin with https.")
    connection = _Pinned(parts, port, str(address), whole_s, trust)
    stopwatch = threading.Timer(whole_s, connection.cut)
    stopwatch.daemon = True
    stopwatch.start()
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body=body, headers=dict(headers))
        status = connection.getresponse().status
        if connection.is_cut:  # an answer that was cut off may look like a whole one
            raise TimeoutError
        return status
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"The webhook could not be reached ({type(error).__name__}).") from error
    finally:
        stopwatch.cancel()
        connection.close()


def checked(url: str) -> SplitResult:
    """The parts of a URL that could be asked. Raises Refused for one that is malformed, or has a name or password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Refused("This is not the address of a webhook.") from None
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if not plain or parts.scheme not in ("https", "http") or not host or "@" in parts.netloc or "%" in parts.netloc:
        raise Refused("This is not the address of a webhook.", hint="Give one like https://chat.example/hooks.")
    if port is not None and port not in _PORTS and port < _FIRST_FREE_PORT:
        raise Refused("Webhooks are at port 443, 80, or 1024 and above.")
    return parts


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks as they are written, "10.1.2.0/24" or one address. Raises ValueError."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def is_open(address: Address) -> bool:
    """Whether an address is one of the internet: not of this machine, of a network nearby, nor for a special use."""
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id or _is_in(address, _TRANSLATED)):
        return False
    closed = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not closed and not _is_in(address, _LEFT_OVER)


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _choose(host: str, port: int, allowed: Sequence[Network], look_up: LookUp) -> Address:
    """An address that the name leads to. Raises Refused if any of them must not be asked."""
    try:
        found = [ipaddress.ip_address(text) for text in look_up(host, port)]
    except (OSError, UnicodeError) as error:
        raise Unavailable("The name of the webhook is not known.") from error
    except ValueError:
        raise Refused("The name of the webhook leads nowhere that can be asked.") from None
    if not found:
        raise Unavailable("The name of the webhook is not known.")
    if not all(_is_in(address, allowed) or is_open(address) for address in found):
        raise Refused(
            "The webhook is on this machine or in its network.",
            hint="Whoever runs Chatkeep can allow networks with CHATKEEP_WEBHOOK_NETWORKS.",
        )
    return found[0]


def _look_up(host: str, port: int) -> list[str]:
    return [str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was checked, under the name that was asked for."""

    def __init__(
        self, parts: SplitResult, port: int, address: str, whole_s: float, trust: ssl.SSLContext | None
    ) -> None:
        super().__init__(str(parts.hostname), port, timeout=whole_s)
        self._address = address
        self._trust = (trust or ssl.create_default_context()) if parts.scheme == "https" else None
        self.is_cut = False
        self.default_port = 443 if self._trust else 80

    def connect(self) -> None:
        """To the address, and with TLS under the name."""
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._trust is not None:
            self.sock = self._trust.wrap_socket(self.sock, server_hostname=self.host)
        if self.is_cut:
            raise TimeoutError

    def cut(self) -> None:
        """End it now, whatever it waits for."""
        self.is_cut = True
        with suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)
