#!/usr/bin/env python3
"""Print how a server looks after a million schedules: finding what is due, asking for it, and doing nothing.

    python bench/schedules.py                     1,000,000 connections, each backed up daily
    python bench/schedules.py --rows 100000

Figures to reach: what is due is found in 50 ms, and while nothing is due PostgreSQL takes less than 2 % of a processor.
For others: `measure(rows=…)` gives the figures as a dict.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))

import postgres  # type: ignore[import-not-found]

TICK = os.sysconf("SC_CLK_TCK")
ENVIRONMENT = {"CHATKEEP_KEY": "a key of the measurement alone, 1234", "CHATKEEP_PUBLIC_URL": "http://127.0.0.1:8765"}


def main() -> None:
    parser = argparse.ArgumentParser(description="A million schedules.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--idle", type=float, default=60.0, help="how long to do nothing [s]")
    args = parser.parse_args()
    for name, value in measure(rows=args.rows, idle_s=args.idle).items():
        print(f"{name:55} {value:12,.2f}")


def measure(*, rows: int = 1_000_000, idle_s: float = 60.0) -> dict[str, float]:
    """The figures of so many schedules, in a PostgreSQL of their own that writes to disk as it should."""
    settings = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "256MB", "max_wal_size": "4GB"}
    with postgres.running(**settings) as cluster, tempfile.TemporaryDirectory(prefix="chatkeep-bench-") as home:
        os.environ |= {**ENVIRONMENT, "DATABASE_URL": cluster.fresh(), "CHATKEEP_HOME": home}
        from chatkeep.connections import start

        start.migrate()
        _fill(rows)
        return _work() | _idle(cluster, idle_s)


def _fill(rows: int) -> None:
    """So many connections with a daily backup each, spread over the day that begins in an hour."""
    from django.db import connection

    from chatkeep.connections.models import Connection
    from chatkeep.jobs.models import Schedule

    first = Connection.objects.create(name="first", provider="folder", archive="0" * 32)
    names = {str(field.column) for field in Connection._meta.concrete_fields} - {"id", "uid", "name", "archive"}
    same = ", ".join(f'first."{name}"' for name in sorted(names))
    columns = ", ".join(f'"{name}"' for name in sorted(names))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO connections_connection (uid, name, archive, {columns})
            SELECT lpad(to_hex(n), 16, '0'), 'place', lpad(to_hex(n), 32, '0'), {same}
            FROM generate_series(1, %s) AS n, connections_connection AS first WHERE first.id = %s""",
            [rows, first.pk],
        )
        Schedule.objects.exclude(kind="backup").delete()
        names = {str(field.column) for field in Schedule._meta.concrete_fields} - {
            "id",
            "subject",
            "archive",
            "next_due",
        }
        same = ", ".join(f'first."{name}"' for name in sorted(names))
        columns = ", ".join(f'"{name}"' for name in sorted(names))
        cursor.execute(
            f"""INSERT INTO jobs_schedule (subject, archive, next_due, {columns})
            SELECT 'connection:' || lpad(to_hex(n), 16, '0'), lpad(to_hex(n), 32, '0'),
                now() + interval '1 hour' + n * interval '1 day' / %s, {same}
            FROM generate_series(1, %s) AS n, jobs_schedule AS first""",
            [rows, rows],
        )
        cursor.execute("DELETE FROM jobs_schedule WHERE next_due IS NULL")
        cursor.execute("VACUUM ANALYZE jobs_schedule")
        cursor.execute("VACUUM ANALYZE connections_connection")


def _work() -> dict[str, float]:
    from django.db import transaction
    from django.utils import timezone

    from chatkeep.jobs import rota, tickets
    from chatkeep.jobs.crew import Crew
    from chatkeep.jobs.models import Job, Schedule

    rotating = rota.Rota(Crew(), kinds=["backup"])
    now = timezone.now()

    def scan() -> None:
        with transaction.atomic():
            rotating.due(timezone.now())

    def tell() -> None:
        rota.tell_change("0" * 26 + "0003e8", len(told))
        told.append(0)

    told: list[int] = [0]
    nothing = _times(scan, 200)
    ids = list(Schedule.objects.order_by("id").values_list("pk", flat=True)[:10_000])
    Schedule.objects.filter(pk__in=ids).update(next_due=now)
    some = _times(scan, 100)
    begun = time.perf_counter()
    asked = rotating.tick()
    asking_s = time.perf_counter() - begun
    assert asked == len(ids) == Job.objects.count()
    begun = time.perf_counter()
    while tickets.hand_out(["backup"]):
        pass
    handing_s = time.perf_counter() - begun
    changes = _times(tell, 100)
    Job.objects.all().delete()
    tickets.mend()
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE queue.pgqueuer")
    return {
        "finding 500 that are due, p50 [ms]": some[0],
        "finding 500 that are due, p95 [ms]": some[1],
        "finding that nothing is due, p50 [ms]": nothing[0],
        "finding that nothing is due, p95 [ms]": nothing[1],
        "asking for what is due [jobs/s]": asked / asking_s,
        "handing out tickets [jobs/s]": asked / handing_s,
        "telling of a change, p50 [ms]": changes[0],
    }


def _times(do: Callable[[], None], number: int) -> tuple[float, float]:
    """How long it takes, half of the times and 95 of 100 times [ms]."""
    took = []
    for _ in range(number):
        begun = time.perf_counter()
        do()
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took), sorted(took)[int(number * 0.95)]


def _idle(cluster: postgres.Cluster, idle_s: float) -> dict[str, float]:
    """What PostgreSQL takes while two workers have nothing to do."""
    from django.db import connection

    connection.close()
    command = [sys.executable, "-m", "chatkeep", "worker"]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert "Working" in worker.stdout.readline()
        time.sleep(15)
        before, own = _used_s(cluster.pid), _processor_s(workers[0].pid)
        begun = time.monotonic()
        time.sleep(idle_s)
        took = time.monotonic() - begun
        return {
            "PostgreSQL, nothing due, two workers [% of a processor]": 100 * (_used_s(cluster.pid) - before) / took,
            "a worker with nothing to do [% of a processor]": 100 * (_processor_s(workers[0].pid) - own) / took,
        }
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.communicate(timeout=60)


def _used_s(server: int) -> float:
    """The processor time of a PostgreSQL with all that it started, also of those that have ended [s]."""
    children = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if _parent(path) == server]
    return _processor_s(server) + sum(_processor_s(child) for child in children)


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _processor_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICK


if __name__ == "__main__":
    main()
