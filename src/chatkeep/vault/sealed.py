"""Objects that hold one sealed JSON value: index files, snapshots, locks. Named by the SHA-256 of their bytes."""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec
import zstandard

from chatkeep.errors import Damaged
from chatkeep.vault.seal import Seal

LEVEL = 3
_COMPRESSED = 2

T = TypeVar("T")


def seal_json(seal: Seal, value: object) -> tuple[str, bytes]:
    """(name, bytes) of an object: one byte 2, the zstd frame of the JSON, sealed."""
    plain = bytes([_COMPRESSED]) + zstandard.ZstdCompressor(level=LEVEL).compress(msgspec.json.encode(value))
    data = seal.seal(plain)
    return hashlib.sha256(data).hexdigest(), data


def unseal_json(seal: Seal, name: str, data: bytes, *, kind: type[T]) -> T:
    """The value in an object. Raises Damaged when the bytes do not fit the name, the seal or the kind."""
    if hashlib.sha256(data).hexdigest() != name:
        raise Damaged(f"The object {name[:12]} is not what was written.")
    try:
        return msgspec.json.decode(_expand(seal.unseal(data)), type=kind)
    except (msgspec.DecodeError, zstandard.ZstdError) as error:
        raise Damaged(f"The object {name[:12]} cannot be read.") from error


def _expand(plain: bytes) -> bytes:
    if plain[:1] in (b"{", b"["):  # written by a program that does not compress
        return plain
    if plain[:1] != bytes([_COMPRESSED]):
        raise Damaged("An object begins with a byte that this version does not know.")
    return zstandard.ZstdDecompressor().decompressobj().decompress(plain[1:])
