"""Looks whether all is well, and tells people who run no Prometheus: once when something is wrong, once at its end.

What may mend itself is told after two failed runs or a day. A look that finds nothing bad calls the watchdog, if there
is one: when the machine is off, nobody calls it, and it says so in our place.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from django.utils import timezone

from chatkeep.connections.installation import OWN
from chatkeep.connections.models import Connection
from chatkeep.connections.safe import Safe
from chatkeep.settings import Settings
from chatkeep.watching import channels
from chatkeep.watching.channels import Word
from chatkeep.watching.findings import PATIENCE, Finding, findings
from chatkeep.watching.models import Channels, Notice

EVERY = timedelta(minutes=1)
MOST = 200
"""So many archives of a server are looked at in one round, those that were longest ago first."""
WEEK = timedelta(days=7)
LONGEST_WAIT = timedelta(hours=1)


class Checker:
    """One for each process that works; several do not tell the same twice.

    safe_of, home_of: of an archive. clock: the time of day.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        safe_of: Callable[[str], Safe],
        home_of: Callable[[str], Path],
        clock: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._settings = settings
        self._safe_of = safe_of
        self._home_of = home_of
        self._clock = clock
        self._last: float | None = None
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Look, at most once a minute."""
        with self._lock:
            if self._last is not None and time.monotonic() - self._last < EVERY.total_seconds():
                return
            self._last = time.monotonic()
        self.look()

    def look(self) -> None:
        """Look at every archive whose turn it is, now."""
        now = self._clock()
        if not self._settings.is_server:
            Channels.objects.get_or_create(archive=OWN)
        due = Channels.objects.exclude(checked_at__gt=now - EVERY / 2).order_by("checked_at", "id")
        for row in due[:MOST]:
            mine = Channels.objects.filter(pk=row.pk, checked_at=row.checked_at).update(checked_at=now)
            if mine:  # no other process looks at it in this minute
                self._look_at(row, now)

    def _look_at(self, row: Channels, now: datetime) -> None:
        archive, guarded = str(row.archive), self._settings.is_server
        to = channels.ways(row, self._safe_of(archive), self._settings)
        found = findings(home=self._home_of(archive), now=now, archive=archive)
        notices = {(notice.code, notice.subject): notice for notice in Notice.objects.filter(archive=archive)}
        for finding in found:
            notice = notices.pop((finding.code, finding.subject), None) or _noticed(archive, finding, now)
            if to.any and notice.told_at is None and _is_due(finding, notice, now):
                _tell(notice, to, _word(finding), now, guarded=guarded)
        for notice in notices.values():
            if notice.told_at is None or not to.any or not channels.tell(to, _over(notice), guarded=guarded):
                notice.delete()
        if to.ping and not any(finding.level == "bad" and finding.settled for finding in found):
            channels.ping(to, guarded=guarded)
        if row.digest and to.any:
            self._digest(row, to, found, now, guarded=guarded)

    def _digest(self, row: Channels, to: channels.Ways, found: list[Finding], now: datetime, *, guarded: bool) -> None:
        if row.digest_at is not None and now - row.digest_at < WEEK:
            return
        Channels.objects.filter(pk=row.pk).update(digest_at=now)
        if row.digest_at is not None:  # the first week begins when it was wished for
            channels.tell(to, _week(str(row.archive), found), guarded=guarded)


def _noticed(archive: str, finding: Finding, now: datetime) -> Notice:
    row, _ = Notice.objects.get_or_create(
        archive=archive,
        code=finding.code,
        subject=finding.subject,
        defaults={"what": finding.what[:500], "first_seen": now},
    )
    return row


def _is_due(finding: Finding, notice: Notice, now: datetime) -> bool:
    """Whether it has lasted, and whether it is time to try again after nobody could be reached."""
    if not finding.settled and now - notice.first_seen < PATIENCE:
        return False
    wait = min(timedelta(minutes=2.0 ** min(notice.tries, 6)), LONGEST_WAIT)
    return notice.tried_at is None or now - notice.tried_at >= wait


def _tell(notice: Notice, to: channels.Ways, word: Word, now: datetime, *, guarded: bool) -> None:
    """Tell it; one way that works is enough, so that a broken second way does not repeat the first."""
    asked = sum(bool(way) for way in (to.mail, to.ntfy, to.webhook))
    troubles = channels.tell(to, word, guarded=guarded)
    notice.tried_at, notice.what = now, word.text.partition("\n")[0][:500]
    if len(troubles) < asked:
        notice.told_at = now
    else:
        notice.tries += 1
    notice.save()


_TITLES = {
    "disk": "the disk is nearly full",
    "signed-out": "an account is signed out",
    "sign-in-ends": "a sign-in ends soon",
    "damaged": "a backup is damaged",
    "paused": "backups are paused",
    "failing": "backups fail",
    "late": "a backup is late",
    "drill-old": "no restore was rehearsed lately",
    "brake": "deletions wait for you",
    "place-full": "a place is nearly full",
}


def _word(finding: Finding) -> Word:
    text = f"{finding.what}\n{finding.hint}".strip()
    return Word(_TITLES[finding.code], text, code=finding.code, urgent=finding.level == "bad")


def _over(notice: Notice) -> Word:
    return Word(f"over: {_TITLES[notice.code]}", f"This is over: {notice.what}", code=notice.code, over=True)


def _week(archive: str, found: list[Finding]) -> Word:
    places = Connection.objects.filter(archive=archive)
    lines = [
        f"{place.name}: last backup {place.backed_up_at:%d %B %Y, %H:%M} UTC, "
        f"{(place.backed_up or {}).get('conversations', 0):,} conversations."
        if place.backed_up_at
        else f"{place.name}: no backup yet."
        for place in places
    ]
    lines += [finding.what for finding in found] or ["Nothing is wrong."]
    return Word("your week", "\n".join(lines))
