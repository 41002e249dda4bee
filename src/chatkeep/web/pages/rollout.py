"""For operators: every flag, who has it, how it does beside those who do not have it, and how it is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from chatkeep.errors import WrongUse
from chatkeep.feedback import triage
from chatkeep.feedback.models import Report
from chatkeep.feedback.telling import open_losses
from chatkeep.jobs import staged
from chatkeep.people import audit
from chatkeep.people.models import User
from chatkeep.people.roles import may, operators_only
from chatkeep.rollout import changing, comparing, rings
from chatkeep.rollout import flags as standing
from chatkeep.rollout.comparing import Compared, Verdict
from chatkeep.rollout.declared import Rule
from chatkeep.rollout.flags import State
from chatkeep.web import held

LONGEST_LOOK = timedelta(days=30)


@operators_only
@require_GET
def flags(request: HttpRequest) -> HttpResponse:
    """All flags and switches, what stands out first."""
    found = list(standing.states().values())
    context = {
        "fell": [state for state in found if state.fell],
        "switches": [state for state in found if state.flag.is_switch],
        "staged": [state for state in found if not state.flag.is_switch],
        "losses": open_losses(),
    }
    return render(request, "operator/flags.html", context)


@operators_only
@require_GET
def flag(request: HttpRequest, name: str) -> HttpResponse:
    """One flag: its figures, whether moving on is safe, and the forms to change it."""
    state = standing.state(name)
    since = _since(state)
    compared = [] if state.flag.is_switch else staged.compared(state, since)
    context = {
        "state": state,
        "since": since,
        "compared": [one for one in compared if one.having.number or one.others.number],
        "verdict": None if state.flag.is_switch else verdict(state, compared),
        "rings": rings.RINGS,
        "outer": rings.outer(state.ring),
        "rule": state.rule or state.flag.rule or Rule(),
        "reports": _reports(state),
        "log": [_line(line) for line in audit.lines(about=f"flag:{name}")[:30]],
        "changes": may(request.user, change=True),
    }
    return render(request, "operator/flag.html", context)


def _since(state: State) -> datetime:
    """What is compared: since it came into this ring, at most for a month."""
    earliest = timezone.now() - LONGEST_LOOK
    return max(state.since or earliest, earliest)


def verdict(state: State, compared: Sequence[Compared]) -> Verdict:
    """Whether the flag may move on now."""
    days = (timezone.now() - state.since).total_seconds() / 86400 if state.since else 0.0
    has_others = state.ring != rings.EVERYONE
    return comparing.verdict(
        compared, ring=state.ring, days=days, has_others=has_others, losses=open_losses(), rule=state.rule
    )


def _reports(state: State) -> list[Report]:
    """Open reports by people who had it on, as far as they left that in."""
    return [] if state.flag.is_switch else triage.listing(flag=state.flag.name)[:10]


def _line(line: Any) -> dict[str, Any]:
    who = User.objects.filter(pk=line.actor.removeprefix("user:")).first() if line.actor.startswith("user:") else None
    return {"at": line.at, "who": str(who) if who else line.actor, "words": _words(line.what, line.details)}


def _words(what: str, details: Mapping[str, Any]) -> str:
    match what:
        case "flag.moved":
            return f"moved it from {details['from']} to {details['to']}"
        case "flag.fell":
            return f"set it back from {details['from']} to {details['to']}: {details['why']}"
        case "flag.killed":
            return f"killed it: {details['why']}"
        case "flag.rule" if details.get("rule") is None:
            return "took away the rule by which it goes back by itself"
    return {"flag.lifted": "lifted the kill", "flag.rule": "changed the rule by which it goes back by itself"}.get(
        what, "has seen that it went back"
    )


@operators_only
@require_POST
def change(request: HttpRequest, name: str) -> HttpResponseBase:
    """Move it, kill it, lift the kill, change its rule. What is dangerous needs its name, typed."""
    state, given = standing.state(name), request.POST
    number = given.get("number", "")
    told: dict[str, Any] = {
        "by": held.actor(request),
        "note": audit.note,
        "seen": int(number) if number.isdecimal() else None,
    }
    match given.get("do", ""):
        case "move":
            ring = rings.checked(_ring(given))
            if is_dangerous(state, ring):
                _typed(given, name)
            changing.move(name, ring, **told)
        case "kill":
            _typed(given, name)
            changing.kill(name, why=given.get("why", ""), **told)
        case "lift":
            _typed(given, name)
            changing.lift(name, **told)
        case "rule":
            changing.watch_by(name, _rule(given, state), **told)
        case "no rule":
            _typed(given, name)
            changing.watch_by(name, None, **told)
        case "seen":
            changing.seen(name, by=told["by"], note=audit.note)
        case _:
            raise WrongUse("That cannot be done with a flag.")
    return redirect("operator-flag", name)


def _ring(given: Mapping[str, str]) -> str:
    percent = given.get("percent", "").strip()
    return f"{percent.removesuffix('%').strip()}%" if percent else given.get("ring", "")


def is_dangerous(state: State, ring: str) -> bool:
    """Whether a move needs its name typed: outwards further than one ring, or while moving on is not safe."""
    if rings.width(ring) <= rings.width(state.ring):
        return False
    if rings.width(ring) > rings.width(rings.outer(state.ring)):
        return True
    return verdict(state, staged.compared(state, _since(state))).say != "safe"


def _typed(given: Mapping[str, str], name: str) -> None:
    if given.get("typed", "").strip() != name:
        raise WrongUse(f"This needs the name of the flag, typed: {name}.", hint="Go back and type it. Nothing changed.")


def _rule(given: Mapping[str, str], state: State) -> Rule:
    before = state.rule or state.flag.rule or Rule()
    numbers = {field: given.get(field, "") for field in ("fewest", "lowest", "drop", "hours")}
    if not all(text.isdecimal() and len(text) < 9 for text in numbers.values()):
        raise WrongUse("The numbers of a rule are whole numbers.")
    plain = {field: int(text) for field, text in numbers.items()}
    return Rule(kinds=before.kinds, off=given.get("off") == "1", **plain)
