"""Sealing: encryption with authentication, and back.

A sealed text is IV (16 bytes), AES-256-CTR of the plain text, Poly1305 tag (16 bytes) over the encrypted part. The
IV is random, never all zero, and serves as the first counter block and as the nonce of the tag: the one-time key of
Poly1305 is `r`, then the IV encrypted with AES-128 under `k`. There is no associated data.
Source: docs/design/vault.md, section "Seal"; proven by stock restic.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Sequence

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from chatkeep.errors import Damaged

OVERHEAD = 32
_IV = 16
_TAG = 16
_NO_IV = bytes(_IV)


class MasterKey(msgspec.Struct, frozen=True):
    """The one key that seals everything in a vault. It never changes and appears in no repr.

    encrypt: AES-256 key, 32 bytes. mac_k, mac_r: the two halves for tags, 16 bytes each.
    """

    encrypt: bytes
    mac_k: bytes
    mac_r: bytes

    def __repr__(self) -> str:
        return "MasterKey(…)"

    def to_bytes(self) -> bytes:
        """64 bytes for the token safe: encrypt, mac_k, mac_r."""
        return self.encrypt + self.mac_k + self.mac_r

    @classmethod
    def from_bytes(cls, data: bytes) -> MasterKey:
        """The key from its 64 bytes. Raises Damaged for another length."""
        if len(data) != 64:
            raise Damaged("A master key has 64 bytes.")
        return cls(data[:32], data[32:48], data[48:])

    @classmethod
    def generate(cls, random: Callable[[int], bytes] = os.urandom) -> MasterKey:
        """A new key from the system's random source."""
        return cls.from_bytes(random(64))


class Seal:
    """Seals and unseals under one key. Keeps one cipher at work, so it belongs to one thread at a time."""

    def __init__(self, key: MasterKey, *, random: Callable[[int], bytes] = os.urandom) -> None:
        self._stream = Cipher(algorithms.AES(key.encrypt), modes.CTR(_NO_IV)).encryptor()
        self._block = Cipher(algorithms.AES(key.mac_k), modes.ECB()).encryptor()  # noqa: S305 - one block a time
        self._mac_r = key.mac_r
        self._random = random

    def _ivs(self, count: int) -> list[bytes]:
        drawn = self._random(_IV * count)
        ivs = [drawn[i : i + _IV] for i in range(0, len(drawn), _IV)]
        return [iv if iv != _NO_IV else self._ivs(1)[0] for iv in ivs]

    def seal(self, plain: bytes) -> bytes:
        """The plain text sealed under a fresh IV; 32 bytes longer."""
        return self.seal_many([plain])[0]

    def seal_many(self, plains: Sequence[bytes]) -> list[bytes]:
        """Each plain text sealed under its own fresh IV, in order; quicker than one at a time."""
        ivs = self._ivs(len(plains))
        nonces = self._block.update(b"".join(ivs))
        sealed = []
        for i, (iv, plain) in enumerate(zip(ivs, plains, strict=True)):
            self._stream.reset_nonce(iv)
            body = self._stream.update(plain)
            tag = Poly1305.generate_tag(self._mac_r + nonces[i * _IV : i * _IV + _IV], body)
            sealed.append(b"".join((iv, body, tag)))
        return sealed

    def unseal(self, sealed: bytes | memoryview) -> bytes:
        """The plain text. Raises Damaged when a single bit is not as it was sealed, or the key is another."""
        view = memoryview(sealed)
        if len(view) < OVERHEAD:
            raise Damaged("Sealed bytes were cut short.")
        iv, body, tag = view[:_IV], view[_IV:-_TAG], view[-_TAG:]
        if not hmac.compare_digest(Poly1305.generate_tag(self._mac_r + self._block.update(iv), body), tag):
            raise Damaged("Sealed bytes are not what was written.")
        self._stream.reset_nonce(bytes(iv))
        return self._stream.update(body)
