"""Sending large objects in fragments, going on where a killed process stopped.

What is needed for that is kept in notes: under `upload/<hash of the name>` where the session is and for which bytes,
and under `uploads` which of those notes there are, so that sessions nobody came back to are cancelled. On business
drives a session that was begun and not ended keeps others from writing the same name.
"""

from __future__ import annotations

import contextlib
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
OVERLAP = 416
GONE = (401, 403, 404, 410)
"""A session that ended, or whose address is good no more: begin again. Source: rclone issue 9767 for 404."""


class Session(msgspec.Struct, frozen=True):
    """An upload that was begun. address: gives its holder the right to write, and is a secret. begun: [s]."""

    address: str
    sha256: str
    begun: float

    def __repr__(self) -> str:
        return f"Session(begun={self.begun:.0f})"


class Uploads:
    """The uploads of one storage.

    place: the address of a name with a sub-resource, below the version. arrived: the item of a name if it has these
        bytes already; asked when the answer to a last fragment may have been lost.
    """

    def __init__(
        self,
        graph: Graph,
        notes: Notes,
        place: Callable[[str, str], str],
        arrived: Callable[[str, bytes], Answer | None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._graph = graph
        self._notes = notes
        self._place = place
        self._arrived = arrived
        self._clock = clock
        self._lock = threading.Lock()

    @property
    def _endpoints(self) -> Endpoints:
        return self._graph.http.endpoints

    def send(self, name: str, data: bytes) -> Answer | None:
        """Send an object, from where an earlier try stopped. Gives the answer that describes the new item.

        None when somebody else's session blocks the name. Raises what problem() makes of an answer. After an error
        that may pass the session stays, for the next try; after any other it is cancelled.
        """
        try:
            if (answer := self._resumed(name, data)) is not None:
                return self._done(name, answer)
            for _ in range(2):
                session = self._begun(name, data)
                if session is None:
                    return None
                if (answer := self._sent(session, 0, name, data)) is not None:
                    return self._done(name, answer)
                self._forget(name)  # the session is gone: once more from the start
        except ChatkeepError as error:
            if not error.temporary:
                self.cancel(name)
            raise
        raise Unavailable(f"{name} could not be sent: OneDrive dropped the upload twice.")

    def _done(self, name: str, answer: Answer) -> Answer:
        self._forget(name)
        return answer

    def _resumed(self, name: str, data: bytes) -> Answer | None:
        """The answer after going on with an earlier session for these bytes; None where there is nothing to go on."""
        known = self._known(name)
        if known is None:
            return None
        if known.sha256 != _digest(data):
            self.cancel(name)
            return None
        at = self._offset(known)
        if at is None:
            self._forget(name)
            return self._arrived(name, data)
        answer = self._sent(known, at, name, data) if at < len(data) else None
        if answer is None:
            self.cancel(name)
        return answer

    def _begun(self, name: str, data: bytes) -> Session | None:
        """A new session, or None when another one blocks the name."""
        self._sweep()
        item = {"@microsoft.graph.conflictBehavior": "replace", "fileSize": len(data)}
        answer = self._graph.ask("POST", self._place(name, "/createUploadSession"), json={"item": item})
        if answer.status == CLASH:
            return None
        if not answer.ok:
            raise problem(answer, name)
        address = check_address(self._endpoints, answer.body.get("uploadUrl"))
        session = Session(address, _digest(data), self._clock())
        self._remember(name, session)
        return session

    def _sent(self, session: Session, at: int, name: str, data: bytes) -> Answer | None:
        """The answer to the last fragment, or None when the session is gone."""
        for _ in range(4 + 2 * len(data) // FRAGMENT):  # a server that gets nowhere is not followed for ever
            piece = data[at : at + FRAGMENT]
            span = f"bytes {at}-{at + len(piece) - 1}/{len(data)}"
            answer = self._there("PUT", session, headers={"Content-Range": span}, content=piece)
            if answer.status in (200, 201):
                return answer
            if answer.status in GONE:
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
        self._forget_key(self._key(name))

    def _forget_key(self, key: str) -> None:
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
        for key in self._list():
            session = self._at(key)
            if session is None or self._clock() - session.begun > ABANDONED_S:
                with contextlib.suppress(ChatkeepError):  # the note stays, for a later run
                    if session is not None:
                        self._there("DELETE", session)
                    self._forget_key(key)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _first(body: dict[str, Any]) -> int | None:
    """The first byte that a session still wants; of its ranges nothing else is reliable."""
    ranges = body.get("nextExpectedRanges")
    try:
        return int(str(ranges[0]).partition("-")[0]) if isinstance(ranges, list) else None
    except (IndexError, ValueError):
        return None
