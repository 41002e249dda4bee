"""Cohort beside control, in numbers: what counts as worse, what chance explains, and when it is safe to move on."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.rollout import comparing
from chatkeep.rollout.comparing import Compared, Runs, at_least, fallen, percentile, verdict, wilson
from chatkeep.rollout.declared import Rule

GOOD = Runs(well=990, failed=10, people=400, seconds=(3.0,) * 100)
RULE = Rule(kinds=("backup",))


def compared(having: Runs, others: Runs = GOOD, kind: str = "backup") -> Compared:
    return Compared(kind, having, others)


def judged(*given: Compared, ring: str = "25%", days: float = 8, losses: int = 0, has_others: bool = True) -> str:
    found = verdict(given, ring=ring, days=days, losses=losses, has_others=has_others, rule=RULE)
    assert found.words.startswith({"safe": "safe to move on", "no": "do not: "}.get(found.say, "")), found
    return f"{found.say}: {found.words}"


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_chance_is_exact(well: int, failed: int, others_well: int, others_failed: int) -> None:
    """Against the same counted out in whole numbers."""
    drawn, marked, total = well + failed, failed + others_failed, well + failed + others_well + others_failed
    ways = [math.comb(marked, n) * math.comb(total - marked, drawn - n) for n in range(failed, min(drawn, marked) + 1)]
    exact = Fraction(sum(ways), math.comb(total, drawn))
    assert at_least(failed, drawn, marked, total) == pytest.approx(float(exact), rel=1e-9)


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_the_range_holds_the_share_and_narrows_with_more_runs(well: int, failed: int) -> None:
    low, high = wilson(well, well + failed)
    assert 0 <= low <= high <= 1
    if well + failed:
        assert low - 1e-9 <= well / (well + failed) <= high + 1e-9
        tenfold = wilson(10 * well, 10 * (well + failed))
        assert tenfold[1] - tenfold[0] < high - low


def test_the_range_is_that_of_the_books() -> None:
    assert wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_percentiles_of_none_one_and_many() -> None:
    assert (percentile((), 95), percentile((4.0,), 95)) == (0.0, 4.0)
    assert percentile(tuple(float(n) for n in range(101)), 95) == 95.0


def test_it_is_safe_when_all_goes_as_well_for_long_enough() -> None:
    assert judged(compared(Runs(well=198, failed=2, seconds=(3.1,) * 100))).startswith("safe")


def test_too_few_runs_say_how_many_are_missing() -> None:
    assert "too few runs (12 of 50 by those who have it)" in judged(compared(Runs(well=12)))
    assert "too few runs (3 of 50 by the others" in judged(compared(Runs(well=90), Runs(well=3)))
    assert judged(compared(Runs(well=90), Runs()), has_others=False).startswith("safe")


@pytest.mark.parametrize(("ring", "days", "say"), [("team", 2.9, "wait"), ("team", 3, "safe"), ("5%", 6.9, "wait")])
def test_a_ring_is_kept_for_its_days(ring: str, days: float, say: str) -> None:
    assert judged(compared(GOOD), ring=ring, days=days).startswith(say)


def test_a_report_of_lost_data_stops_everything() -> None:
    assert "lost data" not in judged(compared(GOOD))
    assert judged(compared(GOOD), losses=1).startswith("no: do not: 1 open report of lost data.")
    assert judged(compared(GOOD), losses=2, ring="off").startswith("no: do not: 2 open reports of")


def test_worse_beyond_chance_is_not_safe_and_by_chance_is() -> None:
    assert judged(compared(Runs(well=180, failed=20))).startswith("no: do not: backup ends well 90.0 %")
    assert judged(compared(Runs(well=97, failed=3))).startswith("safe")


def test_any_kind_that_is_worse_stops_it() -> None:
    restores = compared(Runs(well=5, failed=7), Runs(well=300, failed=1), kind="restore")
    assert judged(compared(GOOD), restores).startswith("no: do not: restore ends well 41.7 %")


def test_slower_and_dying_more_are_not_safe() -> None:
    slow = Runs(well=990, failed=10, seconds=(5.0,) * 100)
    assert "backup takes 5.0 s, with the others 3.0 s" in judged(compared(slow))
    assert "5 runs ended without a word" in judged(compared(Runs(well=100, died=5)))


def test_everyone_and_nobody() -> None:
    assert judged(compared(GOOD, Runs()), ring="100%", has_others=False).startswith("wait: Everybody has it")
    assert judged(compared(Runs()), ring="off", days=0).startswith("safe")


def test_a_rule_waits_for_enough_runs() -> None:
    assert fallen(RULE, [compared(Runs(failed=19))]) == ""
    assert fallen(RULE, [compared(Runs(failed=20))]).startswith("backup ended well in 0.0 % of 20 runs")


def test_when_everybody_fails_no_flag_is_to_blame() -> None:
    outage = Runs(well=10, failed=490)
    assert fallen(RULE, [compared(Runs(well=1, failed=49), outage)]) == ""
    assert fallen(RULE, [compared(Runs(well=1, failed=49), GOOD)])


def test_without_others_the_lowest_share_is_the_measure() -> None:
    assert fallen(RULE, [compared(Runs(well=80, failed=20), Runs())]).endswith("and 90 % is the least.")
    assert fallen(RULE, [compared(Runs(well=86, failed=14), Runs())]) == ""  # it may truly be more than 90


def test_an_outage_is_no_fault_of_what_everybody_has() -> None:
    assert fallen(RULE, [compared(Runs(well=80, failed=20, outages=18), Runs())]) == ""
    assert fallen(RULE, [compared(Runs(well=5, failed=95, outages=90), Runs())]) == ""  # too few are left
    assert fallen(RULE, [compared(Runs(well=80, failed=60, outages=20), Runs())])


def test_a_small_drop_stays_below_the_rule_however_sure_it_is() -> None:
    many = Runs(well=97_000, failed=3_000)
    assert compared(many, Runs(well=99_000, failed=1_000)).is_worse
    assert fallen(RULE, [compared(many, Runs(well=99_000, failed=1_000))]) == ""


def test_only_the_kinds_of_the_rule_count() -> None:
    assert fallen(RULE, [compared(Runs(failed=50), kind="drill")]) == ""


def test_what_is_not_all_is_never_rounded_to_all() -> None:
    assert [comparing.percent(share) for share in (1, 0.99999, 0.5)] == ["100 %", "99.9 %", "50.0 %"]
