"""Microsoft Graph: what is sent there, and what its answers mean."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from chatkeep.errors import ChatkeepError, NotFound, QuotaFull, Refused, SignInAgain, SlowDown, Unavailable
from chatkeep.providers.http import Endpoints, Gate, Http, Response, retry_after

HOME = "https://graph.microsoft.com/v1.0"
BATCH = 20
"""The most requests that one batch takes. Source: "Combine multiple HTTP requests", Graph documentation, 2026-11."""

WAIT_S = 10.0
"""How long to leave the account alone when it says "too many" and not for how long [s]."""

FREE_SPACE = "Free some space in your OneDrive (its recycle bin counts too), then run the same command again."
WIDER = (
    "Microsoft does not let some accounts use an app folder, though the permission for it was given. Connect again "
    "and allow access to your files (the wider permission); Chatkeep still uses nothing but its own folder."
)

_KINDS: dict[str, type[ChatkeepError]] = {
    "accessDenied": Refused,
    "generalException": Unavailable,
    "insufficientStorage": QuotaFull,
    "invalidPath": Refused,
    "invalidRequest": Refused,
    "itemNotFound": NotFound,
    "malwareDetected": Refused,
    "notAllowed": Refused,
    "notSupported": Refused,
    "pathIsTooLong": Refused,
    "quotaLimitReached": QuotaFull,
    "resourceModified": Unavailable,
    "serviceNotAvailable": Unavailable,
    "serviceReadOnly": Unavailable,
    "unauthenticated": SignInAgain,
    "InvalidAuthenticationToken": SignInAgain,
}
_STATUSES: dict[int, type[ChatkeepError]] = {
    400: Refused,
    401: SignInAgain,
    403: Refused,
    404: NotFound,
    405: Refused,
    410: NotFound,
    413: Refused,
    423: Unavailable,
    501: Refused,
    507: QuotaFull,
}
_WORDS: dict[type[ChatkeepError], str] = {
    NotFound: "is not there",
    QuotaFull: "could not be kept: your OneDrive is full",
    Refused: "was refused by OneDrive",
    SignInAgain: "is out of reach: OneDrive no longer accepts the sign-in",
    Unavailable: "met a passing fault at OneDrive",
}
_THROTTLED = (429, 509)


class Answer(msgspec.Struct, frozen=True):
    """What Graph said, alone or in a batch. body: its JSON, {} for none."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = {}

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def __repr__(self) -> str:
        return f"Answer({self.status}, {', '.join(self.codes)})"  # a body may hold addresses that give access

    @property
    def codes(self) -> list[str]:
        """The codes of an error, what is most specific first."""
        found, at = [], self.body.get("error")
        while isinstance(at, dict):
            found.append(str(at.get("code", "")))
            at = at.get("innerError", at.get("innererror"))
        return [code for code in reversed(found) if code]


def read(response: Response) -> Answer:
    """An answer with its JSON; a list or a number in its place counts as none."""
    body = response.json()
    return Answer(response.status, body if isinstance(body, dict) else {}, response.headers)


def problem(answer: Answer, what: str) -> ChatkeepError:
    """The error that an answer means. what: whose name comes first in the sentence, "data/ab/abcd".

    By status and code, innermost code first; a kind of answer that is not known is Unavailable, which is tried again.
    """
    asked = retry_after(Response(answer.status, answer.headers, b""))
    if answer.status in _THROTTLED or (answer.status >= 500 and asked is not None):
        return SlowDown("OneDrive asked for a pause.", wait_s=WAIT_S if asked is None else asked)
    kinds = [_KINDS[code] for code in answer.codes if code in _KINDS]
    kind = kinds[0] if kinds else _STATUSES.get(answer.status, Unavailable)
    code = f" ({answer.status} {answer.codes[0]})" if answer.codes else f" ({answer.status})"
    hint = FREE_SPACE if kind is QuotaFull else ""
    return kind(f"{what or 'The folder'} {_WORDS[kind]}{'' if kind is NotFound else code}.", hint=hint)


class Call(msgspec.Struct, frozen=True):
    """One request of a batch. path: below the version, "/me/drive/items/1". content: bytes to send, if any."""

    method: str
    path: str
    content: bytes | None = None

    def __repr__(self) -> str:
        return f"Call({self.method} {self.path})"


class Graph:
    """Requests to Graph for one account. Answers of any status come back; only a pause that was asked for is raised."""

    def __init__(self, http: Http, gate: Gate) -> None:
        self.http = http
        self.gate = gate

    def ask(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        json: object = None,
        match: str = "",
        requests: int = 1,
    ) -> Answer:
        """The answer of Graph. match: do it only while the item has this tag, else 412 is answered.

        requests: how many it is for Graph, which counts each call of a batch.

        Raises SlowDown, and what the line itself raises (Unavailable, SignInAgain).
        """
        headers = {"If-Match": match} if match else {}
        if content is not None:
            headers["Content-Type"] = "application/octet-stream"
        elif json is not None:
            content, headers["Content-Type"] = msgspec.json.encode(json), "application/json"
        answer = self.http.request(method, HOME + path, headers=headers, content=content, units=requests)
        return self.heeded(read(answer))

    def heeded(self, answer: Answer) -> Answer:
        """The answer, after closing the gate where it asks for a pause. Raises SlowDown then."""
        error = problem(answer, "") if not answer.ok and answer.status != 304 else None
        if isinstance(error, SlowDown):
            raise SlowDown(error.what, wait_s=self.gate.close_for(error.wait_s))
        return answer

    def batch(self, calls: Sequence[Call]) -> list[Answer]:
        """The answers in the order of the calls, twenty calls to a request.

        A call that was throttled closes the gate for all, and its answer is given back like the others.
        """
        found: list[Answer] = []
        for start in range(0, len(calls), BATCH):
            found += self._batch(calls[start : start + BATCH])
        return found

    def _batch(self, calls: Sequence[Call]) -> list[Answer]:
        if len(calls) == 1:
            return [read(self._alone(calls[0]))]
        wanted = [_one(str(number), call) for number, call in enumerate(calls)]
        whole = self.ask("POST", "/$batch", json={"requests": wanted}, requests=len(calls))
        if not whole.ok:
            raise problem(whole, "A batch of requests")
        answers = {str(one.get("id")): _unpacked(one) for one in whole.body.get("responses", ())}
        if set(answers) != {str(number) for number in range(len(calls))}:
            raise Unavailable("OneDrive answered only a part of what it was asked.")
        for answer in answers.values():
            self.rest(answer)
        return [answers[str(number)] for number in range(len(calls))]

    def rest(self, answer: Answer) -> None:
        """Close the gate where an answer asks for a pause."""
        error = problem(answer, "") if not answer.ok else None
        if isinstance(error, SlowDown):
            self.gate.close_for(error.wait_s)

    def _alone(self, call: Call) -> Response:
        headers = {"Content-Type": "application/octet-stream"} if call.content is not None else {}
        response = self.http.request(call.method, HOME + call.path, headers=headers, content=call.content)
        self.rest(read(response))
        return response


def _one(id: str, call: Call) -> dict[str, Any]:
    wanted: dict[str, Any] = {"id": id, "method": call.method, "url": call.path}
    if call.content is not None:
        wanted["headers"] = {"Content-Type": "application/octet-stream"}
        wanted["body"] = base64.b64encode(call.content).decode()
    return wanted


def _unpacked(one: dict[str, Any]) -> Answer:
    """An answer in a batch. What was asked with bytes is answered in base64, though it is JSON."""
    body = one.get("body")
    if isinstance(body, str):
        try:
            body = msgspec.json.decode(base64.b64decode(body))
        except (ValueError, msgspec.DecodeError):
            body = {}
    headers = {str(name).lower(): str(value) for name, value in (one.get("headers") or {}).items()}
    return Answer(int(one.get("status", 0)), body if isinstance(body, dict) else {}, headers)


def below(address: str) -> str:
    """What an address that Graph gave stands for, as a path to ask for: its host is ours to choose, not the answer's.

    Raises Unavailable for an address of something else.
    """
    _, found, path = address.partition("/v1.0/")
    if not found:
        raise Unavailable("OneDrive gave an address that is none of Graph's.")
    return "/" + path


def check_address(endpoints: Endpoints, address: object) -> str:
    """An address that was given for sending or fetching content. Raises Unavailable for anything that is none."""
    if not isinstance(address, str) or not address.startswith("http"):
        raise Unavailable("OneDrive gave no address for the content.")
    endpoints.check(address)
    return address
