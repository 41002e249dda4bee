"""Sending objects to Dropbox: small ones in one request, large ones in pieces, many of them committed at once.

A piece that was sent and not acknowledged is not sent again: the session tells how far it came. The id of the session
of a large object is noted, so that a process that starts anew goes on where the one before was killed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec

from chatkeep import happenings
from chatkeep.errors import Unavailable
from chatkeep.providers.dropbox.api import Answer, Api, content_hash, failed
from chatkeep.providers.notes import Notes

CHUNK = 8 * 1024 * 1024
"""Bytes in one request: a multiple of 4 MiB, as advised, and little enough to lose when a line drops.

rclone measured 1.4 MiB/s with pieces of 1 MiB and 11 MiB/s with 16 (forum.rclone.org, seen 2026-11).
"""
SESSIONS_AT_ONCE = 1000
HEADER = 6000
"""Room for the argument of a call with a body, which is a header [bytes]: servers take 8 KiB, as a rule."""
_ENTRY = 90
LANES = 4

Metadata = dict[str, Any]


class Outgoing(msgspec.Struct):
    """One object on its way. path: where it goes. session: "" until one is begun, and when it was lost.

    sent: known to have come [bytes]. closed: the session takes no more. calls: how many pieces were tried.
    """

    path: str
    data: bytes
    hash: str
    session: str = ""
    sent: int = 0
    closed: bool = False
    calls: int = 0

    @property
    def large(self) -> bool:
        return len(self.data) > CHUNK

    @property
    def note(self) -> str:
        """The key of the note: of this content for this place."""
        return "upload:" + hashlib.sha256(f"{self.path}\n{self.hash}".encode()).hexdigest()[:32]

    @property
    def cursor(self) -> dict[str, Any]:
        return {"session_id": self.session, "offset": self.sent}

    @property
    def commit(self) -> dict[str, Any]:
        return {"path": self.path, "mode": "overwrite", "autorename": False, "mute": True}

    def __repr__(self) -> str:
        return f"Outgoing({self.path!r}, {len(self.data)} bytes)"


def outgoing(path: str, data: bytes) -> Outgoing:
    return Outgoing(path, data, content_hash(data))


class Sending:
    """Puts bytes into files of one Dropbox. After it says so, the file is there and Dropbox has these bytes."""

    def __init__(self, api: Api, notes: Notes) -> None:
        self._api = api
        self._notes = notes

    def one(self, item: Outgoing) -> Metadata:
        """Send one object. Raises what Dropbox refuses."""
        if not item.large:
            return self._small(item)
        for _ in range(3):
            done = self._resumed(item) or self._in_pieces(item)
            if done:
                self._notes.drop(item.note)
                return done
        raise Unavailable(f"Dropbox lost an upload under way again and again: {item.path}.")

    def _small(self, item: Outgoing) -> Metadata:
        answer = self._api.commit(lambda: self._api.send("files/upload", item.commit, item.data))
        return self._checked(item, answer)

    def _checked(self, item: Outgoing, answer: Answer) -> Metadata:
        """What Dropbox says of the new file, once it is sure to be the right one."""
        told: Metadata = answer.of(item.path)
        if told.get("content_hash") != item.hash:
            self._api.commit(lambda: self._api.ask("files/delete_v2", {"path": item.path, "parent_rev": told["rev"]}))
            raise Unavailable(f"What reached Dropbox is not what was sent: {item.path}.")
        return told

    # One large object

    def _resumed(self, item: Outgoing) -> Metadata | None:
        """Find out how far the noted session came, if there is one; the file, if it turns out to be there."""
        item.session, item.sent = (self._notes.get(item.note) or b"").decode(), 0
        if not item.session:
            return None
        probe = {"cursor": {"session_id": item.session, "offset": len(item.data)}, "close": False}
        self._came(item, self._api.send("files/upload_session/append_v2", probe, b""), len(item.data))
        if not item.session:
            return self._there(item)
        return None

    def _there(self, item: Outgoing) -> Metadata | None:
        """The file, if it has these bytes: the answer that said so may have been lost."""
        answer = self._api.ask("files/get_metadata", {"path": item.path})
        if answer.says("not_found"):
            return None
        told: Metadata = answer.of(item.path)
        return told if told.get("content_hash") == item.hash else None

    def _came(self, item: Outgoing, answer: Answer, sent: int) -> None:
        """Note how far a session came. sent: where it is now if the call went well [bytes].

        An offset that is not ours is what Dropbox has; one that is just where we are going means that only the answer
        was lost. A session that is not known any more is begun anew.
        """
        if not answer.tags:
            item.sent = sent
        elif answer.says("closed"):
            item.sent, item.closed = len(item.data), True
        elif answer.says("incorrect_offset") and 0 <= answer.correct_offset <= len(item.data):
            item.sent = answer.correct_offset
        elif answer.says("not_found") or answer.says("incorrect_offset"):
            self._lose(item)
        else:
            answer.of(item.path)

    def _lose(self, item: Outgoing) -> None:
        """Forget a session that Dropbox does not know any more."""
        if item.large:
            self._notes.drop(item.note)
        item.session, item.sent, item.closed = "", 0, False

    def _in_pieces(self, item: Outgoing) -> Metadata | None:
        """Send what is missing and commit; None when the session was lost on the way."""
        if not item.session:
            self._begin(item)
        while item.session and len(item.data) - item.sent > CHUNK:
            self._piece(item, close=False)
        return self._finish(item) if item.session else None

    def _begin(self, item: Outgoing) -> None:
        answer = self._api.send("files/upload_session/start", {"close": False}, item.data[:CHUNK])
        item.session, item.sent = str(answer.of(item.path)["session_id"]), CHUNK
        self._notes.put(item.note, item.session.encode())

    def _piece(self, item: Outgoing, *, close: bool) -> None:
        item.calls += 1
        if item.calls > 2 * (len(item.data) // CHUNK + 2):
            raise Unavailable(f"Dropbox does not get on with an upload: {item.path}.")
        piece = item.data[item.sent : item.sent + CHUNK]
        answer = self._api.send("files/upload_session/append_v2", {"cursor": item.cursor, "close": close}, piece)
        self._came(item, answer, item.sent + len(piece))
        item.closed = item.closed or (close and not answer.tags)

    def _finish(self, item: Outgoing) -> Metadata | None:
        def last_piece() -> Answer:
            argument = {"cursor": item.cursor, "commit": item.commit}
            answer = self._api.send("files/upload_session/finish", argument, item.data[item.sent :])
            if answer.says("incorrect_offset"):  # the bytes came before, and the commit did not happen
                self._came(item, answer, item.sent)
                argument = {"cursor": item.cursor, "commit": item.commit}
                answer = self._api.send("files/upload_session/finish", argument, item.data[item.sent :])
            return answer

        answer = self._api.commit(last_piece)
        if answer.says("lookup_failed"):
            self._lose(item)
            return self._there(item)
        return self._checked(item, answer)

    # Many objects

    def many(self, items: Sequence[Outgoing]) -> list[Metadata]:
        """Send many objects and commit them together, each in its turn if they are few and small."""
        if len(items) <= 3 and sum(len(item.data) for item in items) <= CHUNK:
            return [self.one(item) for item in items]
        done: list[Metadata] = []
        for at in range(0, len(items), SESSIONS_AT_ONCE):
            done += self._together(items[at : at + SESSIONS_AT_ONCE])
        return done

    def _together(self, items: Sequence[Outgoing]) -> list[Metadata]:
        found = {item.path: there for item in items if item.large and (there := self._resumed(item))}
        waiting = [item for item in items if item.path not in found]
        self._sessions([item for item in waiting if not item.session])
        with ThreadPoolExecutor(LANES) as pool:
            list(pool.map(happenings.carried(_run), self._lanes(waiting)))
        found |= self._committed([item for item in waiting if item.session])
        for item in waiting:
            if item.path not in found:  # its session was lost on the way
                found[item.path] = self.one(item)
            if item.large:
                self._notes.drop(item.note)
        return [found[item.path] for item in items]

    def _sessions(self, items: Sequence[Outgoing]) -> None:
        if not items:
            return
        begun = self._api.ask("files/upload_session/start_batch", {"num_sessions": len(items)}).of("new files")
        for item, session in zip(items, begun["session_ids"], strict=True):
            item.session, item.sent = session, 0
            if item.large:
                self._notes.put(item.note, session.encode())

    def _lanes(self, items: Iterable[Outgoing]) -> Iterator[Callable[[], None]]:
        """What can be sent at the same time: each large object by itself, small ones together in one request."""
        small = [item for item in items if not item.large]
        yield from (partial(self._alone, item) for item in items if item.large)
        yield from (partial(self._grouped, group) for group in _groups(small))

    def _alone(self, item: Outgoing) -> None:
        while item.session and not item.closed:
            self._piece(item, close=len(item.data) - item.sent <= CHUNK)

    def _grouped(self, group: Sequence[Outgoing]) -> None:
        """Send small objects in one body; which of them came is told one by one."""
        entries = [{"cursor": item.cursor, "length": len(item.data), "close": True} for item in group]
        body = b"".join(item.data for item in group)
        told = self._api.send("files/upload_session/append_batch", {"entries": entries}, body).of("new files")
        for item, entry in zip(group, told["entries"], strict=True):
            answer = Answer(None) if entry[".tag"] == "success" else failed(entry.get("failure"))
            self._came(item, answer, len(item.data))
            if item.sent != len(item.data):  # cannot be with a session of one piece, so it is begun anew
                self._lose(item)

    def _committed(self, items: Sequence[Outgoing]) -> dict[str, Metadata]:
        """Make files of all, in one commit; those that it refused because of another's commit in a further one."""
        done: dict[str, Metadata] = {}
        waiting = list(items)

        def commit() -> Answer:
            nonlocal waiting
            entries = [{"cursor": item.cursor, "commit": item.commit} for item in waiting]
            told = self._api.ask("files/upload_session/finish_batch_v2", {"entries": entries}).of("new files")
            refused = []
            for item, entry in zip(waiting, told["entries"], strict=True):
                answer = Answer(entry) if entry[".tag"] == "success" else failed(entry.get("failure"))
                if answer.says("too_many_write_operations"):
                    refused.append(item)
                elif not answer.says("lookup_failed"):
                    done[item.path] = self._checked(item, answer)
            waiting = refused
            return Answer(None, ("too_many_write_operations",) if refused else ())

        if waiting:
            self._api.commit(commit).of("new files")
        return done


def _run(lane: Callable[[], None]) -> None:
    lane()


def _groups(items: Iterable[Outgoing]) -> Iterator[list[Outgoing]]:
    """Small objects together: at most CHUNK bytes of them, and as many as their argument has room for."""
    group: list[Outgoing] = []
    size = room = 0
    for item in items:
        if group and (size + len(item.data) > CHUNK or room + _ENTRY + len(item.session) > HEADER):
            yield group
            group, size, room = [], 0, 0
        group.append(item)
        size += len(item.data)
        room += _ENTRY + len(item.session)
    if group:
        yield group
