"""What one app may ask of a provider each second: all processes of a server together keep to it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from archives import about_servers
from chatkeep.connections import opening, pacing
from chatkeep.connections.installation import Installation
from chatkeep.connections.models import Connection, Spending
from chatkeep.connections.pacing import KeptAllowance
from chatkeep.errors import SlowDown
from chatkeep.providers import Allowance

pytestmark = pytest.mark.django_db(transaction=True)

PER_S = 100.0


class Clocks:
    """The clock of the database and the one of a process."""

    def __init__(self) -> None:
        self.date = timezone.now()
        self.steady = 1000.0

    def sleep(self, seconds: float) -> None:
        self.steady += seconds
        self.date += timedelta(seconds=seconds)

    def told(self) -> datetime:
        return self.date


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(pacing, "_now", made.told)
    return made


@pytest.fixture
def process(clocks: Clocks) -> Callable[..., Allowance]:
    """What one more process has of an app's allowance."""

    def made(client: str = "cid") -> Allowance:
        kept = KeptAllowance("attic", client, per_s=PER_S)
        return Allowance(kept.take, per_s=PER_S, clock=lambda: clocks.steady, sleep=clocks.sleep)

    return made


def spent_by(processes: list[Allowance], clocks: Clocks, requests: int) -> list[float]:
    """When each of so many requests was let through, made by the processes in turn [s since the first]."""
    began, at = clocks.steady, []
    for number in range(requests):
        processes[number % len(processes)].spend()
        at.append(clocks.steady - began)
    return at


def most_in_a_second(at: list[float]) -> int:
    return max(sum(begin <= other < begin + 1 for other in at) for begin in at)


def test_two_processes_together_ask_no_more_than_one_app_may(process: Callable[..., Allowance], clocks: Clocks) -> None:
    at = spent_by([process(), process()], clocks, 1000)
    assert at[-1] == pytest.approx(1000 / PER_S - 1, abs=0.5)  # after a second's worth that was saved up
    assert most_in_a_second(at) <= 2 * PER_S + 20


def test_without_the_keeping_they_would_ask_at_once(clocks: Clocks) -> None:
    alone = Allowance(lambda _: 0.0, per_s=PER_S, clock=lambda: clocks.steady, sleep=clocks.sleep)
    assert spent_by([alone], clocks, 1000)[-1] == 0


def test_another_app_has_an_allowance_of_its_own(process: Callable[..., Allowance], clocks: Clocks) -> None:
    at = spent_by([process("cid"), process("another")], clocks, 1000)
    assert at[-1] < 1000 / PER_S / 2 + 1


def test_what_waits_too_long_is_put_off_and_takes_nothing(process: Callable[..., Allowance], clocks: Clocks) -> None:
    KeptAllowance("attic", "cid", per_s=PER_S).take(int(20 * PER_S))
    before = Spending.objects.get().spent_until
    with pytest.raises(SlowDown) as raised:
        process().spend(int(20 * PER_S))
    assert raised.value.wait_s > 30
    assert Spending.objects.get().spent_until == before
    clocks.sleep(raised.value.wait_s)
    process().spend(int(20 * PER_S))


def test_a_thousand_small_requests_ask_the_database_a_hundred_times(
    process: Callable[..., Allowance], clocks: Clocks
) -> None:
    taken: list[int] = []
    kept = KeptAllowance("attic", "cid", per_s=PER_S)

    def take(units: int) -> float:
        taken.append(units)
        return kept.take(units)

    allowance = Allowance(take, per_s=PER_S, clock=lambda: clocks.steady, sleep=clocks.sleep)
    spent_by([allowance], clocks, 1000)
    assert taken == [10] * 100


def test_a_clock_that_is_set_back_holds_nobody(process: Callable[..., Allowance], clocks: Clocks) -> None:
    KeptAllowance("attic", "cid", per_s=PER_S).take(int(20 * PER_S))
    clocks.date -= timedelta(days=400)
    assert spent_by([process()], clocks, 50)[-1] <= 1


def test_a_database_that_does_not_answer_holds_nobody(
    process: Callable[..., Allowance], clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> datetime:
        raise OperationalError("gone")

    monkeypatch.setattr(pacing, "_now", broken)
    assert spent_by([process()], clocks, 1000)[-1] == 0


@about_servers
def test_shares_that_many_take_at_once_are_all_counted(clocks: Clocks) -> None:
    def take() -> None:
        kept = KeptAllowance("attic", "cid", per_s=PER_S)
        for _ in range(20):
            kept.take(10)

    began = clocks.date
    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Spending.objects.get().spent_until - began == timedelta(seconds=8 * 20 * 10 / PER_S - 1)


def test_accounts_of_a_server_share_the_allowance_of_their_app_and_a_laptop_has_none(
    installation: Installation,
) -> None:
    server = dataclasses.replace(installation, shared=True, clients={"google-drive": ("cid", "csec")})
    rows = [Connection(name=name, provider="google-drive", account_id=name) for name in ("a", "b")]
    found = [opening.means_of(row, server) for row in rows]
    assert found[0]
    assert found[1]
    assert found[0].allowance is not None
    assert found[0].allowance is found[1].allowance
    own = opening.means_of(Connection(name="c", provider="google-drive", location={"client_id": "own"}), server)
    assert own
    assert own.allowance is not found[0].allowance
    at_home = opening.means_of(rows[0], dataclasses.replace(server, shared=False))
    assert at_home
    assert at_home.allowance is None
