"""All of a server as one command: what ends is begun again, and a word ends everything."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from chatkeep.testing.jobs_suite import until


def children(pid: int) -> dict[int, str]:
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                command = stat.with_name("cmdline").read_text().replace("\0", " ")
                found[int(stat.parent.name)] = re.sub(r".*-m chatkeep ", "", command).strip()
        except (OSError, IndexError):
            continue
    return found


def test_a_program_that_is_killed_is_begun_again_and_sigterm_ends_all(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CHATKEEP_PORT": str(port)}
    command = [sys.executable, "-m", "chatkeep", "server", "run", "--workers", "2"]
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: sorted(children(process.pid).values()) == ["serve --no-browser", "worker", "worker"])
            before = children(process.pid)
            os.kill(next(pid for pid, what in before.items() if what == "worker"), signal.SIGKILL)
            until(lambda: len(children(process.pid).keys() - before.keys()) == 1)
            time.sleep(5)  # so that all have begun to listen to signals
            process.terminate()
            assert process.wait(120) == 0
            assert not any(Path(f"/proc/{pid}").exists() for pid in before)
        finally:
            process.kill()
