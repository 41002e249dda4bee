"""Removing what no snapshot needs, in two phases a day apart, so that no run that is under way loses what it counts on.

First a pack is doomed: an index object says since when. From then on no run of ours counts on it, though it can be read
and stock restic sees it as before. When a day has passed, all snapshots are walked again; what one of them needs after
all is copied into a new pack, and what nobody needs is deleted: from the index first, then from the storage. Doom is
never taken back. Why this loses nothing even where locks are not seen stands in docs/design/vault.md, section 11.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

import msgspec

from chatkeep.errors import Problem
from chatkeep.vault import compact
from chatkeep.vault import index as indexes
from chatkeep.vault.compact import Copied, PackState
from chatkeep.vault.index import GRACE, MOST_BLOBS, DoomedPack, IndexObject
from chatkeep.vault.lock import SharedLock
from chatkeep.vault.names import PACKS, is_name
from chatkeep.vault.objects import Objects, pack_name
from chatkeep.vault.pack import Kind, Pack, PackedBlob
from chatkeep.vault.snapshot import format_time
from chatkeep.vault.used import Used

_SMALL_INDEX = MOST_BLOBS // 2


class Collected(msgspec.Struct, kw_only=True):
    """What a collection did, or would do. Packs by name.

    doomed: packs that will be deleted in a day, and bytes of them. deleted: packs that are gone, and bytes of them.
    merged: how many packs were copied into how many new ones. index: objects that named packs before, and after.
    """

    doomed: list[str] = []
    doomed_bytes: int = 0
    deleted: list[str] = []
    deleted_bytes: int = 0
    merged: int = 0
    new_packs: int = 0
    index_before: int = 0
    index_after: int = 0
    problems: list[Problem] = []


class Collection:
    """One collection, under an exclusive lock. A preview needs none that is held.

    move: packs to be emptied in any case. at_once: doomed packs that need no day, because nobody else can be at work.
    """

    def __init__(
        self,
        objects: Objects,
        lock: SharedLock,
        *,
        move: frozenset[str] = frozenset(),
        at_once: frozenset[str] = frozenset(),
    ) -> None:
        self._objects = objects
        self._lock = lock
        self._now = lock.moment
        self._move = move
        self._at_once = at_once
        self._used = Used(objects)
        self._sizes: dict[str, int] = {}
        self._doom: dict[str, float] = {}
        self._names: list[str] = []
        self._unread: list[str] = []
        self._rows: dict[str, int] = {}
        self._missing: set[str] = set()
        self.done = Collected()

    def run(self) -> Collected:
        """Doom, copy, delete. Nothing is done when a folder cannot be read: what is below it may be needed."""
        if not self.look():
            return self.done
        packs = self._states()
        expired = self._expired(packs)
        copied = self._copy(packs, {pack.name for pack in expired})
        self._objects.sleep(self._objects.storage.traits.settles)
        blobs = {pack.name: self._blobs(pack.name) for pack in expired}
        self._write(copied, blobs.keys())
        self._delete(expired, blobs)
        return self.done

    def preview(self, without: AbstractSet[str]) -> Collected:
        """What a collection would do if these snapshots were gone. Merging is not foreseen. Nothing is written."""
        if self.look(without):
            packs = self._states()
            expired = self._expired(packs)
            unneeded = [pack for pack in packs if not pack.needed and pack.doomed is None and pack.size >= 0]
            self.done.deleted, self.done.doomed = [p.name for p in expired], [p.name for p in unneeded]
            self.done.deleted_bytes = sum(pack.size for pack in expired)
            self.done.doomed_bytes = sum(pack.size for pack in unneeded)
        return self.done

    # What there is

    def look(self, without: AbstractSet[str] = frozenset()) -> bool:
        """List everything and walk all snapshots but these. False, with problems, when that is not possible in full."""
        objects = self._objects
        known_before = set(objects.damage.packs)
        objects.names.start_over()
        objects.refresh_snapshots()
        objects.refresh_index(looked=True)
        found = objects.add_unlisted_snapshots()
        listed = objects.storage.listing(PACKS)
        self._sizes = {one.name.rpartition("/")[2]: one.size for one in listed if is_name(one.name.rpartition("/")[2])}
        self._leave_out_gone()
        self._used.walk(one for one in found if one.id not in without)  # it may have to read the index again
        self._leave_out_gone()
        self._names = list(objects.packs_of)
        self._unread = objects.unread_index  # not what came since: that has been read by nobody here
        self._rows = objects.index.packs_by_name()
        absent = self._rows.keys() - self._sizes.keys() - {pack.hex() for pack in objects.index.doomed}
        absent = {name for name in absent if not objects.has_pack(name, objects.index.pack_sizes()[name])}
        self._missing |= absent & known_before  # a listing that comes late is no reason to give up a pack
        objects.learn_damage(bad=absent)
        if any(objects.index.find(kind, blob) is None for kind, blobs in self._used.blobs.items() for blob in blobs):
            objects.search_packs()  # perhaps it lies in a pack that no index names
            self._rows = objects.index.packs_by_name()
        self.done.problems = [*self._used.problems, *objects.problems]
        self.done.index_before = self.done.index_after = len(self._names)
        return not self._used.problems and not objects.unread_snapshots

    def _leave_out_gone(self) -> None:
        """Count on no pack that was doomed and went, though an index object that no list had for days names it."""
        index = self._objects.index
        sizes = index.pack_sizes()
        unlisted = ({pack.hex() for pack in index.doomed} & sizes.keys()) - self._sizes.keys()
        gone = {name for name in unlisted - self._missing if not self._objects.has_pack(name, sizes[name])}
        self._missing |= gone
        index.leave_out(self._missing)

    def _states(self) -> list[PackState]:
        """All packs, those that no index names too, with what is needed of each."""
        index, doomed = self._objects.index, {pack.hex(): since for pack, since in self._objects.index.doomed.items()}
        damaged = self._objects.damage.packs
        states = []
        for name, row in self._rows.items():
            needed, kind = [], None
            for blob_kind, blob_id, place in index.blobs_of(row):
                kind = kind or blob_kind
                if blob_id in self._used.blobs[blob_kind] and self._lies_in(blob_kind, blob_id, name):
                    needed.append((blob_kind, blob_id, place))
            states.append(
                PackState(name, kind or "data", self._sizes.get(name, -1), needed, doomed.get(name), name in damaged)
            )
        unnamed = self._sizes.keys() - self._rows.keys()
        return states + [PackState(name, "data", self._sizes[name], [], doomed.get(name)) for name in sorted(unnamed)]

    def _lies_in(self, kind: Kind, blob_id: bytes, name: str) -> bool:
        found = self._objects.index.find(kind, blob_id)
        return found is not None and self._objects.index.pack_name(found.pack) == name

    # What becomes of each pack

    def _expired(self, packs: list[PackState]) -> list[PackState]:
        """The doomed packs whose day has passed and that nothing needs."""
        limit = self._now.timestamp() - GRACE.total_seconds()
        return [
            pack
            for pack in packs
            if not pack.needed
            and pack.size >= 0
            and (pack.name in self._at_once or (pack.doomed is not None and pack.doomed <= limit))
        ]

    def _copy(self, packs: list[PackState], gone: set[str]) -> Copied:
        """Copy what must move into new packs, and doom what need not stay."""
        left = [pack for pack in packs if pack.name not in gone and pack.size >= 0]
        sound = [pack for pack in left if pack.doomed is None and not pack.damaged]
        moving = compact.to_merge(pack for pack in sound if pack.needed)
        must = [p for p in left if p.needed and (p.doomed is not None or p.damaged or p.name in self._move)]
        self._lock.renew()
        copied = compact.copy(self._objects, {pack.name: pack for pack in (*moving, *must)}.values())
        self._objects.learn_damage(bad=copied.bad)
        whole = {pack.name for pack in (*moving, *must)} - copied.bad.keys()
        waiting = self._objects.spool.waiting(self._rows)
        unneeded = {pack.name for pack in left if not pack.needed and pack.doomed is None and pack.name not in waiting}
        now = self._now.timestamp()
        before = {pack.name: min(pack.doomed, now) for pack in left if pack.doomed is not None}
        self._doom = before | dict.fromkeys(whole | unneeded, now)
        self.done.doomed = sorted(self._doom.keys() - before.keys())
        self.done.doomed_bytes = sum(pack.size for pack in left if pack.name in self.done.doomed)
        self.done.merged, self.done.new_packs = len(whole), len(copied.packs)
        self.done.problems += [
            Problem(f"pack {name[:12]}", f"{len(blobs)} parts of it are damaged, and nowhere else in the vault.")
            for name, blobs in copied.bad.items()
        ]
        return copied

    # Writing and deleting

    def _write(self, copied: Copied, gone: AbstractSet[str]) -> None:
        """Write the new index objects, then remove those that they replace."""
        objects = self._objects
        small = [name for name in self._names if self._count(name) < _SMALL_INDEX]
        marks = {name.hex() for name in objects.index.doomed}
        rotten = {name for name in self._doom if name in objects.damage.packs}  # restic shall not read from these
        wrong = (gone | self._missing | rotten) & self._rows.keys()
        news = copied.packs or wrong or self._unread or self._doom.keys() - marks
        if not news and len(small) < compact.TIER:
            return
        old = [name for name in self._names if name in small or any(p.hex() in wrong for p in objects.packs_of[name])]
        kept = dict.fromkeys(pack.hex() for name in old for pack in objects.packs_of[name] if pack.hex() not in wrong)
        found = [pack for pack in objects.unindexed if pack.id not in gone]  # what goes now is named by nothing
        packs = [Pack(name, b"", self._blobs(name)) for name in kept] + found + copied.packs
        self._lock.renew()
        new = [objects.put_index_object(value) for value in self._index_objects(packs, gone)]
        objects.unindexed = []
        objects.sleep(objects.storage.traits.settles)
        self._lock.renew()
        objects.delete_many(indexes.FOLDER + name for name in (*old, *self._unread) if name not in new)
        self.done.index_after = len(self._names) - len(old) + len(new)

    def _count(self, name: str) -> int:
        return sum(len(self._blobs(pack.hex())) for pack in self._objects.packs_of[name])

    def _blobs(self, name: str) -> list[PackedBlob]:
        return self._objects.index.packed_blobs(self._rows[name]) if name in self._rows else []

    def _index_objects(self, packs: list[Pack], gone: Iterable[str]) -> list[IndexObject]:
        """Index objects that name these packs. The last has what will be deleted, and copies of the snapshots.

        What is deleted now stays doomed for a day more: an old index object that somebody still sees may name it.
        """
        parts: list[list[Pack]] = [[]]
        for pack in packs:
            if sum(len(one.blobs) for one in parts[-1]) >= MOST_BLOBS:
                parts.append([])
            parts[-1].append(pack)
        since = self._doom | dict.fromkeys(gone, self._now.timestamp())
        doomed = [DoomedPack(n, format_time(datetime.fromtimestamp(at, UTC))) for n, at in sorted(since.items())]
        doomed += self._lately_gone(since.keys())
        values = [indexes.to_index_object(part) for part in parts]
        values[-1].packs_to_delete = doomed
        values[-1].snapshots = dict(self._objects.snapshot_objects)
        return values

    def _lately_gone(self, said: Iterable[str]) -> list[DoomedPack]:
        """What was deleted within the last day, by the index that is replaced."""
        limit = self._now.timestamp() - GRACE.total_seconds()
        told = {pack.hex(): at for pack, at in self._objects.index.doomed.items() if at > limit}
        names = sorted(told.keys() - set(said) - self._sizes.keys())
        return [DoomedPack(name, format_time(datetime.fromtimestamp(told[name], UTC))) for name in names]

    def _delete(self, expired: list[PackState], blobs: dict[str, list[PackedBlob]]) -> None:
        """Delete packs, once more sure that no snapshot came meanwhile that needs them."""
        if not expired:
            return
        objects = self._objects
        self._used.walk(objects.refresh_snapshots())
        objects.refresh_index(looked=True)
        needed = {name for name, held in blobs.items() if self._used.problems or any(map(self._is_missed, held))}
        if needed:
            objects.put_index([Pack(name, b"", blobs[name]) for name in sorted(needed)])
        safe = [pack for pack in expired if pack.name not in needed]
        self._lock.renew()
        objects.delete_many(pack_name(pack.name) for pack in safe)
        objects.spool.drop(pack.name for pack in safe)
        self.done.deleted = sorted(pack.name for pack in safe)
        self.done.deleted_bytes = sum(pack.size for pack in safe)

    def _is_missed(self, blob: PackedBlob) -> bool:
        return blob.id in self._used.blobs[blob.kind] and not self._objects.index.has(blob.kind, blob.id)
