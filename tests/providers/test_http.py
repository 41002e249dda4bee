from __future__ import annotations

import math

import pytest

from chatkeep.errors import SlowDown, WrongUse
from chatkeep.providers.http import Endpoints, Gate, Response, retry_after

REAL = "https://www.example.com/drive/v3/files"


class Moment:
    """A clock that goes on by what is slept."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_providers_are_at_their_own_addresses_or_all_behind_one() -> None:
    assert Endpoints()(REAL) == REAL
    moved = Endpoints("http://127.0.0.1:8000/")
    assert moved(REAL) == "http://127.0.0.1:8000/www.example.com/drive/v3/files"
    assert moved("http://127.0.0.1:8000/www.example.com/upload?id=1") == (
        "http://127.0.0.1:8000/www.example.com/upload?id=1"
    )
    assert Endpoints("https://clouds.example.org/x")(REAL) == (
        "https://clouds.example.org/x/www.example.com/drive/v3/files"
    )


@pytest.mark.parametrize("base", ["http://clouds.example.org", "ftp://127.0.0.1", "clouds", "http://", "file:///x"])
def test_a_base_without_encryption_is_refused(base: str) -> None:
    with pytest.raises(WrongUse):
        Endpoints(base)


@pytest.mark.parametrize("base", ["http://localhost:1", "http://[::1]:2", "http://127.0.0.9"])
def test_this_machine_itself_needs_no_encryption(base: str) -> None:
    assert Endpoints(base)(REAL).startswith(base + "/www.example.com/")


def test_nothing_is_sent_without_encryption_wherever_an_address_came_from() -> None:
    with pytest.raises(WrongUse):
        Endpoints()("http://127.0.0.1:8000/session")
    with pytest.raises(WrongUse):
        Endpoints()("http://www.example.com/session")


def test_a_closed_gate_holds_everybody_until_it_opens() -> None:
    moment = Moment()
    gate = Gate(patience_s=30, clock=moment.clock, sleep=moment.sleep)
    gate.wait()
    assert gate.close_for(20) == 20
    gate.close_for(5)
    gate.wait()
    gate.wait()
    assert moment.slept == [20]


def test_a_pause_beyond_patience_is_passed_on_with_what_is_left_of_it() -> None:
    moment = Moment()
    gate = Gate(patience_s=30, clock=moment.clock, sleep=moment.sleep)
    gate.close_for(100)
    moment.now += 60
    with pytest.raises(SlowDown) as raised:
        gate.wait()
    assert raised.value.wait_s == 40
    moment.now += 15
    gate.wait()
    assert moment.slept == [25]


@pytest.mark.parametrize("said", [7200, 1e300, math.inf, math.nan])
def test_no_pause_is_longer_than_an_hour(said: float) -> None:
    assert Gate().close_for(said) == 3600
    assert Gate().close_for(-5) == 0


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("120", 120.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("1e9", 3600.0),
        ("1e400", 3600.0),
        ("Fri, 31 Dec 2099 23:59:59 GMT", 3600.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 59.0),
        ("Fri, 31 Dec 1999 00:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_a_pause_is_told_in_seconds_or_as_a_date(said: str, meant: float | None) -> None:
    assert retry_after(Response(429, {"retry-after": said}, b""), now=lambda: 946684740.0) == meant


def test_an_answer_shows_nothing_of_its_content() -> None:
    assert repr(Response(200, {"location": "secret"}, b"secret")) == "Response(status=200, 6 bytes)"
    assert Response(200, {}, b"<html>").json() == Response(200, {}, b"").json() == {}
