"""Sending large objects in fragments, going on where a killed process stopped.

What is needed for that is kept in notes: under `upload/<hash of the name>` where the session is and for which bytes,
and under `uploads` which of those notes there are, so that sessions nobody came back to are cancelled. On business
drives a session that was begun and not ended keeps others from writing the same name.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from chatkeep.errors import ChatkeepError, Unavailable
from chatkeep.providers.http import Endpoints
from chatkeep.providers.notes import Notes
from chatkeep.providers.onedrive.graph import Answer, Graph, check_address, problem, read

UNIT = 327_680
"""Every fragment but the last is a multiple of this [bytes]."""

FRAGMENT = 32 * UNIT
"""10 MiB, which Microsoft recommends. A fragment that was cut off is thrown away there, so larger ones lose more.
Source: driveItem: createUploadSession, Graph documentation, 2026-11."""

ABANDONED_S = 24 * 3600.0
"""A session that is so old has no process that still sends: at most 32 MiB go through one."""

LIST = "uploads"
CLASH = 409
GONE = 404
OVERLAP = 416


class Session(msgspec.Struct, frozen=True):
    """An upload that was begun. address: gives its holder the right to write, and is a secret. begun: [s]."""

    address: str
    sha256: str
    begun: float

    def __repr__(self) -> str:
        return f"Session(begun={self.begun:.0f})"


class Uploads:
    """The uploads of one storage. place: the address of a name with a sub-resource, below the version."""

    def __init__(
        self,
        graph: Graph,
        notes: Notes,
        place: Callable[[str, str], str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._graph = graph
        self._notes = notes
        self._place = place
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def _endpoints(self) -> Endpoints:
        return self._graph.http.endpoints

    def send(self, name: str, data: bytes) -> Answer:
        """Send an object, from where an earlier try stopped. Gives the answer that describes the new item.

        Raises what problem() makes of an answer. After an error that may pass the session stays, for the next try;
        after any other it is cancelled.
        """
        try:
            for _ in range(2):
                session, at = self._begun(name, data)
                if (answer := self._sent(session, at, name, data)) is not None:
                    self._forget(name)
                    return answer
                self._forget(name)  # the session is gone: once more from the start
        except ChatkeepError as error:
            if not error.temporary:
                self.cancel(name)
            raise
        raise Unavailable(f"{name} could not be sent: OneDrive dropped the upload twice.")

    def _begun(self, name: str, data: bytes) -> tuple[Session, int]:
        """A session for these bytes, and how many of them it has."""
        digest = hashlib.sha256(data).hexdigest()
        if (known := self._known(name)) is not None:
            at = self._offset(known) if known.sha256 == digest else None
            if at is not None and at < len(data):
                return known, at
            self.cancel(name)
        self._sweep()
        item = {"@microsoft.graph.conflictBehavior": "replace", "fileSize": len(data)}
        answer = self._graph.ask("POST", self._place(name, "/createUploadSession"), json={"item": item})
        if not answer.ok:
            raise problem(answer, name)
        session = Session(check_address(self._endpoints, answer.body.get("uploadUrl")), digest, self._clock())
        self._remember(name, session)
        return session, 0

    def _sent(self, session: Session, at: int, name: str, data: bytes) -> Answer | None:
        """The answer to the last fragment, or None when the session is gone."""
        for _ in range(4 + 2 * len(data) // FRAGMENT):  # a server that gets nowhere is not followed for ever
            piece = data[at : at + FRAGMENT]
            span = f"bytes {at}-{at + len(piece) - 1}/{len(data)}"
            answer = self._there("PUT", session, headers={"Content-Range": span}, content=piece)
            if answer.status in (200, 201):
                return answer
            if answer.status == GONE:
                return None
            if answer.status not in (202, OVERLAP):
                raise problem(answer, name)
            # What it has already, after an answer that was lost, is not sent again.
            after = _first(answer.body) if answer.status == 202 else self._offset(session)
            if after is None or after >= len(data):
                return None
            at = after
        raise Unavailable(f"{name} could not be sent: OneDrive does not take what it asks for.")

    def _there(self, method: str, session: Session, **sent: Any) -> Answer:
        """An answer of the session's own address. It is never shown our sign-in."""
        answer = read(self._graph.http.request(method, session.address, authorised=False, **sent))
        return self._graph.heeded(answer)

    def _offset(self, session: Session) -> int | None:
        """How much of an object a session has, or None if it is gone."""
        answer = self._there("GET", session)
        return _first(answer.body) if answer.ok else None

    def cancel(self, name: str) -> None:
        """End the session of a name, if there is one. What cannot be cancelled now ends by itself within days."""
        known = self._known(name)
        if known is None:
            return
        try:
            self._there("DELETE", known)
        except ChatkeepError:
            return  # the note stays, for a later run
        self._forget(name)

    # Notes.

    def _key(self, name: str) -> str:
        return "upload/" + hashlib.sha256(name.encode()).hexdigest()[:32]

    def _known(self, name: str) -> Session | None:
        return self._at(self._key(name))

    def _at(self, key: str) -> Session | None:
        kept = self._notes.get(key)
        try:
            return msgspec.json.decode(kept, type=Session) if kept else None
        except msgspec.DecodeError:
            return None

    def _remember(self, name: str, session: Session) -> None:
        key = self._key(name)
        self._notes.put(key, msgspec.json.encode(session))
        with self._lock:
            self._listed({*self._list(), key})

    def _forget(self, name: str) -> None:
        key = self._key(name)
        self._notes.drop(key)
        with self._lock:
            self._listed({*self._list()} - {key})

    def _list(self) -> list[str]:
        return [key for key in (self._notes.get(LIST) or b"").decode().split("\n") if key]

    def _listed(self, keys: set[str]) -> None:
        if keys:
            self._notes.put(LIST, "\n".join(sorted(keys)).encode())
        else:
            self._notes.drop(LIST)

    def _sweep(self) -> None:
        """Cancel what was begun long ago and never ended: its process is gone, and its bytes are not wanted."""
        with self._lock:
            keys = self._list()
            found = {key: self._at(key) for key in keys}
            old = {key for key, one in found.items() if one is None or self._clock() - one.begun > ABANDONED_S}
            if not old:
                return
            self._listed(set(keys) - old)
        for key in old:
            self._notes.drop(key)
            if (session := found[key]) is not None:
                self._there("DELETE", session)


def _first(body: dict[str, Any]) -> int | None:
    """The first byte that a session still wants; of its ranges nothing else is reliable."""
    ranges = body.get("nextExpectedRanges")
    try:
        return int(str(ranges[0]).partition("-")[0]) if isinstance(ranges, list) else None
    except (IndexError, ValueError):
        return None
