"""How much one app may ask of a provider: all accounts that connected through one client id draw on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from chatkeep.errors import SlowDown

PATIENCE_S = 30.0
"""Waits up to this are slept; for a longer one SlowDown is raised, for the job to be put off."""
SHARE_S = 0.1
"""How much is taken at once, as a part of what the provider gives in a second. So all processes together ask the
database ten times a second at the most, however many requests they make."""


class Allowance:
    """What one app may still ask, in units of the provider, for all threads of this process.

    take: takes so many units from what all processes have, and gives the time until they may be spent [s]; of a wait
        above PATIENCE_S it takes none. What was taken and not spent stays good.
    per_s: how many units the provider gives the app each second.
    """

    def __init__(
        self,
        take: Callable[[int], float],
        *,
        per_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._take = take
        self._share = max(1, int(per_s * SHARE_S))
        self._clock = clock
        self._sleep = sleep
        self._taken = 0
        self._good_from = -float("inf")
        self._lock = threading.Lock()

    def spend(self, units: int = 1) -> None:
        """Return when so many units may be spent. Raises SlowDown when that is too far off; none is spent then."""
        with self._lock:  # while one thread asks for a share the others wait for it
            if self._taken < units:
                self._take_a_share(units)
            self._taken -= units
            left = self._good_from - self._clock()
        if left > 0:
            self._sleep(left)

    def _take_a_share(self, units: int) -> None:
        wanted = max(self._share, units)
        wait = self._take(wanted)
        if wait > PATIENCE_S:
            raise SlowDown("Everybody together asks as much of the provider as it lets one app ask.", wait_s=wait)
        self._taken += wanted
        self._good_from = max(self._good_from, self._clock() + wait)
