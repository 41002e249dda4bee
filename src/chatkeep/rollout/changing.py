"""Changing a flag: each change is one transaction with its line in the audit log, or does not happen.

The log is handed in (`Note`), because people and flags do not know one another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec
from django.db import transaction
from django.utils import timezone

from chatkeep.errors import WrongUse
from chatkeep.rollout import comparing, flags, rings
from chatkeep.rollout.comparing import Compared
from chatkeep.rollout.declared import Rule
from chatkeep.rollout.flags import State
from chatkeep.rollout.models import Round, Standing

ITSELF = "the watch over flags"
"""Who changes a flag when nobody does."""
EVERY = timedelta(seconds=60)
SETTLED = timedelta(days=14)
"""After so long with everybody a flag goes back by hand alone."""


class Note(Protocol):
    """Appends a line to the audit log."""

    def __call__(self, actor: str, what: str, about: str = "", details: dict[str, Any] = ..., /) -> object: ...


def move(name: str, ring: str, *, by: str, note: Note, seen: int | None = None) -> State:
    """Put a flag into a ring.

    seen: the number of the state that the change was decided on; when it has another by now, WrongUse, and nothing
    changes.
    """
    state = flags.state(name)
    if state.flag.is_switch:
        raise WrongUse(f"{name} is a kill switch: it is on for everybody, or killed.")
    if rings.checked(ring) == state.ring:
        raise WrongUse(f"{name} is in this ring already.")
    details = {"from": state.ring, "to": ring}
    return _change(state, seen, by, note, "flag.moved", details, ring=ring, since=timezone.now())


def kill(name: str, *, by: str, why: str, note: Note, seen: int | None = None) -> State:
    """Switch something off for everybody, at once. Its ring stays, for when it is lifted. WrongUse without why."""
    state = flags.state(name)
    if not why.strip():
        raise WrongUse("Say why it is killed: people who come later will ask.")
    if state.killed:
        raise WrongUse(f"{name} is killed already.")
    return _change(
        state,
        seen,
        by,
        note,
        "flag.killed",
        {"why": why.strip()},
        killed=True,
        why=why.strip()[:500],
        since=timezone.now(),
    )


def lift(name: str, *, by: str, note: Note, seen: int | None = None) -> State:
    """Take back a kill. The flag is watched anew from now on."""
    state = flags.state(name)
    if not state.killed:
        raise WrongUse(f"{name} is not killed.")
    return _change(state, seen, by, note, "flag.lifted", {}, killed=False, why="", since=timezone.now())


def watch_by(name: str, rule: Rule | None, *, by: str, note: Note, seen: int | None = None) -> State:
    """Say when a flag goes back by itself; None for never. Raises WrongUse for numbers that make no sense."""
    state = flags.state(name)
    if state.flag.is_switch:
        raise WrongUse(f"{name} is a kill switch: it has nowhere to go back to.")
    if rule is not None:
        _check(rule)
    plain = msgspec.to_builtins(rule)
    return _change(state, seen, by, note, "flag.rule", {"rule": plain}, rule=plain)


def _check(rule: Rule) -> None:
    numbers = {"fewest": (5, 100_000), "lowest": (1, 100), "drop": (1, 100), "hours": (1, 24 * 31)}
    for field, (least, most) in numbers.items():
        if not least <= getattr(rule, field) <= most:
            raise WrongUse(f"Of a rule, {field} is from {least:,} to {most:,}.")
    if not rule.kinds:
        raise WrongUse("A rule watches at least one kind of job.")


def seen(name: str, *, by: str, note: Note) -> State:
    """Take the notice away that a flag went back by itself."""
    state = flags.state(name)
    return _change(state, None, by, note, "flag.seen", {}, fell="") if state.fell else state


def _change(
    state: State, expected: int | None, by: str, note: Note, what: str, details: Mapping[str, Any], **changes: Any
) -> State:
    name = state.flag.name
    stale = WrongUse("Somebody changed this flag meanwhile.", hint="Look at how it stands now, and decide again.")
    if expected is not None and expected != state.number:
        raise stale
    with transaction.atomic():
        _make(state)
        row = Standing.objects.filter(flag=name, number=state.number)
        if not row.update(number=state.number + 1, **changes):
            raise stale
        note(by, what, f"flag:{name}", dict(details))
    flags.REMEMBERED.forget()
    return flags.state(name)


def know() -> None:
    """Begin to count the days of flags that this server sees for the first time, in the ring they were declared in."""
    for state in flags.states().values():
        if state.since is None and not state.flag.is_switch:
            _make(state)


def _make(state: State) -> None:
    """A row for a flag that had none."""
    if not Standing.objects.filter(flag=state.flag.name).exists():
        row = Standing(flag=state.flag.name, ring=state.ring, rule=msgspec.to_builtins(state.rule))
        Standing.objects.bulk_create([row], ignore_conflicts=True)  # somebody else may do so at the same moment


# ---------------------------------------------------------------- going back by itself

Compare = Callable[[State, datetime], Sequence[Compared]]
"""The runs of those who have a flag and of the others since a moment, for the kinds of its rule."""


def watch(compare: Compare, *, note: Note, now: datetime | None = None) -> list[State]:
    """Look at all flags that have a rule, and set back one whose numbers fell. Gives it, as it stands now.

    When several fell at once, one of them is to blame, most likely the one that was changed last. So one goes back at a
    time, and only what happened since the last change of any flag counts: if that was not it, the next one follows.
    """
    moment = now or timezone.now()
    found = flags.states().values()
    latest = [one.since for one in found if one.since]
    for state in sorted(filter(lambda one: _is_suspect(one, moment), found), key=_changed, reverse=True):
        assert state.rule is not None
        since = max([*latest, moment - timedelta(hours=state.rule.hours)])
        if why := comparing.fallen(state.rule, compare(state, since)):
            with contextlib.suppress(WrongUse):  # somebody changed it at this moment: that counts
                return [_set_back(state, why, note, moment)]
    return []


def _is_suspect(state: State, now: datetime) -> bool:
    """Whether a flag could be what broke. What everybody has had for a while is not what broke today."""
    if state.rule is None or state.killed or state.ring == rings.OFF:
        return False
    return state.ring != rings.EVERYONE or (state.since is not None and now - state.since < SETTLED)


def _changed(state: State) -> float:
    return state.since.timestamp() if state.since else 0.0


def _set_back(state: State, why: str, note: Note, now: datetime) -> State:
    assert state.rule is not None
    ring = rings.OFF if state.rule.off else rings.inner(state.ring)
    details = {"from": state.ring, "to": ring, "why": why}
    changes: dict[str, Any] = {"ring": ring, "since": now, "fell": why[:500], "fell_at": now}
    return _change(state, state.number, ITSELF, note, "flag.fell", details, **changes)


def is_my_turn(name: str, *, every: timedelta = EVERY, now: datetime | None = None) -> bool:
    """Whether this process shall make a round now: of all that ask, on all machines, one gets a yes in `every`.

    A clock that was set back does not stop the rounds.
    """
    moment = now or timezone.now()
    due = Round.objects.filter(name=name).exclude(at__gt=moment - every, at__lte=moment)
    if due.update(at=moment):
        return True
    return Round.objects.get_or_create(name=name, defaults={"at": moment})[1]
