"""Packs: many sealed blobs in one object, with a sealed header at the end that says what they are.

A pack is its blobs back to back, the sealed header, and the length of the sealed header (u32, little endian). A
header entry is: type (0 data, 1 tree, 2 compressed data, 3 compressed tree), sealed length (u32), for compressed
ones the plain length (u32), and the id of the blob, the SHA-256 of its plain text (32 bytes). Offsets follow from
the order. A pack holds blobs of one kind only and is named by the SHA-256 of its bytes.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Literal

import msgspec

from chatkeep.errors import Damaged
from chatkeep.vault.seal import OVERHEAD, Seal

Kind = Literal["data", "tree"]
TARGET = 16 * 1024 * 1024
"""A pack is full when its blobs reach this many bytes; with one more blob and the header it stays below 32 MiB."""

_PLAIN = struct.Struct("<BI32s")
_COMPRESSED = struct.Struct("<BII32s")
_LENGTH = struct.Struct("<I")
_TYPES: dict[int, Kind] = {0: "data", 1: "tree", 2: "data", 3: "tree"}


class PackedBlob(msgspec.Struct, frozen=True):
    """Where a blob lies in its pack. length: sealed [bytes]; size: plain [bytes], 0 if it is not compressed."""

    id: bytes
    kind: Kind
    offset: int
    length: int
    size: int


class Pack(msgspec.Struct, frozen=True):
    """A finished pack: its name, its bytes, its blobs in order."""

    id: str
    data: bytes
    blobs: list[PackedBlob]


class PackBuilder:
    """Collects sealed blobs of one kind into a pack."""

    def __init__(self, kind: Kind) -> None:
        self.kind: Kind = kind
        self.length = 0
        self._parts: list[bytes] = []
        self._blobs: list[PackedBlob] = []

    def add(self, blob_id: bytes, sealed: bytes, *, size: int) -> None:
        """Put a blob at the end. size: of its plain text [bytes], 0 if it is not compressed."""
        self._blobs.append(PackedBlob(blob_id, self.kind, self.length, len(sealed), size))
        self._parts.append(sealed)
        self.length += len(sealed)

    @property
    def full(self) -> bool:
        return self.length >= TARGET

    def finish(self, seal: Seal) -> Pack:
        """The pack, ready to be put."""
        code = 0 if self.kind == "data" else 1
        entries = (
            _COMPRESSED.pack(code + 2, b.length, b.size, b.id) if b.size else _PLAIN.pack(code, b.length, b.id)
            for b in self._blobs
        )
        header = seal.seal(b"".join(entries))
        data = b"".join([*self._parts, header, _LENGTH.pack(len(header))])
        return Pack(hashlib.sha256(data).hexdigest(), data, self._blobs)


def header_length(blobs: int, compressed: int) -> int:
    """How many bytes follow the blobs in a pack of so many blobs, so many of them compressed."""
    return OVERHEAD + _LENGTH.size + compressed * _COMPRESSED.size + (blobs - compressed) * _PLAIN.size


def header_span(tail: bytes) -> int:
    """How many bytes at the end of a pack are its header, from its last bytes. Raises Damaged."""
    if len(tail) < _LENGTH.size:
        raise Damaged("A pack was cut short.")
    return int(_LENGTH.unpack(tail[-_LENGTH.size :])[0]) + _LENGTH.size


def read_header(seal: Seal, sealed_header: bytes) -> list[PackedBlob]:
    """The blobs of a pack, from the sealed header alone (without its length). Raises Damaged."""
    header, at, offset, blobs = seal.unseal(sealed_header), 0, 0, []
    while at < len(header):
        shape = _COMPRESSED if header[at] in (2, 3) else _PLAIN
        if header[at] not in _TYPES or at + shape.size > len(header):
            raise Damaged("The header of a pack cannot be read.")
        code, length, *sizes, blob_id = shape.unpack_from(header, at)
        blobs.append(PackedBlob(blob_id, _TYPES[code], offset, length, sizes[0] if sizes else 0))
        at, offset = at + shape.size, offset + length
    return blobs
