"""An open vault seen as its objects: what has been read of its index and snapshots, and how blobs are fetched.

save, load and check are written in terms of this. It belongs to one thread at a time, except fetch().
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import TypeVar

import msgspec
import zstandard

from chatkeep import happenings
from chatkeep.errors import Damaged, NotFound, Problem
from chatkeep.frames import expand
from chatkeep.storage import Counting, Storage, StoredObject, link, links
from chatkeep.vault import index as indexes
from chatkeep.vault import snapshot as snapshots
from chatkeep.vault.cache import Cache
from chatkeep.vault.config import Config
from chatkeep.vault.heal import Damage
from chatkeep.vault.index import Columns, Index, IndexObject, Location
from chatkeep.vault.names import PACKS, Names, is_name
from chatkeep.vault.pack import Kind, Pack, PackedBlob, header_span, read_header
from chatkeep.vault.seal import MasterKey, Seal
from chatkeep.vault.sealed import seal_json, unseal_json
from chatkeep.vault.snapshot import Snapshot, SnapshotObject
from chatkeep.vault.spool import Spool

_AT_ONCE = 4
_FEW = 4
_TAIL = 64 * 1024

T = TypeVar("T")


def pack_name(pack_id: str) -> str:
    """The name of the object that holds a pack."""
    return f"{PACKS}{pack_id[:2]}/{pack_id}"


def open_blob(seal: Seal, sealed: bytes | memoryview, *, blob_id: bytes, size: int) -> bytes:
    """The plain text of a blob: its tag is checked, then its SHA-256. size: plain, 0 if not compressed.

    Raises Damaged.
    """
    plain = seal.unseal(sealed)
    if size:
        try:
            plain = expand(plain, size=size)
        except zstandard.ZstdError as error:
            raise Damaged("A blob does not decompress.") from error
    if hashlib.sha256(plain).digest() != blob_id:
        raise Damaged("A blob is not what its name says.")
    return plain


class Objects:
    """The objects of an open vault. `problems` collects what could not be read so far.

    sleep, pool, random: how to wait, what does several things at once, where chance comes from; a simulation brings its
    own.
    """

    index_kind = Index

    def __init__(
        self,
        storage: Storage,
        key: MasterKey,
        config: Config,
        *,
        cache: Cache,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
        pool: Callable[[int], Executor] = ThreadPoolExecutor,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.storage = Counting(storage)
        self.key = key
        self.config = config
        self.seal = Seal(key, random=random)
        self.clock = clock
        self.sleep = sleep
        self.pool = pool
        self.cache = cache
        self.spool = Spool(cache, clock)
        self.damage = Damage(cache)
        self.names = Names(self.storage, self.cache, clock=clock)
        self.cuts = self.cache.cuts()
        self._kept_cuts = dict(self.cuts)
        self.index = self.index_kind()
        self.index.distrust(self.damage.packs)
        self.unindexed: list[Pack] = []
        self.leaves: dict[str, tuple[list[tuple[str, str, str]], str]] = {}
        """For each folder of conversations that save built: what was in it, and the id of its tree."""
        self._problems: dict[str, Problem] = {}
        self._indexed: set[str] = set()
        self._snapshots: dict[str, Snapshot] = {}
        self.snapshot_objects: dict[str, SnapshotObject] = {}
        """The content of each known snapshot, by its name now."""
        self._carried: dict[str, SnapshotObject] = {}
        self.packs_of: dict[str, list[bytes]] = {}
        """The packs that each index object names."""
        self.unread_index: list[str] = []
        """The index objects that the last look at the index saw and could not read."""
        self.unread_snapshots: list[str] = []
        """Whether every snapshot that was listed last could be read."""
        self._searched = False
        self._sought: set[str] = set()
        for name in self.cache.names("index"):
            self._take_index(name, self._cached(f"index/{name}", Columns))

    @property
    def problems(self) -> list[Problem]:
        return list(self._problems.values())

    def delete_many(self, names: Iterable[str]) -> None:
        """Remove objects, in as few requests as the storage can, and know that they went."""
        listed = list(names)
        self.storage.delete_many(listed)
        self.names.went(*listed)
        for name in listed:
            self._forget_snapshot(name)

    def _trouble(self, name: str, what: str) -> None:
        self._problems[name] = Problem(f"vault, object {name[:30]}", what)

    def _cached(self, name: str, kind: type[T]) -> T | None:
        """What the cache has under a name; nothing if another version kept it in another shape."""
        data = self.cache.get(name)
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.msgpack.decode(data, type=kind) if data else None
        return None

    # Objects by name

    def put(self, name: str, data: bytes) -> StoredObject:
        """Write an object and know of it."""
        stored = self.storage.put(name, data)
        self.names.came(name)
        return stored

    def delete(self, name: str) -> None:
        """Remove an object and know that it went."""
        self.storage.delete(name)
        self.names.went(name)
        self._forget_snapshot(name)

    def fetch(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of an object, from the storage."""
        return self.storage.get(name, start=start, length=length)

    def _fetch_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        def fetch(name: str) -> tuple[str, bytes | None]:
            try:
                return name, self.fetch(name)
            except NotFound:
                return name, None

        wanted = list(names)
        if len(wanted) < _AT_ONCE:
            yield from map(fetch, wanted)
            return
        with self.pool(_AT_ONCE) as pool:
            yield from pool.map(happenings.carried(fetch), wanted)

    def _read(self, folder: str, names: Iterable[str], kind: type[T]) -> Iterator[tuple[str, T]]:
        """The values in sealed JSON objects; what cannot be read becomes a problem."""
        for path, data in self._fetch_all(folder + name for name in names):
            if data is None:  # removed since it was listed
                continue
            try:
                yield path.removeprefix(folder), unseal_json(self.seal, path.removeprefix(folder), data, kind=kind)
            except Damaged as error:
                self._trouble(path, error.what)

    # Snapshots

    def refresh_snapshots(self, *, looked: bool = False) -> list[Snapshot]:
        """All snapshots, oldest first. One look, and one get for each that was not known.

        looked: where there is a feed, the last look is recent enough.
        """
        names = self.names.of(snapshots.FOLDER, looked=looked)
        self.snapshot_objects = {name: kept for name, kept in self.snapshot_objects.items() if name in names}
        self._snapshots = {name: kept for name, kept in self._snapshots.items() if name in names}
        for name in names:
            if name not in self._snapshots and (found := self._cached(f"snapshots/{name}", SnapshotObject)):
                self._take_snapshot(name, found)
        unknown = sorted(name for name in names if name not in self._snapshots)
        if len(unknown) > _FEW:  # the index carries copies of those that were there when it was last tidied
            self.refresh_index(looked=True)
            for name in filter(self._carried.__contains__, unknown):
                self._take_snapshot(name, self._carried[name])
                self.cache.put(f"snapshots/{name}", msgspec.msgpack.encode(self._carried[name]))
            unknown = [name for name in unknown if name not in self._snapshots]
        for name, found in self._read(snapshots.FOLDER, unknown, SnapshotObject):
            self._take_snapshot(name, found)
            self.cache.put(f"snapshots/{name}", msgspec.msgpack.encode(found))
        self.unread_snapshots = sorted(names - self._snapshots.keys())
        return self.known_snapshots()

    def add_unlisted_snapshots(self) -> list[Snapshot]:
        """All snapshots, oldest first, also those that the last look did not show and that are there.

        One question for each that this machine knows, itself or from the index; those that went are forgotten.
        """
        asked = sorted(({*self.cache.names("snapshots")} | self._carried.keys()) - self._snapshots.keys())
        for name in [name for name, is_there in zip(asked, self._are_there(asked), strict=True) if is_there]:
            found = self._cached(f"snapshots/{name}", SnapshotObject) or self._carried.get(name)
            for _, one in [(name, found)] if found else self._read(snapshots.FOLDER, [name], SnapshotObject):
                self._take_snapshot(name, one)
            if name not in self._snapshots:
                self.unread_snapshots.append(name)
        return self.known_snapshots()

    def _are_there(self, names: list[str]) -> list[bool]:
        def ask(name: str) -> bool:
            try:
                self.storage.stat(snapshots.FOLDER + name)
            except NotFound:
                self._forget_snapshot(snapshots.FOLDER + name)
                return False
            return True

        with self.pool(_AT_ONCE) as pool:
            return list(pool.map(happenings.carried(ask), names))

    def _forget_snapshot(self, path: str) -> None:
        if path.startswith(snapshots.FOLDER):
            name = path.removeprefix(snapshots.FOLDER)
            self._carried.pop(name, None)
            self.cache.drop(f"snapshots/{name}")

    def known_snapshots(self) -> list[Snapshot]:
        """The snapshots that the last look saw, oldest first."""
        return sorted(self._snapshots.values(), key=lambda s: (s.time, s.sequence))

    def _take_snapshot(self, name: str, found: SnapshotObject) -> None:
        try:
            self._snapshots[name] = snapshots.from_object(name, found)
            self.snapshot_objects[name] = found
        except Damaged as error:
            self._trouble(snapshots.FOLDER + name, error.what)

    def put_snapshot(self, value: SnapshotObject) -> Snapshot:
        """Write a snapshot: the commit."""
        name, data = seal_json(self.seal, value)
        self.put(snapshots.FOLDER + name, data)
        self._take_snapshot(name, value)
        self.cache.put(f"snapshots/{name}", msgspec.msgpack.encode(value))
        return self._snapshots[name]

    # The index

    def refresh_index(self, *, looked: bool = False) -> bool:
        """Read what is new in the index. True if something that was known has gone from it. looked: see above."""
        names = self.names.of(indexes.FOLDER, looked=looked)
        gone = self._indexed - names
        if gone:
            self._start_index_over()
        for name in sorted(names - self._indexed):
            self._take_index(name, self._cached(f"index/{name}", Columns))
        for name, found in self._read(indexes.FOLDER, sorted(names - self._indexed), IndexObject):
            self._carried |= found.snapshots
            columns = indexes.columns_of(found)
            self._take_index(name, columns)
            self.cache.put(f"index/{name}", msgspec.msgpack.encode(columns))
        self.cache.keep_only("index", names)
        self.unread_index = sorted(names - self._indexed)
        if self.unread_index:
            self.search_packs()
        return bool(gone)

    def find_missing_packs(self) -> bool:
        """Look after packs that the feed told to be gone while the index names them. True if some are.

        Those that this machine still has are sent again; nothing new counts on the others.
        """
        missing = []
        sizes = self.index.pack_sizes() if self.names.gone_packs() else {}
        self.names.keep_gone(sizes)
        doomed = {pack.hex() for pack in self.index.doomed}
        for pack_id in sorted(self.names.gone_packs() - doomed - self.damage.packs):
            if self.has_pack(pack_id, sizes[pack_id]):
                continue
            data = self.spool.get(pack_id)
            if data is None:
                missing.append(pack_id)
            else:
                self.put_pack(Pack(pack_id, data, []))
        if missing:
            self.learn_damage(bad=missing)
        return bool(missing)

    def learn_damage(self, *, bad: Iterable[str] = (), good: Iterable[str] = ()) -> None:
        """Count no longer on packs that were found damaged or missing, and again on those found whole."""
        self.damage.learn(bad=bad, good=good)
        self.index.distrust(self.damage.packs)

    def know(self, root: str) -> None:
        """Read what is new in the index, if the tree of a snapshot is not yet in what was read."""
        if not self.index.has("tree", bytes.fromhex(root)):
            self.refresh_index()
        if not self.index.has("tree", bytes.fromhex(root)) and self.names.remembers:
            self.names.start_over()
            self.refresh_index()

    def _start_index_over(self) -> None:
        self.index, self._indexed, self._searched, self.packs_of = self.index_kind(), set(), False, {}
        self.index.distrust(self.damage.packs)

    def _take_index(self, name: str, columns: Columns | None) -> None:
        if columns is not None:
            self.index.add(columns)
            self._indexed.add(name)
            self.packs_of[name] = [columns.packs[i : i + 32] for i in range(0, len(columns.packs), 32)]

    def put_index(self, packs: list[Pack]) -> str:
        """Write an index object that names these packs, and know them from now on."""
        return self.put_index_object(indexes.to_index_object(packs))

    def put_index_object(self, value: IndexObject) -> str:
        """Write an index object, and know what it says from now on."""
        name, data = seal_json(self.seal, value)
        self.put(indexes.FOLDER + name, data)
        columns = indexes.columns_of(value)
        self._take_index(name, columns)
        self.cache.put(f"index/{name}", msgspec.msgpack.encode(columns))
        return name

    def replace_index(self, old: list[str], packs: list[Pack]) -> None:
        """Name packs anew, without those that turned out to be missing, and drop what named them before."""
        self.put_index(packs)
        for name in old:
            self.delete(indexes.FOLDER + name)
        self.refresh_index()

    def search_packs(self) -> None:
        """Find the blobs of packs that no index object names, from the headers of the packs.

        For a vault whose index was damaged or lost. What is found stands in `unindexed` until it is saved.
        """
        if self._searched:
            return
        self._searched = True
        known = set(self.index.pack_names())
        for stored in self.storage.listing(PACKS):
            name = stored.name.rpartition("/")[2]
            if is_name(name) and name not in known:
                try:
                    blobs = self._header(stored.name, stored.size)
                except NotFound:  # it went, and the listing does not know yet; a blob that is nowhere is told of itself
                    continue
                except Damaged as error:
                    self._trouble(stored.name, error.what)
                    continue
                self.index.add(indexes.to_columns([(name, blobs)]))
                self.unindexed.append(Pack(name, b"", blobs))

    def _header(self, name: str, size: int) -> list[PackedBlob]:
        tail = self.fetch(name, start=max(0, size - _TAIL))
        span = header_span(tail)
        if span > len(tail):
            tail = self.fetch(name, start=max(0, size - span))
        return read_header(self.seal, tail[-span:-4])

    def remember_cuts(self, used: Container[str]) -> None:
        """Keep how documents were cut, of those still in use, for the next run."""
        self.cuts = {revision: pieces for revision, pieces in self.cuts.items() if revision in used}
        if self.cuts != self._kept_cuts:
            self.cache.put_cuts(self.cuts)
            self._kept_cuts = dict(self.cuts)

    # Blobs

    def locate(self, kind: Kind, blob_id: bytes) -> Location | None:
        """Where a blob lies; as a last resort by reading the headers of packs that no index names."""
        found = self.index.find(kind, blob_id)
        if found is None and not self._searched:
            self.search_packs()
            found = self.index.find(kind, blob_id)
        return found

    def read_blob(self, kind: Kind, blob_id: bytes) -> bytes:
        """The plain text of one blob, by one range read. Raises Damaged, also when it is nowhere."""
        found = self.locate(kind, blob_id)
        if found is None:
            raise Damaged("A part is missing from the vault.")
        pack = self.index.pack_name(found.pack)
        try:
            sealed = self.fetch_packed(pack, start=found.offset, length=found.length)
            return open_blob(self.seal, sealed, blob_id=blob_id, size=found.size)
        except Damaged:
            return self.read_elsewhere(kind, blob_id, damaged=pack)

    def read_elsewhere(self, kind: Kind, blob_id: bytes, *, damaged: str) -> bytes:
        """The plain text of a blob that cannot be had from one pack, from another one. Raises Damaged.

        It may have been copied since the index was read, and the pack be gone for that reason. As a last resort it is
        looked for in packs that no index names.
        """
        if damaged not in self._sought:
            self._sought.add(damaged)
            self.refresh_index()
        found = self._read_but_from(damaged, kind, blob_id)
        if found is None and not self._searched:
            self.search_packs()
            found = self._read_but_from(damaged, kind, blob_id)
        if found is None:
            raise Damaged("A part of it is damaged or missing in the vault.")
        return found

    def _read_but_from(self, damaged: str, kind: Kind, blob_id: bytes) -> bytes | None:
        """The plain text of a blob from any pack but one, if another has it whole."""
        for place in self.index.places(kind, blob_id):
            pack = self.index.pack_name(place.pack)
            if pack != damaged:
                with contextlib.suppress(Damaged):
                    sealed = self.fetch_packed(pack, start=place.offset, length=place.length)
                    return open_blob(self.seal, sealed, blob_id=blob_id, size=place.size)
        return None

    def fetch_packed(self, pack: str, *, start: int, length: int) -> bytes:
        """Bytes of a pack. Raises Damaged when it is not there."""
        try:
            return self.fetch(pack_name(pack), start=start, length=length)
        except NotFound:
            raise Damaged("A pack is missing from the vault.") from None

    def has_pack(self, pack_id: str, size: int) -> bool:
        """Whether a pack is in the storage with all its bytes: one request."""
        try:
            return self.storage.stat(pack_name(pack_id)).size == size
        except NotFound:
            return False

    def send_pack(self, pack: Pack) -> int:
        """Write a pack and keep it here as well; its size as the storage has it.

        It is kept before it is sent, for a run that is killed meanwhile. Where it becomes a file of this machine, that
        file is kept under a second name, and no byte is written twice.
        """
        if not links(self.storage):
            self.spool.keep(pack)
            return self.put_pack(pack)
        size = self.put_pack(pack)
        self.spool.keep(pack, link=partial(link, self.storage, pack_name(pack.id)))
        return size

    def put_pack(self, pack: Pack) -> int:
        """Write a pack; its size as the storage has it. It is of no use until an index object names it."""
        return self.storage.put(pack_name(pack.id), pack.data).size
