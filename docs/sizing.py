#!/usr/bin/env python3
"""Write the tables of docs/guide/sizing.md anew, from the inputs below.

    docs/sizing.py            write them
    docs/sizing.py --check    say whether they are what they should be, and change nothing

Whoever measures again, or knows their people better, changes an input here and runs it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

PAGE = Path(__file__).parent / "guide" / "sizing.md"
USERS = (1_000, 100_000, 1_000_000, 10_000_000)
DAY = 86_400

# What people do: assumed. An operator knows better.
CONVERSATIONS = 300
"""Of a person, after a year."""
CONNECTIONS = 1.2
ACTIVE = 0.2
"""So many of the people on a day."""
CHANGES = 3
"""How often a day the archive of an active person changes and is quiet again: each time it is backed up."""
PAGES = 8
PUSHES = 6
"""Of an active person on a day."""
PEAK = 5
"""The busiest hour beside the average one."""
SHARES = {"Google Drive": 0.5, "OneDrive": 0.3, "Dropbox": 0.2}

# What Chatkeep does: measured (see the page for how), but for what is called estimated.
ROWS_KB, INDEXES_KB = 48.0, 39.0
"""Of a conversation in PostgreSQL, of 13 messages; seven tenths of it are for searching."""
FILES_KB = 60.0
"""Attachments of a conversation in the store: assumed, it differs most of all."""
JOB_KB = 1.6
"""Estimated: the row of a job that has ended, with its report, its log and its places in the indexes."""
PAGE_MS = (11.5, 3.3)
PUSH_MS = (4.1, 2.9)
"""Processor of web and of database; a document of ten messages, pushed by itself."""
BACKUP_S = 0.5
"""Estimated: processor of a worker for a backup with a few changes."""
QUIET_S = 0.05
"""The same where nothing changed."""
REQUESTS, QUIET_REQUESTS = 8, 2
"""Of a backup after changes, and of one where nothing changed, with a feed of changes: docs/design/vault.md."""
KEPT_JOBS = 100
"""Jobs that have ended and are kept, of each schedule, at most; a connection has six schedules, two of them daily."""
DUE_PER_S = 5_869
"""Schedules that one dispatcher finds and asks for a second."""

# What providers allow: published, seen 2026-11. docs/providers says where.
UNITS = {"changes": 315, "quiet": 105}
"""Google's units of a backup: four objects and locks changed (50 each), looks (5), one feed (100)."""
UNITS_PER_MINUTE, UNITS_PER_DAY = 1_000_000, 400_000_000
GRAPH_PER_S = 2_000
BUSY = 0.6
"""A processor is planned to be so busy in the peak; what is left is for what nobody planned."""


def backups(users: int) -> tuple[float, float]:
    """Backups a day after changes, and nightly ones where nothing changed."""
    connections = users * CONNECTIONS
    return connections * ACTIVE * CHANGES, connections


def requests() -> str:
    """What providers are asked, on a day."""
    rows = []
    for users in USERS:
        changed, quiet = backups(users)
        total = changed * REQUESTS + quiet * QUIET_REQUESTS
        units = SHARES["Google Drive"] * (changed * UNITS["changes"] + quiet * UNITS["quiet"])
        spread = units / (24 * 60)
        graph = SHARES["OneDrive"] * total
        night = SHARES["OneDrive"] * quiet * QUIET_REQUESTS / (3 * 3600)
        rows.append(
            (
                number(users),
                number(changed + quiet),
                number(total),
                f"{number(units)} ({units / UNITS_PER_DAY:.0%})",
                f"{spread / UNITS_PER_MINUTE:.0%}",
                f"{graph / DAY / GRAPH_PER_S:.0%}",
                f"{night / GRAPH_PER_S:.0%}",
            )
        )
    head = (
        "people",
        "backups a day",
        "requests a day",
        "Drive: units a day (of its threshold)",
        "Drive: of its minute, spread over the day",
        "Graph: of its second, spread",
        "Graph: quiet ones within 3 hours",
    )
    return table(head, rows)


def rows_and_space() -> str:
    """What the database and the store hold after a year."""
    rows = []
    for users in USERS:
        conversations = users * CONVERSATIONS
        jobs = users * CONNECTIONS * 2 * KEPT_JOBS
        rows.append(
            (
                number(users),
                number(conversations),
                size(conversations * ROWS_KB),
                size(conversations * INDEXES_KB),
                f"{number(jobs)}, {size(jobs * JOB_KB)}",
                number(users * CONNECTIONS * 6),
                size(conversations * FILES_KB),
            )
        )
    head = ("people", "conversations", "rows", "indexes", "jobs kept", "schedules", "store")
    return table(head, rows)


def machines() -> str:
    """Processors in the peak, and whether one dispatcher keeps up."""
    rows = []
    for users in USERS:
        changed, quiet = backups(users)
        active = users * ACTIVE / DAY * PEAK
        web = active * (PAGES * PAGE_MS[0] + PUSHES * PUSH_MS[0]) / 1000 / BUSY
        database = active * (PAGES * PAGE_MS[1] + PUSHES * PUSH_MS[1]) / 1000 / BUSY
        work = (changed * BACKUP_S + quiet * QUIET_S) / DAY * 2 / BUSY
        asked = (changed + quiet) / DAY * PEAK
        rows.append(
            (
                number(users),
                f"{number(active * PAGES)}, {number(active * PUSHES)}",
                processors(web),
                processors(work),
                processors(database),
                f"{number(asked)} ({asked / DUE_PER_S:.1%} of one dispatcher)",
            )
        )
    head = (
        "people",
        "pages and pushes a second, peak",
        "processors: web",
        "processors: workers",
        "processors: database",
        "jobs asked for a second, peak",
    )
    return table(head, rows)


def limits() -> str:
    """How many people fit before each thing stops."""
    changed, quiet = backups(1)
    units = SHARES["Google Drive"] * (changed * UNITS["changes"] + quiet * UNITS["quiet"])
    only_changed = SHARES["Google Drive"] * changed * UNITS["changes"]
    total = changed * REQUESTS + quiet * QUIET_REQUESTS
    each_kb = CONVERSATIONS * (ROWS_KB + INDEXES_KB) + CONNECTIONS * 2 * KEPT_JOBS * JOB_KB
    active = ACTIVE / DAY * PEAK
    database = active * (PAGES * PAGE_MS[1] + PUSHES * PUSH_MS[1]) / 1000 / BUSY
    night = UNITS_PER_MINUTE * 180 / (SHARES["Google Drive"] * quiet * UNITS["quiet"])
    found = [
        ("Drive: threshold of a day, one client", UNITS_PER_DAY / units),
        ("- without nightly backups where nothing changed", UNITS_PER_DAY / only_changed),
        ("Drive: budget of a minute, nightly ones within 3 hours", night),
        ("PostgreSQL: 10 TB on one machine", 10e9 / each_kb),
        ("PostgreSQL: 32 processors for pages and pushes", 32 / database),
        ("Graph: 2,000 requests a second, spread over the day", GRAPH_PER_S * DAY / (SHARES["OneDrive"] * total)),
        ("Dispatching: one dispatcher", DUE_PER_S * DAY / PEAK / (changed + quiet)),
    ]
    rows = [(what, number(people)) for what, people in sorted(found, key=lambda one: one[1])]
    return table(("what stops", "people"), rows)


def number(value: float) -> str:
    """Two figures, as more would be a lie."""
    if value < 10:
        return f"{value:.1f}".removesuffix(".0")
    digits = len(str(int(value))) - 2
    return f"{round(value, -digits):,.0f}"


def size(kilobytes: float) -> str:
    for unit in ("kB", "MB", "GB", "TB"):
        if kilobytes < 1000:
            return f"{number(kilobytes)} {unit}"
        kilobytes /= 1000
    return f"{number(kilobytes)} PB"


def processors(value: float) -> str:
    return "1" if value < 1 else number(value)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES = {"requests": requests, "rows": rows_and_space, "machines": machines, "limits": limits}


def renewed(text: str) -> str:
    """The page with each table as the inputs have it."""
    for name, made in TABLES.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        if not pattern.search(text):
            raise SystemExit(f"The page has no place for the table {name}.")
        text = pattern.sub(lambda found, made=made: found[1] + made() + "\n" + found[2], text)  # type: ignore[misc]
    return text


def main() -> int:
    before = PAGE.read_text(encoding="utf-8")
    after = renewed(before)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(after, encoding="utf-8")
    elif before != after:
        print("docs/guide/sizing.md is not what its inputs say. docs/sizing.py writes it again.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
