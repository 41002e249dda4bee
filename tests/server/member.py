"""A worker of a server for tests that kill and freeze it: `python member.py HOME`, until it is told to end.

Its one kind of job, "copy", has ten steps. What it did stands in HOME/effects, a line for each moment, and what is
recorded after the lease was asked for the last time stands in the row of the job.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

HOME = Path(sys.argv[1])


def effect(run: Any, subject: str, moment: str) -> None:
    line = f"{time.time():.3f} {run.pk} {subject} {moment} {os.getpid()}-{run._token[:8]}\n"
    file = os.open(HOME / "effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)


def copy(run: Any, arguments: Mapping[str, Any]) -> dict[str, str]:
    """A job of ten steps, each of which asks whether it may go on."""
    from chatkeep.operations.progress import Step

    effect(run, arguments["subject"], "begin")
    for number in range(10):
        run.progress(Step(f"Step {number}"))
        effect(run, arguments["subject"], "step")
        time.sleep(0.05)
    run.progress(Step("Last step"))
    effect(run, arguments["subject"], "end")
    return {"by": f"{os.getpid()}-{run._token[:8]}"}


def main() -> None:
    from chatkeep.connections.start import start

    start(HOME)
    from chatkeep.jobs.crew import Crew

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    work = threading.Thread(
        target=Crew(look_s=0.2, lasts=timedelta(seconds=4)).run_worker,
        args=({"copy": copy},),
        kwargs={"stop": stop, "threads": 4},
    )
    work.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    work.join()


if __name__ == "__main__":
    main()
