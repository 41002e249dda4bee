"""How a sign-in stands is said before it ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from chatkeep.connections.health import WARNED_BEFORE, health
from chatkeep.connections.models import Connection
from connections.attic import NAME, attic

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def cloud() -> Iterator[None]:
    with attic():
        yield


def place(**more: object) -> Connection:
    return Connection(name="a", provider=NAME, **more)


def test_a_folder_has_no_sign_in() -> None:
    assert health(Connection(provider="folder"), now=NOW).state == "none"


def test_one_without_an_end_renews_itself() -> None:
    found = health(place(), now=NOW)
    assert (found.state, found.text, found.ends_at) == ("fine", "It renews itself.", None)


@pytest.mark.parametrize("surely", [True, False])
def test_an_end_is_said_from_the_first_day_and_loudly_more_than_two_days_before(surely: bool) -> None:
    ends_at = NOW + timedelta(days=7)
    found = health(place(ends_at=ends_at, ends_surely=surely), now=NOW)
    assert (found.state, found.ends_at) == ("fine", ends_at)
    assert f"It {'ends' if surely else 'may end'} on 29 November 2026, 12:00 UTC." == found.text
    assert "publish the app" in found.advice
    later = health(place(ends_at=ends_at, ends_surely=surely), now=ends_at - timedelta(hours=48))
    assert later.state == "ending"
    assert timedelta(hours=48) < WARNED_BEFORE


def test_a_sign_in_that_outlived_its_likely_end_renews_itself() -> None:
    assert health(place(ends_at=NOW - timedelta(minutes=1)), now=NOW).text == "It renews itself."


def test_one_that_ended_as_foreseen_says_why() -> None:
    found = health(place(signed_out=True, ends_at=NOW - timedelta(hours=1)), now=NOW)
    assert found.state == "over"
    assert "after seven days" in found.advice
    assert "Reconnect" in found.advice


def test_one_that_ended_otherwise_blames_no_trial() -> None:
    for ends_at in (None, NOW + timedelta(days=5)):
        found = health(place(signed_out=True, ends_at=ends_at), now=NOW)
        assert (found.state, found.advice) == ("over", "Reconnect; everything that was saved stays.")
