"""What the service promises itself over thirty days, and what was measured, from the counts in the database."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import msgspec

from chatkeep.watching import tallies
from chatkeep.watching.gauges import freshness
from chatkeep.watching.names import BAD_RUNS, GOOD_RUNS

DAYS = 30
SLOW = 0.5
"""A request that takes longer is not answered well [s]."""
_UNTIMED = frozenset(("import", "export-download", "attachment", "static", "health", "ready", "metrics"))
"""Routes that carry files, whose time is that of the network, and those that only machines ask."""
_COUNTS = ("backup_runs_total", "verify_objects_total", "http_request_duration_seconds", "job_runs_total")


class Goal(msgspec.Struct, frozen=True):
    """One promise. goal, measured: shares [0 to 1], measured None while nothing was counted. of: out of how many.

    note: what is shown apart. is_missed: more went wrong than was promised.
    """

    title: str
    goal: float
    measured: float | None
    good: int
    of: int
    note: str = ""

    @property
    def is_missed(self) -> bool:
        return self.measured is not None and self.measured < self.goal

    @property
    def budget(self) -> float | None:
        """How much of what may go wrong is left [at most 1]; None where nothing may, or nothing was counted."""
        if self.measured is None or self.goal >= 1:
            return None
        return 1 - (1 - self.measured) / (1 - self.goal)

    @property
    def goal_words(self) -> str:
        return f"{self.goal:.1%}"

    @property
    def measured_words(self) -> str:
        return "–" if self.measured is None else f"{self.measured:.3%}"

    @property
    def budget_words(self) -> str:
        return "" if self.budget is None else f"{self.budget:.0%}"


def goals(now: datetime) -> list[Goal]:
    """The promises with what was measured in the last thirty days."""
    counted = tallies.totals(since=(now - timedelta(days=DAYS)).date(), names=_COUNTS)
    runs = _by("result", counted.get("backup_runs_total", {}))
    finished, failed = _sum(runs, GOOD_RUNS), _sum(runs, BAD_RUNS)
    outages, signed_out = _sum(runs, ("outage",)), _sum(runs, ("sign-in",))
    verified = _by("result", counted.get("verify_objects_total", {}))
    wrong = _sum(verified, ("mismatch", "missing"))
    scheduled, fresh = freshness(now)
    in_time, asked = _requests(counted.get("http_request_duration_seconds", {}))
    imports = _imports(counted.get("job_runs_total", {}))
    unforeseen = _sum(imports, ("broken", "lost"))
    return [
        _goal(
            "Backups that finish",
            0.995,
            finished,
            finished + failed,
            f"Apart: {outages:,} runs met a provider that was away, {signed_out:,} an account that was signed out.",
        ),
        _goal("Destinations backed up within twice their interval", 0.99, fresh, scheduled, "As it is now."),
        _goal("What was read back is what was written", 1.0, sum(verified.values()) - wrong, sum(verified.values())),
        _goal("Requests answered in 500 ms and without an error", 0.999, in_time, asked, "Without those of files."),
        _goal(
            "Imports that end in a result or a clear report",
            0.999,
            sum(imports.values()) - unforeseen,
            sum(imports.values()),
        ),
    ]


def _goal(title: str, goal: float, good: float, of: float, note: str = "") -> Goal:
    return Goal(title, goal, good / of if of else None, round(good), round(of), note)


def _by(label: str, counted: dict[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for text, value in counted.items():
        name = json.loads(text)[label]
        found[name] = found.get(name, 0.0) + value
    return found


def _sum(found: dict[str, float], names: tuple[str, ...]) -> int:
    return round(sum(found.get(name, 0.0) for name in names))


def _imports(counted: dict[str, float]) -> dict[str, float]:
    return _by("result", {text: value for text, value in counted.items() if json.loads(text)["kind"] == "import"})


def _requests(counted: dict[str, float]) -> tuple[float, float]:
    good = of = 0.0
    for text, value in counted.items():
        labels = json.loads(text)
        if labels["le"] == "sum" or labels["route"] in _UNTIMED:
            continue
        of += value
        if labels["le"] != "+Inf" and float(labels["le"]) <= SLOW and not labels["code"].startswith("5"):
            good += value
    return good, of
