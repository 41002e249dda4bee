"""One at a time: threads and processes wait for one another, and the dead hold nobody up."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.db import connection

from chatkeep.connections.alone import alone
from postgres import SERVER

pytestmark = pytest.mark.django_db(transaction=True)

HOLDER = """
import sys
from pathlib import Path
if len(sys.argv) > 2:
    import django
    django.setup()
    django.db.connection.settings_dict["NAME"] = sys.argv[2]
from chatkeep.connections.alone import alone
with alone(Path(sys.argv[1]), "a"):
    print("in", flush=True)
    sys.stdin.read()
"""


def test_threads_are_in_one_after_another(tmp_path: Path) -> None:
    inside, most, count = 0, 0, 0

    def enter() -> None:
        nonlocal inside, most, count
        for _ in range(50):
            with alone(tmp_path, "a"):
                inside += 1
                most = max(most, inside)
                count += 1
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, count) == (1, 400)


def test_other_names_and_folders_do_not_wait(tmp_path: Path) -> None:
    with alone(tmp_path, "a"), alone(tmp_path, "b"), contextlib.nullcontext() if SERVER else alone(tmp_path / "o", "a"):
        files = sorted(path.name for path in tmp_path.glob("locks/*"))
    assert files == ([] if SERVER else ["a.lock", "b.lock"])


def test_a_process_is_waited_for_until_it_dies(tmp_path: Path) -> None:
    given = [str(tmp_path), str(connection.settings_dict["NAME"])][: 2 if SERVER else 1]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, *given],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "chatkeep.web.configuration",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "in\n"
    got = threading.Event()

    def enter() -> None:
        with alone(tmp_path, "a"):
            got.set()

    waiting = threading.Thread(target=enter)
    waiting.start()
    assert not got.wait(0.2)
    holder.kill()
    holder.wait()
    assert got.wait(20)
    waiting.join()
    holder.stdin.close()
    holder.stdout.close()
