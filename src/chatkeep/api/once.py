"""A request with an Idempotency-Key is done once: repeated within a day, it gets the same answer again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone

from chatkeep.api.models import Answer
from chatkeep.api.problems import ApiError
from chatkeep.connections.safe import Safe

KEPT = timedelta(hours=24)
LONGEST_WORK = timedelta(minutes=2)
LONGEST_KEY = 255
_KEPT_HEADERS = ("Content-Type", "ETag", "Location")


def once(
    token: int, request: HttpRequest, body: bytes, safe: Safe, do: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    """Do it, unless it was done under the same key: then the answer it had.

    What may go better the next time (429, and what begins with 5) is not kept.
    Raises ApiError: 422 when the key stands for another request, 409 while the first one is at work.
    """
    key = request.headers["Idempotency-Key"]
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise ApiError(400, f"An Idempotency-Key has 1 to {LONGEST_KEY} printable signs.")
    row = _begin(token, key, _hash(request, body))
    if row.status:
        return _again(row, safe)
    try:
        response = do()
    except BaseException:
        row.delete()
        raise
    if response.status_code >= 500 or response.status_code == 429 or not isinstance(response, HttpResponse):
        row.delete()
    else:
        headers = {name: response[name] for name in _KEPT_HEADERS if response.has_header(name)}
        Answer.objects.filter(pk=row.pk).update(
            status=response.status_code,
            headers=headers,
            body=safe.seal(bytes(response.content), place=row.place("body")),
        )
    return response


def sweep() -> int:
    """Drop the answers that are older than a day. How many."""
    return Answer.objects.filter(made_at__lt=timezone.now() - KEPT).delete()[0]


def _hash(request: HttpRequest, body: bytes) -> str:
    behalf = request.headers.get("Chatkeep-On-Behalf-Of", "")
    head = "\0".join((request.method or "", request.get_full_path(), behalf, request.headers.get("Content-Type", "")))
    return hashlib.sha256(head.encode("utf-8", "surrogatepass") + b"\0" + body).hexdigest()


def _begin(token: int, key: str, request_hash: str) -> Answer:
    """The row of the key: a new one, or one with its answer."""
    now = timezone.now()
    for _ in range(3):
        try:
            with transaction.atomic():
                return Answer.objects.create(token_id=token, key=key, request_hash=request_hash, made_at=now)
        except IntegrityError:
            row = Answer.objects.filter(token=token, key=key).first()
        if row is None:
            continue
        too_old = now - row.made_at > (KEPT if row.status else LONGEST_WORK)
        if too_old:  # a day has passed, or whoever was at work died
            Answer.objects.filter(pk=row.pk, made_at=row.made_at, status=row.status).delete()
            continue
        if row.request_hash != request_hash:
            raise ApiError(
                422, "This Idempotency-Key stood for another request.", hint="Make a new key for a new request."
            )
        if row.status:
            return row
        break
    raise ApiError(
        409, "The request of this Idempotency-Key is still at work.", hint="Try again.", headers={"Retry-After": "1"}
    )


def _again(row: Answer, safe: Safe) -> HttpResponse:
    body = safe.unseal(bytes(row.body), place=row.place("body"))
    return HttpResponse(body, status=row.status, headers={**row.headers, "Idempotent-Replayed": "true"})
