"""Many small packs into few large ones, without opening what is sealed.

A blob is independent of its pack, so it is copied as it lies, after a look that it is what its id says. Small packs are
merged in two tiers, the tiny ones and the others, when there are some of each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from chatkeep.errors import Damaged, NotFound
from chatkeep.vault.index import Location
from chatkeep.vault.objects import Objects, open_blob, pack_name
from chatkeep.vault.pack import Kind, Pack, PackBuilder
from chatkeep.vault.spool import SMALL

TIER = 8
"""So many small packs are merged into one, and so many index objects."""
_TINY = 256 * 1024
_WORTH_MERGING_TINY = 4
_WASTED = 0.5

Blob = tuple[Kind, bytes, Location]


class PackState(msgspec.Struct):
    """A pack as collecting sees it.

    size: in the storage [bytes], or -1 when it is not there. needed: its blobs that snapshots name and that lie in no
    better place. doomed: since when it is to be deleted [s since 1970], or None. damaged: known to be.
    """

    name: str
    kind: Kind
    size: int
    needed: list[Blob]
    doomed: float | None = None
    damaged: bool = False

    @property
    def needed_bytes(self) -> int:
        return sum(place.length for _, _, place in self.needed)


def to_merge(packs: Iterable[PackState]) -> list[PackState]:
    """The packs whose blobs are better copied: those mostly of waste, and small ones once there are enough of them."""
    chosen: dict[str, PackState] = {}
    tiers: dict[tuple[Kind, bool], list[PackState]] = defaultdict(list)
    for pack in packs:
        if pack.needed_bytes < pack.size * _WASTED:
            chosen[pack.name] = pack
        elif pack.size < SMALL:
            tiers[pack.kind, pack.size < _TINY].append(pack)
    for (_, tiny), small in tiers.items():
        if len(small) >= (_WORTH_MERGING_TINY if tiny else TIER):
            chosen |= {pack.name: pack for pack in small}
    return list(chosen.values())


class Copied(msgspec.Struct):
    """New packs that were put, and the old ones that could not be copied in full, with how many blobs were bad."""

    packs: list[Pack]
    bad: dict[str, list[Blob]]


def copy(objects: Objects, packs: Iterable[PackState]) -> Copied:
    """Put what is needed of these packs into new ones. The old ones stay, and so does the index: see collect."""
    builders: dict[Kind, PackBuilder] = {"data": PackBuilder("data"), "tree": PackBuilder("tree")}
    copied = Copied([], {})
    begun: set[tuple[Kind, bytes]] = set()
    for pack in packs:
        for (kind, blob_id, place), sealed in _sealed(objects, pack):
            if (kind, blob_id) in begun:
                continue
            if sealed is None:
                copied.bad.setdefault(pack.name, []).append((kind, blob_id, place))
                continue
            begun.add((kind, blob_id))
            builders[kind].add(blob_id, sealed, size=place.size)
            if builders[kind].full:
                copied.packs.append(_put(objects, builders[kind]))
                builders[kind] = PackBuilder(kind)
    copied.packs += [_put(objects, builder) for builder in builders.values() if builder.length]
    return copied


def _put(objects: Objects, builder: PackBuilder) -> Pack:
    pack = builder.finish(objects.seal)
    (objects.send_pack if len(pack.data) < SMALL else objects.put_pack)(pack)
    return msgspec.structs.replace(pack, data=b"")


def _sealed(objects: Objects, pack: PackState) -> Iterator[tuple[Blob, bytes | None]]:
    """Each needed blob of a pack with its sealed bytes, or None where they are not what was written."""
    try:
        data = memoryview(objects.spool.get(pack.name) or objects.fetch(pack_name(pack.name)))
    except NotFound:
        data = memoryview(b"")
    for blob in sorted(pack.needed, key=lambda blob: blob[2].offset):
        _, blob_id, place = blob
        sealed = bytes(data[place.offset : place.offset + place.length])
        try:
            open_blob(objects.seal, sealed, blob_id=blob_id, size=place.size)
        except Damaged:
            yield blob, None
        else:
            yield blob, sealed
