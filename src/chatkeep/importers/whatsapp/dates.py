"""Which number of a date is the day: decided once from all dates of a chat, and again where the order changes inside.

WhatsApp writes dates as the phone's settings say, and no line tells which settings those were. What decides, in this
order: a number above 12 cannot be a month; messages mostly come in the order of time, and pictures carry their date
in their names; numbers that stay equal over many days are the month; then the habits of languages, which is a guess
and is told as one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from chatkeep.importers.whatsapp.heads import Head

DAY_FIRST, MONTH_FIRST, YEAR_FIRST = "day first", "month first", "year first"
_ORDERS = (DAY_FIRST, MONTH_FIRST, YEAR_FIRST)

# What speaks against a reading. Two switches cost more than one impossible date, which is a damaged line.
_IMPOSSIBLE, _BACK, _LEAP, _SWITCH, _OTHER_PICTURE = 50.0, 4.0, 0.5, 30.0, 5.0
_UNLIKELY = {DAY_FIRST: 0.0, MONTH_FIRST: 0.0, YEAR_FIRST: 60.0}
_SURE = 1.0


@dataclass(frozen=True, slots=True)
class Order:
    """How the dates of a chat are read.

    starts, orders: from which head on (counted from 0) which order holds. assumed: it rests on habits alone.
    reason: why, in words for the person who imports.
    """

    starts: tuple[int, ...]
    orders: tuple[str, ...]
    assumed: bool
    reason: str

    def at(self, head: int) -> str:
        """The order that holds for a head."""
        return self.orders[bisect_right(self.starts, head) - 1]


class Dates:
    """All dates of the heads of one layout, packed: 16 bytes for each change of date, so memory stays flat."""

    def __init__(self) -> None:
        self.heads = array("Q")
        self.numbers = array("Q")
        self.padded = False
        self.single = False

    def add(self, index: int, head: Head, picture: tuple[int, int] | None) -> None:
        """Take in the date of a head. picture: month and day in the name of a picture it sends, if any."""
        self.padded = self.padded or head.padded
        self.single = self.single or (not head.padded and min(head.first, head.second) < 10)
        vote = _vote(head, picture)
        packed = (head.first << 32) | (head.second << 24) | (head.third << 8) | vote
        if not self.numbers or self.numbers[-1] != packed:
            self.heads.append(index)
            self.numbers.append(packed)


def _vote(head: Head, picture: tuple[int, int] | None) -> int:
    if picture is None or head.first == head.second:
        return 0
    if picture == (head.second, head.first):
        return 1
    return 2 if picture == (head.first, head.second) else 0


@lru_cache(maxsize=8192)
def calendar_day(first: int, second: int, third: int, order: str) -> date | None:
    """The day that three numbers name; None when there is no such day, or in no calendar that is known here.

    Years of two digits are of this century; from 52 on they can only be years of the Buddhist calendar (2552 was
    2009, when WhatsApp began), as four digits from 2400 on are.
    """
    if first > 999 or order == YEAR_FIRST:
        year, month, day = first, second, third
    elif order == DAY_FIRST:
        day, month, year = first, second, third
    else:
        month, day, year = first, second, third
    if year < 100:
        year += 2500 if year >= 52 else 2000
    if 2400 <= year < 2700:
        year -= 543
    try:
        return date(year, month, day) if 1970 <= year < 2100 else None
    except ValueError:
        return None


def decide(found: list[Dates], *, hint: Head | None, day_first: bool | None) -> Order:
    """The order of the dates of a chat.

    found: its dates, a list for each layout. hint: any head, whose layout tells the habits of its language.
    day_first: what the person set, which is believed where the dates allow it.
    """
    days = _changes_of_date(found)
    if day_first is not None:
        order = DAY_FIRST if day_first else MONTH_FIRST
        return Order((0,), (order,), False, "the setting says so")
    habit, reason, sure = _habit(found, hint)
    starts, orders, costs = _best_path(days, habit)
    if len(orders) > 1:
        return Order(starts, orders, False, "the dates themselves change their order inside the file")
    rival = MONTH_FIRST if orders[0] == DAY_FIRST else DAY_FIRST
    if orders[0] == YEAR_FIRST or costs[rival] - costs[orders[0]] >= _SURE or _same_either_way(days):
        return Order(starts, orders, False, "the dates allow no other reading")
    steady = _steady_number(days)
    if steady:
        return Order((0,), (steady,), False, "one of the numbers stays the same over many days, so it is the month")
    return Order((0,), (habit,), not sure, reason)


_Day = tuple[int, int, int, int, int]  # head, first, second, third, vote


def _changes_of_date(found: list[Dates]) -> list[_Day]:
    days = []
    for dates in found:
        for head, packed in zip(dates.heads, dates.numbers, strict=True):
            days.append((head, packed >> 32, packed >> 24 & 0xFF, packed >> 8 & 0xFFFF, packed & 0xFF))
    return sorted(days) if len(found) > 1 else days


def _best_path(days: list[_Day], habit: str) -> tuple[tuple[int, ...], tuple[str, ...], dict[str, float]]:
    """The cheapest reading of all dates, which may change at a cost; and what each order costs for the whole file."""
    whole = dict.fromkeys(_ORDERS, 0.0)
    cost = {order: _UNLIKELY[order] + (0.0 if order == habit else 0.1) for order in _ORDERS}
    before: dict[str, int | None] = dict.fromkeys(_ORDERS)
    came_from = bytearray()
    for _, first, second, third, vote in days:
        now = {order: _ordinal(first, second, third, order) for order in _ORDERS}
        cheapest = min(_ORDERS, key=cost.__getitem__)
        step = {}
        for place, order in enumerate(_ORDERS):
            here = _doubt(order, now[order], vote)
            stay = cost[order] + _stride(before[order], now[order])
            switch = cost[cheapest] + _SWITCH + _UNLIKELY[order] + _stride(before[cheapest], now[order])
            step[order] = here + min(stay, switch)
            came_from.append(_ORDERS.index(cheapest) if switch < stay else place)
            whole[order] += here + _stride(before[order], now[order])
        cost = step
        before = {order: before[order] if now[order] is None else now[order] for order in _ORDERS}
    starts, orders = _trace(days, came_from, min(_ORDERS, key=cost.__getitem__))
    return starts, orders, whole


def _trace(days: list[_Day], came_from: bytearray, last: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    place = _ORDERS.index(last)
    starts, orders = [0], [last]
    for row in range(len(days) - 1, 0, -1):
        earlier = came_from[row * len(_ORDERS) + place]
        if earlier != place:
            starts[-1] = days[row][0]
            starts.append(0)
            orders.append(_ORDERS[earlier])
            place = earlier
    return tuple(reversed(starts)), tuple(reversed(orders))


@lru_cache(maxsize=8192)
def _ordinal(first: int, second: int, third: int, order: str) -> int | None:
    day = calendar_day(first, second, third, order)
    return day.toordinal() if day else None


def _doubt(order: str, ordinal: int | None, vote: int) -> float:
    other_picture = vote and order != (DAY_FIRST if vote == 1 else MONTH_FIRST)
    return (_IMPOSSIBLE if ordinal is None else 0.0) + (_OTHER_PICTURE if other_picture else 0.0)


def _stride(before: int | None, now: int | None) -> float:
    if before is None or now is None:
        return 0.0
    if now < before - 1:
        return _BACK
    return _LEAP if now > before + 300 else 0.0


def _same_either_way(days: list[_Day]) -> bool:
    return all(first > 999 or first == second for _, first, second, _, _ in days)


def _steady_number(days: list[_Day]) -> str:
    pairs = {(first, second) for _, first, second, _, _ in days}
    if len(pairs) < 3:
        return ""
    if len({second for _, second in pairs}) == 1:
        return DAY_FIRST
    return MONTH_FIRST if len({first for first, _ in pairs}) == 1 else ""


def _habit(found: list[Dates], hint: Head | None) -> tuple[str, str, bool]:
    """What languages with such a layout do, why it is taken, and whether that is as good as sure."""
    if hint is None or hint.layout.separator not in "/":
        return DAY_FIRST, "dates with this separator have the day first", True
    padded, single = any(dates.padded for dates in found), any(dates.single for dates in found)
    if hint.layout.half_days and not padded and (single or hint.capital):
        return MONTH_FIRST, "a 12-hour clock and numbers without leading zeros are the American way", False
    return DAY_FIRST, "most languages write the day first", False
