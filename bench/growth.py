#!/usr/bin/env python3
"""Print how many objects a vault has after many backups, with tidying when it is due, and what a cold open costs.

    bench/growth.py                            4,000 backups of one device, hourly and daily
    bench/growth.py --runs 500 --hours 1       others
    bench/growth.py --devices 2                that take turns

Figures to reach: at most 150 small objects, and a cold open in at most 60 requests. Each backup changes some
conversations of 400, and one in four adds one. A machine that knows nothing opens the vault after every seventh
backup, lists the snapshots and looks into the newest. The clock is imitated; everything happens in memory.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from tests.vault.small_archive import contents, document

from chatkeep import vault
from chatkeep.providers.memory import Memory
from chatkeep.storage import Counting, StoredObject

SMALL = 4 * 1024 * 1024
HELD = 400
_LOOK_EVERY = 7


class Timed(Memory):
    """Memory whose objects bear the imitated time."""

    clock: Callable[[], datetime]

    def put(self, name: str, data: bytes) -> StoredObject:
        stored = super().put(name, data)
        return StoredObject(stored.name, stored.size, self.clock())

    def stat(self, name: str) -> StoredObject:
        stored = super().stat(name)
        return StoredObject(stored.name, stored.size, self.clock())


class Growing:
    """A vault and the devices that back up to it in turns. most: small objects by kind, at the worst moment."""

    def __init__(self, *, every: timedelta, devices: int) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.most: Counter[str] = Counter()
        self.cold = 0
        self.tidied = self.doomed = 0
        self._every = every
        self._storage = Timed()
        self._storage.clock = lambda: self.now
        made, _ = vault.create(self._storage, passphrase="open", hostname="device-0", clock=self._storage.clock)
        self._key = made.master_key
        self.counting = Counting(self._storage)
        self._vaults = [self._opened(self.counting) for _ in range(devices)]
        self._held = dict(document(seed, messages=6) for seed in range(HELD))
        self._chance = random.Random(1)

    def _opened(self, storage: Counting) -> vault.Vault:
        return vault.open_with_master_key(storage, self._key, clock=self._storage.clock)

    def run(self, number: int) -> None:
        """One backup, with tidying if it is due, and a look at what there is now."""
        self.now += self._every + timedelta(seconds=self._chance.uniform(-30, 30))
        self._change(number)
        mine, host = self._vaults[number % len(self._vaults)], f"device-{number % len(self._vaults)}"
        assert mine.save(contents(self._held), host=host).verified
        if mine.needs_tidying(host=host):
            done = mine.tidy(host=host)
            assert not done.problems
            self.tidied += 1
            self.doomed += done.freed_later
        found = self.counted()
        self.most = max(self.most, found, key=Counter.total)
        if number % _LOOK_EVERY == 0:
            self.cold = max(self.cold, self.opened_cold())

    def _change(self, number: int) -> None:
        for name in self._chance.sample(sorted(self._held), self._chance.randint(1, 9)):
            self._held[name] = document(self._chance.getrandbits(40), messages=6)[1]
        if number % 4 == 0:
            self._held |= [document(HELD + number, messages=6)]

    def counted(self) -> Counter[str]:
        """The small objects there are, by kind."""
        small = (one for one in self._storage.listing("Vault/") if one.size < SMALL)
        return Counter(one.name.split("/")[1] for one in small)

    def opened_cold(self) -> int:
        """The requests it takes to open the vault, list the snapshots and look into the newest."""
        counting = Counting(self._storage)
        cold = self._opened(counting)
        cold.manifest(cold.snapshots()[-1])
        return counting.requests


def measure(*, runs: int, every: timedelta, devices: int = 1) -> dict[str, float | str]:
    """The figures of so many backups."""
    began, growing = time.process_time(), Growing(every=every, devices=devices)
    for number in range(runs):
        growing.run(number)
    return {
        "small objects at the worst moment": growing.most.total(),
        "of these": ", ".join(f"{number} {kind}" for kind, number in growing.most.most_common()),
        "small objects at the end": growing.counted().total(),
        "requests of a cold open, at most": growing.cold,
        "requests of a backup with its share of tidying": round(growing.counting.requests / runs, 1),
        "backups that tidied": growing.tidied,
        "bytes that were doomed, for each that was sent": round(growing.doomed / growing.counting.sent, 2),
        "processor time [s]": round(time.process_time() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--hours", type=float, action="append", help="between backups; default: 1 and 24")
    parser.add_argument("--devices", type=int, default=1)
    args = parser.parse_args()
    for hours in args.hours or [1.0, 24.0]:
        print(f"\n{args.runs:,} backups, every {hours:g} hours, {args.devices} devices", flush=True)
        for name, value in measure(runs=args.runs, every=timedelta(hours=hours), devices=args.devices).items():
            print(f"{name:50} {value:>12}")


if __name__ == "__main__":
    main()
