"""Asking whether something is on for a person.

A process remembers how the flags stand for FRESH_S. So a change reaches every process within that time, and pages ask
as often as they like. Work that writes asks `now`, which looks into the database each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
from django.conf import settings

from chatkeep.errors import ChatkeepError
from chatkeep.rollout import declared, rings
from chatkeep.rollout.declared import FLAGS, Flag, Rule
from chatkeep.rollout.models import Standing
from chatkeep.rollout.rings import Person

FRESH_S = 3.0


class SwitchedOff(ChatkeepError):
    """The operator has switched this off, for everybody or for some. flag: which one."""

    temporary = True
    standing_hint = "Nothing is lost. What waits goes on by itself once it is switched on again."

    def __init__(self, what: str, *, flag: str) -> None:
        super().__init__(what)
        self.flag = flag


class State(msgspec.Struct, frozen=True):
    """How a flag stands; see `models.Standing`."""

    flag: Flag
    ring: str
    since: datetime | None = None
    killed: bool = False
    why: str = ""
    rule: Rule | None = None
    fell: str = ""
    fell_at: datetime | None = None
    number: int = 0

    def is_on(self, person: Person) -> bool:
        """Whether a person has it."""
        return not self.killed and rings.holds(self.ring, self.flag.name, person)


def states() -> dict[str, State]:
    """How all flags stand now, by name, in the order they were declared in."""
    rows = {row.flag: row for row in Standing.objects.filter(flag__in=list(FLAGS))}
    return {name: _state(flag, rows.get(name)) for name, flag in FLAGS.items()}


def state(name: str) -> State:
    """How a flag stands now. Raises NotFound."""
    flag = declared.flag(name)
    return _state(flag, Standing.objects.filter(flag=name).first())


def _state(flag: Flag, row: Standing | None) -> State:
    if row is None:
        return State(flag=flag, ring=default_ring(flag), rule=flag.rule)
    return State(
        flag=flag,
        ring=rings.EVERYONE if flag.is_switch else row.ring,
        since=row.since,
        killed=row.killed,
        why=row.why,
        rule=msgspec.convert(row.rule, Rule) if row.rule else None,
        fell=row.fell,
        fell_at=row.fell_at,
        number=row.number,
    )


def is_staged() -> bool:
    """Whether many people are served here, so that there are rings at all, and somebody who runs them."""
    return bool(settings.CHATKEEP.is_server)


def default_ring(flag: Flag) -> str:
    """The ring a flag is in until somebody changes it."""
    return flag.server if is_staged() else flag.laptop


class Remembered:
    """How the flags stand, asked for again after `fresh_s` [s] of a clock that nobody sets."""

    def __init__(
        self,
        *,
        fresh_s: float = FRESH_S,
        look: Callable[[], Mapping[str, State]] = states,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fresh_s = fresh_s
        self._look = look
        self._clock = clock
        self._seen: tuple[float, Mapping[str, State]] | None = None

    def states(self) -> Mapping[str, State]:
        """How they stand, or stood at most `fresh_s` ago."""
        seen, now = self._seen, self._clock()
        if seen is None or now - seen[0] >= self._fresh_s:
            seen = self._seen = (now, self._look())
        return seen[1]

    def forget(self) -> None:
        """Look again at the next question."""
        self._seen = None


REMEMBERED = Remembered()
"""What this process remembers."""


def enabled(name: str, who: Person) -> bool:
    """Whether a flag is on for a person, as it stood at most FRESH_S ago. Raises NotFound for one nobody declared."""
    declared.flag(name)
    return REMEMBERED.states()[name].is_on(who)


def on_for(who: Person, *, now: bool = False) -> frozenset[str]:
    """The flags that are on for a person, without the switches; now: as they stand this moment."""
    found = states() if now else REMEMBERED.states()
    return frozenset(name for name, one in found.items() if not one.flag.is_switch and one.is_on(who))


def ask(kind: str, who: Person, *, taking_back: bool = False) -> None:
    """Asked just before a job of this kind begins, of how things stand now.

    taking_back: it takes away what it once made, which does not need its flag.
    Raises SwitchedOff when it would write while writing is killed, or when what it does is not on for this person.
    """
    needed = "" if taking_back else declared.flag_of(kind)
    wanted = [declared.CLOUD_WRITES] if kind in declared.WRITES else []
    found = {name: state(name) for name in (*wanted, *filter(None, [needed]))}
    if any(found[name].killed for name in wanted):
        raise SwitchedOff("Writing to places is switched off at the moment.", flag=declared.CLOUD_WRITES)
    if needed and not found[needed].is_on(who):
        raise SwitchedOff("This is not open to you at the moment.", flag=needed)


def may_delete_by_sync() -> bool:
    """Whether a sync may delete here what other devices deleted, as it stands now."""
    return not state(declared.SYNC_DELETIONS).killed
