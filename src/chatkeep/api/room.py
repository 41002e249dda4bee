"""Whether there is room for what is pushed, without asking the database about each conversation."""

from __future__ import annotations

import threading
import time

from django.conf import settings

from chatkeep.api import house
from chatkeep.people import quotas

KNOWN_FOR_S = 30.0
_left: dict[str, tuple[float, dict[str, int]]] = {}
_lock = threading.Lock()


def take(archive_id: str, **more: int) -> None:
    """Count what is about to be kept, by the names of quotas. Raises QuotaFull when it is over what somebody may keep.

    What is left is looked up now and then, so that many who push at once may go over it by what they push in 30 s.
    """
    if not settings.CHATKEEP.is_server or _fits(archive_id, more):
        return
    used = house.means().used(archive_id)
    quotas.check(archive_id, used, more=more)
    owner = quotas.owner_of(archive_id)
    found = quotas.of(owner, used) if owner else []
    with _lock:
        if len(_left) > 10_000:
            _left.clear()
        left = {quota.name: 1 << 62 if quota.left is None else quota.left for quota in found}
        _left[archive_id] = time.monotonic(), left
    _fits(archive_id, more)


def forget() -> None:
    """Look everything up anew."""
    with _lock:
        _left.clear()


def _fits(archive_id: str, more: dict[str, int]) -> bool:
    """Whether it surely fits; then it is counted."""
    with _lock:
        at, left = _left.get(archive_id, (0.0, {}))
        if not at or time.monotonic() - at > KNOWN_FOR_S:
            return False
        if any(name in left and left[name] < number for name, number in more.items()):
            return False
        for name, number in more.items():
            if name in left:
                left[name] -= number
        return True
