"""A passkey in software: makes a key for a site, and signs what the site asks.

Source: WebAuthn level 2, 6.1 (authenticator data), 6.5.4 (attestation object), 7.2.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor

USER_PRESENT, USER_VERIFIED, HAS_KEY = 1, 4, 64


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Authenticator:
    """One passkey. origin: where the browser is, which is signed with everything. verifies: it asks for a finger."""

    def __init__(self, origin: str = "http://127.0.0.1:8765", *, verifies: bool = True) -> None:
        self.origin = origin
        self._verified = USER_VERIFIED if verifies else 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(16)
        self._user = b""

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer to being asked for a new passkey."""
        asked = options["publicKey"]
        self._user = base64.urlsafe_b64decode(asked["user"]["id"] + "==")
        numbers = self._key.public_key().public_numbers()
        key = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        named = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor.encode(key)
        data = self._data(asked["rp"]["id"], HAS_KEY) + named
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", asked["challenge"])
        return self._plain({"clientDataJSON": encoded(client), "attestationObject": encoded(attestation)})

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer to being asked to prove who it is."""
        asked = options["publicKey"]
        data, client = self._data(asked["rpId"], 0), self._client("webauthn.get", asked["challenge"])
        signed = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._plain(
            {
                "clientDataJSON": encoded(client),
                "authenticatorData": encoded(data),
                "signature": encoded(signed),
                "userHandle": encoded(self._user),
            }
        )

    def _data(self, site: str, flags: int) -> bytes:
        return hashlib.sha256(site.encode()).digest() + bytes([USER_PRESENT | self._verified | flags]) + bytes(4)

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _plain(self, response: dict[str, str]) -> dict[str, Any]:
        id = encoded(self.id)
        return {"type": "public-key", "id": id, "rawId": id, "response": response, "clientExtensionResults": {}}
