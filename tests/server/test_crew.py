"""The backend for many machines keeps what every backend promises, and what many machines need besides."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from chatkeep.jobs.crew import Crew
from chatkeep.jobs.port import Backend
from chatkeep.testing.jobs_suite import JobsSuite


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
