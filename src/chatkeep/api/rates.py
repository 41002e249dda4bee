"""How often a token may ask: a bucket of requests in its row, so that all processes share it.

A process takes some requests from the bucket at a time and spends them by itself, so that not every request writes to
the database. What it has not spent is never more than that.
"""

from __future__ import annotations

import threading
import time
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from chatkeep.api.models import Token
from chatkeep.api.tokens import Access
from chatkeep.errors import SlowDown

_SHARE = 30  # of a minute's requests are taken at a time
_STALE_S = 60.0
_held: dict[int, tuple[int, float]] = {}
_lock = threading.Lock()


def spend(access: Access) -> None:
    """Count one request. Raises SlowDown with the time [s] until there is another one."""
    if not _spend_held(access.token):
        taken = _take(access)
        with _lock:
            left, _ = _held.get(access.token, (0, 0.0))
            _held[access.token] = left + taken - 1, time.monotonic()


def forget() -> None:
    """Let go of what this process holds, as if it had just begun."""
    with _lock:
        _held.clear()


def _spend_held(token: int) -> bool:
    with _lock:
        left, taken_at = _held.get(token, (0, 0.0))
        if left < 1 or time.monotonic() - taken_at > _STALE_S:
            _held.pop(token, None)
            return False
        _held[token] = left - 1, taken_at
        return True


def _take(access: Access) -> int:
    """Some requests out of the bucket, at least one."""
    with transaction.atomic():
        row = Token.objects.select_for_update().get(pk=access.token)
        now, most = timezone.now(), float(row.per_minute)
        passed = (now - row.level_at).total_seconds() if row.level_at else 60.0
        level = min(most, row.level + max(0.0, passed) * most / 60)
        wanted = max(1, row.per_minute // _SHARE)
        taken: int = min(wanted, int(level))
        if taken:
            Token.objects.filter(pk=row.pk).update(level=level - taken, level_at=now)
            return taken
    wait = timedelta(seconds=(1 - level) * 60 / most)
    raise SlowDown(
        f"This token may ask {row.per_minute:,} times a minute.",
        wait_s=wait.total_seconds(),
        hint="Wait as long as Retry-After says, or push several conversations with one request.",
    )
