"""One request: sent, tried again when that may help, and its answer read."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import msgspec

from chatkeep_client.errors import ChatkeepProblem, ChatkeepUnreachable
from chatkeep_client.values import Problem

TRIES = 5
_LONGEST_WAIT_S = 60.0
_MAY_PASS = frozenset({429, 502, 503, 504})


class Asking:
    """Sends requests to one server. Blocking; may be used by many threads.

    sleep: waits so many seconds.
    """

    def __init__(
        self,
        base: str,
        token: str,
        *,
        timeout_s: float,
        tries: int,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._http = httpx2.Client(
            base_url=base.rstrip("/") + "/api/v1/",
            headers={"Authorization": f"Bearer {token}", "User-Agent": "chatkeep-client"},
            timeout=timeout_s,
            transport=transport,
        )
        self._tries = tries
        self._sleep = sleep

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """The answer. What may pass is tried again, as late as Retry-After says; nothing is done twice by that.

        Raises ChatkeepProblem, and ChatkeepUnreachable when no answer came.
        """
        sent = {**({"Content-Type": content_type} if body is not None else {}), **(headers or {})}
        if method == "POST":
            sent.setdefault("Idempotency-Key", uuid.uuid4().hex)
        wanted = {name: value for name, value in (query or {}).items() if value not in (None, [], "")}
        for number in range(1, self._tries + 1):
            last = number == self._tries
            try:
                answer = self._http.request(method, path, params=wanted, content=body, headers=sent)
            except httpx2.TransportError as error:
                if last:
                    raise ChatkeepUnreachable(f"{type(error).__name__} after {number} tries.") from error
                self._sleep(_wait(number))
                continue
            if answer.is_success:
                return answer
            if answer.status_code == 304:
                return answer
            if last or not _may_pass(answer):
                raise _problem(answer)
            self._sleep(min(_told(answer) or _wait(number), _LONGEST_WAIT_S))
        raise AssertionError  # the last try returns or raises


def _may_pass(answer: httpx2.Response) -> bool:
    """Also a conflict that says when to ask again: the first request of the same key is still at work."""
    return answer.status_code in _MAY_PASS or (answer.status_code == 409 and "Retry-After" in answer.headers)


def _told(answer: httpx2.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else 0.0


def _wait(number: int) -> float:
    """Later and later, and not all at once [s]."""
    return 0.25 * 2.0**number * (0.75 + random.random() / 2)  # noqa: S311 - no secret


def _problem(answer: httpx2.Response) -> ChatkeepProblem:
    try:
        told = msgspec.json.decode(answer.content, type=Problem)
    except msgspec.MsgspecError:
        return ChatkeepProblem(answer.status_code, detail=answer.reason_phrase)
    return ChatkeepProblem(answer.status_code, type=told.type, detail=told.detail, hint=told.hint)
