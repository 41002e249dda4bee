"""A cloud that keeps its promises and no more: listings and its feed come late, calls fail before or after they had
their effect, are repeated, take hours, and devices die in the middle of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from tests.simulator.world import Turn, World

from chatkeep.errors import NotFound, Unavailable
from chatkeep.storage import Changes, StoredObject, Traits
from chatkeep.testing.faulty import Crash

SETTLES = 20.0
_SHORT = [60.0, 600.0, 1200.0]
_LONG = [60.0, 1200.0, 20_000.0]


@dataclass(frozen=True)
class Weather:
    """How bad it is: the chance of each trouble at each call.

    feed: whether the cloud has a feed of changes. blind: nobody sees the locks of others. careless: one device counts
    on packs that will be deleted, as stock restic does, which does not know that they will.
    """

    fails: float = 0.0
    crashes: float = 0.0
    repeats: float = 0.0
    stalls: float = 0.0
    late: float = 0.0
    feed: bool = True
    blind: bool = False
    careless: bool = False
    storm: bool = False


@dataclass
class _Object:
    data: bytes
    put_at: float
    seen_from: float


@dataclass
class Cloud:
    """What all devices share. history: (when it is told, name), in the order of its being told."""

    world: World
    weather: Weather
    objects: dict[str, _Object] = field(default_factory=dict)
    ghosts: dict[str, float] = field(default_factory=dict)
    history: list[tuple[float, str]] = field(default_factory=list)
    repeats: list[tuple[float, str, bytes]] = field(default_factory=list)
    calm: bool = False

    def lag(self) -> float:
        if self.calm or self.world.chance.random() >= self.weather.late:
            return 0.0
        return self.world.chance.random() * SETTLES

    def put(self, name: str, data: bytes) -> None:
        lag = self.lag()
        now = self.world.now
        before = self.objects.get(name)  # what is there already stays in the listings
        self.objects[name] = _Object(data, now, min(before.seen_from, now + lag) if before else now + lag)
        self.ghosts.pop(name, None)
        self.history.append((now + lag, name))

    def delete(self, name: str) -> None:
        if self.objects.pop(name, None):
            lag = self.lag()
            self.ghosts[name] = self.world.now + lag
            self.history.append((self.world.now + lag, name))

    def listed(self) -> dict[str, int]:
        """Names and sizes as a listing shows them now: what was put just now may lack, what went may be there."""
        now = self.world.now
        there = {name: len(one.data) for name, one in self.objects.items() if one.seen_from <= now}
        return there | {name: 0 for name, until in self.ghosts.items() if until > now and name not in there}

    def do_repeats(self) -> None:
        """A put that somebody on the way repeats a while after it was done."""
        due = [one for one in self.repeats if one[0] <= self.world.now]
        self.repeats = [one for one in self.repeats if one[0] > self.world.now]
        for _, name, data in due:
            self.put(name, data)


class Handle:
    """The cloud as one run of one device has it. After a crash every call of that run crashes."""

    traits = Traits(settles=SETTLES)

    def __init__(self, cloud: Cloud, turn: Turn) -> None:
        self._cloud = cloud
        self._world = cloud.world
        self._turn = turn
        self._dead = False
        self._own_locks: set[str] = set()
        if not cloud.weather.feed:
            self.changes = None  # type: ignore[assignment]

    def _before(self, verb: str, name: str) -> None:
        self._world.note(self._turn.name, verb, name)
        if self._dead:
            raise Crash
        self._world.maybe_others(self._turn)
        self._cloud.do_repeats()
        if self._cloud.calm:
            return
        weather, drawn = self._cloud.weather, self._world.chance.random()
        if drawn < weather.stalls:
            self._world.pause(self._turn, self._world.chance.choice(_SHORT if weather.storm else _LONG))
        elif drawn < weather.stalls + weather.crashes:
            self._die()
        elif drawn < weather.stalls + weather.crashes + weather.fails:
            raise Unavailable("The call failed.")

    def _after(self) -> None:
        """The effect is there; does the answer come back?"""
        if self._cloud.calm:
            return
        weather, drawn = self._cloud.weather, self._world.chance.random()
        if drawn < weather.crashes:
            self._die()
        elif drawn < weather.crashes + weather.fails:
            raise Unavailable("The answer was lost.")

    def _die(self) -> None:
        self._dead = True
        raise Crash

    def put(self, name: str, data: bytes) -> StoredObject:
        self._before("put", name)
        self._cloud.put(name, data)
        if "/locks/" in name:
            self._own_locks.add(name)
        if not self._cloud.calm and self._world.chance.random() < self._cloud.weather.repeats:
            self._cloud.repeats.append((self._world.now + self._world.chance.random() * 60, name, data))
        self._after()
        return StoredObject(name, len(data), self._world.time())

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        self._before("get", name)
        found = self._cloud.objects.get(name)
        if found is None:
            raise NotFound(f"{name} is not there.")
        return found.data[start : None if length is None else start + length]

    def stat(self, name: str) -> StoredObject:
        self._before("stat", name)
        found = self._cloud.objects.get(name)
        if found is None:
            raise NotFound(f"{name} is not there.")
        modified = self._world.time() - timedelta(seconds=self._world.now - found.put_at)
        return StoredObject(name, len(found.data), modified)

    def _hidden(self, name: str) -> bool:
        return self._cloud.weather.blind and "/locks/" in name and name not in self._own_locks

    def listing(self, prefix: str = "") -> list[StoredObject]:
        self._before("listing", prefix)
        listed = self._cloud.listed()
        return [
            StoredObject(name, size, None)
            for name, size in sorted(listed.items())
            if name.startswith(prefix) and not self._hidden(name)
        ]

    def delete(self, name: str) -> None:
        self._before("delete", name)
        self._cloud.delete(name)
        self._after()

    def changes(self, cursor: str) -> Changes | None:
        """Told in any order, now and then twice, and as things are now."""
        self._before("changes", cursor)
        now = self._world.now
        told_until = float(cursor) if cursor else now
        names = {name for at, name in self._cloud.history if told_until - 1 < at <= now and not self._hidden(name)}
        changed = frozenset(name for name in names if name in self._cloud.objects)
        return Changes(changed, frozenset(names) - changed, str(now), complete=bool(cursor))

    def close(self) -> None:
        """Nothing is held open."""
