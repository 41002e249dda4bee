"""What processes hold and use, read from the kernel."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """A process, its children, theirs and so on."""
    parents = {int(path.name): _field(path, 1) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def memory(pid: int) -> tuple[float, float]:
    """What a process holds: all of it, and with pages that n processes share counted as 1/n [MB]."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("Rss", "Pss"))  # type: ignore[return-value]


def seconds_of(pids: Iterable[int]) -> float:
    """Processor time that these processes have used so far, with children that they waited for [s]."""
    return sum(_field(Path(f"/proc/{pid}"), at) for pid in pids for at in (11, 12, 13, 14)) / _TICKS


def _field(process: Path, at: int) -> int:
    try:
        return int((process / "stat").read_text().rpartition(") ")[2].split()[at])
    except (OSError, IndexError):  # it ended meanwhile
        return 0
