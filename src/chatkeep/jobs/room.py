"""Whether there is room for more in an archive, as the limits of its owner have it (`people.quotas`).

What an archive holds is counted at most once in a few seconds, so a limit may be passed by what comes within them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from chatkeep.jobs.means import Means
from chatkeep.operations import Progress, Step
from chatkeep.people import quotas

COUNTED_FOR_S = 5.0
_counted: dict[str, tuple[float, dict[str, int]]] = {}
_MOST_REMEMBERED = 10_000


def check(means: Means, archive: str, more: Mapping[str, int], *, now: bool = False) -> None:
    """Refuse what would go over a limit. more: bytes, attachment_bytes, connections; now: count what is held anew.

    Raises QuotaFull.
    """
    if not quotas.limits_of(archive):
        return
    quotas.check(archive, _used(means, archive, anew=now), more=more)


def watching(means: Means, archive: str, progress: Progress) -> Progress:
    """Progress that also stops the work with QuotaFull once the archive holds more than it may."""
    looked = time.monotonic()

    def tell(step: Step) -> None:
        nonlocal looked
        progress(step)
        if time.monotonic() - looked > COUNTED_FOR_S:
            looked = time.monotonic()
            check(means, archive, {}, now=True)

    return tell


def _used(means: Means, archive: str, *, anew: bool) -> dict[str, int]:
    at, used = _counted.get(archive, (0.0, {}))
    if anew or not used or time.monotonic() - at > COUNTED_FOR_S:
        used = means.used(archive)
        if len(_counted) > _MOST_REMEMBERED:
            _counted.clear()
        _counted[archive] = (time.monotonic(), used)
    return used


def forget(archive: Any = None) -> None:
    """Count anew at the next question: of one archive, or of all."""
    _counted.clear() if archive is None else _counted.pop(archive, None)
