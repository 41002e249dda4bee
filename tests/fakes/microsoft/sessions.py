"""Upload sessions: fragments in order at an address that needs no sign-in, and must not be shown one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from fakes.microsoft.drive import Drive, GraphError, Item
from fakes.microsoft.shapes import answer, stamp
from fakes.wire import Request, Response

UNIT = 327_680
LARGEST_FRAGMENT = 60 * 1024 * 1024
LIFETIME_S = {"personal": 3 * 24 * 3600.0, "business": 15 * 3600.0}


@dataclass
class Session:
    """One upload that has begun. total: 0 until the first fragment said it."""

    token: str
    drive: Drive
    folder: list[str]
    start: Item
    name: str
    behaviour: str
    times: dict[str, str]
    expires: float
    received: bytes = b""
    total: int = 0
    deferred: bool = False


class Sessions:
    """All open sessions. range_style: "open" (`26-`) or "closed" (`26-127`)."""

    def __init__(self) -> None:
        self.open: dict[str, Session] = {}
        self.range_style = "open"
        self.begun = 0

    def begin(self, drive: Drive, start: Item, path: list[str], body: dict[str, Any]) -> Session:
        """A session for the file at a path below an item; folders above it are made when it is committed."""
        wanted = body.get("item", {})
        if int(wanted.get("fileSize", 0)) > drive.total - drive.used:
            raise GraphError(507, "quotaLimitReached", "insufficientStorage")
        drive.check_name(start, path[-1], is_folder=False)
        now = drive.clock()
        if drive.kind == "business" and any(
            (s.drive, s.start, [x.lower() for x in (*s.folder, s.name)]) == (drive, start, [x.lower() for x in path])
            for s in self.open.values()
            if s.expires > now
        ):
            raise GraphError(409, "nameAlreadyExists", "uploadSessionInProgress")
        behaviour = wanted.get("@microsoft.graph.conflictBehavior", wanted.get("@name.conflictBehavior", "fail"))
        self.begun += 1
        session = Session(
            f"session-{self.begun}", drive, path[:-1], start, path[-1], behaviour,
            dict(wanted.get("fileSystemInfo", {})), now + LIFETIME_S[drive.kind],
        )  # fmt: skip
        session.deferred = bool(body.get("deferCommit"))
        self.open[session.token] = session
        return session

    def described(self, session: Session) -> dict[str, Any]:
        start = len(session.received)
        end = session.total - 1 if self.range_style == "closed" and session.total else ""
        return {"expirationDateTime": stamp(session.expires), "nextExpectedRanges": [f"{start}-{end}"]}

    def answer(self, request: Request, token: str) -> Response | tuple[Session, Item, bool]:
        """What an upload address answers; where a file came of it, that file and whether it is new."""
        session = self.open.get(token)
        if session is None or session.expires < session.drive.clock():
            self.open.pop(token, None)
            raise GraphError(404, "itemNotFound")
        if request.method == "GET":
            return answer(200, self.described(session))
        if request.method == "DELETE":
            del self.open[token]
            return answer(204)
        if request.method == "POST" and session.deferred and session.drive.kind == "business":
            if not session.total or len(session.received) < session.total:
                raise GraphError(400, "invalidRequest")
            return (session, *self._commit(session))
        if request.method != "PUT":
            raise GraphError(405, "invalidRequest")
        return self._fragment(request, session)

    def _fragment(self, request: Request, session: Session) -> Response | tuple[Session, Item, bool]:
        said = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.headers.get("content-range", ""))
        if said is None:
            raise GraphError(400, "invalidRequest", "invalidRange")
        first, last, total = map(int, said.groups())
        if last - first + 1 != len(request.body) or last >= total or (session.total and total != session.total):
            raise GraphError(400, "invalidRequest", "invalidRange")
        if len(request.body) > LARGEST_FRAGMENT or (last + 1 < total and len(request.body) % UNIT):
            raise GraphError(400, "invalidRequest", "fragmentSizeInvalid")
        if first < len(session.received):
            raise GraphError(416, "invalidRange", "fragmentOverlap")
        if first > len(session.received):
            raise GraphError(416, "invalidRange", "fragmentOutOfOrder")
        session.total = total
        session.received += request.body
        if len(session.received) < total or session.deferred:
            return answer(202, self.described(session))
        return (session, *self._commit(session))

    def _commit(self, session: Session) -> tuple[Item, bool]:
        folder = session.drive.folder(session.start, session.folder)
        there = session.drive.child(folder, session.name)
        name = session.name
        if there is not None and session.behaviour == "fail":
            raise GraphError(409, "nameAlreadyExists")
        if there is not None and session.behaviour == "rename":
            stem, dot, end = name.rpartition(".")
            name = f"{stem} 1{dot}{end}" if dot else f"{name} 1"
        item, new = session.drive.put(folder, name, session.received)
        item.times = session.times
        del self.open[session.token]
        return item, new


def json_body(request: Request) -> dict[str, Any]:
    """The body of a request that speaks JSON. Raises what the service answers to something else."""
    if not request.body:
        return {}
    try:
        body = json.loads(request.body)
    except ValueError:
        raise GraphError(400, "BadRequest", "invalidJson") from None
    if not isinstance(body, dict):
        raise GraphError(400, "BadRequest")
    return body
