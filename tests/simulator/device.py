"""A device of the simulation: the real vault, merge and tombstones over an archive that is a dictionary."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from tests.simulator.cloud import Cloud, Handle
from tests.simulator.world import Inline, Turn

from archive.talks import said, talk
from chatkeep import merge as merging
from chatkeep.archive import tombstones
from chatkeep.archive.tombstones import Tombstone
from chatkeep.errors import ChatkeepError, Problem
from chatkeep.merge import version_names
from chatkeep.model import Conversation, decode, encode
from chatkeep.storage import Below
from chatkeep.vault import Contents, MasterKey, Vault
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

    def put_named(self, name: str, data: bytes) -> bool:
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
        self._kind = kind
        self.documents: dict[str, Conversation] = {}
        self.marks: dict[str, Tombstone] = {}
        self.before: list[tuple[dict[str, Conversation], dict[str, Tombstone]]] = []
        self.cache = Remembered()
        self.clock = 0
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
        self.clock += 1
        fresh = talk(name, messages=[said(name, number, text)])
        before = self.documents.get(fresh.id)
        whole = merging.merge(before, fresh) if before else fresh
        mark = self.marks.get(fresh.id)
        left = tombstones.outcome(whole, mark)
        self._truth.wrote(fresh)
        if left is not None:
            self.documents[fresh.id] = left

    def delete(self, id: str) -> None:
        """Delete a conversation as it is here."""
        self.clock += 1
        seen = tombstones.seen_by_deletion(self.documents[id])
        mark = tombstones.mark(self.marks.get(id) or Tombstone(id), seen, tombstones.DELETED, (self.clock, self.name))
        self.marks[id] = mark
        self._truth.marked(mark)
        del self.documents[id]

    # What the product does

    def back_up(self, vault: Vault, *, earlier: int | None = None) -> None:
        """Save the archive as it is, or as it was at an earlier backup: then much of it is in old packs."""
        documents, marks = self.documents, self.marks
        if earlier is not None and self.before:
            documents, marks = self.before[earlier % len(self.before)]
        else:
            self.before.append((dict(documents), dict(marks)))
        held = {id: encode(one) for id, one in documents.items()}
        entries = sorted((id, hashlib.sha256(data).hexdigest(), "2024-05-01T10:00:00Z") for id, data in held.items())
        marks = {f"{id}.json": tombstones.encode(mark) for id, mark in sorted(marks.items())}
        contents = Contents(entries=entries, load=held.__getitem__, tombstones=marks, counts={"messages": len(held)})
        self._truth.saved.add(frozenset((id, revision) for id, revision, _ in entries))
        saved = vault.save(contents, host=self.name)
        assert saved.problems == [], saved.problems
        if saved.verified:
            self._truth.newest[self.name] = max(self._truth.newest.get(self.name, 0), saved.snapshot.sequence)

    def pull(self, vault: Vault) -> None:
        """Merge the newest snapshot of every other device."""
        newest = {one.host: one for one in sorted(vault.snapshots(), key=lambda one: one.sequence)}
        for host, snapshot in sorted(newest.items()):
            if host != self.name:
                marks = [_whole(item) for item in vault.tombstones(snapshot)]
                documents = [_whole(item) for item in vault.load(snapshot)]
                self._take(marks, [decode(one.data) for one in documents])

    def _take(self, marks: list[tuple[str, bytes]], documents: list[Conversation]) -> None:
        for name, data in marks:
            mark = tombstones.decode(data, name.removesuffix(".json"))
            before = self.marks.get(mark.id)
            self.marks[mark.id] = tombstones.join(before, mark) if before else mark
            self.clock = max(self.clock, mark.clock)
        for one in documents:
            here = self.documents.get(one.id)
            self.documents[one.id] = merging.merge(here, one) if here else one
        for id in list(self.documents):
            left = tombstones.outcome(self.documents[id], self.marks.get(id))
            if left is None:
                del self.documents[id]
            else:
                self.documents[id] = left

    def sync(self, vault: Vault) -> None:
        self.pull(vault)
        self.back_up(vault)

    def tidy(self, vault: Vault) -> None:
        vault.tidy(POLICY, host=self.name, all_devices=True)


def _whole(item):  # type: ignore[no-untyped-def]
    if isinstance(item, Problem):
        raise ChatkeepError(f"{item.where}: {item.what}")
    return item
