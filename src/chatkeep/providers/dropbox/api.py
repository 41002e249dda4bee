"""How Dropbox is spoken to: its call styles, what its refusals mean, its hash of contents, one commit at a time.

Source: the API description github.com/dropbox/dropbox-api-spec, seen 2026-08; error tags as its unions have them.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from chatkeep.errors import ChatkeepError, Damaged, NotFound, QuotaFull, Refused, SignInAgain, SlowDown, Unavailable
from chatkeep.providers.http import METADATA_CAP, Endpoints, Gate, Http, Response, Signer, retry_after

API = "https://api.dropboxapi.com/2/"
CONTENT = "https://content.dropboxapi.com/2/"
BLOCK = 4 * 1024 * 1024
"""What the hash of contents is made over, piece by piece [bytes]."""

COMMIT_ATTEMPTS = 7
"""Waits double from half a second: about a minute in all, which is longer than commits of others were seen to last."""

_REFUSED: dict[str, tuple[type[ChatkeepError], str]] = {
    "not_found": (NotFound, "Not there"),
    "not_file": (NotFound, "Not a file"),
    "not_folder": (NotFound, "Not a folder"),
    "insufficient_space": (QuotaFull, "The Dropbox is full"),
    "insufficient_quota": (QuotaFull, "The Dropbox is full"),
    "team_folder_insufficient_space": (QuotaFull, "The team's Dropbox is full"),
    "member_folder_insufficient_space": (QuotaFull, "The Dropbox is full"),
    "upload_traffic_limit_reached": (QuotaFull, "The team has used up what it may upload this month"),
    "conflict": (Refused, "Something else stands in its place"),
    "disallowed_name": (Refused, "Dropbox does not take this name"),
    "malformed_path": (Refused, "Dropbox does not take this name"),
    "no_write_permission": (Refused, "Dropbox does not allow writing here"),
    "access_restricted": (Refused, "Dropbox does not allow writing here"),
    "team_folder": (Refused, "Dropbox does not allow this with a team folder"),
    "restricted_content": (Refused, "Dropbox blocks this file for legal reasons"),
    "unsupported_file": (Refused, "Dropbox cannot hand this kind of file out"),
    "unsupported_content_type": (Refused, "Dropbox cannot hand this kind of file out"),
    "locked": (Refused, "Somebody locked this file in Dropbox"),
    "too_many_files": (Refused, "Dropbox does not do this with so many files at once"),
    "content_hash_mismatch": (Unavailable, "What reached Dropbox is not what was sent"),
}


class Answer(msgspec.Struct, frozen=True):
    """What a call gave. tags: of the error from the outside in, empty when it went well; correct_offset: with one of
    them. Shows itself without the value, in which ids of sessions are."""

    value: Any
    tags: tuple[str, ...] = ()
    correct_offset: int = -1

    def says(self, tag: str) -> bool:
        return tag in self.tags

    def of(self, what: str) -> Any:
        """The value, or the error in our words. what: the thing it is about, for people."""
        if self.tags:
            raise refusal(self.tags, what)
        return self.value

    def __repr__(self) -> str:
        return f"Answer(tags={self.tags})"


def refusal(tags: tuple[str, ...], what: str) -> ChatkeepError:
    """The error that the tags mean. Words of Dropbox are not quoted: its summaries end in noise."""
    if "too_many_write_operations" in tags:
        return SlowDown(f"Dropbox is busy with other writes: {what}.", wait_s=30.0)
    for tag in tags:
        if tag in _REFUSED:
            kind, said = _REFUSED[tag]
            return kind(f"{said}: {what}.")
    return Unavailable(f"Dropbox could not do this at present ({'/'.join(tags) or 'no reason given'}): {what}.")


def failed(error: Any, value: Any = None) -> Answer:
    """The answer that an error of Dropbox is. error: {".tag": "path", "path": {".tag": "not_found"}} and the like."""
    tags: list[str] = []
    offset = -1
    while isinstance(error, dict) and isinstance(tag := error.get(".tag"), str):
        tags.append(tag)
        offset = int(error.get("correct_offset", offset))
        error = error.get(tag, error.get("reason"))
    return Answer(value, tuple(tags) or ("other",), offset)


def content_hash(data: bytes) -> str:
    """Dropbox's hash: the SHA-256 of the SHA-256 sums of every 4 MiB, as hex."""
    view = memoryview(data)
    sums = (hashlib.sha256(view[at : at + BLOCK]).digest() for at in range(0, len(data), BLOCK))
    return hashlib.sha256(b"".join(sums)).hexdigest()


class Api:
    """Calls to one account's Dropbox."""

    def __init__(self, endpoints: Endpoints, access: Signer, gate: Gate) -> None:
        self.http = Http(endpoints, access=access, gate=gate)
        self.gate = gate
        self._alone = commits_of(gate)

    def ask(self, route: str, argument: dict[str, Any] | None = None) -> Answer:
        """A call with JSON there and back. Raises for what no caller can do anything about."""
        body = json.dumps(argument).encode()
        return self._answer(
            self.http.request("POST", API + route, headers={"Content-Type": "application/json"}, content=body)
        )

    def send(self, route: str, argument: dict[str, Any], body: bytes) -> Answer:
        """A call that carries bytes, which Dropbox compares with their hash before it does anything."""
        argument = argument | {"content_hash": content_hash(body)}
        headers = {"Content-Type": "application/octet-stream", "Dropbox-API-Arg": _header(argument)}
        return self._answer(self.http.request("POST", CONTENT + route, headers=headers, content=body))

    def fetch(self, route: str, argument: dict[str, Any], *, asked: str = "", cap: int = METADATA_CAP) -> Response:
        """A call that gives bytes. asked: the Range. Statuses 200, 206 and 416 are given back, and 409."""
        headers = {"Dropbox-API-Arg": _header(argument)} | ({"Range": asked} if asked else {})
        response = self.http.request("POST", CONTENT + route, headers=headers, expects="bytes", cap=cap)
        if response.status not in (409, 416):
            self._answer(response, bytes_expected=True)
        return response

    def _answer(self, response: Response, *, bytes_expected: bool = False) -> Answer:
        if response.status == 200 or (response.status == 206 and bytes_expected):
            return Answer(None if bytes_expected else response.json())
        if response.status == 409:
            return conflict(response)
        raise self._error(response)

    def _error(self, response: Response) -> ChatkeepError:
        """What an answer means that is about the account or the service, and not about the thing asked for."""
        said = response.json()
        error = said.get("error") if isinstance(said, dict) else None
        tags = failed(error).tags
        if response.status == 429 or (response.status >= 500 and retry_after(response) is not None):
            return self._pause(response, error)
        if response.status == 401:
            return _sign_in(tags, error)
        if response.status == 403:
            return Refused("Dropbox does not allow this app to do this.", hint="Connect the account again.")
        if response.status in (400, 404, 405, 422):
            return Refused(f"Dropbox did not understand a request ({response.status}).", hint="Update Chatkeep.")
        return Unavailable(f"Dropbox does not work at present ({response.status}).")

    def _pause(self, response: Response, error: Any) -> SlowDown:
        told = error.get("retry_after") if isinstance(error, dict) else None
        wait = retry_after(response)
        wait = float(told) if wait is None and isinstance(told, int | float) else wait
        return SlowDown("Dropbox asks for a pause.", wait_s=self.gate.close_for(5.0 if wait is None else wait))

    def commit(self, call: Callable[[], Answer]) -> Answer:
        """The answer of a call that changes what is in the Dropbox; the only one of this account at a time.

        Dropbox takes one commit at a time for each account, and refuses who comes meanwhile, perhaps from another
        device: such a call is repeated for a while. Raises SlowDown at the end of it.
        Source: github.com/rclone/rclone/issues/5156, seen 2026-11; the reference of finish_batch.
        """
        with self._alone:
            for attempt in range(COMMIT_ATTEMPTS):
                answer = call()
                if not answer.says("too_many_write_operations"):
                    return answer
                self.after_refused_commit(attempt)
        return answer

    def after_refused_commit(self, attempt: int) -> None:
        """Hold everything of this account for a moment, longer each time."""
        self.gate.close_for(0.5 * 2.0**attempt * (0.5 + random.random()))  # noqa: S311 - spread, no secret

    def close(self) -> None:
        self.http.close()


def conflict(response: Response) -> Answer:
    """The answer that a 409 is."""
    said = response.json()
    return failed(said.get("error") if isinstance(said, dict) else None)


_commits: WeakKeyDictionary[Gate, threading.RLock] = WeakKeyDictionary()
_commits_lock = threading.Lock()


def commits_of(gate: Gate) -> threading.RLock:
    """The lock that all storages of one account share."""
    with _commits_lock:
        return _commits.setdefault(gate, threading.RLock())


def _sign_in(tags: tuple[str, ...], error: Any) -> ChatkeepError:
    if "user_suspended" in tags:
        return Refused("Dropbox has suspended this account.", hint="Sign in at dropbox.com and see why.")
    scope = error.get("required_scope") if isinstance(error, dict) else None
    if "missing_scope" in tags and isinstance(scope, str):
        return SignInAgain(
            "The sign-in at Dropbox lacks a permission.",
            hint=f"Tick {scope[:40]} in the app's permissions at dropbox.com/developers, then reconnect the account.",
        )
    return SignInAgain("Dropbox no longer accepts our sign-in.")


def _header(argument: dict[str, Any]) -> str:
    """JSON for a header: nothing outside of printable ASCII may stand there."""
    return json.dumps(argument, separators=(",", ":")).replace("\x7f", "\\u007f")


def check_whole(data: bytes, told: Any, name: str) -> None:
    """Compare what came, or what is there now, with Dropbox's own hash. Raises Damaged."""
    if told != content_hash(data):
        raise Damaged(f"Dropbox has other bytes than it should: {name}.")
