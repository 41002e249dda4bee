"""The program that works on a server: it is told to end, killed and frozen, and PostgreSQL goes away under it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatkeep.jobs import queue
from chatkeep.jobs.models import State
from chatkeep.testing.jobs_suite import until


@pytest.fixture
def worker(home: Path) -> Iterator[subprocess.Popen[str]]:
    """`chatkeep worker`, at work."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "chatkeep", "worker", "--slots", "2"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "Working" in process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_worker_does_what_is_asked_for_and_ends_well_when_it_is_told(worker: subprocess.Popen[str]) -> None:
    job = queue.enqueue("backup", "connection:gone", {"connection": "gone"}, by="a test", archive="a" * 32)
    until(lambda: not queue.find(job.pk).is_open)
    assert queue.find(job.pk).state == State.FAILED
    assert "No connection is called" in queue.find(job.pk).what or "Nothing is connected" in queue.find(job.pk).what
    worker.send_signal(signal.SIGTERM)
    _, told = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert "Traceback" not in told
