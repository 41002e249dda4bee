"""A flag whose numbers fall goes back by itself: once, noted, told, and by one machine of many."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from chatkeep.rollout import changing, flags
from chatkeep.rollout.changing import is_my_turn, watch
from chatkeep.rollout.comparing import Compared, Runs
from chatkeep.rollout.declared import Rule
from chatkeep.rollout.flags import State
from chatkeep.rollout.models import Round

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BAD = [Compared("backup", Runs(well=2, failed=28), Runs(well=300, failed=2))]


pytestmark = pytest.mark.django_db(transaction=True)


def quiet(*line: Any) -> None:
    """A log that nobody looks at."""


def worse(state: State, since: datetime) -> Sequence[Compared]:
    return BAD if state.flag.name == "readable-copies" else []


def test_it_goes_back_one_ring_is_noted_and_told() -> None:
    lines: list[tuple[Any, ...]] = []
    changing.move("readable-copies", "25%", by="olga", note=quiet)
    fell = watch(worse, note=lambda *line: lines.append(line), now=NOW)
    assert [(one.flag.name, one.ring, one.fell_at) for one in fell] == [("readable-copies", "5%", NOW)]
    assert fell[0].fell.startswith("backup ended well in 6.7 % of 30 runs, with the others 99.3 % of 302")
    assert [line[:3] for line in lines] == [("the watch over flags", "flag.fell", "flag:readable-copies")]
    assert lines[0][3] == {"from": "25%", "to": "5%", "why": fell[0].fell}
    changing.seen("readable-copies", by="olga", note=quiet)
    assert flags.state("readable-copies").fell == ""


def test_it_goes_off_at_once_where_the_rule_says_so() -> None:
    changing.move("readable-copies", "25%", by="olga", note=quiet)
    changing.watch_by("readable-copies", Rule(off=True), by="olga", note=quiet)
    assert [one.ring for one in watch(worse, note=quiet)] == ["off"]
    assert watch(worse, note=quiet) == []


def test_only_what_happened_since_the_last_change_counts() -> None:
    asked: list[datetime] = []

    def compare(state: State, since: datetime) -> Sequence[Compared]:
        asked.append(since)
        return []

    moved = changing.move("readable-copies", "25%", by="olga", note=quiet)
    assert moved.since is not None
    watch(compare, note=quiet, now=moved.since + timedelta(hours=3))
    watch(compare, note=quiet, now=moved.since + timedelta(hours=30))
    assert asked == [moved.since, moved.since + timedelta(hours=6)]


def test_what_is_off_killed_or_without_a_rule_stays_where_it_is() -> None:
    changing.move("readable-copies", "25%", by="olga", note=quiet)
    changing.move("inbox", "25%", by="olga", note=quiet)
    changing.move("tidying", "25%", by="olga", note=quiet)

    def bad(state: State, since: datetime) -> Sequence[Compared]:
        return [Compared(kind, BAD[0].having, BAD[0].others) for kind in ("backup", "publish")]

    changing.move("readable-copies", "off", by="olga", note=quiet)
    changing.kill("inbox", by="olga", why="why", note=quiet)
    changing.watch_by("tidying", None, by="olga", note=quiet)
    assert watch(bad, note=quiet) == []


def test_a_change_by_the_operator_at_the_same_moment_counts() -> None:
    def moved_meanwhile(state: State, since: datetime) -> Sequence[Compared]:
        if state.flag.name == "readable-copies":
            changing.move("readable-copies", "team", by="olga", note=quiet)
        return worse(state, since)

    changing.move("readable-copies", "25%", by="olga", note=quiet)
    assert watch(moved_meanwhile, note=quiet) == []
    assert flags.state("readable-copies").ring == "team"


def test_one_of_many_makes_a_round() -> None:
    Round.objects.create(name="flags", at=NOW - timedelta(minutes=5))
    yes: list[bool] = []
    gate = threading.Barrier(6)

    def ask() -> None:
        gate.wait()
        try:
            yes.append(is_my_turn("flags", now=NOW))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(yes) == [False] * 5 + [True]


def test_a_round_is_made_again_after_a_minute_and_after_a_clock_that_was_set_back() -> None:
    def at(seconds: float) -> bool:
        return is_my_turn("flags", now=NOW + timedelta(seconds=seconds))

    assert [at(0), at(59), at(60), at(61), at(-3600), at(-3599)] == [True, False, True, False, True, False]


def test_of_several_that_fell_the_one_that_was_changed_last_goes_first_and_the_others_are_looked_at_anew() -> None:
    changing.move("readable-copies", "25%", by="olga", note=quiet)
    changing.move("inbox", "25%", by="olga", note=quiet)
    asked: list[datetime] = []

    def bad(state: State, since: datetime) -> Sequence[Compared]:
        asked.append(since)
        return BAD

    first = watch(bad, note=quiet)
    assert [one.flag.name for one in first] == ["inbox"]
    second = watch(bad, note=quiet)
    assert asked[-1] == first[0].since
    assert len(second) == 1


def test_what_everybody_has_had_for_long_is_not_to_blame() -> None:
    moved = changing.move("readable-copies", "25%", by="olga", note=quiet)
    moved = changing.move("readable-copies", "100%", by="olga", note=quiet)
    assert moved.since is not None
    assert watch(worse, note=quiet, now=moved.since + timedelta(days=15)) == []
    assert watch(worse, note=quiet, now=moved.since + timedelta(days=13))
