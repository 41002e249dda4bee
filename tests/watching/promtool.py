"""Asking Prometheus's own tool what fires, given samples over time."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
RULES = FOLDER / "rules.yml"
DAY = 24 * 60
ASKED = 'count by (alertname) (ALERTS{alertstate="firing"})'
Series = Mapping[str, str]
"""By the series as Prometheus writes it: its values from the beginning, one a minute, "0x60 5x10"."""


def tool() -> str:
    """Where promtool is; `make packages` brings it."""
    found = shutil.which("promtool") or str(Path(sys.executable).parent / "promtool")
    assert Path(found).exists(), "make packages brings promtool"
    return found


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[str]:
    return [rule["alert"] for rule in rules() if "alert" in rule]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tool(), *arguments], capture_output=True, text=True, check=False)


def firing(series: Series, *, after_min: int, folder: Path) -> set[str]:
    """The alerts that fire when these series have run for so many minutes, or did five minutes before.

    The tool compares with what is expected, and says what it got instead: nothing is expected, so it says all.
    """
    test = {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "promql_expr_test": [
            *({"expr": ASKED, "eval_time": f"{minute}m", "exp_samples": []} for minute in (after_min - 5, after_min)),
            {"expr": "count(queue_jobs_nobody_has) or vector(7)", "eval_time": "1m", "exp_samples": []},
        ],
    }
    path = folder / "asked.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "5m", "tests": [test]}))
    ended = run("test", "rules", str(path))
    said = ended.stdout + ended.stderr
    assert "7E+00" in said, said  # the control: the tool says what it got
    return set(re.findall(r'alertname="(\w+)"', said.replace(ASKED, "")))


def over_time(before: Mapping[str, float], after: Mapping[str, float], *, minutes: int = 60) -> Series:
    """Two scrapes as series: the first for so many minutes, then the second for ten. Moments are put on promtool's
    clock, which begins at zero, so that now is their end.
    """
    shift = time.time() - (minutes + 10) * 60
    series = {}
    for name in before.keys() | after.keys():
        moved = shift if "_timestamp" in name else 0.0
        values = [one.get(name) for one in (before, after)]
        first, second = ("_" if value is None else repr(value - moved) for value in values)
        series[name] = f"{first}x{minutes} {second}x10"
    return series
