"""The config object: which vault this is, in which format, sealed. Written once, last of all in a creation."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Any

import msgspec

from chatkeep.errors import Damaged, VaultTooNew
from chatkeep.vault.cache import Cache
from chatkeep.vault.seal import MasterKey, Seal

NAME = "config"
VERSION = 2
DEGREE = 53
FEED = "feed"
"""Under which name the cache has what the feed of changes told."""


class Config(msgspec.Struct, frozen=True):
    """id: 64 hex digits, the name of this vault. fields: all that the object holds, also what we do not know."""

    id: str
    fields: dict[str, Any]


def make_config() -> Config:
    """A config for a new vault, with a chunker polynomial of its own (restic wants one; we never cut by it)."""
    vault_id = secrets.token_hex(32)
    return Config(vault_id, {"version": VERSION, "id": vault_id, "chunker_polynomial": f"{_polynomial():x}"})


def seal_config(seal: Seal, config: Config) -> bytes:
    """The bytes of the config object: sealed JSON, never compressed."""
    return seal.seal(msgspec.json.encode(config.fields))


def unseal_config(seal: Seal, data: bytes) -> Config:
    """The config. Raises Damaged (also for a wrong key), VaultTooNew for a version that we do not write."""
    try:
        fields = msgspec.json.decode(seal.unseal(data), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Damaged("The config of the vault cannot be read.") from error
    if fields.get("version") != VERSION:
        raise VaultTooNew(f"The vault has format {fields.get('version')}; this version knows format {VERSION}.")
    if not isinstance(fields.get("id"), str):
        raise Damaged("The config of the vault does not say which vault it is.")
    return Config(fields["id"], fields)


def remembered(key: MasterKey, folder: Path | None) -> bytes | None:
    """The config object of the vault of this key as the cache has it, where a feed will tell if the vault is gone."""
    data = _beside(key, folder).get(NAME)
    if data is None:
        return None
    try:
        found = unseal_config(Seal(key), data)
    except Damaged:
        return None
    return data if Cache(folder, found.id).get(FEED) else None


def remember(data: bytes, key: MasterKey, folder: Path | None) -> None:
    """Keep the config object, so that opening this vault asks nothing where the storage has a feed."""
    _beside(key, folder).put(NAME, data)


def _beside(key: MasterKey, folder: Path | None) -> Cache:
    """A cache that is found by the key alone; the name tells nothing of the key."""
    return Cache(folder, "key-" + hashlib.sha256(b"config of the vault of " + key.to_bytes()).hexdigest())


def _polynomial() -> int:
    while True:
        # The highest bit makes the degree, the lowest keeps x from being a factor.
        found = secrets.randbits(DEGREE) | 1 << DEGREE | 1
        if is_irreducible(found):
            return found


def is_irreducible(polynomial: int) -> bool:
    """Whether a polynomial over GF(2) of degree 53 has no factors.

    53 is prime, so it has none if and only if x^(2^53) = x modulo it and it shares no factor with x^2 + x.
    """
    power = 2
    for _ in range(DEGREE):
        power = _modulo(_multiply(power, power), polynomial)
    return power == 2 and _common(polynomial, 0b110) == 1


def _multiply(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = a << 1, b >> 1
    return product


def _modulo(a: int, b: int) -> int:
    while a.bit_length() >= b.bit_length():
        a ^= b << (a.bit_length() - b.bit_length())
    return a


def _common(a: int, b: int) -> int:
    while b:
        a, b = b, _modulo(a, b)
    return a
