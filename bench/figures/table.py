"""Rows of figures, printed as lines of a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure of ours beside a peer's, or beside a limit.

    reach: the ratio (ours / peer) to reach; where there is no peer, the value itself.
    at_least: the value to reach where more is better.
    """

    what: str
    ours: float
    unit: str = "s"
    peer: float | None = None
    peer_name: str = ""
    reach: float | None = None
    at_least: float | None = None

    @property
    def ratio(self) -> float:
        """Ours over the peer's, or our value where there is no peer."""
        return self.ours if self.peer is None else self.ours / max(self.peer, 1e-9)

    @property
    def verdict(self) -> str:
        if self.at_least is not None:
            return "reached" if self.ours >= self.at_least else "not reached"
        if self.reach is None:
            return ""
        return "reached" if self.ratio <= self.reach else "not reached"


HEAD = ("what", "Chatkeep", "peer", "ratio", "to reach", "")


def head() -> str:
    """The first two lines of the table."""
    return f"{_line(HEAD)}\n{_line(['---'] * len(HEAD))}"


def line(row: Row) -> str:
    """The line of a row, which can be printed as soon as it is known."""
    return _line(_cells(row))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row) -> tuple[str, ...]:
    ours = f"{_number(row.ours)} {row.unit}"
    if row.peer is None:
        limit = "" if row.reach is None else f"{_number(row.reach)} {row.unit}"
        if row.at_least is not None:
            limit = f"at least {_number(row.at_least)} {row.unit}"
        return row.what, ours, row.peer_name, "", limit, row.verdict
    reach = "" if row.reach is None else _share(row.reach)
    return row.what, ours, f"{row.peer_name} {_number(row.peer)} {row.unit}", _share(row.ratio), reach, row.verdict


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _share(ratio: float) -> str:
    """A ratio as people say it: "1/6.2" for a sixth, "1.5" for half as much again."""
    return _number(ratio) if ratio >= 0.95 or ratio <= 0 else f"1/{_number(1 / ratio)}"
