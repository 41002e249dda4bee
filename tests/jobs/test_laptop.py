"""The backend for one machine keeps what every backend promises."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chatkeep.jobs.laptop import Laptop
from chatkeep.jobs.port import Backend
from chatkeep.testing.jobs_suite import JobsSuite


class TestLaptop(JobsSuite):
    @pytest.fixture
    def backend(self) -> Backend:
        return Laptop(idle_s=0.01)

    @pytest.fixture
    def second(self) -> Backend:
        return Laptop(idle_s=0.01)

    @pytest.fixture
    def hasty(self) -> Backend:
        return Laptop(idle_s=0.01, lasts=timedelta(seconds=0.3))
