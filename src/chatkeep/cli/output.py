"""What a command says: JSON for scripts, calm text for people, and nothing in a chat may steer the terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
import msgspec

from chatkeep.errors import Problem

# Control characters, and those that turn the direction of what follows or break a line where we did not.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SHOWN_PROBLEMS = 20


def printable(text: str) -> str:
    """The text with what could steer a terminal shown as what it is, "\\x1b"; line ends and tabs stay."""
    return _STEERING.sub(_escaped, text).encode("utf-8", "replace").decode()


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str, width: int = 0) -> str:
    """The text on one line, cut with an ellipsis to a width if one is given."""
    line = printable(" ".join(text.split()))
    return line if not width or len(line) <= width else line[: width - 1] + "…"


def write_json(value: Any) -> None:
    """One JSON value and a line end on standard output. msgspec structs become objects."""
    data = msgspec.json.format(msgspec.json.encode(value), indent=2)
    write_bytes(data + b"\n")


def write_bytes(data: bytes) -> None:
    """Exactly these bytes on standard output."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def say(text: str = "") -> None:
    """A line for people on standard output."""
    click.echo(text)


def say_problems(problems: Sequence[Problem]) -> None:
    """The problems of a report, on standard error; many are cut, since --json has all."""
    for problem in problems[:_SHOWN_PROBLEMS]:
        click.echo(f"  {one_line(problem.where)}: {one_line(problem.what)}", err=True)
    if len(problems) > _SHOWN_PROBLEMS:
        click.echo(f"  … and {len(problems) - _SHOWN_PROBLEMS:,} more; --json lists all.", err=True)


def count(number: int, one: str, many: str = "") -> str:
    """A number with its word: "1 conversation", "1,204 conversations"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(number: float) -> str:
    """Bytes for people: "812 B", "3.4 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


def when(text: str) -> str:
    """An RFC 3339 time in the time zone of this machine, to the minute; "" stays ""."""
    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M") if text else ""
    except (ValueError, OverflowError):
        return text


def table(rows: Iterable[Sequence[str]], *, head: Sequence[str], wide: int) -> None:
    """Rows in columns on standard output. wide: the column that gives way when the terminal is narrow."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    on_terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, highlight=False, width=None if on_terminal else 10_000)
    found = Table(box=box.SIMPLE_HEAD if on_terminal else None, pad_edge=False, show_edge=False)
    for number, name in enumerate(head):
        gives_way = number == wide and on_terminal
        found.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1 if gives_way else None)
    for row in rows:
        found.add_row(*(Text(one_line(cell)) for cell in row))
    with console.capture() as captured:
        console.print(found)
    say("\n".join(line.rstrip() for line in captured.get().splitlines()))
