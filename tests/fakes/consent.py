"""The consent that the fakes ask for: one OAuth server, with a policy for each provider.

Codes are good once and for ten minutes, PKCE is verified, tokens run out by a clock that tests move. A person sees a
small page with Allow and Deny; `automatic` answers in their place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import unquote, urlencode, urlsplit

from fakes.wire import Request, Response

CODE_LASTS_S = 600.0
JSON = "application/json"


@dataclass(frozen=True)
class Person:
    """Somebody with an account."""

    id: str
    name: str
    email: str


@dataclass(frozen=True)
class Issued:
    """Tokens as a client gets them."""

    access: str
    refresh: str
    expires_at: float
    scopes: tuple[str, ...]


@dataclass
class Grant:
    """One consent of one person to one client."""

    user: str
    client: str
    scopes: tuple[str, ...]
    begun: float
    seen: float
    refresh: str = ""
    revoked: bool = False


@dataclass
class _Asked:
    """An authorization under way: a code that was handed out, or a device that waits."""

    client: str
    user: str
    scopes: tuple[str, ...]
    redirect: str
    challenge: str
    expires: float
    used: Grant | None = None
    allowed: bool | None = None
    polled: float = -1e9


@dataclass(kw_only=True)
class Policy:
    """How one provider differs. Places are "host/path".

    redirect: whether an address may be redirected to. secret: "demanded", "refused" or "either" of a client.
    rotates: each refresh gives a new refresh token, and the one before is good no more, unless it lingers.
    refresh_lasts_s: how long a consent lasts; None for ever. idle_lasts_s: how long it lasts unused.
    more: fields added to a token answer, for a person; first: it is the answer to a code and not a refresh.
    words: error name to (status, error, description), where a provider has its own.
    """

    authorize: tuple[str, ...]
    token: tuple[str, ...]
    revoke: tuple[str, ...] = ()
    device: tuple[str, ...] = ()
    device_page: str = ""
    redirect: Callable[[str], bool]
    without_redirect: bool = False
    secret: Literal["demanded", "refused", "either"] = "either"
    rotates: bool = False
    lingers: bool = False
    refresh_when: Callable[[Mapping[str, str]], bool] = lambda asked: True
    access_lasts_s: float = 3599
    refresh_lasts_s: float | None = None
    idle_lasts_s: float | None = None
    access_prefix: str = "at-"
    refresh_prefix: str = "rt-"
    token_type: str = "Bearer"
    more: Callable[[Person, bool], dict[str, Any]] = lambda person, first: {}
    words: dict[str, tuple[int, str, str]] = field(default_factory=dict)


_WORDS = {
    "pending": (400, "authorization_pending", "The person has not answered yet."),
    "too_often": (400, "slow_down", "Asked too often."),
    "denied": (400, "access_denied", "The person said no."),
    "too_late": (400, "expired_token", "The code is too old."),
    "client": (401, "invalid_client", "The OAuth client was not found."),
    "no_secret": (400, "invalid_request", "client_secret is missing."),
    "secret_refused": (401, "invalid_client", "A public client must not send a secret."),
    "grant": (400, "invalid_grant", "Token has been expired or revoked."),
    "code": (400, "invalid_grant", "Malformed auth code."),
    "verifier": (400, "invalid_grant", "Invalid code verifier."),
    "no_verifier": (400, "invalid_grant", "Missing code verifier."),
    "redirect": (400, "redirect_uri_mismatch", "Bad Request"),
    "kind": (400, "unsupported_grant_type", "Invalid grant_type."),
}


def loopback(*hosts: str) -> Callable[[str], bool]:
    """A rule for redirects: plain http to one of these names of this machine, any port, any path."""
    return lambda address: urlsplit(address).scheme == "http" and urlsplit(address).hostname in hosts


class Consent:
    """The OAuth routes of one provider. clients: id to secret. automatic: "allow", "deny", or "" for the page.

    granted: narrows what an automatic consent gives, as a person does who unticks boxes. user: who is signed in.
    """

    def __init__(
        self,
        policy: Policy,
        people: dict[str, Person],
        *,
        clients: dict[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.policy = policy
        self.people = people
        self.clients = clients or {"cid": "csec"}
        self.clock = clock
        self.automatic: Literal["allow", "deny", ""] = ""
        self.granted: Callable[[tuple[str, ...]], tuple[str, ...]] = lambda asked: asked
        self.user = next(iter(people))
        self.lock = threading.RLock()
        self.refreshes = 0
        self._made = 0
        self._codes: dict[str, _Asked] = {}
        self._devices: dict[str, _Asked] = {}
        self._typed: dict[str, str] = {}
        self._refresh: dict[str, Grant] = {}
        self._access: dict[str, tuple[Grant, float]] = {}

    # What tests do

    def issue(self, user: str = "", *, scopes: tuple[str, ...], client: str = "") -> Issued:
        """Tokens without the dance."""
        with self.lock:
            grant = Grant(user or self.user, client or next(iter(self.clients)), scopes, self.clock(), self.clock())
            self._give_refresh(grant)
            return self._issued(grant)

    def revoke_all(self, user: str = "") -> None:
        """What a person does who removes the app in the account's settings."""
        with self.lock:
            for grant in [*self._refresh.values(), *(grant for grant, _ in self._access.values())]:
                grant.revoked = grant.revoked or not user or grant.user == user

    def expire_access(self) -> None:
        """Every access token is refused from now on; refresh tokens stay."""
        with self.lock:
            self._access.clear()

    def decide_device(self, user_code: str, *, allow: bool = True) -> None:
        """What a person does at the device page."""
        with self.lock:
            asked = self._devices[self._typed[user_code]]
            asked.allowed, asked.user = allow, self.user
            asked.scopes = self.granted(asked.scopes)

    def live_grants(self) -> list[Grant]:
        with self.lock:
            return [grant for grant in self._refresh.values() if not grant.revoked]

    # What a fake asks

    def grant(self, token: str) -> Grant | None:
        """Whose access token this is, None if it is none that works."""
        with self.lock:
            grant, expires = self._access.get(token, (None, 0.0))
            return grant if grant and not grant.revoked and self.clock() < expires else None

    def grant_of(self, request: Request) -> Grant | None:
        """Who signed a request, by its Authorization header."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return self.grant(token) if kind.lower() == "bearer" else None

    def answer(self, request: Request) -> Response | None:
        """The answer, or None if this is no OAuth route."""
        place = request.host + request.path.rstrip("/")
        routes: list[tuple[tuple[str, ...], Callable[[Request], Response]]] = [
            (self.policy.authorize, self._authorize),
            (self.policy.token, self._token),
            (self.policy.revoke, self._revoke),
            (self.policy.device, self._device),
            ((self.policy.device_page,), self._device_page),
        ]
        with self.lock:
            for places, answering in routes:
                if place in places:
                    return answering(request)
        return None

    # The page

    def _authorize(self, request: Request) -> Response:
        asked = request.fields()
        if asked.get("client_id") not in self.clients:
            return _page(400, "<h1>Error: invalid_client</h1>")
        redirect = asked.get("redirect_uri", "")
        if not (self.policy.redirect(redirect) if redirect else self.policy.without_redirect):
            return _page(400, "<h1>Error: redirect_uri_mismatch</h1>")
        if asked.get("response_type") != "code" or asked.get("code_challenge_method", "S256") != "S256":
            return self._back(asked, {"error": "invalid_request"})
        decided = request.form() if request.method == "POST" else {}
        answer = decided.get("decision") or self.automatic
        if not answer:
            return self._question(request, asked)
        user = decided.get("user") or self.user
        if answer != "allow" or user not in self.people:
            return self._back(asked, {"error": "access_denied"})
        scopes = tuple(asked.get("scope", "").split())
        ticked = tuple(name.removeprefix("scope ") for name in decided if name.startswith("scope "))
        return self._allowed(asked, user, ticked if decided else self.granted(scopes))

    def _allowed(self, asked: dict[str, str], user: str, scopes: tuple[str, ...]) -> Response:
        code = self._new("4/code-")
        self._codes[code] = _Asked(
            client=asked["client_id"],
            user=user,
            scopes=scopes,
            redirect=asked.get("redirect_uri", ""),
            challenge=asked.get("code_challenge", ""),
            expires=self.clock() + CODE_LASTS_S,
            allowed=self.policy.refresh_when(asked),
        )
        return self._back(asked, {"code": code, "scope": " ".join(scopes)})

    def _back(self, asked: dict[str, str], fields: dict[str, str]) -> Response:
        if "state" in asked:
            fields["state"] = asked["state"]
        redirect = asked.get("redirect_uri", "")
        if not redirect:
            return _page(200, f'<p>Copy this code: <code id="code">{html.escape(fields.get("code", ""))}</code></p>')
        joint = "&" if urlsplit(redirect).query else "?"
        return Response(302, {"Location": f"{redirect}{joint}{urlencode(fields)}", "Cache-Control": "no-store"})

    def _question(self, request: Request, asked: dict[str, str]) -> Response:
        boxes = "".join(
            f'<p><label><input type="checkbox" name="scope {html.escape(scope)}" value="1" checked> '
            f"{html.escape(scope)}</label></p>"
            for scope in asked.get("scope", "").split()
        )
        people = "".join(
            f'<option value="{html.escape(name)}"{" selected" if name == self.user else ""}>'
            f"{html.escape(person.email)}</option>"
            for name, person in self.people.items()
        )
        return _page(
            200,
            f'<h1>A test page in place of {html.escape(request.host)}</h1><form method="post" action="?'
            f'{html.escape(request.query)}"><p>Account: <select name="user">{people}</select></p>'
            f"<p>{html.escape(asked['client_id'])} asks for:</p>{boxes}"
            '<p><button name="decision" value="allow">Allow</button> '
            '<button name="decision" value="deny">Deny</button></p></form>',
        )

    # The token

    def _token(self, request: Request) -> Response:
        form = request.form()
        client, secret = _client_of(request, form)
        wrong = self._client_error(client, secret)
        if wrong:
            return self._error(wrong)
        kinds = {
            "authorization_code": self._by_code,
            "refresh_token": self._by_refresh,
            "urn:ietf:params:oauth:grant-type:device_code": self._by_device,
        }
        by = kinds.get(form.get("grant_type", ""))
        return by(form, client) if by else self._error("kind")

    def _client_error(self, client: str, secret: str) -> str:
        if client not in self.clients:
            return "client"
        if self.policy.secret == "refused" and secret:
            return "secret_refused"
        if self.policy.secret == "demanded" and not secret:
            return "no_secret"
        return "client" if secret and secret != self.clients[client] else ""

    def _by_code(self, form: dict[str, str], client: str) -> Response:
        asked = self._codes.get(form.get("code", ""))
        if asked is None or asked.client != client or self.clock() > asked.expires:
            return self._error("code")
        if asked.used:
            asked.used.revoked = True  # RFC 6749, 4.1.2: the code was stolen, and so may be what it gave
            return self._error("code")
        if form.get("redirect_uri", "") != asked.redirect:
            return self._error("redirect")
        verifier = form.get("code_verifier", "")
        if asked.challenge and not verifier:
            return self._error("no_verifier")
        if asked.challenge and asked.challenge != _s256(verifier):
            return self._error("verifier")
        asked.used = Grant(asked.user, client, asked.scopes, self.clock(), self.clock())
        if asked.allowed:
            self._give_refresh(asked.used)
        return self._given(asked.used, first=True)

    def _by_refresh(self, form: dict[str, str], client: str) -> Response:
        self.refreshes += 1
        token = form.get("refresh_token", "")
        grant = self._refresh.get(token)
        if grant is None or grant.client != client or self._over(grant):
            return self._error("grant")
        asked = tuple(form.get("scope", "").split())
        if self.policy.rotates:
            if not self.policy.lingers:
                del self._refresh[token]
            self._give_refresh(grant)
        narrowed = replace(grant, scopes=tuple(s for s in grant.scopes if s in asked)) if asked else grant
        return self._given(narrowed, first=False)

    def _over(self, grant: Grant) -> bool:
        now, lasts, idle = self.clock(), self.policy.refresh_lasts_s, self.policy.idle_lasts_s
        unused, grant.seen = now - grant.seen, now
        return (
            grant.revoked or (lasts is not None and now > grant.begun + lasts) or (idle is not None and unused > idle)
        )

    def _give_refresh(self, grant: Grant) -> None:
        grant.refresh = self._new(self.policy.refresh_prefix)
        self._refresh[grant.refresh] = grant

    def _issued(self, grant: Grant) -> Issued:
        expires = self.clock() + self.policy.access_lasts_s
        access = self._new(self.policy.access_prefix)
        self._access[access] = (grant, expires)
        return Issued(access, grant.refresh, expires, grant.scopes)

    def _given(self, grant: Grant, *, first: bool) -> Response:
        issued = self._issued(grant)
        body: dict[str, Any] = {
            "access_token": issued.access,
            "expires_in": int(self.policy.access_lasts_s),
            "token_type": self.policy.token_type,
            "scope": " ".join(issued.scopes),
            **self.policy.more(self.people[grant.user], first),
        }
        if issued.refresh and (first or self.policy.rotates):
            body["refresh_token"] = issued.refresh
        return _json(200, {name: value for name, value in body.items() if value is not None})

    def _error(self, name: str) -> Response:
        status, error, description = self.policy.words.get(name, _WORDS[name])
        return _json(status, {"error": error, "error_description": description})

    def _revoke(self, request: Request) -> Response:
        token = request.form().get("token", "") or request.fields().get("token", "")
        grant = self._refresh.get(token) or self.grant(token)
        if grant is None or grant.revoked:
            return _json(400, {"error": "invalid_token", "error_description": "Token expired or revoked"})
        grant.revoked = True
        return _json(200, {})

    # Another device

    def _device(self, request: Request) -> Response:
        form = request.form()
        if form.get("client_id") not in self.clients:
            return self._error("client")
        device = self._new("device-")
        user_code = f"ABCD-{self._made:04d}"
        self._typed[user_code] = device
        self._devices[device] = _Asked(
            client=form["client_id"],
            user=self.user,
            scopes=tuple(form.get("scope", "").split()),
            redirect="",
            challenge="",
            expires=self.clock() + 900,
        )
        page = request.address(
            *self.policy.device_page.split("/", 1)[:1], "/" + self.policy.device_page.split("/", 1)[1]
        )
        return _json(
            200,
            {
                "device_code": device,
                "user_code": user_code,
                "verification_url": page,
                "verification_uri": page,
                "expires_in": 900,
                "interval": 5,
            },
        )

    def _by_device(self, form: dict[str, str], client: str) -> Response:
        asked = self._devices.get(form.get("device_code", ""))
        if asked is None or asked.client != client or asked.used:
            return self._error("code")
        now = self.clock()
        if now > asked.expires:
            return self._error("too_late")
        before, asked.polled = asked.polled, now
        if asked.allowed is None:
            return self._error("too_often" if now - before < 5 else "pending")
        if not asked.allowed:
            return self._error("denied")
        asked.used = Grant(asked.user, client, asked.scopes, now, now)
        self._give_refresh(asked.used)
        return self._given(asked.used, first=True)

    def _device_page(self, request: Request) -> Response:
        form = request.form() if request.method == "POST" else request.fields()
        code = form.get("user_code", "").strip().upper()
        if code in self._typed and form.get("decision"):
            self.decide_device(code, allow=form["decision"] == "allow")
            return _page(200, "<h1>Done. You may close this page.</h1>")
        return _page(
            200,
            '<h1>Type the code of your device</h1><form method="post"><input name="user_code"> '
            '<button name="decision" value="allow">Allow</button> '
            '<button name="decision" value="deny">Deny</button></form>',
        )

    def _new(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}{hashlib.sha256(f'{prefix}{self._made}'.encode()).hexdigest()[:24]}"


def _client_of(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """Who asks: by HTTP Basic, or by fields of the form."""
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            client, _, secret = base64.b64decode(text).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return unquote(client), unquote(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


def _s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _json(status: int, body: Mapping[str, Any]) -> Response:
    headers = {"Content-Type": JSON, "Cache-Control": "no-store", "Pragma": "no-cache"}
    return Response(status, headers, json.dumps(body).encode())


def _page(status: int, body: str) -> Response:
    text = f"<!doctype html><meta charset=utf-8><title>Consent</title>{body}"
    return Response(status, {"Content-Type": "text/html; charset=utf-8"}, text.encode())
