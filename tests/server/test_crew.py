"""The backend for many machines keeps what every backend promises, and what many machines need besides."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from chatkeep.jobs import queue, schedules, tickets
from chatkeep.jobs.crew import Crew
from chatkeep.jobs.models import Job
from chatkeep.jobs.port import Backend, Wanted
from chatkeep.jobs.run import Run
from chatkeep.jobs.tickets import ELSEWHERE
from chatkeep.testing.jobs_suite import JobsSuite, ended, until, working


@pytest.fixture(autouse=True)
def no_tickets(transactional_db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE queue.pgqueuer")


class TestCrew(JobsSuite):
    @pytest.fixture
    def backend(self) -> Backend:
        return Crew(look_s=0.05)

    @pytest.fixture
    def second(self) -> Backend:
        return Crew(look_s=0.05)

    @pytest.fixture
    def hasty(self) -> Backend:
        return Crew(look_s=0.05, lasts=timedelta(seconds=0.6))


def test_a_provider_has_no_more_runs_at_once_than_it_may() -> None:
    """On two workers together. Without the limit there are more, as the control shows."""
    assert most_at_once({ELSEWHERE: 2}) == 2
    assert most_at_once({}) > 2


def most_at_once(at_once: dict[str, int]) -> int:
    crews = [Crew(look_s=0.05, at_once=at_once) for _ in range(2)]
    now, most, lock = [0], [0], threading.Lock()

    def work(run: Run, arguments: Mapping[str, Any]) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.2)
        with lock:
            now[0] -= 1

    ids = crews[0].enqueue_many([Wanted("check", f"s{number}") for number in range(12)])
    with working(crews[0], {"check": work}, threads=4), working(crews[1], {"check": work}, threads=4):
        until(ended(*ids))
    return most[0]


def test_what_a_person_waits_for_passes_what_the_clock_asked_for_and_nothing_waits_for_ever() -> None:
    now = timezone.now()
    by_clock = Job(subject="a", by=schedules.BY, due_at=now)
    by_person = Job(subject="b", by="the web page", due_at=now + timedelta(minutes=5))
    much_later = Job(subject="c", by="the web page", due_at=now + timedelta(minutes=11))
    assert sorted((by_clock, by_person, much_later), key=tickets.rank, reverse=True) == [
        by_person,
        by_clock,
        much_later,
    ]


def test_a_person_is_served_before_the_backups_of_the_night() -> None:
    begun: list[str] = []

    def work(run: Run, arguments: Mapping[str, Any]) -> None:
        begun.append(str(arguments["who"]))

    crew = Crew(look_s=0.05)
    ids = crew.enqueue_many([Wanted("check", f"s{n}", {"who": "clock"}, by=schedules.BY) for n in range(30)])
    ids += crew.enqueue_many([Wanted("check", "person", {"who": "person"}, by="the web page")])
    tickets.hand_out(["check"])
    with working(crew, {"check": work}, threads=2):
        until(ended(*ids))
    assert begun.index("person") < 4


def test_a_ticket_that_is_lost_is_made_again() -> None:
    (pk,) = Crew().enqueue_many([Wanted("check", "a")])
    assert (tickets.hand_out(["check"]), tickets.hand_out(["check"])) == (1, 0)
    assert tickets.mend() == 0
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE queue.pgqueuer")
    assert tickets.mend() == 1
    assert tickets.hand_out(["check"]) == 1
    assert queue.find(pk).carried
