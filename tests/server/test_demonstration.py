"""The story that `bench/rollout.py` tells: a rollout that goes wrong sets itself back, over real backups."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_rollout_that_goes_wrong_sets_itself_back() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CHATKEEP_", "DATABASE_"))}
    told = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "rollout.py"), "--people", "100"],
        env={**environment, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'bench'}"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "The watcher sets tidying back to off by itself" in told.stdout
    assert told.stdout.rstrip().endswith("It set itself back.")
