"""One call to an address that a person gave us: a topic of ntfy, a program of theirs, a watchdog.

Guarded, it never reaches into the network that Chatkeep itself stands in: the name is looked up once, every address it
has must be one of the open internet, and the call goes to that address and no other, so that a name cannot change its
mind in between. Redirects are not followed, answers are not shown, nothing is logged.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from chatkeep.errors import Refused, Unavailable, WrongUse

PATIENCE_S = 10.0
Lookup = Callable[[str, int], list[str]]


def addresses(host: str, port: int) -> list[str]:
    """The addresses of a host. Raises Unavailable."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable("The name of the address is not known.") from error
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def check(address: str, *, guarded: bool) -> None:
    """Refuse an address that cannot be called. guarded: https alone. Raises WrongUse."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise WrongUse("This is no address.") from error
    wanted = ("https",) if guarded else ("https", "http")
    if parts.scheme not in wanted or not parts.hostname or port == 0:
        raise WrongUse(f"The address has to begin with {' or '.join(f'{one}://' for one in wanted)}.")


def is_open(address: str) -> bool:
    """Whether an address belongs to the open internet: not to this machine, its network, or a cloud's own services."""
    found = ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    return found.is_global and not found.is_multicast and (mapped is None or is_open(str(mapped)))


def call(
    address: str,
    *,
    guarded: bool,
    method: str = "POST",
    content: bytes = b"",
    headers: Mapping[str, str] | None = None,
    lookup: Lookup = addresses,
) -> None:
    """Call an address; quiet when it answers that it went well.

    Raises WrongUse for what is no address, Refused when it may not be called or said no, Unavailable.
    """
    import httpx2

    check(address, guarded=guarded)
    url = httpx2.URL(address)
    sent = {"Host": url.netloc.decode("ascii"), **(headers or {})}
    more = {}
    if guarded:
        found = lookup(url.host, url.port or 443)
        if not found or not all(is_open(one) for one in found):
            raise Refused("This address does not belong to the open internet.", hint="Give one that others reach too.")
        more = {"sni_hostname": url.host}
        url = url.copy_with(host=found[0])
    try:
        with httpx2.Client(timeout=PATIENCE_S, follow_redirects=False, trust_env=not guarded) as client:
            request = client.build_request(method, url, content=content or None, headers=sent, extensions=more)
            answer = client.send(request, stream=True)
            answer.close()
    except httpx2.HTTPError as error:
        raise Unavailable("The address cannot be reached.") from error
    if answer.status_code >= 500 or answer.status_code == 429:
        raise Unavailable(f"The address does not take it at present ({answer.status_code}).")
    if not 200 <= answer.status_code < 300:
        raise Refused(f"The address does not take it ({answer.status_code}).")
