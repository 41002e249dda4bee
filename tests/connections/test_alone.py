"""One at a time: threads and processes wait for one another, and the dead hold nobody up."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from chatkeep.connections.alone import alone

HOLDER = """
import sys
from pathlib import Path
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
    with alone(tmp_path, "a"), alone(tmp_path, "b"), alone(tmp_path / "other", "a"):
        assert sorted(path.name for path in (tmp_path / "locks").iterdir()) == ["a.lock", "b.lock"]


def test_a_process_is_waited_for_until_it_dies(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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
