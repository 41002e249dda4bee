"""Telling other programs what happened: messages that are signed, tried again, and hold ids and counts alone.

What is to be told is found by looking through the jobs that ended (`gather`), and put down as rows before anything is
sent; a row is delivered by whichever worker claims it first. So a message is told at least once, with an id by which
its receiver knows it again, and no end of a job is missed while nobody was running.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.db.models import Q
from django.utils import timezone

from chatkeep.api.models import Delivery, Webhook
from chatkeep.connections.safe import Safe
from chatkeep.errors import ChatkeepError, NotFound, Refused, WrongUse
from chatkeep.jobs.models import Job, State
from chatkeep.providers import posting

WAITS = tuple(timedelta(seconds=s) for s in (10, 30, 120, 600, 1800, 3600, 7200, 14400))
GIVEN_UP_AFTER = timedelta(hours=24)
KEPT = timedelta(days=7)
MOST_WEBHOOKS = 20
_OVERLAP = timedelta(minutes=2)
_CLAIM = timedelta(minutes=2)
_AT_ONCE = 20
_STATES = {State.DONE: "done", State.PROBLEMS: "done", State.FAILED: "failed"}
_COUNTS = (
    "added", "updated", "unchanged", "conversations", "messages", "files", "bytes", "new_documents", "new_attachments",
    "bytes_sent", "requests", "verified", "expected", "restored", "changed", "pulled", "merged", "conflicts", "deleted",
    "pushed", "ok", "damaged", "missing", "read", "snapshots", "receipt", "snapshot", "dry_run",
)  # fmt: skip


def add(archive: str, url: str, events: Sequence[str], safe: Safe) -> tuple[str, Webhook]:
    """Tell a URL of these events from now on: the secret that its messages are signed with, and the row.

    Raises Refused for a URL that is none, WrongUse for too many webhooks. Where it leads is checked at each message.
    """
    posting.checked(url)
    if Webhook.objects.filter(archive=archive).count() >= MOST_WEBHOOKS:
        raise WrongUse(f"There are {MOST_WEBHOOKS} webhooks already.", hint="Remove one that is not needed.")
    secret = "whsec_" + secrets.token_urlsafe(32)
    row = Webhook(archive=archive, url=url, events=sorted(set(events)))
    row.secret = safe.seal(secret.encode(), place=row.place("secret"))
    row.save()
    return secret, row


def find(uid: str, archive: str) -> Webhook:
    """A webhook of an archive. Raises NotFound."""
    row = Webhook.objects.filter(uid=uid, archive=archive).first()
    if row is None:
        raise NotFound("There is no such webhook.")
    return row


def sign(secret: str, body: bytes, at: int) -> str:
    """The signature of a message: when it was sent, and HMAC-SHA-256 over "<at>.<body>"."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def tell(webhook: Webhook, event: str, key: str, data: dict[str, Any]) -> Delivery:
    """Put a message down to be delivered; one of the same key is told once."""
    row = _message(webhook, event, key, data)
    Delivery.objects.bulk_create([row], ignore_conflicts=True)
    return Delivery.objects.get(webhook=webhook, key=key)


# ------------------------------------------------------------------ what happened


def gather() -> int:
    """Put down what ended or paused since the last look, for everybody who wants to know. How many messages."""
    webhooks: dict[str, list[Webhook]] = {}
    for webhook in Webhook.objects.all():
        webhooks.setdefault(webhook.archive, []).append(webhook)
    if not webhooks:
        return 0
    now = timezone.now()
    since = min(one.seen_at for several in webhooks.values() for one in several) - _OVERLAP
    found = [_of(webhook, job) for job in _happened(list(webhooks), since) for webhook in webhooks[job.archive]]
    rows = [row for row in found if row is not None]
    known = set(Delivery.objects.filter(key__in={row.key for row in rows}).values_list("webhook__pk", "key"))
    new = [row for row in rows if (row.webhook.pk, row.key) not in known]
    Delivery.objects.bulk_create(new, ignore_conflicts=True)
    Webhook.objects.filter(seen_at__lt=now - _OVERLAP).update(seen_at=now)
    return len(new)


def _happened(archives: list[str], since: datetime) -> list[Job]:
    """Jobs that ended since a moment, and all that wait for a person."""
    wanted = Q(ended_at__gt=since, state__in=list(_STATES)) | Q(state=State.PAUSED)
    return list(Job.objects.filter(wanted, archive__in=archives).order_by("pk"))


def _of(webhook: Webhook, job: Job) -> Delivery | None:
    paused = job.state == State.PAUSED
    event = "job.paused" if paused else f"{job.kind}.{_STATES[State(job.state)]}"
    if event not in webhook.events:
        return None
    moment = job.started_at or job.requested_at
    if (moment if paused else job.ended_at or moment) < webhook.made_at:
        return None
    key = f"job {job.pk} {event}" + (f" {moment.timestamp():.6f}" if paused else "")
    return _message(webhook, event, key, _about(job))


def _about(job: Job) -> dict[str, Any]:
    """What a message says of a job. No words of anybody: what went wrong is read through the API, with a token."""
    report: dict[str, Any] = job.report or {}
    counts = {name: report[name] for name in _COUNTS if type(report.get(name)) in (int, bool)}
    ids = {name: report[name] for name in ("receipt", "snapshot") if report.get(name)}
    problems = len(report.get("problems", ()))
    return {"job": job.pk, "kind": job.kind, "state": str(job.state), **counts, **ids, "problems": problems}


def _message(webhook: Webhook, event: str, key: str, data: dict[str, Any]) -> Delivery:
    row = Delivery(webhook=webhook, event=event, key=key)
    at = row.made_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    body = {"id": row.uid, "event": event, "at": at, "webhook": webhook.uid, "data": data}
    row.body = msgspec.json.encode(body).decode()
    return row


# ------------------------------------------------------------------ delivering


def deliver(
    safe_of: Callable[[str], Safe], *, allowed: Sequence[posting.Network] = (), post: Callable[..., int] = posting.post
) -> int:
    """Try the messages that are due, each claimed first so that no other worker tries it. How many were tried."""
    now = timezone.now()
    due = Delivery.objects.filter(due_at__lte=now).select_related("webhook").order_by("due_at")[:_AT_ONCE]
    tried = 0
    for row in due:
        if Delivery.objects.filter(pk=row.pk, due_at=row.due_at).update(due_at=timezone.now() + _CLAIM):
            _try(row, safe_of(row.webhook.archive), allowed, post)
            tried += 1
    return tried


def _try(row: Delivery, safe: Safe, allowed: Sequence[posting.Network], post: Callable[..., int]) -> None:
    body, at = row.body.encode(), int(timezone.now().timestamp())
    status, trouble = None, ""
    try:
        secret = safe.unseal(bytes(row.webhook.secret), place=row.webhook.place("secret")).decode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Chatkeep",
            "Chatkeep-Id": row.uid,
            "Chatkeep-Event": row.event,
            "Chatkeep-Signature": sign(secret, body, at),
        }
        status = post(row.webhook.url, body, headers, allowed=allowed)
        trouble = "" if 200 <= status < 300 else f"It answered with {status}."
    except Refused as error:
        trouble = f"{error.what} {error.hint}".strip()
    except ChatkeepError as error:
        trouble = error.what
    _note(row, status, trouble)


def _note(row: Delivery, status: int | None, trouble: str) -> None:
    now = timezone.now()
    attempts = row.attempts + 1
    wait = WAITS[min(attempts, len(WAITS)) - 1]
    again = now + wait if trouble and now + wait < row.made_at + GIVEN_UP_AFTER else None
    Delivery.objects.filter(pk=row.pk).update(
        attempts=attempts,
        status=status,
        trouble=trouble[:500],
        due_at=again,
        delivered_at=None if trouble else now,
    )
    hooks = Webhook.objects.filter(pk=row.webhook.pk)
    if not trouble:
        hooks.update(failing_since=None, trouble="")
    else:
        hooks.update(trouble=trouble[:500])
        hooks.filter(failing_since=None).update(failing_since=now)


def sweep() -> int:
    """Drop messages that are older than a week. How many."""
    return Delivery.objects.filter(made_at__lt=timezone.now() - KEPT).delete()[0]
