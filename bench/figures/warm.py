"""Backups in a process that runs already, as the worker makes them: what is imported and open is not paid again.

Run as a program it makes one backup for each line it reads, and prints what that took: seconds of wall clock and of
processor.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from .measure import Cost, Failed


class Worker:
    """A process beside ours that backs up when it is told to. env: where the data folder is."""

    def __init__(self, env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "figures.warm"],
            cwd=Path(__file__).parent.parent,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.communicate()

    def back_up(self) -> Cost:
        """One backup. Raises Failed when the process has ended."""
        streams = self.process.stdin, self.process.stdout
        if streams[0] is None or streams[1] is None or self.process.poll() is not None:
            raise Failed("The process that backs up has ended.")
        streams[0].write("\n")
        streams[0].flush()
        wall, cpu = streams[1].readline().split() or _ended()
        return Cost(float(wall), float(cpu), 0, "")


def _ended() -> list[str]:
    raise Failed("The process that backs up has ended.")


def main() -> None:
    from chatkeep.cli.rooms import App
    from chatkeep.operations import quiet

    app = App()
    from chatkeep.jobs import kinds

    connection = app.connection("")
    with app.archive() as archive:
        means = kinds.Means.alone(archive, app.installation)
        for _ in sys.stdin:
            wall, cpu = time.perf_counter(), time.process_time()
            with app.place(connection) as place:
                kinds.back_up(place, means, progress=quiet)
            print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)


if __name__ == "__main__":
    main()
