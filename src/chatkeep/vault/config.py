"""The config object: which vault this is, in which format, sealed. Written once, last of all in a creation."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from chatkeep.errors import Damaged, VaultTooNew
from chatkeep.vault.seal import Seal

NAME = "config"
VERSION = 2
DEGREE = 53


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
