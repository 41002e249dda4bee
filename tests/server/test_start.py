"""A server starts: its tables are made by one of many that start at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from postgres import Cluster

START = """
import sys
from pathlib import Path
from chatkeep.connections.start import migrate, start
print(len(migrate()) > 5)
start(Path(sys.argv[1]))
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SHOW synchronous_commit")
    print(connection.vendor, cursor.fetchone()[0])
"""


def test_many_that_start_at_once_find_the_tables_made_once(cluster: Cluster, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "DATABASE_URL": cluster.fresh()}
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", START, str(tmp_path)],
            env={**env, "CHATKEEP_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    ended = [process.communicate(timeout=120) for process in starting]
    assert sorted(ended) == [("False\npostgresql on\n", "")] * 3 + [("True\npostgresql on\n", "")]
