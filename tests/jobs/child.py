"""A process that works on jobs, for tests that kill or freeze it: `python child.py HOME COMMAND …`.

What it did stands in HOME/effects, a line for each moment: job, subject, "begin" or "end", and the process.

    kill-at-every-statement    work in children, killing the first before its first statement that writes, the next
                               before its second, and so on; each is followed by one that is left alone
    work PATIENCE_S            work until it is stopped or killed; a run is silent after PATIENCE_S
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

HOME = Path(sys.argv[1])
WRITES = ("INSERT", "UPDATE", "DELETE", "COMMIT", "SAVEPOINT", "RELEASE")


def effect(run: Any, subject: str, moment: str) -> None:
    with (HOME / "effects").open("a") as file:
        file.write(f"{run.pk} {subject} {moment} {os.getpid()}\n")


def work(run: Any, arguments: Mapping[str, Any]) -> None:
    """A job of three steps."""
    from chatkeep.operations.progress import Step

    effect(run, arguments["subject"], "begin")
    for stage in ("Reading", "Sending"):
        run.progress(Step(stage))
    effect(run, arguments["subject"], "end")


def slowly(run: Any, arguments: Mapping[str, Any]) -> None:
    """A job that goes on until HOME/go is there, telling its progress all the time; then it has its effect."""
    from chatkeep.operations.progress import Step

    effect(run, arguments["subject"], "begin")
    number = 0
    while not (HOME / "go").exists():
        number += 1
        run.progress(Step(f"Step {number}"))
        time.sleep(0.02)
    run.progress(Step("Sending"))
    effect(run, arguments["subject"], "end")


def kill_before_statement(number: int) -> Callable[..., Any]:
    left = [number]

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().upper().startswith(WRITES):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
        return run(sql, params, many, context)

    return execute


def once(statement: int = 0) -> None:
    """What one start of the program does: the schedules, then all that is due."""
    from django.db import connection

    from chatkeep.jobs.laptop import Laptop
    from chatkeep.jobs.schedules import Dispatcher
    from chatkeep.jobs.worker import Worker

    dispatcher = Dispatcher(Laptop(), kinds={"check"}, changes=lambda: {"own": 1})
    worker = Worker({"check": work, "import": work})
    with connection.execute_wrapper(kill_before_statement(statement)):
        dispatcher.tick()
        while worker.run_one():
            pass


def forked(task: Callable[[], None]) -> int:
    """The signal that ended a child which does this, 0 when it ended well."""
    from django.db import connection

    connection.close()
    child = os.fork()
    if not child:
        try:
            task()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def ask() -> None:
    """Two requests of one subject, one of another, and a schedule that is due."""
    from django.utils import timezone

    from chatkeep.jobs import queue
    from chatkeep.jobs.models import Job, Schedule

    Job.objects.all().delete()
    Schedule.objects.all().delete()
    (HOME / "effects").write_text("")
    for number, subject in enumerate(("a", "a", "b")):
        queue.enqueue("import", subject, {"subject": subject, "number": number})
    Schedule.objects.create(
        subject="c", kind="check", every="day 00:00", next_due=timezone.now(), arguments='{"subject": "c"}'
    )


def states() -> list[str]:
    from chatkeep.jobs.models import Job

    return [f"{job.subject}:{job.state}:{job.crash_count}" for job in Job.objects.order_by("pk")]


def kill_at_every_statement() -> None:
    statement = 0
    while True:
        statement += 1
        ask()
        ended = forked(partial(once, statement))
        forked(once)
        effects = (HOME / "effects").read_text().splitlines()
        sys.stdout.write(";".join([str(statement), str(ended), " ".join(states()), "|", *effects]) + "\n")
        if ended != signal.SIGKILL:
            break


def work_on(patience_s: float) -> None:
    from chatkeep.jobs.laptop import Laptop

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    laptop = Laptop(idle_s=0.01, lasts=timedelta(seconds=patience_s))
    laptop.run_worker({"import": slowly}, stop=threading.Event(), threads=1)


if __name__ == "__main__":
    os.environ["CHATKEEP_HOME"] = str(HOME)
    from chatkeep.connections.start import start

    start(HOME)
    if sys.argv[2] == "work":
        work_on(float(sys.argv[3]))
    else:
        kill_at_every_statement()
