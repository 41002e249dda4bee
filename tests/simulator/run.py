"""One seed: devices at work in bad weather, then calm, then judgement.

Zero is what is allowed of: writes that were lost, devices that differ, deleted conversations that came back, snapshots
that cannot be read, devices whose newest backup is gone.
"""

from __future__ import annotations

import hashlib
import random
from datetime import timedelta

from tests.simulator.cloud import Cloud, Weather
from tests.simulator.device import CarelessObjects, Device, Remembered, Truth
from tests.simulator.world import Turn, World

from chatkeep.errors import Busy, ChatkeepError, Problem
from chatkeep.merge import version_names
from chatkeep.testing.faulty import Crash
from chatkeep.vault import MasterKey, Vault, VaultDocument
from chatkeep.vault.config import Config, seal_config
from chatkeep.vault.objects import Objects
from chatkeep.vault.seal import Seal

_KEY = MasterKey.from_bytes(bytes(range(64)))
_ID = "c" * 64
_CONFIG = Config(_ID, {"version": 2, "id": _ID, "chunker_polynomial": "25b468838dcb75"})
_SEALED = seal_config(Seal(_KEY, random=random.Random(0).randbytes), _CONFIG)
_TALKS = ("garden", "sea", "bread", "stars")
_HOUR = 3600.0
_PAUSES = (1.0, 60.0, 600.0, 600.0, 7 * _HOUR, 26 * _HOUR, 26 * _HOUR, 60 * _HOUR)
_ACTS = ("write", "write", "delete", "back up", "sync", "tidy", "tidy", "tidy twice", "go back", "forget the cache")
_SHORT_PAUSES = (1.0, 60.0, 600.0)
_STORMY_ACTS = ("write", "go back", "go back", "tidy twice", "tidy twice")


class Judgement(Exception):
    """Something that must not happen did."""


def weather_of(chance: random.Random) -> Weather:
    """Of each trouble none, a little or much. From a careless program only locks protect, so there they are seen."""
    if chance.random() < 0.2:
        return Weather(
            fails=chance.choice([0.0, 0.02]),
            crashes=chance.choice([0.0, 0.02]),
            late=chance.choice([0.0, 1.0]),
            feed=chance.random() < 0.5,
            careless=True,
        )
    return Weather(
        fails=chance.choice([0.0, 0.01, 0.05]),
        crashes=chance.choice([0.0, 0.01, 0.03]),
        repeats=chance.choice([0.0, 0.05]),
        stalls=chance.choice([0.0, 0.01, 0.05]),
        late=chance.choice([0.0, 0.5, 1.0]),
        feed=chance.random() < 0.5,
        blind=chance.random() < 0.4,
    )


STORM = Weather(crashes=0.003, stalls=0.08, late=0.5, feed=False, blind=True, storm=True)
"""The worst there is: runs that take long and die, and nobody sees a lock, while old snapshots go."""


class Run:
    """A seed from its beginning to its end. acts: how many things each device does. weather: drawn, if not said."""

    def __init__(self, seed: int, *, acts: int = 6, weather: Weather | None = None) -> None:
        self.world = World(seed)
        chance = self.world.chance
        self.cloud = Cloud(self.world, weather or weather_of(chance))
        self.cloud.put("Vault/config", _SEALED)
        self.truth = Truth()
        names = ["laptop-1", "phone-2", "tablet-3"][: chance.choice([2, 2, 3])]
        skews = [timedelta(seconds=chance.choice([0, 0, -400, 400, 86_400 * 3, -86_400 * 3])) for _ in names]
        self.devices = [
            Device(name, self.cloud, self.truth, _KEY, _CONFIG, skew=skew, kind=self._kind(number))
            for number, (name, skew) in enumerate(zip(names, skews, strict=True))
        ]
        self._acts = acts
        self._skewed = any(abs(skew) > timedelta(hours=1) for skew in skews)

    def _kind(self, number: int) -> type[Objects]:
        return CarelessObjects if self.cloud.weather.careless and number == 1 else Objects

    def judged(self) -> str:
        """The trace of the run. Raises Judgement."""
        self.world.run({device.name: self._program(device) for device in self.devices})
        self._calm_down()
        self._judge()
        return self.world.trace

    # Bad weather

    def _program(self, device: Device):  # type: ignore[no-untyped-def]
        def program(turn: Turn) -> None:
            if self.cloud.weather.storm:
                self._begin_in_calm(device, turn)
            for _ in range(self._acts):
                pauses = _SHORT_PAUSES if self.cloud.weather.storm else _PAUSES
                self.world.pause(turn, self.world.chance.choice(pauses) * self.world.chance.random())
                self._act(device, turn)

        return program

    def _begin_in_calm(self, device: Device, turn: Turn) -> None:
        """Backups of some days, old enough to be forgotten when the storm begins."""
        self.cloud.calm = True
        for number in range(3):
            device.write(_TALKS[number], number, device.name)
            self._tried(device, turn, "write")
            self.world.pause(turn, 26 * _HOUR)
        self.world.pause(turn, 30 * _HOUR)
        self.cloud.calm = False

    def _act(self, device: Device, turn: Turn) -> None:
        chance = self.world.chance
        act = chance.choice(_STORMY_ACTS if self.cloud.weather.storm else _ACTS)
        self.world.note(device.name, act)
        if act == "write":
            device.write(chance.choice(_TALKS), chance.randrange(3), f"{chance.randrange(3)}")
        elif act == "delete" and device.archive.documents:
            device.delete(chance.choice(sorted(device.archive.documents)))
        elif act == "forget the cache":
            device.cache = Remembered()
        self._tried(device, turn, act)

    def _tried(self, device: Device, turn: Turn, act: str) -> None:
        try:
            vault = device.open(turn)
            if act in ("sync", "delete"):
                device.sync(vault)
            elif act in ("back up", "write"):
                device.back_up(vault)
            elif act == "go back":
                device.back_up(vault, earlier=self.world.chance.randrange(100))
            elif act.startswith("tidy"):
                for _ in range(1 + act.endswith("twice")):
                    device.tidy(vault)
        except (ChatkeepError, Crash) as error:  # it is tried again some other time
            self.world.note(device.name, type(error).__name__)

    # Calm

    def _calm_down(self) -> None:
        turn = Turn("calm")
        self.world.pause(turn, 60)
        self.cloud.do_repeats()
        self.cloud.calm = True
        self._snapshots_are_right(self.devices[0].open(Turn("looks in")))
        self.world.pause(turn, 40 * _HOUR)
        for round_ in range(3):
            for device in self.devices:
                self._must(device, turn, "sync")
            self.world.pause(turn, 26 * _HOUR)
            if round_ < 2:
                for device in self.devices:
                    self._must(device, turn, "tidy")

    def _must(self, device: Device, turn: Turn, act: str) -> None:
        vault = device.open(turn)
        try:
            device.sync(vault) if act == "sync" else device.tidy(vault)
        except Busy as error:
            raise Judgement(f"in calm weather somebody still holds a lock: {error}") from error
        except ChatkeepError as error:
            raise Judgement(f"{act} fails in calm weather: {error}") from error

    # Judgement

    def _judge(self) -> None:
        self._devices_agree()
        vault = self.devices[0].open(Turn("judge"))
        report = vault.check(read_data=True)
        if not report.ok:
            raise Judgement(f"the vault is not whole: {report.problems}")
        self._snapshots_are_right(vault)
        self._nothing_is_left_over(vault)

    def _devices_agree(self) -> None:
        expected = self.truth.expected()
        for device in self.devices:
            if device.archive.documents.keys() != expected.keys():
                lost, back = (
                    expected.keys() - device.archive.documents.keys(),
                    device.archive.documents.keys() - expected.keys(),
                )
                raise Judgement(f"{device.name}: lost {sorted(lost)}, came back {sorted(back)}")
            for id, messages in expected.items():
                if not messages <= version_names(device.archive.documents[id]):
                    raise Judgement(f"{device.name}: messages of {id} are lost")
            if (
                device.archive.documents != self.devices[0].archive.documents
                or device.archive.marks != self.devices[0].archive.marks
            ):
                raise Judgement(f"{device.name} and {self.devices[0].name} differ")

    def _snapshots_are_right(self, vault: Vault) -> None:
        found = vault.snapshots()
        for snapshot in found:
            try:
                vault.manifest(snapshot)
            except ChatkeepError as error:
                raise Judgement(f"snapshot {snapshot.id[:8]} cannot be read: {error}") from error
            held = set()
            for item in (*vault.load(snapshot), *vault.tombstones(snapshot)):
                if isinstance(item, Problem):
                    raise Judgement(f"snapshot {snapshot.id[:8]} cannot be read: {item}")
                if isinstance(item, VaultDocument):
                    held.add((item.id, hashlib.sha256(item.data).hexdigest()))
            if held not in self.truth.saved:
                raise Judgement(f"snapshot {snapshot.id[:8]} is not what was saved")
        for host, sequence in self.truth.newest.items():
            if max((one.sequence for one in found if one.host == host), default=0) < sequence:
                raise Judgement(f"the newest snapshot of {host} is gone")

    def _nothing_is_left_over(self, vault: Vault) -> None:
        """After two days of calm only what somebody needs is there, and what was merged a day ago."""
        doomed = {pack.hex() for pack in vault._objects.index.doomed}
        named = vault._objects.index.packs_by_name().keys() | doomed
        packs = {name.rpartition("/")[2] for name in self.cloud.objects if name.startswith("Vault/data/")}
        if packs - named:
            raise Judgement(f"{len(packs - named)} packs are left over")
        locks = [name for name in self.cloud.objects if "/locks/" in name]
        if locks and not self.cloud.weather.blind and not self._skewed:
            raise Judgement(f"{len(locks)} locks are left over")


def judged(seed: int, *, weather: Weather | None = None) -> str:
    """The trace of a seed, run twice with the same trace. Raises Judgement."""
    first, second = Run(seed, weather=weather).judged(), Run(seed, weather=weather).judged()
    if first != second:
        raise Judgement("two runs of this seed differ")
    return first
