"""Whole processes and what they cost."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

LAUNCH = Path(__file__).with_name("launch.py")
LOOK_S = 0.1  # between two looks at the memory of several processes


class Cost(NamedTuple):
    """What one run took: wall clock and processor [s], memory at its highest [MB]; and what it printed."""

    wall: float
    cpu: float
    peak: float
    output: str


class Failed(Exception):
    """A measured command did not end well, so there is no figure."""


def cost_of(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, accept: tuple[int, ...] = (0,)
) -> Cost:
    """Run a command to its end, in a session of its own.

    Processor time counts the children it waited for. Memory is the largest resident set of one process, or, where
    that is more, the sum of what several processes hold at one moment (shared pages divided among them).
    Raises Failed when it ends with another exit code than accepted.
    """
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(LAUNCH), str(writing), *map(str, command)],
        env={**_environment(), **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(writing,),
        start_new_session=True,
    ) as launcher:
        os.close(writing)
        together = _Together(launcher.pid)
        output, complaint = launcher.communicate()
        several = together.stop()
    with os.fdopen(reading) as report:
        code, wall, cpu, resident = report.read().split() or ("-1", "0", "0", "0")
    if int(code) not in accept:
        said = complaint.decode(errors="replace")[-800:]
        raise Failed(f"{' '.join(map(str, command))}: exit code {code}\n{said}")
    return Cost(float(wall), float(cpu), max(int(resident) / 1024, several), output.decode(errors="replace"))


def _environment() -> dict[str, str]:
    """As on a machine where the program is used: what Python compiles it keeps, and does not make again each time."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class _Together:
    """Watches the memory of all processes of one session but its leader; the kernel's own figure is better for one."""

    def __init__(self, session: int) -> None:
        self.session = session
        self.highest = 0.0
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)
        self.watcher.start()

    def stop(self) -> float:
        self.over.set()
        self.watcher.join()
        return self.highest

    def _watch(self) -> None:
        while not self.over.wait(LOOK_S):
            processes = (one for one in Path("/proc").iterdir() if one.name.isdigit())
            members = [one for one in processes if int(one.name) != self.session and _session(one) == self.session]
            if len(members) > 1:
                self.highest = max(self.highest, sum(map(_share, members)))


def _session(process: Path) -> int:
    try:
        fields = (process / "stat").read_text().rpartition(") ")[2].split()
    except OSError:  # it ended meanwhile
        return 0
    return int(fields[3])


def _share(process: Path) -> float:
    """What a process holds, pages shared by n processes counted as 1/n [MB]."""
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:  # it ended meanwhile
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def interleaved(rounds: int, runs: Mapping[str, Callable[[int], Cost]]) -> dict[str, Cost]:
    """Each run once, then each again, so that a slow minute of the machine slows all; medians of the rounds."""
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, run in runs.items():
            costs[name].append(run(number))
    return {name: median(found) for name, found in costs.items()}


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure by itself, with the last output."""
    wall, cpu, peak = (statistics.median(figures) for figures in zip(*(cost[:3] for cost in costs), strict=True))
    return Cost(wall, cpu, peak, costs[-1].output)


class Pressure:
    """How busy the machine is: without this a figure from a shared machine says little."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.waited = _waited_for_processor()

    def __str__(self) -> str:
        """The load now, and how much of the time since the beginning somebody waited for a processor."""
        load = "load " + " ".join(f"{value:.2f}" for value in os.getloadavg())
        waited = _waited_for_processor()
        if self.waited is None or waited is None:
            return load
        share = (waited - self.waited) / max(time.monotonic() - self.begin, 1e-9)
        return f"{load}; something waited for a processor {share:.0%} of the time"


def _waited_for_processor() -> float | None:
    """Seconds since the start of the machine; None where the kernel does not say."""
    file = Path("/proc/pressure/cpu")
    if not file.exists():
        return None
    return int(file.read_text().split("\n")[0].rpartition("total=")[2]) / 1e6
