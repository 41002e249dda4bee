"""What holds requests back in all processes alike, on the clock of the database."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from django.db import Error, connection, transaction
from django.utils import timezone

from chatkeep.connections.keeping import visiting
from chatkeep.connections.models import Pause, Spending
from chatkeep.providers.allowance import PATIENCE_S
from chatkeep.providers.http import LONGEST_WAIT_S

OVER_SINCE = timedelta(days=1)
LONGEST_PAUSE = timedelta(seconds=LONGEST_WAIT_S)
SAVED_UP = timedelta(seconds=1)
"""What was not spent is good for so long, so no second holds more than two seconds' worth."""
PATIENCE = timedelta(seconds=PATIENCE_S)


class KeptPause:
    """The pause of one account for all processes (`chatkeep.providers.SharedPause`), on the clock of the database.

    A database that does not answer holds up no request and breaks none: then each process knows its own pauses.
    """

    def __init__(self, provider: str, account: str) -> None:
        self._provider = provider
        self._gate = _hash(provider, account)

    def left_s(self) -> float:
        """How long nobody shall ask yet [s]. After the clock was set back the pause begins again, once."""
        try:
            with visiting():
                rows = Pause.objects.filter(gate=self._gate)
                found = rows.values_list("asked_at", "opens_at").first()
                if found is None:
                    return 0.0
                asked, opens = found
                opens = min(opens, asked + LONGEST_PAUSE)
                now = _now()
                if now < asked:
                    moved = now + (opens - asked)
                    rows.filter(asked_at=asked).update(asked_at=now, opens_at=moved)
                    opens = moved
                left: timedelta = opens - now
                return max(left.total_seconds(), 0.0)
        except Error:
            return 0.0

    def close_for(self, seconds: float) -> None:
        """Tell all processes. Pauses that were over long ago go."""
        try:
            with visiting(), transaction.atomic():
                now = _now()
                Pause.objects.filter(opens_at__lt=now - OVER_SINCE).delete()
                new = {"asked_at": now, "opens_at": now + timedelta(seconds=seconds)}
                row, made = Pause.objects.select_for_update().get_or_create(
                    gate=self._gate, defaults={"provider": self._provider, **new}
                )
                if not made and (row.opens_at < new["opens_at"] or now < row.asked_at):
                    Pause.objects.filter(pk=row.pk).update(**new)
        except Error:
            return


class KeptAllowance:
    """What one app may ask of a provider each second, in all processes together (`chatkeep.providers.Allowance`).

    A database that does not answer holds up no request and breaks none.
    """

    def __init__(self, provider: str, client: str, *, per_s: float) -> None:
        self._provider = provider
        self._app = _hash(provider, client)
        self._per_s = per_s

    def take(self, units: int) -> float:
        """The time until so many units may be spent [s]. Of a wait above PATIENCE none are taken."""
        try:
            with visiting(), transaction.atomic():
                start = {"provider": self._provider, "spent_until": _now() - SAVED_UP}
                row, _ = Spending.objects.select_for_update().get_or_create(app=self._app, defaults=start)
                now = _now()
                before: datetime = max(row.spent_until, now - SAVED_UP)
                if before > now + PATIENCE:  # none goes so far: the clock was set back
                    before = now
                until = before + timedelta(seconds=units / self._per_s)
                if until <= now + PATIENCE:
                    Spending.objects.filter(pk=row.pk).update(spent_until=until)
                return max((until - now).total_seconds(), 0.0)
        except Error:
            return 0.0


def _hash(provider: str, whose: str) -> str:
    return hashlib.sha256(f"{provider}\0{whose}".encode()).hexdigest()


def _now() -> datetime:
    """On the clock of the database, which is one for all machines; that of a file is this machine's."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
        return found
