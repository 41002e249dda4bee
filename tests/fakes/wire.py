"""One request and one response, as a fake cloud sees them; whoever carries them is another module's business."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Request:
    """What a client sent. host: the name of the real service, "www.googleapis.com", whatever address was dialled.

    path: as it came, still percent-encoded, beginning with "/". headers: names in lower case.
    secure: it came over TLS.
    """

    method: str
    host: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    secure: bool = False
    base: str = ""
    """What to put before "/<host>/<path>" in an address handed to the client; "" for "https:/"."""
    whole: bool = True
    """False: the connection broke before the end of the body; this is what came, and nobody will see an answer."""

    def fields(self) -> dict[str, str]:
        """The query, decoded; of a name given twice the last."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def address(self, host: str, path: str) -> str:
        """The address of a path on one of our hosts, by the door this request came through."""
        return f"{self.base or 'https:/'}/{host}{path}"


@dataclass
class Response:
    """What goes back. Content-Length is added by the carrier."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Fake(Protocol):
    """A stateful imitation of one provider. Several threads may call at once."""

    hosts: tuple[str, ...]

    def answer(self, request: Request) -> Response: ...
