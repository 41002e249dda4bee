"""Retention: what stays and why, for each device by itself, and never below the floor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.errors import WrongUse
from chatkeep.vault.retention import FOREIGN, NEWEST, YOUNG, Policy, plan
from chatkeep.vault.snapshot import Snapshot

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NONE = Policy(last=0, hourly=0, daily=0, weekly=0, monthly=0, yearly=0)


def made(
    hours_ago: float, *, host: str = "laptop-7f3a", sequence: int | None = None, foreign: bool = False
) -> Snapshot:
    time = NOW - timedelta(hours=hours_ago)
    number = sequence if sequence is not None else round(10**6 - hours_ago * 60)
    return Snapshot(id=f"{host}@{hours_ago}", time=time, host=host, tree="", sequence=number, foreign=foreign)


def gone(found: list[Snapshot], policy: Policy, **given: object) -> set[str]:
    return {snapshot.id for snapshot in plan(found, policy, NOW, **given).gone}  # type: ignore[arg-type]


def test_the_newest_of_each_device_stays_whatever_the_policy() -> None:
    found = [made(24 * 400), made(24 * 300), made(24 * 900, host="phone-1"), made(24 * 800, host="phone-1")]
    assert gone(found, NONE) == {"laptop-7f3a@9600", "phone-1@21600"}
    assert [one.reasons for one in plan(found, NONE, NOW).kept] == [[NEWEST], [NEWEST]]


def test_the_newest_is_the_one_with_the_highest_number_even_if_a_clock_was_set_back() -> None:
    found = [made(24 * 100, sequence=9), made(24 * 50, sequence=8)]
    assert gone(found, NONE) == {"laptop-7f3a@1200"}


def test_what_is_younger_than_the_floor_stays_whatever_the_policy() -> None:
    found = [made(hours) for hours in range(0, 200, 5)]
    left = gone(found, NONE)
    assert left == {one.id for one in found if NOW - one.time >= timedelta(days=2)}
    assert gone(found, Policy(last=0, hourly=0, daily=0, weekly=0, monthly=0, yearly=0, floor_days=30)) == set()


@pytest.mark.parametrize("days", [1, 0, -5])
def test_the_floor_cannot_be_undercut(days: int) -> None:
    with pytest.raises(WrongUse, match="never forgotten"):
        Policy(floor_days=days)


def test_numbers_below_zero_are_refused() -> None:
    with pytest.raises(WrongUse):
        Policy(weekly=-1)


def test_a_clock_that_runs_ahead_leaves_what_each_rule_keeps() -> None:
    found = [made(hours) for hours in range(0, 24 * 40, 12)]
    far = plan(found, Policy(), NOW + timedelta(days=4000))
    assert len(far.kept) >= 10 + 14
    assert found[0] in [one.snapshot for one in far.kept]


def test_each_rule_keeps_the_newest_of_its_periods() -> None:
    found = [made(24 * days + hours) for days in range(3, 900) for hours in (1, 7)]
    kept = {one.snapshot.id: one.reasons for one in plan(found, Policy(last=2, daily=4, hourly=3), NOW).kept}
    counts = {rule: sum(rule in reasons for reasons in kept.values()) for rule in ("last", "hourly", "daily", "weekly")}
    assert counts == {"last": 2, "hourly": 3, "daily": 4, "weekly": 8}
    monthly = [one.snapshot.time for one in plan(found, Policy(), NOW).kept if "monthly" in one.reasons]
    assert [(time.year, time.month) for time in monthly[-3:]] == [(2025, 12), (2026, 1), (2026, 2)]
    assert monthly[-2] == max(one.time for one in found if (one.time.year, one.time.month) == (2026, 1))
    assert kept[made(73).id] == [NEWEST, "last", "hourly", "daily", "weekly", "monthly", "yearly"]


def test_snapshots_of_other_programs_and_devices_stay_and_say_why() -> None:
    found = [made(5000, foreign=True), made(4000, host="phone-1"), made(3000, host="phone-1"), made(2000), made(1000)]
    judged = plan(found, NONE, NOW, hosts=["laptop-7f3a"])
    assert [one.id for one in judged.gone] == ["laptop-7f3a@2000"]
    assert [one.reasons for one in judged.kept] == [[FOREIGN], ["of another device"], ["of another device"], [NEWEST]]


def test_young_ones_say_so() -> None:
    (one,) = plan([made(1)], NONE, NOW).kept
    assert one.reasons == [NEWEST, YOUNG]


hours = st.lists(st.floats(0, 24 * 2000), max_size=60, unique=True)
numbers = st.integers(0, 20)
policies = st.builds(
    Policy, last=numbers, hourly=numbers, daily=numbers, weekly=numbers, monthly=numbers, yearly=numbers
)


@given(hours, policies, st.sampled_from(["a-1", "b-2"]))
def test_a_plan_loses_no_snapshot_keeps_each_newest_and_planning_again_drops_nothing_more(
    ages: list[float], policy: Policy, host: str
) -> None:
    found = [made(age, host=host if i % 3 else "other-1") for i, age in enumerate(ages)]
    judged = plan(found, policy, NOW)
    kept = [one.snapshot for one in judged.kept]
    assert sorted([*kept, *judged.gone], key=lambda s: s.id) == sorted(found, key=lambda s: s.id)
    for name in {one.host for one in found}:
        newest = max((one for one in found if one.host == name), key=lambda one: (one.sequence, one.time))
        assert newest in kept
    assert all(NOW - one.time >= timedelta(days=policy.floor_days) for one in judged.gone)
    assert plan(kept, policy, NOW).gone == []
