"""Signs of life of workers, and other moments that are remembered by a name."""

from __future__ import annotations

import os
import secrets
import socket
from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from chatkeep.watching.models import Sign

BEAT_S = 15.0
SILENT = timedelta(seconds=90)
"""A worker that has given no sign for so long is taken for gone."""
FORGOTTEN = timedelta(days=1)
WHOLE = "database whole"
_WORKER = "worker:"
_mine = f"{_WORKER}{socket.gethostname()[:60]}:{os.getpid()}:{secrets.token_hex(4)}"


def give(name: str, *, at: datetime | None = None) -> None:
    """Remember that something was so now."""
    Sign.objects.update_or_create(name=name, defaults={"at": at or timezone.now()})


def last(name: str) -> datetime | None:
    """When it was last so."""
    return Sign.objects.filter(name=name).values_list("at", flat=True).first()


def beat() -> None:
    """Give a sign of life of this process's worker, and forget those of processes that are long gone."""
    now = timezone.now()
    if not Sign.objects.filter(name=_mine).update(at=now):
        give(_mine)
        Sign.objects.filter(name__startswith=_WORKER, at__lt=now - FORGOTTEN).delete()


def retire() -> None:
    """Take this process's sign back: it ends in order."""
    Sign.objects.filter(name=_mine).delete()


def last_worker() -> datetime | None:
    """When any worker last gave a sign of life."""
    found: datetime | None = Sign.objects.filter(name__startswith=_WORKER).aggregate(last=Max("at"))["last"]
    return found


def workers(now: datetime) -> int:
    """How many workers live."""
    return Sign.objects.filter(name__startswith=_WORKER, at__gt=now - SILENT).count()
