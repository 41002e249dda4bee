#!/usr/bin/env python3
"""Tell the story of a staged rollout that goes wrong and sets itself back, with real backups of many people.

    python bench/rollout.py                  100 people
    python bench/rollout.py --people 300

A server's PostgreSQL of its own, real accounts, archives and vaults in folders. Tidying is a flag: people of the team
have it, then a quarter of all. What it does is broken on purpose for this run. Nobody decides anything after that.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))

import postgres  # type: ignore[import-not-found]

ENVIRONMENT = {
    "CHATKEEP_KEY": "a key of the demonstration alone, 1234",
    "CHATKEEP_PUBLIC_URL": "http://127.0.0.1:8765",
    "CHATKEEP_LOG_LEVEL": "error",
}
FLAG = "tidying"


def main() -> int:
    parser = argparse.ArgumentParser(description="A rollout that sets itself back.")
    parser.add_argument("--people", type=int, default=100)
    people = parser.parse_args().people
    with postgres.running() as cluster, tempfile.TemporaryDirectory(prefix="chatkeep-rollout-") as home:
        os.environ |= {**ENVIRONMENT, "DATABASE_URL": cluster.fresh(), "CHATKEEP_HOME": home}
        from chatkeep.connections import start

        start.migrate()
        return _story(people, Path(home))


def _story(people: int, home: Path) -> int:
    from chatkeep.jobs import staged
    from chatkeep.people import audit
    from chatkeep.rollout import changing, flags

    archives = _people(people, home)
    print(f"{people} people, each with an archive of one conversation and a vault")
    changing.know()
    changing.move(FLAG, "25%", by="the operator", note=audit.note)
    print(f"The operator lets the flag {FLAG} on to 25 %.")
    print(f"  backups before anything is wrong: {_round(archives)}")
    print("A fault comes in: tidying fails, and with it the backup that it is a part of.")
    with _broken():
        broken = _round(archives)
        print(f"  backups: {broken}")
        fell = staged.watch()
        for one in fell:
            print(f"The watcher sets {one.flag.name} back to {one.ring} by itself: {one.fell}")
        flags.REMEMBERED.forget()
        after = _round(archives)
        print(f"  backups while the fault is still there: {after}")
    print("What the log that nobody can edit says:")
    for line in reversed(audit.lines(about=f"flag:{FLAG}")):
        print(f"  {line.at:%H:%M:%S} {line.what} by {line.actor}")
    went_well = bool(fell) and broken["failed"] > 0 and after["failed"] == 0
    print("It set itself back." if went_well else "It did NOT set itself back.")
    return int(not went_well)


def _people(number: int, home: Path) -> list[str]:
    """Accounts with an archive, one conversation in it, and a vault in a folder."""
    from chatkeep.connections import connecting
    from chatkeep.model import Conversation
    from chatkeep.people import belonging
    from chatkeep.people.models import User
    from chatkeep.vault import keys

    keys.COST_N = 2**10  # a hundred vaults are made here, which is not what is shown
    archives = []
    for one in range(number):
        archive = belonging.new_archive(User.objects.create(email=f"person{one}@example.org"))
        talk = Conversation(format=1, id=f"00000000-0000-4000-8000-{one:012x}", platform="chatgpt", title=f"Talk {one}")
        _means().archive_of(archive).apply([talk])
        here = dataclasses.replace(_means().installation_of(archive), shared=False)  # folders, for the demonstration
        connecting.connect("folder", {"path": str(home / "vaults" / archive)}, installation=here, name="vault")
        archives.append(archive)
    return archives


def _round(archives: list[str]) -> dict[str, int]:
    """A backup of everybody, by the worker as it is. How many ended how."""
    from chatkeep.connections.models import Connection
    from chatkeep.jobs import kinds, queue
    from chatkeep.jobs.models import Job, State
    from chatkeep.jobs.worker import Worker

    asked = []
    for place in Connection.objects.filter(archive__in=archives):
        job = queue.enqueue("backup", place.subject, {"connection": place.name}, archive=place.archive)
        asked.append(job.pk)
    worker = Worker(kinds.kinds(_means()))
    while worker.run_one():
        pass
    ended = Job.objects.filter(pk__in=asked)
    failed = ended.filter(state=State.FAILED).count()
    return {"well": ended.filter(state=State.DONE).count(), "failed": failed, "all": len(asked)}


_made: dict[str, Any] = {}


def _means() -> Any:
    from chatkeep.jobs.means import means_of
    from chatkeep.web.configuration import CHATKEEP

    return _made.setdefault("means", means_of(CHATKEEP))


@contextmanager
def _broken() -> Iterator[None]:
    """Tidying, with a fault in it."""
    from chatkeep import operations
    from chatkeep.errors import Damaged
    from chatkeep.operations import tidying

    def fails(*_: object, **__: object) -> None:
        raise Damaged("A fault that was put in on purpose.")

    working = tidying.tidy_if_due
    operations.__dict__["tidy_if_due"] = fails
    try:
        yield
    finally:
        operations.__dict__["tidy_if_due"] = working


if __name__ == "__main__":
    sys.exit(main())
