"""Workers that are killed and frozen, and a PostgreSQL that crashes under them: every request is honoured once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from chatkeep.jobs import lease, queue
from chatkeep.jobs.crew import Crew
from chatkeep.jobs.models import Job, State
from chatkeep.jobs.port import Wanted
from postgres import Cluster

MEMBER = Path(__file__).with_name("member.py")
CONNECTIONS, DISTURBANCES = 60, 8
WITHIN_S, LONGEST_S = 120, 600


class Members:
    """As many workers as asked for, always: a supervisor's part."""

    def __init__(self, home: Path, number: int) -> None:
        self._home = home
        self.killed = 0
        self._begun: list[subprocess.Popen[str]] = []
        self.all = [self._begin() for _ in range(number)]

    def _begin(self) -> subprocess.Popen[str]:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with (self._home / "told").open("a") as told:
            command = [sys.executable, str(MEMBER), str(self._home)]
            process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=told, text=True)
        assert process.stdout is not None
        return process

    def wait(self) -> None:
        for process in self.all:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            self._begun.append(process)

    def kill(self, number: int) -> None:
        """One is killed, and another begins in its place."""
        self.all[number].kill()
        self.all[number].communicate()
        self.killed += 1
        self.all[number] = self._begin()

    def end(self) -> list[int]:
        """All are told to end, once they have begun. How they ended."""
        for process in self.all:
            process.send_signal(signal.SIGCONT)
            assert process.stdout is not None
            if process not in self._begun:
                assert process.stdout.readline() == "ready\n"
            process.terminate()
        return [(process.communicate(timeout=60), process.returncode)[1] for process in self.all]


@pytest.fixture
def members(home: Path) -> Iterator[Members]:
    found = Members(home, 2)
    yield found
    for process in found.all:
        process.kill()
        process.communicate()


def overlaps(effects: list[str]) -> list[str]:
    """The subjects on which one run had an effect after a later run of them had begun, except what is called "step"."""
    latest: dict[str, str] = {}
    found = []
    for effect in effects:
        _, _, subject, moment, run = effect.split()
        if moment == "begin":
            latest[subject] = run
        elif moment == "end" and latest[subject] != run:
            found.append(subject)
    return found


def longest_wait(effects: list[str]) -> float:
    """How long it took, at most, from the last that a run did to the begin of the one that took over [s]."""
    last: dict[str, float] = {}
    longest = 0.0
    for effect in effects:
        at, job, _, moment, _ = effect.split()
        if moment == "begin" and job in last:
            longest = max(longest, float(at) - last[job])
        last[job] = float(at)
    return longest


def until_more_is_done(home: Path, number: int) -> None:
    """Wait until so many more jobs came to their end, or all did."""

    def ends() -> int:
        path = home / "effects"
        return path.read_text().count(" end ") if path.exists() else 0

    wanted, limit = ends() + number, time.monotonic() + LONGEST_S
    while ends() < wanted and Job.objects.filter(state__in=("waiting", "running")).exists():
        assert time.monotonic() < limit, "nothing more was done"
        time.sleep(0.1)


def test_an_end_after_somebody_else_began_would_be_noticed() -> None:
    good = ["1 1 a begin 7-x", "2 1 a begin 8-y", "3 1 a end 8-y", "4 2 a begin 7-z", "5 2 a end 7-z"]
    assert overlaps(good) == []
    assert overlaps(["1 1 a begin 7-x", "2 1 a begin 8-y", "3 1 a end 7-x", "4 1 a end 8-y"]) == ["a"]


@pytest.mark.slow
def test_with_workers_killed_and_frozen_every_request_is_honoured_and_recorded_once(
    home: Path, members: Members
) -> None:
    subjects = [f"connection:{number}" for number in range(CONNECTIONS)]
    wanted = [Wanted("copy", subject, {"subject": subject, "turn": turn}) for turn in range(3) for subject in subjects]
    members.wait()
    begun = time.monotonic()
    ids = Crew().enqueue_many(wanted)
    chance = random.Random(5)
    frozen = 0
    for number in range(DISTURBANCES):  # each once some more work was done, however busy the machine is
        until_more_is_done(home, 10)
        if number in (2, 5):
            frozen += 1
            members.all[number % 2].send_signal(signal.SIGSTOP)
            time.sleep(6)  # longer than a run may be silent
            members.all[number % 2].send_signal(signal.SIGCONT)
        else:
            members.kill(chance.randrange(2))
    while Job.objects.filter(pk__in=ids, state__in=("waiting", "running")).exists():
        assert time.monotonic() - begun < LONGEST_S, "not all was done"
        time.sleep(0.5)
    jobs = list(Job.objects.filter(pk__in=ids))
    effects = (home / "effects").read_text().splitlines()
    waited = longest_wait(effects)
    crashes = sum(job.crash_count for job in jobs)
    sys.stdout.write(f"{len(jobs)} requests, {members.killed} killed, {frozen} frozen, {crashes} taken over, ")
    sys.stdout.write(f"each within {waited:.0f} s\n")
    states = Counter(str(job.state) for job in jobs)
    assert set(states) <= {State.DONE, State.PAUSED}
    assert all(job.crash_count >= lease.most_crashes() for job in jobs if job.state == State.PAUSED)
    ends = Counter(effect.split()[1] for effect in effects if effect.split()[3] == "end")
    assert {str(job.pk) for job in jobs if job.state == State.DONE} <= ends.keys()
    assert overlaps(effects) == []
    recorded = {str(job.pk): job.report["by"] for job in jobs if job.report}
    last = {effect.split()[1]: effect.split()[4] for effect in effects if effect.split()[3] == "end"}
    assert {pk: last[pk] for pk in recorded} == recorded
    assert waited < WITHIN_S
    assert members.end() == [0, 0]


@pytest.mark.slow
def test_a_postgresql_that_crashes_and_starts_again_costs_time_alone(
    home: Path, members: Members, cluster: Cluster
) -> None:
    members.wait()
    subjects = [f"connection:{number}" for number in range(30)]
    ids = Crew().enqueue_many([Wanted("copy", subject, {"subject": subject}) for subject in subjects])
    for immediately in (True, False):
        while not Job.objects.filter(state=State.RUNNING).exists():
            time.sleep(0.05)
        cluster.stop(immediately=immediately)
        time.sleep(2)
        cluster.start()
        with contextlib.suppress(Exception):
            Job.objects.exists()
        connection.close()
    begun = time.monotonic()
    while Job.objects.filter(pk__in=ids, state__in=("waiting", "running")).exists():
        assert time.monotonic() - begun < LONGEST_S, list(Job.objects.values_list("state", "due_at", "log"))
        Job.objects.filter(state=State.WAITING, due_at__gt=timezone.now()).update(due_at=timezone.now())
        time.sleep(0.5)
    jobs = [queue.find(pk) for pk in ids]
    assert {job.state for job in jobs} == {State.DONE}
    assert [process.poll() for process in members.all] == [None, None]
    assert overlaps((home / "effects").read_text().splitlines()) == []
    assert members.end() == [0, 0]
