"""How a line of an exported chat begins: a date, a time, and where the rest of the line starts.

    iOS      [15/08/23, 9:12:33 PM] Name: text
    Android  15/08/23, 21:12 - Name: text

Dates, clocks and separators follow the phone's language; docs/platforms/whatsapp.md lists what occurs. Every pattern
here is bounded, so the cost of a line does not grow with its length.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from chatkeep.importers.whatsapp.marks import MARK, SPACE, without_marks
from chatkeep.importers.whatsapp.words import BETWEEN, DAY_PERIODS

_J = f"[{MARK}{SPACE}_]{{0,4}}+"
_DATE = rf"(令和|平成|[RH](?=\d))?(\d{{1,4}}){_J}([./\-‐‑–年년]){_J}(\d{{1,2}}){_J}([./\-‐‑–月월]){_J}(\d{{1,4}})(?!\d)"
_CLOCK = rf"(\d{{1,2}}){_J}[:.h時시]{_J}(\d\d)(?:{_J}(?:[:.]|min|分){_J}(\d\d))?[s秒分]?(?!\d)"
_IN_BRACKETS = re.compile(rf"{_J}\[{_J}{_DATE}([^\d\[\]]{{0,24}}?){_CLOCK}([^\d\[\]]{{0,20}}+)\] ?")
_WITH_DASH = re.compile(rf"{_J}{_DATE}([^\d\[\]]{{0,24}}?){_CLOCK}([^\d\[\]:]{{0,20}}?)([-–—])[{SPACE}]")
_CLOCK_FIRST = re.compile(rf"{_J}{_CLOCK}([^\d\[\]:]{{0,20}}?){_DATE}([{MARK}{SPACE}]{{0,4}})([-–—])[{SPACE}]")

_LONGEST = 120


class Layout(NamedTuple):
    """How the heads of one export look. Two heads of one export agree in all of this.

    year: "first", "last" (four digits) or "short" (two digits, nearly always last).
    """

    bracket: bool
    clock_first: bool
    separator: str
    year: str
    between: str
    seconds: bool
    half_days: bool
    dash: str


class Head(NamedTuple):
    """A date and time as they stand in a line. first, second, third: the numbers of the date in their order.

    rest: where the line goes on after the head [characters]. padded: the date's numbers have leading zeros.
    capital: AM or PM stand in capitals.
    """

    layout: Layout
    first: int
    second: int
    third: int
    clock: tuple[int, int, int]
    rest: int
    padded: bool
    capital: bool


def could_begin(line: str) -> bool:
    """Whether a line may hold a head at all; cheap, and true for every line that does."""
    start = line[:1]
    return start == "[" or start.isdecimal() or not start.isascii() or start in " _RH"


def head_of(line: str) -> Head | None:
    """The head at the start of a line, or None."""
    start = line[:_LONGEST]
    if found := _IN_BRACKETS.match(start):
        era, first, mark, second, _, third, between, hour, minute, second_s, after = found.groups()
        dash = ""
    elif found := _WITH_DASH.match(start):
        era, first, mark, second, _, third, between, hour, minute, second_s, after, dash = found.groups()
    elif found := _CLOCK_FIRST.match(start):
        hour, minute, second_s, between, era, first, mark, second, _, third, after, dash = found.groups()
    else:
        return None
    shape = _shape(found.re is _CLOCK_FIRST, mark, len(first), len(third), between, after, second_s is not None, dash)
    if shape is None:
        return None
    layout, period, capital = shape
    clock = _clock(int(hour), int(minute), int(second_s or 0), period)
    if clock is None:
        return None
    padded = first[0] == _zero(first) or second[0] == _zero(second)
    numbers = (int(first) + _ERAS.get(era, 0), int(second), int(third))
    return Head(layout, *numbers, clock, found.end(), padded, capital)


class Heads:
    """Reads heads one line after the other. Lines of one minute often begin alike, and are then read once."""

    def __init__(self) -> None:
        self._start = ""
        self._head: Head | None = None

    def of(self, line: str) -> Head | None:
        """The head at the start of a line, or None."""
        if self._start and line.startswith(self._start):
            return self._head
        if not could_begin(line):
            return None
        head = head_of(line)
        if head is not None:
            self._start, self._head = line[: head.rest], head
        return head


@lru_cache(maxsize=4096)
def _shape(
    clock_first: bool, mark: str, first: int, third: int, between: str, after: str, seconds: bool, dash: str
) -> tuple[Layout, str, bool] | None:
    """The layout of a head with these pieces, its part of the day, and whether that is in capitals."""
    joint, period, tail = _joint(between), _period(between), _period(after)
    if joint is None or tail is None:
        return None
    year = "first" if first == 4 else "last" if third == 4 else "short"
    layout = Layout(not dash, clock_first, mark, year, joint, seconds, bool(period or tail), dash)
    return layout, period or tail, (between + after).upper() == between + after


# Years of the Japanese calendar count from the year before the era began.
_ERAS = {"令和": 2018, "R": 2018, "平成": 1988, "H": 1988}


def _zero(digits: str) -> str:
    """The zero of the script that a number is written in."""
    return "0" if digits.isascii() else chr(ord(digits[0]) - int(digits[0]))


@lru_cache(maxsize=1024)
def _joint(between: str) -> str | None:
    """What kind of joint stands between date and time; None when it is none that WhatsApp writes."""
    words = without_marks(between).casefold()
    comma = "," if any(sign in words for sign in ",،、，") else ""
    bare = words.strip(" \t\u00a0\u2009\u202f\u3000_,،、，.日일")
    if bare in BETWEEN or _period(bare) is not None:
        return comma or ("word" if bare in BETWEEN and bare else "")
    # The words of a calendar ("8/15/2566 BE, ") stand before the comma or before the time.
    pieces = bare.replace(",", " ").replace("،", " ").split()
    return comma if pieces and all(_known(piece) for piece in pieces) else None


def _known(piece: str) -> bool:
    return piece in BETWEEN or piece.strip(".") in BETWEEN or bool(_period(piece))


@lru_cache(maxsize=1024)
def _period(words: str) -> str | None:
    """Which part of the day these words name: "am", "pm", "noon", "night"; "" for none, None for other words."""
    bare = re.sub(rf"[{MARK}{SPACE}_.,،、，'\"׳״\u200c日일]", "", words).casefold()
    return DAY_PERIODS.get(bare) if bare else ""


def _clock(hour: int, minute: int, second: int, period: str) -> tuple[int, int, int] | None:
    if hour > 24 or minute > 59 or second > 60:
        return None
    if period == "am" and hour == 12:
        hour = 0
    elif (period == "pm" and hour < 12) or (period == "noon" and hour < 10):
        hour += 12
    elif period == "night":
        hour = 0 if hour == 12 else hour + 12 if hour < 12 else hour
    return (hour % 24, minute, min(second, 59))
