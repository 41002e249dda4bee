"""Progress on a terminal: one line on standard error that changes in place. In a pipe there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from chatkeep.cli.output import size
from chatkeep.operations.progress import Progress, Step, quiet

EVERY_S = 0.1
_CLEAR = "\r\x1b[2K"


@contextmanager
def shown(*, as_json: bool = False) -> Iterator[Progress]:
    """Shows steps while the block runs, if standard error is a terminal; the line is gone afterwards."""
    if as_json or not sys.stderr.isatty():
        yield quiet
        return
    line = _Line()
    try:
        yield line.show
    finally:
        line.clear()


class _Line:
    def __init__(self) -> None:
        self._written = 0.0
        self._begun = time.monotonic()
        self._stage = ""

    def show(self, step: Step) -> None:
        now = time.monotonic()
        if step.stage != self._stage:
            self._stage, self._begun = step.stage, now
        elif now - self._written < EVERY_S:
            return
        self._written = now
        sys.stderr.write(_CLEAR + text(step, now - self._begun)[: _width()])
        sys.stderr.flush()

    def clear(self) -> None:
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()


def text(step: Step, seconds: float) -> str:
    """A step in words: "Reading  42 %  310 MB of 740 MB  2,310 conversations  9 s left"."""
    parts = [step.stage]
    if step.total:
        share = min(step.done / step.total, 1.0)
        parts.append(f"{share:.0%}".replace("%", " %"))
        parts.append(_amount(step))
    if step.note:
        parts.append(step.note)
    if step.total and 0 < step.done < step.total and seconds > 2:
        parts.append(f"{_duration(seconds * (step.total - step.done) / step.done)} left")
    return "  ".join(parts)


def _amount(step: Step) -> str:
    if step.unit == "bytes":
        return f"{size(step.done)} of {size(step.total)}"
    return f"{step.done:,} of {step.total:,} {step.unit}".rstrip()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns - 1
