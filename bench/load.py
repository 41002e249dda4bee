#!/usr/bin/env python3
"""Print how a server for many people does: 1,000 people with 100 conversations each, two web processes, two workers
and PostgreSQL, all on this machine.

    make load                                       everything; takes half an hour
    make load ARGS="--people 50 --only pages rest"  some of it

Requests come at their moments, whether or not the last ones were answered, and times count from those moments. How busy
the machine was stands below the table. Pushes have a command of their own, bench/push.py.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))  # PostgreSQL, the imitated clouds

from crowd.asking import Answers, Question, ask, hurry
from crowd.measuring import memory, seconds_of
from crowd.server import Server
from figures.measure import Pressure
from figures.table import Row, head, line

PAGES = {"/": 3, "/chats/": 3, "chat": 4, "search": 2}
"""How often each kind is asked for."""
WORDS = ("needleten", "holiday", "python", "which", "recipe", "meeting", "water", "needlethousand")


@dataclass
class Load:
    """What all figures share."""

    server: Server
    people: list[dict[str, Any]]
    seconds: float
    rate: float


def rest(load: Load) -> Iterator[Row]:
    """Memory before anybody has come, and what the database does when nobody does anything."""
    time.sleep(15)
    for kind in ("web", "worker"):
        held = [memory(pid) for pid in load.server.processes()[kind]]
        if held:
            yield Row(what=f"memory of a {kind} process at rest", ours=max(held)[0], unit="MB", reach=150)
    pids = load.server.processes()["database"]
    began, used = time.monotonic(), seconds_of(pids)
    time.sleep(60)
    share = (seconds_of(load.server.processes()["database"]) - used) / (time.monotonic() - began)
    yield Row(what="database while nobody does anything, of a processor", ours=100 * share, unit="%", reach=2)


def pages(load: Load) -> Iterator[Row]:
    """Pages of many people at a steady rate."""
    questions = list(itertools.islice(_pages(load), int(load.rate * load.seconds)))
    hurry(load.server.port, questions[:100], hands=2)  # the first requests of a process load what it needs
    used = _used(load)
    answers = ask(load.server.port, questions, rate=load.rate)
    _tell_wrong(answers)
    yield from _processor(load, used, len(answers.all), "page")
    for share, reach in ((0.5, None), (0.95, 250.0), (0.99, None)):
        what = f"page, {load.rate:g} requests/s, p{share * 100:g}"
        yield Row(what=what, ours=answers.quantile(share) * 1000, unit="ms", reach=reach)
    for kind in ("/", "/chats/", "chat", "search"):
        some = Answers([answer for answer in answers.all if _kind(answer.question.path) == kind])
        yield Row(what=f"- of {kind}, p95", ours=some.quantile(0.95) * 1000, unit="ms")
    yield Row(what="pages that failed", ours=len(answers.wrong), unit=f"of {len(answers.all):,}", reach=0)
    most = hurry(load.server.port, questions[: int(load.rate * 20)], hands=16)
    yield Row(what="pages at most, 16 at once", ours=most.rate, unit="/s")
    for kind in ("web",):
        held = [memory(pid) for pid in load.server.processes()[kind]]
        yield Row(what=f"memory of a {kind} process after that", ours=max(held)[0], unit="MB")


def _used(load: Load) -> dict[str, float]:
    """Processor time that each kind of process has used so far [s]."""
    return {kind: seconds_of(pids) for kind, pids in load.server.processes().items()}


def _processor(load: Load, before: dict[str, float], times: int, what: str) -> Iterator[Row]:
    """What one costs, which says more than times do where the machine is busy with other things."""
    now = _used(load)
    for kind in ("web", "database"):
        yield Row(what=f"- processor of {kind} for a {what}", ours=1000 * (now[kind] - before[kind]) / times, unit="ms")


def _pages(load: Load) -> Iterator[Question]:
    dice = random.Random(1)
    while True:
        person = dice.choice(load.people)
        path = dice.choices(list(PAGES), list(PAGES.values()))[0]
        if path == "chat":
            path = f"/chats/{dice.choice(person['chats'])}/"
        elif path == "search":
            path = f"/search/?q={dice.choice(WORDS)}"
        yield Question(path, (("Cookie", person["cookie"]),))


def _kind(path: str) -> str:
    if path.startswith("/search"):
        return "search"
    return path if path in ("/", "/chats/") else "chat"


def _tell_wrong(answers: Answers) -> None:
    for answer in answers.wrong[:5]:
        print(f"{answer.question.path}: {answer.status}", file=sys.stderr)


_SIZES = """
SELECT n.nspname || '.' || c.relname, pg_table_size(c.oid), pg_indexes_size(c.oid) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname IN ('archive', 'public') ORDER BY pg_total_relation_size(c.oid) DESC LIMIT 6
"""


def sizes(load: Load) -> Iterator[Row]:
    """What a conversation takes in the database, and how much of it are indexes."""
    with import_module("psycopg").connect(load.server.url) as database:
        rows = database.execute(_SIZES).fetchall()
        whole = database.execute("SELECT count(*), sum(messages) FROM archive.documents").fetchone()
    conversations, messages = whole
    yield Row(what="messages of a conversation", ours=float(messages / conversations), unit="")
    for name, table, indexes in rows:
        yield Row(what=f"{name}, of a conversation", ours=table / conversations / 1000, unit="kB")
        yield Row(what="- its indexes", ours=indexes / conversations / 1000, unit="kB")


FIGURES: dict[str, Callable[[Load], Iterator[Row]]] = {"rest": rest, "pages": pages, "sizes": sizes}


def main() -> int:
    given = _parse()
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.platform()}")
    pressure = Pressure()
    with tempfile.TemporaryDirectory(prefix="chatkeep-load-") as folder, Server(Path(folder)) as server:
        began = time.monotonic()
        people = server.fill(given.people, given.conversations, written=given.written)
        filled = time.monotonic() - began
        server.serve()
        server.work()
        print(f"\n{head()}")
        print(line(Row(what=f"people, {given.conversations} conversations each", ours=len(people), unit="")))
        print(line(Row(what="time to fill the server", ours=filled)), flush=True)
        load = Load(server, people, given.seconds, given.rate)
        busy = [f"filling: {pressure}"]
        for name in given.only:
            pressure = Pressure()
            for row in FIGURES[name](load):
                print(line(row), flush=True)
            busy.append(f"{name}: {pressure}")
    print("\n" + "\n".join(busy))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--people", type=int, default=1000, metavar="N", help="default: %(default)s")
    add("--conversations", type=int, default=100, metavar="N", help="of each; default: %(default)s")
    add("--written", type=int, default=40, metavar="N", help="the others have copies of theirs; default: %(default)s")
    add("--rate", type=float, default=50.0, metavar="R", help="pages per second; default: %(default)s")
    add("--seconds", type=float, default=60.0, metavar="S", help="for so long; default: %(default)s")
    add("--only", nargs="+", choices=list(FIGURES), default=list(FIGURES), help="groups of figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
