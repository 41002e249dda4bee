"""The index: in which pack, and where in it, each blob lies.

In the vault it is JSON in sealed objects, one or a few for each run. In memory it is columns of numbers and one
dictionary from id to row for each kind, so that a hundred thousand blobs cost little time and memory. On disk, in
the cache, each index object is kept as its columns, because it never changes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from datetime import timedelta

import msgspec

from chatkeep.errors import Damaged
from chatkeep.vault.pack import Kind, Pack, PackedBlob, header_length
from chatkeep.vault.snapshot import SnapshotObject, parse_time

FOLDER = "index/"
MOST_BLOBS = 25_000
"""A new index object is begun at about this many blobs."""


GRACE = timedelta(hours=24)
"""A doomed pack is deleted when this has passed, and not earlier. By then every run that knew nothing of its doom has
ended, and its snapshot is there to be seen."""


class IndexedBlob(msgspec.Struct, omit_defaults=True):
    """A blob as an index object names it."""

    id: str
    type: str
    offset: int
    length: int
    uncompressed_length: int = 0


class IndexedPack(msgspec.Struct):
    """A pack as an index object names it."""

    id: str
    blobs: list[IndexedBlob]


class DoomedPack(msgspec.Struct):
    """A pack that will be deleted when a day has passed: nothing new may rely on it. time: since when (RFC 3339).

    Its blobs stand among `packs`, where stock restic finds them as long as they are there.
    """

    id: str
    time: str
    blobs: list[IndexedBlob] = []


class IndexObject(msgspec.Struct, omit_defaults=True):
    """The content of an index object. restic reads `packs` and passes over the rest.

    snapshots: copies of snapshot objects by name, so that a machine that knows nothing need not fetch each of them.
    """

    packs: list[IndexedPack]
    packs_to_delete: list[DoomedPack] = []
    snapshots: dict[str, SnapshotObject] = {}


class Columns(msgspec.Struct, array_like=True):
    """An index object as columns: ids of packs and first row of each; then for each blob id, offset, length, size.

    Rows of data blobs of a pack come before its tree blobs; `trees` has the number of tree blobs of each pack. doomed,
    doomed_at: ids of packs that will be deleted, and since when [s].
    """

    packs: bytes
    rows: bytes
    trees: bytes
    ids: bytes
    offsets: bytes
    lengths: bytes
    sizes: bytes
    doomed: bytes = b""
    doomed_at: bytes = b""

    def doom(self) -> dict[bytes, float]:
        """The packs that will be deleted, and since when [s since 1970]."""
        return dict(zip(_ids(self.doomed), array("d", self.doomed_at), strict=True))


class Location(msgspec.Struct, frozen=True):
    """Where a blob lies. pack: row of the pack; length: sealed; size: plain [bytes], 0 if it is not compressed."""

    pack: int
    offset: int
    length: int
    size: int


def to_index_object(packs: Iterable[Pack]) -> IndexObject:
    """The JSON value of an index object that names these packs."""
    return IndexObject(
        [
            IndexedPack(p.id, [IndexedBlob(b.id.hex(), b.kind, b.offset, b.length, b.size) for b in p.blobs])
            for p in packs
        ]
    )


def to_columns(packs: Iterable[tuple[str, list[PackedBlob]]]) -> Columns:
    """The columns of packs and their blobs."""
    names, ids = bytearray(), bytearray()
    rows, trees, offsets, lengths, sizes = (array("I") for _ in range(5))
    for name, blobs in packs:
        names += bytes.fromhex(name)
        rows.append(len(offsets))
        ordered = sorted(blobs, key=lambda blob: (blob.kind, blob.offset))
        trees.append(sum(blob.kind == "tree" for blob in ordered))
        for blob in ordered:
            ids += blob.id
            offsets.append(blob.offset)
            lengths.append(blob.length)
            sizes.append(blob.size)
    return Columns(
        packs=bytes(names),
        rows=rows.tobytes(),
        trees=trees.tobytes(),
        ids=bytes(ids),
        offsets=offsets.tobytes(),
        lengths=lengths.tobytes(),
        sizes=sizes.tobytes(),
    )


def columns_of(value: IndexObject) -> Columns:
    """The columns of an index object as it was read. Raises Damaged for ids or numbers that cannot be."""
    try:
        columns = to_columns(
            (pack.id, [_packed(blob) for blob in pack.blobs])
            for pack in value.packs
            if len(bytes.fromhex(pack.id)) == 32
        )
        doomed = {bytes.fromhex(pack.id): parse_time(pack.time).timestamp() for pack in value.packs_to_delete}
        return msgspec.structs.replace(
            columns, doomed=b"".join(doomed), doomed_at=array("d", doomed.values()).tobytes()
        )
    except (ValueError, OverflowError) as error:
        raise Damaged("An index object cannot be read.") from error


def _packed(blob: IndexedBlob) -> PackedBlob:
    kind: Kind = "tree" if blob.type == "tree" else "data"
    blob_id = bytes.fromhex(blob.id)
    if len(blob_id) != 32:
        raise ValueError
    return PackedBlob(blob_id, kind, blob.offset, blob.length, blob.uncompressed_length)


class Index:
    """All blobs that the index objects read so far name. Adding is cheap; taking away means building anew.

    Packs that are doomed or distrusted are read where nothing else has a blob, but nothing new relies on them: for
    `has` and `data_size` they are not there.
    """

    def __init__(self) -> None:
        self._rows: dict[Kind, dict[bytes, int]] = {"data": {}, "tree": {}}
        self._spare: dict[Kind, dict[bytes, int]] = {"data": {}, "tree": {}}
        self._ids: list[bytes] = []
        self._pack_of: array[int] = array("I")
        self._offsets: array[int] = array("I")
        self._lengths: array[int] = array("I")
        self._sizes: array[int] = array("I")
        self._packs: list[bytes] = []
        self._known: set[bytes] = set()
        self._first_row: list[int] = []
        self._trees: list[int] = []
        self.doomed: dict[bytes, float] = {}
        """Packs that will be deleted, and since when [s since 1970]."""
        self._distrusted: frozenset[bytes] = frozenset()
        self._gone: frozenset[bytes] = frozenset()

    def add(self, columns: Columns) -> None:
        """Take in the blobs of one index object, and what it says of packs."""
        pack_base = len(self._packs)
        base = len(self._ids)
        self._ids += _ids(columns.ids)
        for column, data in (
            (self._offsets, columns.offsets),
            (self._lengths, columns.lengths),
            (self._sizes, columns.sizes),
        ):
            column.frombytes(data)
        packs = _ids(columns.packs)
        self._packs += packs
        self._trees += array("I", columns.trees)
        self._first_row += [base + first for first in array("I", columns.rows)]
        for pack in range(pack_base, len(self._packs)):
            first, end = self._span(pack)
            self._pack_of.extend([pack] * (end - first))
        late = self._doom(columns.doom())
        self._known.update(packs)
        if late:
            self._map_all()
        else:
            self._map(range(pack_base, len(self._packs)))

    def _doom(self, told: dict[bytes, float]) -> bool:
        """Take in what will be deleted. True if something was taken for lasting until now."""
        late = any(pack in self._known and pack not in self.doomed for pack in told)
        for pack, since in told.items():
            self.doomed[pack] = max(since, self.doomed.get(pack, since))
        return late

    def distrust(self, packs: Iterable[str]) -> None:
        """Have nothing new rely on these packs, and on no others that were named so before."""
        distrusted = frozenset(bytes.fromhex(pack) for pack in packs)
        if distrusted != self._distrusted:
            self._distrusted = distrusted
            self._map_all()

    def leave_out(self, packs: Iterable[str]) -> None:
        """Have nothing be found in these packs, which are gone, nor in those of earlier calls."""
        gone = self._gone | {bytes.fromhex(pack) for pack in packs}
        if gone != self._gone:
            self._gone = gone
            self._map_all()

    def _map_all(self) -> None:
        for rows in (*self._rows.values(), *self._spare.values()):
            rows.clear()
        self._map(range(len(self._packs)))

    def _map(self, packs: Iterable[int]) -> None:
        """Find the blobs of these packs by their ids from now on."""
        for pack in packs:
            first, end = self._span(pack)
            middle = end - self._trees[pack]
            name = self._packs[pack]
            if name in self._gone:
                continue
            into = self._spare if name in self.doomed or name in self._distrusted else self._rows
            into["data"].update(zip(self._ids[first:middle], range(first, middle), strict=True))
            into["tree"].update(zip(self._ids[middle:end], range(middle, end), strict=True))

    def has(self, kind: Kind, blob_id: bytes) -> bool:
        """Whether a blob lies in a pack that lasts."""
        return blob_id in self._rows[kind]

    def find(self, kind: Kind, blob_id: bytes) -> Location | None:
        """Where a blob lies, or None; in a pack that lasts, if it is in one."""
        row = self._rows[kind].get(blob_id)
        row = self._spare[kind].get(blob_id) if row is None else row
        return None if row is None else self._location(row)

    def places(self, kind: Kind, blob_id: bytes) -> list[Location]:
        """Everywhere that a blob lies. Looks at all rows: for what is damaged in its first place."""
        rows = [row for row, found in enumerate(self._ids) if found == blob_id]
        return [self._location(row) for row in rows if self._kind(row) == kind]

    def _kind(self, row: int) -> Kind:
        pack = self._pack_of[row]
        return "tree" if row >= self._span(pack)[1] - self._trees[pack] else "data"

    def data_size(self, blob_id: bytes) -> int:
        """The plain size of a data blob in a pack that lasts [bytes], or -1 when it is in none."""
        row = self._rows["data"].get(blob_id)
        if row is None:
            return -1
        return self._sizes[row] or self._lengths[row] - 32

    def _location(self, row: int) -> Location:
        return Location(self._pack_of[row], self._offsets[row], self._lengths[row], self._sizes[row])

    def pack_name(self, pack: int) -> str:
        return self._packs[pack].hex()

    def pack_names(self) -> list[str]:
        """The names of all packs, without doubles."""
        return [name.hex() for name in dict.fromkeys(self._packs)]

    def _span(self, pack: int) -> tuple[int, int]:
        last = pack + 1 == len(self._packs)
        return self._first_row[pack], len(self._ids) if last else self._first_row[pack + 1]

    def blobs_of(self, pack: int) -> Iterator[tuple[Kind, bytes, Location]]:
        """The blobs of a pack: data first, then trees, each kind by offset."""
        first, end = self._span(pack)
        for row in range(first, end):
            yield "tree" if row >= end - self._trees[pack] else "data", self._ids[row], self._location(row)

    def pack_sizes(self) -> dict[str, int]:
        """How many bytes each pack must have, by name."""
        sizes = {}
        for pack, name in enumerate(self._packs):
            first, end = self._span(pack)
            compressed = sum(1 for row in range(first, end) if self._sizes[row])
            sizes[name.hex()] = sum(self._lengths[first:end]) + header_length(end - first, compressed)
        return sizes

    def packed_blobs(self, pack: int) -> list[PackedBlob]:
        """The blobs of a pack as they lie in it."""
        blobs = [PackedBlob(i, kind, at.offset, at.length, at.size) for kind, i, at in self.blobs_of(pack)]
        return sorted(blobs, key=lambda blob: blob.offset)

    def packs_by_name(self) -> dict[str, int]:
        """The row of each pack by its name."""
        return {name.hex(): row for row, name in enumerate(self._packs)}

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))


def _ids(joined: bytes) -> list[bytes]:
    return [joined[i : i + 32] for i in range(0, len(joined), 32)]
