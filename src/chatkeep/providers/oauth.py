"""Signing in at a provider: OAuth 2.0 with a code and PKCE, or by a code typed on another device; and access tokens.

Written by hand over our own HTTP: what is hard here (one refresh for many callers and processes, a rotated token that
is kept before it is used) no library does, and the rest is a form and its answer.
Source: RFC 6749, RFC 7636 (PKCE), RFC 7009 (revoking), RFC 8628 (device), RFC 8252 (native apps).
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec

from chatkeep import happenings
from chatkeep.errors import ChatkeepError, Refused, SignInAgain, SlowDown, Unavailable
from chatkeep.providers.http import LONGEST_WAIT_S, Endpoints, Http, Response, provider_at, retry_after

EARLY_S = 60.0
"""A token is not used in its last seconds: a long upload must not begin with it."""

Clock = Callable[[], float]


class NoConsent(Refused):
    """Consent was not given, or what was given cannot be used.

    why: "denied" by the person, "late" (the code is too old), "scopes" (a box was unticked), "client" (the provider
    does not know the app, or its secret is wrong), "redirect" (the address to come back to is not registered), or a
    word of whoever watches over the sign-in.
    """

    def __init__(self, what: str, *, why: str, hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.why = why


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """How a provider gives consent: the code flow with PKCE S256. Addresses are the real ones; Endpoints move them.

    scopes: asked for. needed: those without which nothing works; a person may have unticked them.
    wider: asked instead when the narrow ones do not work.
    parameters: more for the authorize address.
    redirect_host: "127.0.0.1" or "localhost", what the address on this machine must say.
    exact_redirect: that whole address, port included, must be registered with the provider.
    without_redirect: the code can be shown to the person for copying instead.
    secret: a client secret is demanded, though it is in every copy of a program and so is none.
    revoke_with_access: the access token is revoked, sent as Authorization, and the refresh token falls with it.
    revocable_note: where nothing can be revoked from here, what the person does instead.
    trial_days: a consent to an app that is on trial at the provider ends after so many days. 0: there is no trial.
    trial_note: why that is, and what the person does against it.
    """

    authorize: str
    token: str
    revoke: str = ""
    device: str = ""
    scopes: tuple[str, ...]
    needed: tuple[str, ...] = ()
    wider: tuple[str, ...] = ()
    parameters: Mapping[str, str] = {}
    redirect_host: str
    exact_redirect: bool = False
    without_redirect: bool = False
    secret: bool = False
    revoke_with_access: bool = False
    revocable_note: str = ""
    trial_days: int = 0
    trial_note: str = ""


class Client(msgspec.Struct, frozen=True):
    """The program as the provider knows it. secret: "" where none is demanded."""

    id: str
    secret: str = ""

    def __repr__(self) -> str:
        return f"Client(id={self.id!r})"


class Tokens(msgspec.Struct, frozen=True):
    """What consent gave. Hides when shown.

    expires_at: of the access token [s since 1970]. refresh: "" if none. ends_at: of the consent itself [s since 1970],
    0 where the provider does not say. is_over: the provider said that the consent has ended.
    """

    access: str
    refresh: str
    expires_at: float
    scopes: tuple[str, ...]
    ends_at: float = 0.0
    is_over: bool = False

    def __repr__(self) -> str:
        return f"Tokens(expires_at={self.expires_at:.0f}, scopes={self.scopes})"


class TokenStore(Protocol):
    """Where the tokens of one connection are kept, sealed."""

    def load(self) -> Tokens: ...
    def save(self, tokens: Tokens) -> None:
        """Durable when it returns."""

    def alone(self) -> AbstractContextManager[object]:
        """Nobody else is in such a block, neither a thread nor a process."""


class Access:
    """Access tokens of one connection, fresh whenever asked for, from any thread or process.

    One refresh serves all that wait for it. What a refresh gave is stored before it is used, because the token before
    may be dead by then. When the provider says that the consent is over nobody asks again, in no process, until the
    store has other tokens.
    """

    def __init__(
        self, sign_in: SignIn, client: Client, store: TokenStore, endpoints: Endpoints, *, clock: Clock = time.time
    ) -> None:
        self._sign_in = sign_in
        self._client = client
        self._store = store
        self._http = Http(endpoints)
        self._clock = clock
        self._tokens: Tokens | None = None
        self._opens = 0.0
        self._lock = threading.Lock()

    @property
    def requests(self) -> int:
        """How often the provider was asked."""
        return self._http.requests

    def token(self, refused: str = "") -> str:
        """An access token. refused: one that the provider just did not take; another is given.

        Raises SignInAgain when the consent is over, Unavailable and SlowDown as the provider is.
        """
        with self._lock:
            if self._tokens is None or not self._usable(self._tokens, refused):
                self._tokens = self._renewed(refused)
            return self._tokens.access

    @property
    def scopes(self) -> tuple[str, ...]:
        """What was consented to, as the provider said."""
        with self._lock:
            return (self._tokens or self._store.load()).scopes

    def _usable(self, tokens: Tokens, refused: str) -> bool:
        good = tokens.access not in ("", refused) and not tokens.is_over
        return good and tokens.expires_at - self._clock() > EARLY_S

    def _renewed(self, refused: str) -> Tokens:
        kept = self._store.load()
        if self._usable(kept, refused):  # another process renewed it
            return kept
        with self._store.alone():
            kept = self._store.load()
            if self._usable(kept, refused):
                return kept
            fresh = self._refreshed(kept)
            self._store.save(fresh)
        return fresh

    def _refreshed(self, kept: Tokens) -> Tokens:
        if not kept.refresh or kept.is_over:
            raise SignInAgain("The sign-in at the provider is no longer valid.")
        if 0 < (left := self._opens - self._clock()) <= LONGEST_WAIT_S:  # more: the clock was put back
            raise SlowDown("The provider's sign-in asked for a pause that is not over yet.", wait_s=left)
        form = {"grant_type": "refresh_token", "refresh_token": kept.refresh} | _client_fields(self._client)
        try:
            answer = _ask(self._http, self._sign_in.token, form)
            self._told("done")
        except SignInAgain:
            self._told("over")
            self._store.save(msgspec.structs.replace(kept, is_over=True))
            raise
        except SlowDown as error:
            self._opens = self._clock() + error.wait_s
            self._told("later")
            raise
        except ChatkeepError as error:
            self._told("later" if error.temporary else "refused")
            raise
        finally:
            self._http.close()  # the next refresh is an hour away
        return _tokens(answer, now=self._clock(), before=kept)

    def _told(self, result: str) -> None:
        happenings.tell("token_refresh_total", provider=provider_at(self._sign_in.token), result=result)


def challenge(verifier: str) -> str:
    """What is shown of a verifier before it is used (S256)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def authorize_address(
    sign_in: SignIn,
    client: Client,
    *,
    redirect: str,
    state: str,
    verifier: str,
    endpoints: Endpoints,
    scopes: Iterable[str] | None = None,
    extra: Mapping[str, str] | None = None,
) -> str:
    """The address to open in a browser, where the person is asked for consent.

    redirect: where the browser is sent with the code; "" has the code shown for copying. state: comes back with it,
    and proves that the answer is to this question. verifier: 43 to 128 random letters and digits, kept until exchange.
    """
    fields = {
        "response_type": "code",
        "client_id": client.id,
        **({"redirect_uri": redirect} if redirect else {}),
        "scope": " ".join(sign_in.scopes if scopes is None else scopes),
        "state": state,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        **sign_in.parameters,
        **(extra or {}),
    }
    return f"{endpoints(sign_in.authorize)}?{urlencode(fields)}"


def exchange(
    sign_in: SignIn,
    client: Client,
    *,
    code: str,
    verifier: str,
    redirect: str,
    endpoints: Endpoints,
    scopes: Iterable[str] | None = None,
    clock: Clock = time.time,
) -> Tokens:
    """The tokens for a code. A code works once, for some minutes.

    Raises SignInAgain when the code is not taken, Refused when the consent does not hold what is needed or the client
    is not accepted, Unavailable.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "code_verifier": verifier,
        **({"redirect_uri": redirect} if redirect else {}),
    } | _client_fields(client)
    return _consented(sign_in, _asked(endpoints, sign_in.token, form), scopes, now=clock())


def revoke(sign_in: SignIn, tokens: Tokens, endpoints: Endpoints) -> bool:
    """End the consent at the provider; whether that was done. False where it cannot be done from here.

    Quiet when it was over already. Raises Unavailable and the like.
    """
    if not sign_in.revoke:
        return False
    http = Http(endpoints)
    try:
        if sign_in.revoke_with_access:
            signed = {"Authorization": f"Bearer {tokens.access}"}
            answer = http.request("POST", sign_in.revoke, headers=signed, expects="anything")
        else:
            answer = _posted(http, sign_in.revoke, {"token": tokens.refresh or tokens.access}, expects_json=False)
    finally:
        http.close()
    if not answer.ok and answer.status not in (400, 401):
        raise _error(answer)
    return True


class DeviceCode(msgspec.Struct, frozen=True):
    """A sign-in begun here and given on another device. user_code: what the person types at `address`.

    interval_s: how long to wait between two polls. expires_at [s since 1970]. Hides the device code when shown.
    """

    user_code: str
    address: str
    device_code: str
    interval_s: float
    expires_at: float

    def __repr__(self) -> str:
        return f"DeviceCode(user_code={self.user_code!r}, address={self.address!r})"


def begin_device(
    sign_in: SignIn,
    client: Client,
    endpoints: Endpoints,
    *,
    scopes: Iterable[str] | None = None,
    clock: Clock = time.time,
) -> DeviceCode:
    """Begin a sign-in that the person gives on another device. Raises Refused where the provider does not have it."""
    if not sign_in.device:
        raise Refused("This provider has no sign-in by a code on another device.")
    form = {"client_id": client.id, "scope": " ".join(sign_in.scopes if scopes is None else scopes)}
    answer = _asked(endpoints, sign_in.device, form)
    try:
        return DeviceCode(
            user_code=str(answer["user_code"]),
            address=str(answer.get("verification_uri") or answer["verification_url"]),
            device_code=str(answer["device_code"]),
            interval_s=float(answer.get("interval", 5)),
            expires_at=clock() + float(answer.get("expires_in", 900)),
        )
    except (KeyError, ValueError) as error:
        raise Unavailable("The provider did not give a code to type.") from error


def poll_device(
    sign_in: SignIn,
    client: Client,
    code: DeviceCode,
    endpoints: Endpoints,
    *,
    scopes: Iterable[str] | None = None,
    clock: Clock = time.time,
) -> Tokens | None:
    """The tokens once the person has consented, None as long as not.

    Raises SlowDown when asked too often, Refused when the person said no or the code is too old.
    """
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": code.device_code,
    } | _client_fields(client)
    http = Http(endpoints)
    try:
        answer = _posted(http, sign_in.token, form)
    finally:
        http.close()
    said = _said(answer)
    if said == "authorization_pending":
        return None
    if said == "slow_down":
        raise SlowDown("The provider was asked too often.", wait_s=code.interval_s + 5)
    if said in ("access_denied", "authorization_declined"):
        raise NoConsent("Consent was not given.", why="denied")
    if said in ("expired_token", "code_expired"):
        raise NoConsent("The code is too old.", why="late", hint="Begin again; a new code is shown.")
    if not answer.ok:
        raise _error(answer)
    return _consented(sign_in, answer.json(), scopes, now=clock())


def _client_fields(client: Client) -> dict[str, str]:
    return {"client_id": client.id, **({"client_secret": client.secret} if client.secret else {})}


def _posted(http: Http, address: str, form: Mapping[str, str], *, expects_json: bool = True) -> Response:
    return http.request(
        "POST",
        address,
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        content=urlencode(form).encode(),
        authorised=False,
        expects="json" if expects_json else "anything",
    )


def _ask(http: Http, address: str, form: Mapping[str, str]) -> dict[str, Any]:
    answer = _posted(http, address, form)
    if not answer.ok:
        raise _error(answer)
    found: dict[str, Any] = answer.json()
    return found


def _asked(endpoints: Endpoints, address: str, form: Mapping[str, str]) -> dict[str, Any]:
    http = Http(endpoints)
    try:
        return _ask(http, address, form)
    finally:
        http.close()


def _said(answer: Response) -> str:
    body = answer.json()
    return str(body.get("error", "")) if isinstance(body, dict) and not answer.ok else ""


_OVER = frozenset(("invalid_grant", "interaction_required", "consent_required", "login_required"))
_NOT_THIS_CLIENT = frozenset(("invalid_client", "unauthorized_client", "deleted_client", "disabled_client"))


def _error(answer: Response) -> ChatkeepError:
    """What a token endpoint's refusal means. Its own words are not quoted: they may hold what was sent."""
    said = _said(answer)
    asked = retry_after(answer)
    if answer.status == 429 or (answer.status >= 500 and asked):
        return SlowDown("The provider asks for a pause.", wait_s=asked or 30.0)
    if answer.status >= 500 or said in ("temporarily_unavailable", "server_error"):
        return Unavailable("The provider's sign-in does not work at present.")
    if said in _OVER:
        return SignInAgain("The sign-in at the provider is no longer valid.")
    if said in _NOT_THIS_CLIENT:
        return NoConsent(
            "The provider does not accept this client.",
            why="client",
            hint="Check the client id and secret for this provider.",
        )
    if said == "redirect_uri_mismatch":
        return NoConsent("The address to come back to is not registered at the provider.", why="redirect")
    if not said:  # no answer of an OAuth server at all
        return Unavailable(f"The provider's sign-in answered in a way that is not known ({answer.status}).")
    known = said if said.replace("_", "").isalpha() and len(said) < 40 else "unknown"
    return Refused(f"The provider refused the sign-in ({known}).", hint="Check the client id and secret.")


def _tokens(answer: Any, *, now: float, before: Tokens | None, asked: Iterable[str] = ()) -> Tokens:
    """The tokens of an answer. before: keeps what a refresh does not say again."""
    try:
        scope, lasts = answer.get("scope"), answer.get("refresh_token_expires_in")
        return Tokens(
            access=str(answer["access_token"]),
            refresh=str(answer.get("refresh_token") or (before.refresh if before else "")),
            expires_at=now + float(answer.get("expires_in") or 3600),
            scopes=tuple(scope.split()) if scope else before.scopes if before else tuple(asked),
            ends_at=now + float(lasts) if lasts else before.ends_at if before else 0.0,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unavailable("The provider's sign-in answered in a way that is not known.") from error


def _consented(sign_in: SignIn, answer: Any, scopes: Iterable[str] | None, *, now: float) -> Tokens:
    tokens = _tokens(answer, now=now, before=None, asked=sign_in.scopes if scopes is None else scopes)
    if missing := set(sign_in.needed) - set(tokens.scopes):
        raise NoConsent(
            f"The consent does not hold what backups need: {', '.join(sorted(missing))}.",
            why="scopes",
            hint="Connect again, and leave every box ticked on the provider's page.",
        )
    if not tokens.refresh:
        raise Refused(
            "The provider gave access for an hour only.",
            hint="Remove Chatkeep from the account's list of connected apps, then connect again.",
        )
    return tokens
