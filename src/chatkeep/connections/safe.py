"""The token safe: secrets of connections, sealed before they reach the database."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chatkeep.connections.secret import Secret, Secrets
from chatkeep.errors import Damaged

_VERSION = b"\x01"
_NONCE = 12


class Safe:
    """Seals small values with AES-256-GCM under a key that is not in the database.

    Each value is bound to its place (which connection, which field), so that a sealed value copied to another row
    does not open there. A copy of the database alone opens nothing. While the secret is being replaced, what was
    sealed under the one before still opens.
    """

    def __init__(self, secret: Secret | Secrets) -> None:
        self._secret = secret

    def seal(self, value: bytes, *, place: str) -> bytes:
        """The value sealed for one place; sealing twice gives different bytes."""
        nonce = os.urandom(_NONCE)
        return _VERSION + nonce + _cipher(self._secret.all()[0]).encrypt(nonce, value, place.encode())

    def unseal(self, sealed: bytes, *, place: str) -> bytes:
        """The value that was sealed for this place. Raises Damaged when it was not, or under another secret."""
        version, nonce, rest = sealed[:1], sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        for secret in self._secret.all() if version == _VERSION else ():
            try:
                return _cipher(secret).decrypt(nonce, rest, place.encode())
            except (InvalidTag, ValueError):
                continue
        raise Damaged(
            "The saved sign-in cannot be opened with the secret of this installation.",
            hint="If secret.key or CHATKEEP_KEY was changed, put it back; else connect again.",
        )


def _cipher(secret: Secret) -> AESGCM:
    return AESGCM(secret.key("token safe"))
