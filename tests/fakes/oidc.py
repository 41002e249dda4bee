"""A small OpenID provider: it knows one person, says so to whoever asks with the right secret, and keeps to PKCE.

Source: OpenID Connect Core 1.0 (3.1), Discovery 1.0 (4), RFC 7636.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT, SECRET = "chatkeep-client", "the secret of the client"


@dataclass
class OpenId:
    """The provider, and its knobs: who the person is, and what is wrong with the token."""

    subject: str = "elsewhere-1"
    email: str = "alice@example.org"
    email_verified: bool = True
    name: str = "Alice Elsewhere"
    wrong_audience: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    """What each browser was sent with."""

    def __post_init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self._codes: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def consent(self, address: str) -> str:
        """What the person's browser comes back with, after it was sent to this address and they said yes."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["client_id"] == CLIENT
        assert asked["response_type"] == "code"
        self.asked.append(asked)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def _claims(self) -> dict[str, Any]:
        who = {"sub": self.subject, "email": self.email, "email_verified": self.email_verified, "name": self.name}
        now = int(time.time())
        audience = "somebody else" if self.wrong_audience else CLIENT
        return {**who, "iss": self.url, "aud": audience, "iat": now, "exp": now + 300}

    def _tokens(self, given: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked = self._codes.pop(given.get("code", ""), None)
        proof = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).decode().rstrip("=")
        is_known = given.get("client_id") == CLIENT and given.get("client_secret") == SECRET
        if not asked or not is_known or asked.get("code_challenge") != challenge:
            return 400, {"error": "invalid_grant"}
        token = jwt.encode(self._claims(), self._key, algorithm="RS256", headers={"kid": "1"})
        return 200, {"access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": token}

    def _answer(self, path: str, given: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path == "/.well-known/openid-configuration":
            return 200, self._discovery()
        if path == "/keys":
            key = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
            return 200, {"keys": [{**key, "kid": "1", "use": "sig", "alg": "RS256"}]}
        if path == "/token":
            return self._tokens(given)
        if path == "/userinfo":
            return 200, {name: self._claims()[name] for name in ("sub", "email", "email_verified", "name")}
        return 404, {}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(*provider._answer(urlsplit(self.path).path, {}))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                self._say(*provider._answer(self.path, dict(parse_qsl(body))))

            def _say(self, status: int, answer: dict[str, Any]) -> None:
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        return Answering
