"""The index: in which pack, and where in it, each blob lies.

In the vault it is JSON in sealed objects, one or a few for each run. In memory it is columns of numbers and one
dictionary from id to row for each kind, so that a hundred thousand blobs cost little time and memory. On disk, in
the cache, each index object is kept as its columns, because it never changes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator

import msgspec

from chatkeep.errors import Damaged
from chatkeep.vault.pack import Kind, Pack, PackedBlob, header_length

FOLDER = "index/"
MOST_BLOBS = 50_000
"""A new index object is begun at about this many blobs."""


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


class IndexObject(msgspec.Struct):
    """The content of an index object."""

    packs: list[IndexedPack]


class Columns(msgspec.Struct, array_like=True):
    """An index object as columns: ids of packs and first row of each; then for each blob id, offset, length, size.

    Rows of data blobs of a pack come before its tree blobs; `trees` has the number of tree blobs of each pack.
    """

    packs: bytes
    rows: bytes
    trees: bytes
    ids: bytes
    offsets: bytes
    lengths: bytes
    sizes: bytes


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
        return to_columns(
            (pack.id, [_packed(blob) for blob in pack.blobs])
            for pack in value.packs
            if len(bytes.fromhex(pack.id)) == 32
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
    """All blobs that the index objects read so far name. Adding is cheap; taking away means building anew."""

    def __init__(self) -> None:
        self._data: dict[bytes, int] = {}
        self._tree: dict[bytes, int] = {}
        self._ids: list[bytes] = []
        self._pack_of: array[int] = array("I")
        self._offsets: array[int] = array("I")
        self._lengths: array[int] = array("I")
        self._sizes: array[int] = array("I")
        self._packs: list[bytes] = []
        self._first_row: list[int] = []
        self._trees: list[int] = []

    def add(self, columns: Columns) -> None:
        """Take in the blobs of one index object."""
        base, pack_base = len(self._ids), len(self._packs)
        ids = [columns.ids[i : i + 32] for i in range(0, len(columns.ids), 32)]
        firsts, trees = array("I", columns.rows), array("I", columns.trees)
        self._ids += ids
        for column, data in ((self._offsets, columns.offsets), (self._lengths, columns.lengths)):
            column.frombytes(data)
        self._sizes.frombytes(columns.sizes)
        self._packs += [columns.packs[i : i + 32] for i in range(0, len(columns.packs), 32)]
        self._trees += trees
        for number, (first, count) in enumerate(zip(firsts, trees, strict=True)):
            end = firsts[number + 1] if number + 1 < len(firsts) else len(ids)
            self._first_row.append(base + first)
            self._pack_of.extend([pack_base + number] * (end - first))
            self._data.update(zip(ids[first : end - count], range(base + first, base + end), strict=False))
            self._tree.update(zip(ids[end - count : end], range(base + end - count, base + end), strict=True))

    def has(self, kind: Kind, blob_id: bytes) -> bool:
        return blob_id in (self._data if kind == "data" else self._tree)

    def find(self, kind: Kind, blob_id: bytes) -> Location | None:
        """Where a blob lies, or None."""
        row = (self._data if kind == "data" else self._tree).get(blob_id)
        return None if row is None else self._location(row)

    def data_size(self, blob_id: bytes) -> int:
        """The plain size of a data blob [bytes], or -1 when it is not here."""
        row = self._data.get(blob_id)
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

    def _rows(self, pack: int) -> tuple[int, int]:
        return self._first_row[pack], self._first_row[pack + 1] if pack + 1 < len(self._packs) else len(self._ids)

    def blobs_of(self, pack: int) -> Iterator[tuple[Kind, bytes, Location]]:
        """The blobs of a pack: data first, then trees, each kind by offset."""
        first, end = self._rows(pack)
        for row in range(first, end):
            yield "tree" if row >= end - self._trees[pack] else "data", self._ids[row], self._location(row)

    def pack_sizes(self) -> dict[str, int]:
        """How many bytes each pack must have, by name."""
        sizes = {}
        for pack, name in enumerate(self._packs):
            first, end = self._rows(pack)
            compressed = sum(1 for row in range(first, end) if self._sizes[row])
            sizes[name.hex()] = sum(self._lengths[first:end]) + header_length(end - first, compressed)
        return sizes

    def packs_by_name(self) -> dict[str, int]:
        """The row of each pack by its name."""
        return {name.hex(): row for row, name in enumerate(self._packs)}

    def __len__(self) -> int:
        return len(self._data) + len(self._tree)
