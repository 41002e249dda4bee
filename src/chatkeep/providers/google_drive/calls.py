"""Requests to the Drive API, and what its refusals mean."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from chatkeep.errors import ChatkeepError, NotFound, QuotaFull, Refused, SignInAgain, SlowDown, Unavailable
from chatkeep.providers.http import Expected, Http, Response, retry_after
from chatkeep.providers.provider import Means

API = "https://www.googleapis.com/drive/v3"
UPLOAD = "https://www.googleapis.com/upload/drive/v3/files"
BATCH = "https://www.googleapis.com/batch/drive/v3"
MOST_IN_BATCH = 100
LONG_S = 3600.0

# One client id has 1,000,000 units a minute; a little less here, since processes may hold shares of it.
# Source: "Usage limits" in the guide of the Drive API v3, in force since 2026-05-01; seen 2026-11.
UNITS_PER_S = 16_000.0
LIST, DOWNLOAD, CHANGE, LOOK = 100, 200, 50, 5

_AGAIN = "Connect the account again and leave every box ticked on Google's page; nothing that was saved is touched."
_OWN_CLIENT = "Enable the Google Drive API in the Google Cloud project of your client id, then try again."

# Source: "Resolve errors" in the guide of the Drive API v3, and the retries of rclone 1.60 (backend/drive); 2026-11.
_PAUSES = {
    "userRateLimitExceeded": 0.0,
    "rateLimitExceeded": 0.0,
    "sharingRateLimitExceeded": 60.0,
    "dailyLimitExceeded": LONG_S,
    "quotaExceeded": LONG_S,
    "downloadQuotaExceeded": LONG_S,
}
_FULL = {
    "storageQuotaExceeded": "The Google account has no space left",
    "numChildrenInNonRootLimitExceeded": "A folder at Google Drive takes no more files",
    "activeItemCreationLimitExceeded": "The Google account takes no more files",
    "teamDriveFileLimitExceeded": "The shared drive takes no more files",
}
_REFUSED = {
    "insufficientFilePermissions": ("Google Drive does not let this app change", ""),
    "appNotAuthorizedToFile": ("Google Drive does not let this app see", ""),
    "insufficientPermissions": ("The consent given does not hold what is needed for", _AGAIN),
    "accessNotConfigured": ("The Drive API is not enabled for this client id; refused was", _OWN_CLIENT),
    "domainPolicy": ("The organisation of this account does not allow apps at Drive; refused was", ""),
    "cannotDownloadAbusiveFile": ("Google takes this for malware and does not give it back:", ""),
}


def reason(response: Response) -> str:
    """Drive's word for what is wrong, "" if it gave none."""
    try:
        return str(response.json()["error"]["errors"][0]["reason"])
    except (KeyError, IndexError, TypeError):
        return ""


def units(method: str, address: str, params: Mapping[str, str]) -> int:
    """What Drive counts a request as."""
    if method != "GET":
        return CHANGE
    if params.get("alt") == "media":
        return DOWNLOAD
    return LIST if address.endswith(("/files", "/changes")) else LOOK


class Calls:
    """Requests for one account. Every one of them is counted in `requests`."""

    def __init__(self, means: Means) -> None:
        self.http = Http(means.endpoints, access=means.access, gate=means.gate, allowance=means.allowance)
        self._gate = means.gate
        self._slowed = 0

    @property
    def requests(self) -> int:
        return self.http.requests

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
        cap: int | None = None,
        calls: int = 1,
    ) -> Response:
        """The answer of any status, after which a pause that was asked for holds every thread. calls: in a batch."""
        more = {} if cap is None else {"cap": cap}
        response = self.http.request(
            method,
            address,
            params=params,
            headers=headers,
            content=content,
            authorised=authorised,
            expects=expects,
            units=calls * units(method, address, params or {}),
            **more,
        )
        if response.status < 400:
            self._slowed = 0
        elif response.status == 429 or reason(response) in _PAUSES or "retry-after" in response.headers:
            self._gate.close_for(self._pause(response))
        return response

    def _pause(self, response: Response) -> float:
        """How long to wait: what is said, or 1, 2, 4, 8, 16 seconds and a part of one, as Drive's guide asks."""
        said = retry_after(response) or _PAUSES.get(reason(response), 0.0)
        if said:
            return said
        self._slowed = min(self._slowed + 1, 5)
        return 2.0 ** (self._slowed - 1) + random.random()  # noqa: S311 - spreads callers, keeps nothing secret

    def send(self, method: str, address: str, *, params: Mapping[str, str] | None = None, body: Any = None) -> Response:
        """The answer of any status to a request whose body is JSON, if it has one."""
        content = None if body is None else msgspec.json.encode(body)
        headers = {} if body is None else {"Content-Type": "application/json; charset=UTF-8"}
        return self.request(method, address, params=params, headers=headers, content=content)

    def json(
        self, method: str, address: str, about: str, *, params: Mapping[str, str] | None = None, body: Any = None
    ) -> dict[str, Any]:
        """The answer to a request that must go well. about: what an error names."""
        response = self.send(method, address, params=params, body=body)
        if not response.ok:
            raise self.error(response, about)
        found: dict[str, Any] = response.json()
        return found

    def error(self, response: Response, about: str) -> ChatkeepError:
        """What a refusal means. about: the name of what was asked for."""
        status, why = response.status, reason(response)
        if status == 401:
            return SignInAgain("Google no longer accepts the sign-in.")
        if status == 429 or why in _PAUSES:
            wait = retry_after(response) or _PAUSES.get(why, 0.0) or 1.0
            return SlowDown("Google Drive asks for a pause.", wait_s=wait)
        if why in _FULL:
            return QuotaFull(f"{_FULL[why]}: {about}.")
        if status >= 500 or status == 408:
            return Unavailable(f"Google Drive does not answer as it should at present ({status}).")
        if status in (404, 410):
            return NotFound(f"{about} is not there.")
        what, hint = _REFUSED.get(why, ("Google Drive refused", ""))
        known = f" ({status} {why})" if why.isalnum() and len(why) < 60 else f" ({status})"
        return Refused(f"{what} {about}{known}.", hint=hint)

    def pages(self, address: str, about: str, params: Mapping[str, str]) -> Iterable[dict[str, Any]]:
        """All pages of a list or feed, one request each."""
        more = dict(params)
        while True:
            page = self.json("GET", address, about, params=more)
            yield page
            if not page.get("nextPageToken"):
                return
            more["pageToken"] = page["nextPageToken"]

    def batch(self, calls: list[tuple[str, str, Any]]) -> list[Response]:
        """The answers to at most 100 calls (method, path below the API, body or None) in one request, in their order.

        Drive may do them in any order. Raises if the whole was refused; each answer has a status of its own.
        """
        boundary = secrets.token_hex(12)
        content = b"".join(_part(boundary, number, *call) for number, call in enumerate(calls))
        headers = {"Content-Type": f"multipart/mixed; boundary={boundary}"}
        content += f"--{boundary}--\r\n".encode()
        response = self.request("POST", BATCH, headers=headers, content=content, expects="anything", calls=len(calls))
        if not response.ok:
            raise self.error(response, "A batch")
        answers = _answers(response)
        if answers.keys() != set(range(len(calls))):
            raise Unavailable("Google Drive did not answer every call of a batch.")
        for answer in answers.values():
            if answer.status == 429 or reason(answer) in _PAUSES:
                self._gate.close_for(self._pause(answer))
                break
        return [answers[number] for number in range(len(calls))]


def _part(boundary: str, number: int, method: str, path: str, body: Any) -> bytes:
    content = b"" if body is None else msgspec.json.encode(body)
    kind = "Content-Type: application/json; charset=UTF-8\r\n" if content else ""
    return (
        (
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <{number}>\r\n\r\n"
            f"{method} /drive/v3{path} HTTP/1.1\r\n{kind}Content-Length: {len(content)}\r\n\r\n"
        ).encode()
        + content
        + b"\r\n"
    )


def _answers(response: Response) -> dict[int, Response]:
    """The parts of a batch's answer by the number in their Content-ID, "response-7"."""
    boundary = response.headers.get("content-type", "").partition("boundary=")[2].strip('"').encode()
    found: dict[int, Response] = {}
    for part in (b"\r\n" + response.body).split(b"\r\n--" + boundary)[1:] if boundary else ():
        outer, _, inner = part.partition(b"\r\n\r\n")
        head, _, body = inner.partition(b"\r\n\r\n")
        number = _headers(outer).get("content-id", "").strip("<>").rpartition("response-")[2]
        status = head.split(b" ", 2)[1:2]
        if number.isdecimal() and status and status[0].isdigit():
            found[int(number)] = Response(int(status[0]), _headers(head), body)
    return found


def _headers(lines: bytes) -> dict[str, str]:
    pairs = (line.decode("latin-1").partition(":") for line in lines.split(b"\r\n"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def multipart(meta: Mapping[str, Any], kind: str, data: bytes) -> tuple[dict[str, str], bytes]:
    """Headers and body of an upload in one request: what the file is, and its bytes of this kind."""
    boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode()
    head += msgspec.json.encode(meta) + f"\r\n--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode()
    body = head + data + f"\r\n--{boundary}--\r\n".encode()
    return {"Content-Type": f"multipart/related; boundary={boundary}"}, body
