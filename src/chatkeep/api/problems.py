"""Every error as a JSON problem (RFC 9457): type, title, status, detail, hint. Never a trace, never chat text."""

from __future__ import annotations

import logging
import traceback

import msgspec
from django.http import HttpResponse

from chatkeep.errors import (
    Busy,
    ChatkeepError,
    NotFound,
    QuotaFull,
    Refused,
    SignInAgain,
    SlowDown,
    Unavailable,
    UnknownFormat,
    UnsafeSource,
    VaultTooNew,
    WrongUse,
)

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:chatkeep:problem:"

TITLES = {
    400: ("bad-request", "The request cannot be read"),
    401: ("no-token", "No valid token"),
    403: ("not-allowed", "Not allowed"),
    404: ("not-found", "Not found"),
    405: ("wrong-method", "Not possible here"),
    409: ("conflict", "It does not fit what is there"),
    411: ("length-required", "The length must be told"),
    412: ("changed", "It was changed meanwhile"),
    413: ("too-large", "Too large"),
    415: ("wrong-content-type", "Another content type is needed"),
    422: ("not-understood", "The values do not fit"),
    429: ("slow-down", "Too many requests"),
    500: ("broken", "Something went wrong that should not"),
    503: ("unavailable", "Not possible at present"),
    507: ("full", "No space is left"),
}
_STATUS = (
    (NotFound, 404),
    ((WrongUse, UnknownFormat, UnsafeSource, VaultTooNew), 422),
    (Refused, 403),
    (SignInAgain, 409),
    (SlowDown, 429),
    ((Busy, Unavailable), 503),
    (QuotaFull, 507),
)
_log = logging.getLogger(__name__)


class ApiError(ChatkeepError):
    """A request that is answered with a problem of this status."""

    def __init__(self, status: int, what: str, *, hint: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(what, hint=hint)
        self.status = status
        self.headers = headers or {}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong, as it is answered."""

    type: str
    title: str
    status: int
    detail: str
    hint: str = ""


def status_of(error: ChatkeepError) -> int:
    """The status that an error is answered with."""
    if isinstance(error, ApiError):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(status: int, detail: str, hint: str = "") -> Problem:
    """A problem in words."""
    code, title = TITLES[status]
    return Problem(TYPE + code, title, status, detail, hint)


def answer(error: BaseException) -> HttpResponse:
    """The answer for an error. Of one that is not ours only its kind and place are logged: its text may quote."""
    if not isinstance(error, ChatkeepError):
        frames = traceback.extract_tb(error.__traceback__)
        where = "\n".join(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
        _log.error("A request failed with %s:\n%s", type(error).__name__, where)
        return respond(500, TITLES[500][1] + ".", "Nothing that was saved is touched. Try again.")
    headers = dict(error.headers) if isinstance(error, ApiError) else {}
    if isinstance(error, SlowDown):
        headers["Retry-After"] = str(max(1, round(error.wait_s)))
    elif error.temporary:
        headers["Retry-After"] = "5"
    return respond(status_of(error), error.what, error.hint, headers)


def respond(status: int, detail: str, hint: str = "", headers: dict[str, str] | None = None) -> HttpResponse:
    """The answer for a problem."""
    body = msgspec.json.encode(problem(status, detail, hint))
    return HttpResponse(body, status=status, content_type=MEDIA_TYPE, headers=headers or {})
