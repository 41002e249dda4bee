"""When a schedule is due, on every clock there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.errors import WrongUse
from chatkeep.jobs.timing import DAYS, Every, next_after, parse

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)  # a Monday, 12:00 in Berlin

FORMS = st.one_of(
    st.integers(5, 31 * 1440).map(lambda minutes: f"{minutes}m"),
    st.integers(1, 744).map(lambda hours: f"{hours}h"),
    st.builds(
        "{} {:02d}:{:02d}".format,
        st.one_of(
            st.just("day"),
            st.sampled_from(DAYS).map("week {}".format),
            st.integers(1, 28).map("month {}".format),
        ),
        st.integers(0, 23),
        st.integers(0, 59),
    ),
)
MOMENTS = st.integers(946_684_800, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"]
)


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("30m", "2026-11-23 12:30"),
        ("6h", "2026-11-23 18:00"),
        ("day 03:30", "2026-11-24 03:30"),
        ("day 12:00", "2026-11-24 12:00"),
        ("day 12:01", "2026-11-23 12:01"),
        ("week sun 04:00", "2026-11-29 04:00"),
        ("week mon 11:00", "2026-11-30 11:00"),
        ("month 1 04:15", "2026-12-01 04:15"),
        ("month 23 23:00", "2026-11-23 23:00"),
    ],
)
def test_a_schedule_is_due_at_the_time_on_the_wall(text: str, due: str) -> None:
    assert next_after(parse(text), NOON, BERLIN).astimezone(BERLIN).strftime("%Y-%m-%d %H:%M") == due


def test_in_the_night_when_summer_time_begins_the_hour_that_is_missing_is_made_up_for() -> None:
    before = datetime(2026, 3, 28, 12, tzinfo=BERLIN)
    due = next_after(parse("day 02:30"), before, BERLIN)
    assert due == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # 03:30 on the wall
    assert next_after(parse("day 02:30"), due, BERLIN) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)


def test_in_the_night_when_summer_time_ends_an_hour_that_comes_twice_counts_once() -> None:
    before = datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    due = next_after(parse("day 02:30"), before, BERLIN)
    assert due == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert next_after(parse("day 02:30"), due, BERLIN) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@given(FORMS, MOMENTS, ZONES)
def test_the_next_time_always_lies_ahead_and_not_farther_than_the_rhythm_says(
    text: str, moment: datetime, zone: str
) -> None:
    every = parse(text)
    due = next_after(every, moment, ZoneInfo(zone))
    longest = timedelta(days=31) if every.day else every.shortest
    # Samoa once left out a day, and summer time adds an hour.
    assert timedelta() < due - moment <= longest + timedelta(days=1, hours=1)


@given(FORMS)
def test_what_is_written_down_is_read_back(text: str) -> None:
    assert parse(str(parse(text))) == parse(text)
    assert parse(text).words.startswith("every ")


@pytest.mark.parametrize(
    "text",
    ["", "x", "4m", "745h", "99999m", "day 24:00", "day 12:60", "week foo 12:00", "month 29 04:00", "month 0 04:00"],
)
def test_what_is_no_schedule_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(WrongUse):
        parse(text)


def test_people_read_it_as_a_sentence() -> None:
    said = [parse(text).words for text in ("1h", "90m", "day 03:30", "week Sunday 04:00", "month 1 04:15")]
    assert said == [
        "every hour",
        "every 90 minutes",
        "every day at 03:30",
        "every Sunday at 04:00",
        "every month on day 1 at 04:15",
    ]
    assert isinstance(parse("1h"), Every)
