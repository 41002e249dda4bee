"""A device of the simulation: the real sync and backup, vault, merge and tombstones over an archive in memory."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from tests.simulator.cloud import Cloud, Handle
from tests.simulator.remembering import Remembering
from tests.simulator.world import BEGIN, Inline, Turn

from archive.talks import said, talk
from chatkeep import merge as merging
from chatkeep import operations
from chatkeep.archive import tombstones
from chatkeep.archive.tombstones import Tombstone
from chatkeep.merge import version_names
from chatkeep.model import Conversation
from chatkeep.operations import BackupReport, SyncReport
from chatkeep.operations.lineage import Lineage
from chatkeep.providers.memory import Memory
from chatkeep.storage import Below, Counting
from chatkeep.vault import MasterKey, Vault
from chatkeep.vault.cache import Cache
from chatkeep.vault.config import Config
from chatkeep.vault.index import Index
from chatkeep.vault.objects import Objects
from chatkeep.vault.retention import Policy

POLICY = Policy(last=1, hourly=1, daily=0, weekly=0, monthly=0, yearly=0)


class Remembered(Cache):
    """A cache in memory that outlives the processes of its device."""

    def __init__(self) -> None:
        super().__init__(None, "")
        self.kept: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        return self.kept.get(name)

    def put(self, name: str, data: bytes) -> None:
        self.kept[name] = data

    def put_named(self, name: str, data: bytes, *, link: object = None) -> bool:
        """The clouds here keep no files that could get a second name."""
        assert link is None
        self.kept[name] = data
        return True

    def get_named(self, name: str) -> bytes | None:
        return self.kept.get(name)

    def drop(self, name: str) -> None:
        self.kept.pop(name, None)

    def names(self, folder: str) -> list[str]:
        return [name.partition("/")[2] for name in self.kept if name.startswith(folder + "/")]

    def keep_only(self, folder: str, names: Iterable[str]) -> None:
        left: Container[str] = set(names)
        for name in self.names(folder):
            if name not in left:
                self.drop(f"{folder}/{name}")


class CarelessIndex(Index):
    """Counts on everything that is named, as stock restic does."""

    def _map(self, packs: Iterable[int]) -> None:
        doomed, self.doomed = self.doomed, {}
        super()._map(packs)
        self.doomed = doomed


class CarelessObjects(Objects):
    """A vault as a program sees it that knows nothing of doom."""

    index_kind = CarelessIndex


@dataclass
class Truth:
    """What people did, on all devices together, and every archive that a device tried to save."""

    written: dict[str, Conversation] = field(default_factory=dict)
    marks: dict[str, Tombstone] = field(default_factory=dict)
    saved: set[frozenset[tuple[str, str]]] = field(default_factory=set)
    newest: dict[str, int] = field(default_factory=dict)

    def wrote(self, conversation: Conversation) -> None:
        before = self.written.get(conversation.id)
        self.written[conversation.id] = _true_merge(before, conversation) if before else conversation

    def marked(self, mark: Tombstone) -> None:
        before = self.marks.get(mark.id)
        self.marks[mark.id] = _true_join(before, mark) if before else mark

    def expected(self) -> dict[str, set[str]]:
        """The conversations that every device must have in the end, each with the messages that nobody deleted."""
        expected = {}
        for id, one in self.written.items():
            mark = self.marks.get(id)
            if _true_outcome(one, mark) is not None:
                expected[id] = version_names(one) - (mark.deleted if mark else set())
        return expected


# The truth keeps the code as it is; a mutation changes what devices do.
_true_merge, _true_join, _true_outcome = merging.merge, tombstones.join, tombstones.outcome


class Device:
    """A machine with an archive that survives, a cache that mostly does, and processes that do not."""

    def __init__(
        self,
        name: str,
        cloud: Cloud,
        truth: Truth,
        key: MasterKey,
        config: Config,
        *,
        skew: timedelta,
        kind: type[Objects] = Objects,
    ) -> None:
        self.name = name
        self.archive = Remembering(name, truth)
        self.before: list[tuple[dict[str, Conversation], dict[str, Tombstone]]] = []
        self.cache = Remembered()
        self._kind = kind
        self._cloud = cloud
        self._truth = truth
        self._key = key
        self._config = config
        self._skew = skew
        self._seal_chance = cloud.world.chance

    def open(self, turn: Turn) -> Vault:
        """The vault, as a new process opens it."""
        world = self._cloud.world
        objects = self._kind(
            Below(Handle(self._cloud, turn), "Vault"),
            self._key,
            self._config,
            cache=self.cache,
            clock=lambda: world.time(self._skew),
            sleep=lambda seconds: world.pause(turn, seconds),
            pool=Inline,
            random=self._seal_chance.randbytes,
        )
        return Vault(objects)

    # What people do here

    def write(self, name: str, number: int, text: str) -> None:
        """Import a conversation once more, with one message more, or another version of one."""
        fresh = talk(name, messages=[said(name, number, text)])
        self._truth.wrote(fresh)
        self.archive.add(fresh)

    def delete(self, id: str) -> None:
        """Delete a conversation as it is here."""
        self._truth.marked(self.archive.delete(id))

    # What the product does

    def back_up(self, vault: Vault, *, earlier: int | None = None) -> None:
        """Save the archive as it is, or as it was at an earlier backup: then much of it is in old packs."""
        archive = self.archive
        if earlier is not None and self.before:
            archive = archive.with_content(*self.before[earlier % len(self.before)])
        else:
            self.before.append((dict(archive.documents), dict(archive.marks)))
        report = operations.back_up(
            archive,  # type: ignore[arg-type]
            vault,
            host=self.archive.device,
            counting=Counting(Memory()),
            new_host=self._renamed,
        )
        self.archive.device = archive.device
        self._saved(vault, report)

    def sync(self, vault: Vault) -> SyncReport:
        """Merge what the others saved, and save."""
        self.before.append((dict(self.archive.documents), dict(self.archive.marks)))
        report = operations.sync(
            self.archive,  # type: ignore[arg-type]
            vault,
            host=self.archive.device,
            counting=Counting(Memory()),
            new_host=self._renamed,
            accept_deletions=True,
            now=BEGIN,
        )
        self._saved(vault, report.backup)
        return report

    def _renamed(self) -> str:
        self.archive.names += 1
        return f"{self.name}.{self.archive.names}"

    def _saved(self, vault: Vault, report: BackupReport) -> None:
        assert report.problems == [], report.problems
        if report.verified:
            own = Lineage(self.archive, vault.id).own  # type: ignore[arg-type]
            self._truth.newest[own.host] = max(self._truth.newest.get(own.host, 0), own.sequence)

    def tidy(self, vault: Vault) -> None:
        vault.tidy(POLICY, host=self.archive.device, all_devices=True)
