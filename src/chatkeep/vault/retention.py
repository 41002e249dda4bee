"""Which snapshots stay, and why: planning alone, nothing is touched here.

Every device is judged by itself: its newest snapshot always stays, and so does everything younger than the floor, so
that a plan made by mistake, or by a clock that runs ahead, leaves days in which to notice. Snapshots of other
programs are not ours to judge; they always stay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from chatkeep.errors import WrongUse
from chatkeep.vault.snapshot import Snapshot

LEAST_FLOOR_DAYS = 2
"""No policy forgets what is younger than this [days]."""

NEWEST = "newest of its device"
YOUNG = "young"
FOREIGN = "made by another program"

_PERIODS: list[tuple[str, Callable[[datetime], object]]] = [
    ("hourly", lambda time: (time.date(), time.hour)),
    ("daily", lambda time: time.date()),
    ("weekly", lambda time: time.isocalendar()[:2]),
    ("monthly", lambda time: (time.year, time.month)),
    ("yearly", lambda time: time.year),
]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How many snapshots of each device are kept: the last ones, and the newest of so many hours, days, weeks, months
    and years in which there was one (in UTC).

    floor_days: what is younger is kept in any case. Raises WrongUse for a floor below the least, and for numbers
    below zero.
    """

    last: int = 10
    hourly: int = 12
    daily: int = 14
    weekly: int = 8
    monthly: int = 12
    yearly: int = 50
    floor_days: int = LEAST_FLOOR_DAYS

    def __post_init__(self) -> None:
        if self.floor_days < LEAST_FLOOR_DAYS:
            raise WrongUse(f"Backups younger than {LEAST_FLOOR_DAYS} days are never forgotten.")
        if min(self.last, *(getattr(self, name) for name, _ in _PERIODS)) < 0:
            raise WrongUse("A number of backups to keep is not below zero.")


class Kept(msgspec.Struct, frozen=True):
    """A snapshot that stays, and why: "last", "daily" …, "young", "newest of its device"."""

    snapshot: Snapshot
    reasons: list[str]


class Plan(msgspec.Struct, frozen=True):
    """What a policy does to some snapshots. Both lists are oldest first."""

    kept: list[Kept]
    gone: list[Snapshot]


def plan(found: Iterable[Snapshot], policy: Policy, now: datetime, *, hosts: Iterable[str] | None = None) -> Plan:
    """What stays, with reasons, and what would go. hosts: those to judge; all snapshots of others stay."""
    judged = None if hosts is None else set(hosts)
    by_host: dict[str, list[Snapshot]] = defaultdict(list)
    reasons: dict[str, list[str]] = {}
    everything = sorted(found, key=lambda snapshot: (snapshot.time, snapshot.sequence))
    for snapshot in everything:
        if snapshot.foreign:
            reasons[snapshot.id] = [FOREIGN]
        elif judged is None or snapshot.host in judged:
            by_host[snapshot.host].append(snapshot)
        else:
            reasons[snapshot.id] = ["of another device"]
    for own in by_host.values():
        reasons |= _of_one_host(own, policy, now)
    kept = [Kept(snapshot, reasons[snapshot.id]) for snapshot in everything if reasons[snapshot.id]]
    return Plan(kept, [snapshot for snapshot in everything if not reasons[snapshot.id]])


def _of_one_host(own: list[Snapshot], policy: Policy, now: datetime) -> dict[str, list[str]]:
    """The reasons to keep each snapshot of a device; none for those that go."""
    newest_first = sorted(own, key=lambda snapshot: (snapshot.sequence, snapshot.time), reverse=True)
    reasons: dict[str, list[str]] = {snapshot.id: [] for snapshot in newest_first}
    reasons[newest_first[0].id].append(NEWEST)
    for snapshot in newest_first[: policy.last]:
        reasons[snapshot.id].append("last")
    by_time = sorted(own, key=lambda snapshot: (snapshot.time, snapshot.sequence), reverse=True)
    for name, period in _PERIODS:
        for snapshot in _first_of_each(by_time, period, getattr(policy, name)):
            reasons[snapshot.id].append(name)
    floor = now - timedelta(days=policy.floor_days)
    for snapshot in own:
        if snapshot.time > floor:
            reasons[snapshot.id].append(YOUNG)
    return reasons


def _first_of_each(newest_first: list[Snapshot], period: Callable[[datetime], object], count: int) -> list[Snapshot]:
    """The newest snapshot of each of the newest `count` periods that have one."""
    first: dict[object, Snapshot] = {}
    for snapshot in newest_first:
        first.setdefault(period(snapshot.time.astimezone(UTC)), snapshot)
    return list(first.values())[:count]
