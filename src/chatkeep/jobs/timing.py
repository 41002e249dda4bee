"""When something is due that is to be done again and again: pure, so that every clock can be tried.

Written as "30m", "6h", "day 03:30", "week sun 04:00" or "month 1 04:15"; hours of the day are those of the clock on the
wall, whatever summer time does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

import msgspec

from chatkeep.errors import WrongUse

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SHORTEST, LONGEST = timedelta(minutes=5), timedelta(days=31)
_FORM = re.compile(
    r"(?P<number>\d{1,5})\s*(?P<unit>[mh])|(?:day|week\s+(?P<weekday>[a-z]{3})[a-z]*|month\s+(?P<day>\d{1,2}))"
    r"\s+(?P<hour>\d{1,2}):(?P<minute>\d\d)"
)


class Every(msgspec.Struct, frozen=True):
    """A rhythm. interval: the time between two, or zero: then at `at` of every day, of one weekday (0 is Monday), or of
    one day of the month [1 to 28].
    """

    interval: timedelta = timedelta()
    at: time = time()
    weekday: int | None = None
    day: int | None = None

    def __str__(self) -> str:
        """As it is written, so that `parse` gives it back."""
        minutes = round(self.interval.total_seconds() / 60)
        if minutes:
            return f"{minutes}m" if minutes % 60 else f"{minutes // 60}h"
        begin = "day" if self.weekday is None else f"week {DAYS[self.weekday]}"
        return f"{begin if self.day is None else f'month {self.day}'} {self.at:%H:%M}"

    @property
    def words(self) -> str:
        """For people: "every 6 hours", "every Sunday at 04:00"."""
        if self.interval:
            number, unit = str(self)[:-1], "hour" if str(self).endswith("h") else "minute"
            return f"every {unit}" if number == "1" else f"every {number} {unit}s"
        when = "day" if self.weekday is None else _NAMES[self.weekday]
        return f"every {when if self.day is None else f'month on day {self.day}'} at {self.at:%H:%M}"

    @property
    def shortest(self) -> timedelta:
        """About how long it is from one to the next."""
        days = 1 if self.weekday is None else 7
        return self.interval or timedelta(days=28 if self.day is not None else days)


def parse(text: str) -> Every:
    """A rhythm as people write it. Raises WrongUse with the forms there are."""
    found = _FORM.fullmatch(text.strip().lower())
    if not found:
        raise _wrong(text)
    if found["number"]:
        interval = timedelta(minutes=int(found["number"]) * (60 if found["unit"] == "h" else 1))
        if not SHORTEST <= interval <= LONGEST:
            raise WrongUse("A schedule repeats after 5 minutes at the earliest and after 31 days at the latest.")
        return Every(interval)
    hour, minute, day = int(found["hour"]), int(found["minute"]), found["day"]
    if hour > 23 or minute > 59 or (found["weekday"] or "mon") not in DAYS or not 1 <= int(day or 1) <= 28:
        raise _wrong(text)
    weekday = DAYS.index(found["weekday"]) if found["weekday"] else None
    return Every(at=time(hour, minute), weekday=weekday, day=int(day) if day else None)


def _wrong(text: str) -> WrongUse:
    hint = 'Write "30m", "6h", "day 03:30", "week sun 04:00" or "month 1 04:15" (a day up to 28).'
    return WrongUse(f"{text!r} is no time of a schedule.", hint=hint)


def next_after(every: Every, moment: datetime, zone: tzinfo) -> datetime:
    """The first time after a moment [UTC]. Of an hour that the clock shows twice the first counts."""
    if every.interval:
        return moment.astimezone(UTC) + every.interval
    start = moment.astimezone(zone).date() - timedelta(days=1)
    times = (datetime.combine(day, every.at, zone).astimezone(UTC) for day in _days(every, start))
    return next(when for when in times if when > moment)


def _days(every: Every, start: date) -> Iterator[date]:
    for number in range(70):
        day = start + timedelta(days=number)
        if every.weekday in (None, day.weekday()) and every.day in (None, day.day):
            yield day
