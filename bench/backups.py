#!/usr/bin/env python3
"""Print whether scheduled backups of many people all happen, each once, while a worker is killed again and again.

    python bench/backups.py                  1,000 people; takes some twenty minutes
    python bench/backups.py --people 50

A server as `chatkeep server run` keeps it, with two workers, two web processes and PostgreSQL that writes to disk; a
vault for each person in an account of their own at one of the three imitated clouds, on this machine. All backups fall
due within a few minutes. The end is asked of the clouds: each vault is opened and must have exactly the snapshots that
the jobs claim.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))  # PostgreSQL, the imitated clouds

from crowd.clouds import ENVIRONMENT, KINDS, Clouds
from crowd.measuring import descendants
from crowd.server import HERE, Server
from figures.measure import Pressure

STARVED = timedelta(minutes=10)
"""A backup that begins later than this after it was due."""
IN_ADVANCE = timedelta(seconds=20)


@dataclass
class Story:
    """What became of the backups. due: by the uid of the connection, when. wrong: what must not be, in words."""

    due: dict[str, datetime]
    killed: int = 0
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def count(self, what: str, found: list[str]) -> None:
        """Note how often something was that must not be, and some of where."""
        self.figures[what] = len(found)
        self.wrong += [f"{what}: {one}" for one in found[:5]]


def main() -> int:
    given = _parse()
    print(f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.platform()}")
    pressure = Pressure()
    with tempfile.TemporaryDirectory(prefix="chatkeep-backups-") as folder, Clouds() as clouds:
        with Server(Path(folder)) as server:
            server.environment |= ENVIRONMENT | {"CLOUDS_UNDER_TRIAL": clouds.url, "CHATKEEP_PORT": "0"}
            server.environment["PYTHONPATH"] += f"{os.pathsep}{HERE / 'crowd' / 'named'}"
            began = time.monotonic()
            people = _fill(server, clouds, given.people, given.conversations)
            print(f"{len(people)} people connected after {time.monotonic() - began:.0f} s ({pressure})", flush=True)
            os.environ |= server.environment | {"CHATKEEP_CLOUD_BASE": f"{clouds.url}/by-nobody"}
            pressure = Pressure()
            story = _story(server, clouds, people, given)
        errors = clouds.errors
    story.count("faults of the imitated clouds", errors)
    print("\n| what | |\n| --- | --- |")
    for what, value in story.figures.items():
        print(f"| {what} | {value:,g} |")
    print(f"\n{story.killed} workers killed in {story.seconds:.0f} s; {pressure}")
    print("\n".join(story.wrong))
    print("Every backup happened once." if not story.wrong else "Not every backup happened once.")
    return int(bool(story.wrong))


def _fill(server: Server, clouds: Clouds, number: int, conversations: int, *, hands: int = 2) -> list[dict[str, Any]]:
    """People with conversations and a vault, by several processes at once: who they are."""
    kinds = list(KINDS)
    lines = [
        json.dumps({"number": one, "provider": kinds[one % 3], "tokens": clouds.sign_in(kinds[one % 3], one)})
        for one in range(number)
    ]
    command = [sys.executable, "-m", "crowd.places", "--conversations", str(conversations)]
    running = []
    for hand in range(hands):
        share = server.folder / f"people-{hand}"
        share.write_text("\n".join(lines[hand::hands]) + "\n")
        process = subprocess.Popen(
            command, env=server.environment, stdin=share.open(), stdout=subprocess.PIPE, text=True
        )
        running.append(process)
    said = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError("The server could not be filled.")
    return [json.loads(line) for text in said for line in text.splitlines()]


def _story(server: Server, clouds: Clouds, people: list[dict[str, Any]], given: argparse.Namespace) -> Story:
    from chatkeep.connections import start

    start.start(Path(server.environment["CHATKEEP_HOME"]))
    log = (server.folder / "log").open("ab")
    command = [sys.executable, "-m", "chatkeep", "server", "run", "--workers", "2"]
    together = subprocess.Popen(command, env=server.environment, stdout=log, stderr=log)
    try:
        _until(lambda: len(_workers(together.pid)) == 2, 120)
        story = Story(_schedule(people, timedelta(minutes=given.minutes)))
        began = time.monotonic()
        _kill_until_done(together.pid, story, kill_every_s=given.kill_every, limit_s=given.limit)
        story.seconds = time.monotonic() - began
    finally:
        together.send_signal(signal.SIGTERM)
        together.wait(90)
        log.close()
    _judge_jobs(story)
    overlapping = clouds.overlaps(since=began)
    story.count("doubled: two processes at one account", overlapping)
    _judge_vaults(story, people, given.check_every, server.folder / "stranger")
    return story


def _schedule(people: list[dict[str, Any]], within: timedelta) -> dict[str, datetime]:
    """Have every backup fall due once within that time, and nothing else. When, by the uid of the connection."""
    from django.utils import timezone

    from chatkeep.connections.models import Connection
    from chatkeep.jobs import rota
    from chatkeep.jobs.models import Schedule

    for place in Connection.objects.all():
        rota.connected(place)
    Schedule.objects.exclude(kind="backup").update(on=False)
    dice, first = random.Random(1), timezone.now() + IN_ADVANCE
    due = {one["uid"]: first + within * dice.random() for one in people}
    for uid, at in due.items():
        mine = Schedule.objects.filter(subject=f"connection:{uid}", kind="backup")
        mine.update(every="24h", after_change=0, settles_at=None, changed_at=None, next_due=at)
    return due


def _kill_until_done(supervisor: int, story: Story, *, kill_every_s: float, limit_s: float) -> None:
    """Kill a worker each time, one and the other, until all that was due has ended."""
    from django.db import connection
    from django.utils import timezone

    from chatkeep.jobs.models import Job, State

    began = last = time.monotonic()
    while time.monotonic() - began < limit_s:
        time.sleep(0.5)
        open_ones = Job.objects.filter(state__in=(State.WAITING, State.RUNNING))
        if timezone.now() > max(story.due.values()) + timedelta(seconds=15) and not open_ones.exists():
            break
        if time.monotonic() - last >= kill_every_s and (workers := _workers(supervisor)):
            os.kill(workers[story.killed % len(workers)], signal.SIGKILL)
            story.killed += 1
            last = time.monotonic()
    connection.close()


def _workers(supervisor: int) -> list[int]:
    """The workers that a supervisor keeps, the oldest first."""
    found = []
    for pid in sorted(descendants(supervisor)):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        if b"worker" in words:
            found.append(pid)
    return found


def _judge_jobs(story: Story) -> None:
    """What the rows of jobs say."""
    from chatkeep.jobs.models import Job, State

    jobs = list(Job.objects.filter(kind="backup"))
    by_subject: dict[str, list[Any]] = {f"connection:{uid}": [] for uid in story.due}
    for job in jobs:
        by_subject[job.subject].append(job)
    done = [job for job in jobs if job.state == State.DONE]
    due = {f"connection:{uid}": at for uid, at in story.due.items()}
    late = {job.subject: job.started_at - due[job.subject] for job in done}
    told = {job.subject: f"{job.state} {job.what}" for job in jobs if job.state != State.DONE}
    story.figures |= {"scheduled": len(due), "done": len(done)}
    lost = [f"{one} {told.get(one, 'was never asked for')}" for one in due if one not in late]
    story.count("lost", lost)
    story.count("doubled: two jobs for one due time", [one for one, mine in by_subject.items() if len(mine) > 1])
    story.count(f"starved: began more than {STARVED} late", [one for one in late if late[one] > STARVED])
    story.figures |= {
        "taken over after a worker died": sum(job.crash_count for job in jobs),
        "tried again after an error that passes": sum(job.attempts for job in jobs),
        "latest begin after it was due, with those taken over [s]": round(max(late.values()).total_seconds(), 1),
        "half of them began after [s]": round(sorted(late.values())[len(late) // 2].total_seconds(), 1),
        "requests of a backup, on average": round(sum(job.report["requests"] for job in done) / len(done), 1),
    }
    for job in jobs:
        if job.attempts:
            story.figures[f"- {job.code or job.what}"] = story.figures.get(f"- {job.code or job.what}", 0) + 1


def _judge_vaults(story: Story, people: list[dict[str, Any]], check_every: int, stranger: Path) -> None:
    """What the clouds have, seen with an empty cache: exactly what the jobs claim. Each so many-th is read whole."""
    from django.conf import settings

    from chatkeep.connections.models import Connection
    from chatkeep.jobs.means import means_of
    from chatkeep.jobs.models import Job

    means = means_of(settings.CHATKEEP)
    claimed: dict[str, list[str]] = {}
    for subject, report in Job.objects.filter(kind="backup", report__isnull=False).values_list("subject", "report"):
        claimed.setdefault(subject, []).append(report["snapshot"])
    wrong, damaged, checked, providers = [], [], 0, Counter[str]()
    for number, one in enumerate(people):
        place = Connection.objects.get(uid=one["uid"])
        there, whole = _look(place, means.installation_of(place.archive), stranger, read=number % check_every == 0)
        if sorted(there) != sorted(claimed.get(place.subject, [])):
            wrong.append(f"{place.subject} at {place.provider}: {len(there)} snapshots")
        if not whole:
            damaged.append(f"{place.subject} at {place.provider}")
        checked += number % check_every == 0
        providers[place.provider] += 1
    means.close()
    for name, count in sorted(providers.items()):
        story.figures[f"vaults opened at {name}"] = count
    story.count("vaults with other snapshots than the jobs claim", wrong)
    story.figures["vaults of which every byte was read"] = checked
    story.count("vaults that are not whole", damaged)


def _look(place: Any, installation: Any, stranger: Path, *, read: bool) -> tuple[list[str], bool]:
    """The ids of the snapshots in a vault, and whether it is whole as far as was looked."""
    import dataclasses

    from chatkeep.connections import opening
    from chatkeep.errors import ChatkeepError

    elsewhere = dataclasses.replace(installation, home=stranger / place.uid)
    try:
        with opening.opened(place, elsewhere) as opened:
            there = [snapshot.id for snapshot in opened.vault.snapshots()]
            return there, not read or opened.vault.check(read_data=True).ok
    except ChatkeepError as error:
        return [type(error).__name__], False


def _until(true: Any, limit_s: float) -> None:
    until = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > until:
            raise RuntimeError("The server did not begin to work.")
        time.sleep(0.2)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--people", type=int, default=1000, metavar="N", help="default: %(default)s")
    add("--conversations", type=int, default=3, metavar="N", help="of each; default: %(default)s")
    add("--minutes", type=float, default=3.0, metavar="M", help="backups fall due within; default: %(default)s")
    add("--kill-every", type=float, default=20.0, metavar="S", help="default: %(default)s")
    add("--check-every", type=int, default=10, metavar="N", help="read each N-th vault whole; default: %(default)s")
    add("--limit", type=float, default=3600.0, metavar="S", help="give up after; default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
