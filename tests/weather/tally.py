"""What the weather did to us: counted while the tests run, and printed at the end of the run."""

from __future__ import annotations

from collections import Counter

WEATHER = "weather"
"""Under which name workers tell their counts."""
BAD = ("lost", "corrupt", "duplicated", "falsely reported", "asked after the end", "asked too early")
"""What must be nothing at all."""


class Tally:
    """Counts by provider. Each fault that was met is in exactly one of survived and needs a person."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, provider: str, what: str, times: int = 1) -> None:
        self.counts[provider, what] += times

    def total(self, what: str, provider: str = "") -> int:
        return sum(n for (where, kind), n in self.counts.items() if kind == what and provider in ("", where))

    def line(self, provider: str = "") -> str:
        kinds = ("faults injected", "survived", "needs a person", *BAD)
        return ", ".join(f"{kind} {self.total(kind, provider)}" for kind in kinds)

    def bad(self) -> int:
        return sum(self.total(kind) for kind in BAD)


TALLY = Tally()
"""That of this run."""
