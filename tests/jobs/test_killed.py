"""Processes that are killed or frozen while they work: every request is honoured, and nothing is recorded twice."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatkeep.connections import start
from chatkeep.jobs import alive, lease, queue
from chatkeep.jobs.models import Job, State

CHILD = Path(__file__).with_name("child.py")
SOURCE = Path(__file__).parents[2] / "src"


def child(home: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "CHATKEEP_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(home), *arguments], env=env, stdout=subprocess.PIPE, text=True
    )


def test_killed_before_any_statement_the_next_start_honours_every_request(tmp_path: Path) -> None:
    """Each line: the statement, how the first start ended, the jobs after the second start, and what both did."""
    process = child(tmp_path, "kill-at-every-statement")
    lines = process.communicate(timeout=300)[0].splitlines()
    assert process.returncode == 0
    assert len(lines) > 20
    assert [line.split(";")[1] for line in lines] == [str(int(signal.SIGKILL))] * (len(lines) - 1) + ["0"]
    for line in lines:
        _, _, states, _, *effects = line.split(";")
        jobs = [state.split(":") for state in states.split()]
        assert sorted(subject for subject, _, _ in jobs) == ["a", "a", "b", "c"], line
        assert {state for _, state, _ in jobs} == {"done"}, line
        crashes = sum(int(crashes) for _, _, crashes in jobs)
        begun = sum("begin" in effect for effect in effects)
        assert (crashes in (0, 1), begun) == (True, 4 + crashes), line
        assert overlapping(effects) == [], line


def overlapping(effects: list[str]) -> list[str]:
    """The subjects that two living processes, or one process twice, worked on at once."""
    at_work: dict[str, str] = {}
    found = []
    for effect in effects:
        _, subject, moment, process = effect.split()
        if moment == "begin":
            found += [subject] if at_work.get(subject) == process else []
            at_work[subject] = process
        else:
            found += [subject] if at_work.pop(subject, "") != process else []
    return found


def test_work_on_one_subject_at_once_would_be_noticed() -> None:
    assert overlapping(["1 a begin 7", "2 a begin 7", "1 a end 7", "2 a end 7"]) == ["a", "a"]
    assert overlapping(["1 a begin 7", "1 a begin 8", "1 a end 8", "2 a begin 8", "2 a end 8"]) == []


@pytest.fixture
def frozen(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that works on the jobs of `home`."""
    start.bring_up_to_date()
    process = child(home, "work", "600")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def until(seen: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)


def freeze(process: subprocess.Popen[str], home: Path) -> None:
    """Stop it where it holds no lock on the database: in between, everybody waits for it, as SQLite has it."""
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        with contextlib.closing(sqlite3.connect(home / "app.sqlite3", timeout=0)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)


def test_a_process_that_was_frozen_and_woke_up_writes_nothing_more(home: Path, frozen: subprocess.Popen[str]) -> None:
    for number in range(3):
        (home / "go").unlink(missing_ok=True)
        job = queue.enqueue("import", f"s{number}", {"subject": f"s{number}"})
        until(lambda job=job: bool(queue.find(job.pk).progress))  # type: ignore[misc]
        freeze(frozen, home)
        silence = lease.Silence(clock=iter((0.0, 1000.0)).__next__)
        assert [lease.recover(silence), lease.recover(silence)] == [0, 1]
        second = lease.take(queue.find(job.pk))
        (home / "go").touch()
        other = queue.enqueue("import", f"other{number}", {"subject": "other"})
        frozen.send_signal(signal.SIGCONT)
        until(lambda other=other: queue.find(other.pk).state == State.DONE)  # type: ignore[misc]
        found = queue.find(job.pk)
        assert (found.state, found.run_token, found.progress) == (State.RUNNING, second, {})
        assert f"{job.pk} s{number} end" not in (home / "effects").read_text()
        lease.end(job.pk, second, State.DONE, line="Done.")


def test_the_work_of_a_process_that_was_killed_is_taken_up_at_once(home: Path, frozen: subprocess.Popen[str]) -> None:
    job = queue.enqueue("import", "a", {"subject": "a"})
    until(lambda: bool(queue.find(job.pk).progress))
    owner = queue.find(job.pk).owner
    assert not alive.is_dead(owner)
    assert lease.recover(lease.Silence()) == 0
    frozen.kill()
    frozen.wait()
    assert alive.is_dead(owner)
    assert lease.recover(lease.Silence()) == 1
    found = queue.find(job.pk)
    assert (found.state, found.crash_count) == (State.WAITING, 1)


def test_a_process_knows_that_it_lives_itself_and_is_known_by_one_name(home: Path) -> None:
    start.bring_up_to_date()
    assert alive.mine() == alive.mine() != ""
    assert not alive.is_dead(alive.mine())
    assert alive.is_dead("4711-000000000000")
    assert not alive.is_dead("")


def test_the_files_of_the_dead_are_swept_away(home: Path, frozen: subprocess.Popen[str]) -> None:
    queue.enqueue("import", "a", {"subject": "a"})
    until(lambda: Job.objects.filter(state=State.RUNNING).exists())
    folder = home / alive.FOLDER
    assert len(list(folder.iterdir())) == 1
    alive.mine()
    assert len(list(folder.iterdir())) == 2
    frozen.kill()
    frozen.wait()
    before = alive._held.pop(folder)
    assert {path.name for path in folder.iterdir()} > {before[1]}
    own = alive.mine()
    assert [path.name for path in folder.iterdir()] == [own]
