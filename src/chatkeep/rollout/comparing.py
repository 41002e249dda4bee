"""Those who have something beside those who do not: how often it went well, how long it took, what that means. Pure.

Small numbers say little, so nothing is concluded from a few runs, each share comes with the range it may truly be in,
and a difference counts only when chance does not explain it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import quantiles

import msgspec

from chatkeep.rollout import rings
from chatkeep.rollout.declared import Rule

Z95 = 1.959964
SURE = 0.01
"""A difference that chance brings about less often than this counts."""
FEWEST = 50
"""So many runs, of those who have it and of the others, before anything can be called safe."""
SLOWER = 1.5
"""So many times as long as with the others is too slow, at the median."""
SHORT_S = 2.0
"""Below this nobody calls anything slow [s]."""


class Runs(msgspec.Struct, frozen=True):
    """What came of the runs of one kind. people: how many archives they were for. died: runs that ended without a word.

    codes: how often each error ended one; outages: how many failed because a provider could not be reached.
    seconds: how long those took that went well, perhaps a sample of them.
    """

    well: int = 0
    failed: int = 0
    died: int = 0
    outages: int = 0
    people: int = 0
    codes: dict[str, int] = {}
    seconds: tuple[float, ...] = ()

    @property
    def number(self) -> int:
        """All that ended."""
        return self.well + self.failed

    @property
    def share(self) -> float:
        """The share that went well [0 to 1]; 1 when there were none."""
        return self.well / self.number if self.number else 1.0

    @property
    def range(self) -> tuple[float, float]:
        """Where the true share is, with 95 % certainty (Wilson)."""
        return wilson(self.well, self.number)

    @property
    def median(self) -> float:
        """The time that half of them stayed below [s]; 0 when there are none."""
        return percentile(self.seconds, 50)

    @property
    def p95(self) -> float:
        """The time that 95 of 100 stayed below [s]; 0 when there are none."""
        return percentile(self.seconds, 95)


class Compared(msgspec.Struct, frozen=True):
    """One kind of job: the runs of those who have something, and of those who do not, in the same days."""

    kind: str
    having: Runs
    others: Runs

    @property
    def chance(self) -> float:
        """How likely chance alone makes those who have it fail this often or more [0 to 1]."""
        return at_least(self.having.failed, self.having.number, self.having.failed + self.others.failed, _all(self))

    @property
    def is_worse(self) -> bool:
        """Whether they fail more often, and not by chance."""
        return self.having.share < self.others.share and self.chance < SURE

    @property
    def is_slower(self) -> bool:
        """Whether it takes them clearly longer."""
        enough = min(len(self.having.seconds), len(self.others.seconds)) >= FEWEST
        return enough and self.having.median > max(SLOWER * self.others.median, SHORT_S)

    @property
    def dies_more(self) -> bool:
        """Whether more of their runs end without a word, and not by chance."""
        died = self.having.died + self.others.died
        return at_least(self.having.died, self.having.number, died, _all(self)) < SURE


class Verdict(msgspec.Struct, frozen=True):
    """Whether to go one ring further. say: "safe", "wait" or "no". words: for the operator."""

    say: str
    words: str


def _all(compared: Compared) -> int:
    return compared.having.number + compared.others.number


def verdict(
    compared: Sequence[Compared],
    *,
    ring: str,
    days: float,
    has_others: bool,
    losses: int,
    rule: Rule | None = None,
    fewest: int = FEWEST,
) -> Verdict:
    """Whether a flag in a ring may move to the next.

    days: for how long it has been in this ring. has_others: whether there is anybody without it to compare with.
    losses: reports of lost data that are open, of whatever cause: nothing new goes out while one is.
    rule: that of the flag, which is kept here too. The first kind is the one whose number of runs must be enough; of
    the others every difference that is sure counts.
    """
    if losses:
        return Verdict("no", f"do not: {losses} open {'report' if losses == 1 else 'reports'} of lost data.")
    troubles = [*map(_trouble, compared), fallen(rule, compared) if rule else ""]
    if trouble := next(filter(None, troubles), ""):
        return Verdict("no", f"do not: {trouble}")
    if ring == rings.EVERYONE:
        return Verdict("wait", "Everybody has it: there is no ring further out.")
    if ring == rings.OFF:
        return Verdict("safe", "safe to move on: nobody has it yet, and the next ring is the team.")
    first = compared[0] if compared else Compared("backup", Runs(), Runs())
    if first.having.number < fewest:
        return Verdict("wait", f"wait: too few runs ({first.having.number} of {fewest} by those who have it).")
    if has_others and first.others.number < fewest:
        return Verdict(
            "wait", f"wait: too few runs ({first.others.number} of {fewest} by the others, to compare with)."
        )
    if days < rings.least_days(ring):
        return Verdict("wait", f"wait: day {int(days) + 1} of {rings.least_days(ring)} in this ring.")
    return Verdict("safe", "safe to move on: it goes as well for those who have it as for the others.")


def _trouble(one: Compared) -> str:
    if one.is_worse:
        shares = percent(one.having.share), percent(one.others.share)
        return f"{one.kind} ends well {shares[0]} of the time, with the others {shares[1]}."
    if one.dies_more:
        return f"{one.kind}: {one.having.died} runs ended without a word, with the others {one.others.died}."
    if one.is_slower:
        return f"{one.kind} takes {one.having.median:.1f} s, with the others {one.others.median:.1f} s (the median)."
    return ""


def fallen(rule: Rule, compared: Sequence[Compared]) -> str:
    """Why a flag has to go back, in words; "" when it may stay.

    With enough runs by others, they are the measure: when a provider is down, everybody fails, and no flag is to blame.
    Without them, the lowest share of the rule is, of what was no outage.
    """
    for one in compared:
        if one.kind not in rule.kinds or one.having.number < rule.fewest:
            continue
        if one.others.number >= rule.fewest:
            points = 100 * (one.others.share - one.having.share)
            if one.is_worse and points > rule.drop:
                return f"{_went(one)}, with the others {percent(one.others.share)} of {one.others.number}."
        elif _is_low(one.having, rule):
            return f"{_went(one)}, and {rule.lowest} % is the least."
    return ""


def _is_low(runs: Runs, rule: Rule) -> bool:
    tried = runs.number - runs.outages
    return tried >= rule.fewest and 100 * wilson(runs.well, tried)[1] < rule.lowest


def _went(one: Compared) -> str:
    return f"{one.kind} ended well in {percent(one.having.share)} of {one.having.number} runs"


def percent(share: float) -> str:
    """A share for people: 98.5 %. What is not all is never rounded up to all."""
    return "100 %" if share == 1 else f"{min(100 * share, 99.9):.1f} %"


def wilson(well: int, number: int) -> tuple[float, float]:
    """The range that a share is in with 95 % certainty, good for few runs too. (0, 1) without runs.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    if not number:
        return 0.0, 1.0
    share, part = well / number, Z95 * Z95 / number
    middle = (share + part / 2) / (1 + part)
    reach = Z95 * math.sqrt(share * (1 - share) / number + part / (4 * number)) / (1 + part)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def at_least(seen: int, drawn: int, marked: int, total: int) -> float:
    """How likely chance puts `seen` or more of the `marked` among `drawn` of `total` (Fisher's exact test, one side).

    Exact for any number, so it needs no rule about what is enough for an approximation.
    """
    top = min(drawn, marked)
    first = max(seen, drawn + marked - total, 0)
    whole = _ways(total, drawn)
    logs = [_ways(marked, n) + _ways(total - marked, drawn - n) - whole for n in range(first, top + 1)]
    return min(1.0, math.fsum(math.exp(log) for log in logs))


def _ways(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)


def percentile(values: Sequence[float], part: int) -> float:
    """The value that `part` of a hundred stay below."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return quantiles(values, n=100, method="inclusive")[part - 1]
