"""What a process that works does beside its jobs: looks whether all is well, and whether the archives are whole."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from django.utils import timezone

from chatkeep.connections.installation import OWN
from chatkeep.jobs.means import Means
from chatkeep.jobs.models import Job, State
from chatkeep.people.models import Membership
from chatkeep.settings import Settings
from chatkeep.watching import signs
from chatkeep.watching.checker import Checker

EVERY = timedelta(days=1)
MOST = 20
_TRIED = "database looked at"


def chores(settings: Settings, means: Means) -> tuple[Callable[[], None], ...]:
    """The chores of a process with these means."""

    checker = Checker(
        settings,
        safe_of=lambda archive: means.installation_of(archive).safe,
        home_of=lambda archive: means.installation_of(archive).home,
    )
    return checker, Integrity(settings, means)


class Integrity:
    """Once a day, while nothing else is at work, checks the archive of a laptop, or some of a server's by chance.

    What is found damaged leaves the moment of the last good check as it was; the gauge and its alert tell of that.
    """

    def __init__(
        self, settings: Settings, means: Means, *, clock: Callable[[], datetime] = timezone.now, most: int = MOST
    ) -> None:
        self._settings = settings
        self._means = means
        self._clock = clock
        self._most = most

    def __call__(self) -> None:
        """Check, if a day has passed since anybody did."""
        now = self._clock()
        last = signs.last(_TRIED)
        if last is not None and now - last < EVERY:
            return
        if not self._settings.is_server and Job.objects.filter(state=State.RUNNING).exists():
            return
        signs.give(_TRIED, at=now)
        if not any(self._means.archive_of(archive).check() for archive in self._chosen()):
            signs.give(signs.WHOLE, at=now)

    def _chosen(self) -> list[str]:
        if not self._settings.is_server:
            return [OWN]
        rows = Membership.objects.order_by("pk").values_list("archive", flat=True)
        number = rows.count()
        places = random.sample(range(number), min(self._most, number))
        return [rows[place] for place in places]
