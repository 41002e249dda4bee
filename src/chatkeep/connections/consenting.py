"""Asking for consent at a provider: the way to its page and back, and what is looked at before anything is connected.

    begin ─ address_of ── (the person, at the provider) ──── come_back or paste ─┬─ looking.look ─ connect_consented
          └ begin_device ─ (the person, on another device) ─ poll ──────────────┘                └ reconnect

Each step is a row that survives a restart. What comes back is believed once, for ten minutes, in the browser that
asked, and only with the proof (PKCE) that never left this machine.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import msgspec
from django.utils import timezone

from chatkeep import providers
from chatkeep.connections.installation import OWN, Installation
from chatkeep.connections.keeping import KeptTokens
from chatkeep.connections.models import Connection, Consent
from chatkeep.connections.opening import CLIENT_ID, CLIENT_SECRET, client_of, seal_secrets, secrets_of
from chatkeep.connections.trouble import SAID, no, noting
from chatkeep.errors import NotFound, SignInAgain, WrongUse
from chatkeep.providers import Endpoints, NoConsent, SignIn, Tokens, oauth

ASKED = "asked"
LASTS = timedelta(minutes=10)
KEPT = timedelta(days=1)
RETURN_PATH = "/connect/return"
PORTS = (8765, 8766, 8767)
"""Where this machine listens for a person who comes back, for providers that want every address registered."""


class Asked(msgspec.Struct, omit_defaults=True):
    """What only we know of a question, sealed in its row."""

    address: str = ""
    verifier: str = ""
    device: oauth.DeviceCode | None = None


def begin(
    provider: str,
    *,
    installation: Installation,
    redirect: str = "",
    location: Mapping[str, str] | None = None,
    client_secret: str = "",
    name: str = "",
    reconnects: Connection | None = None,
    wider: bool = False,
    browser: str = "",
    origin: str = "",
) -> Consent:
    """A new question. `address_of` gives the address to open, `begin_device` makes it one for another device.

    redirect: where the provider sends the browser; "" has it show a code, where it can. location: the folder, and
    "client_id" of an own app. reconnects: gets the new sign-in; its app is asked for if no other is given. wider: ask
    for more, where the provider's narrow permission does not work. browser, origin: as in Consent.
    Raises WrongUse when no app is known that could ask.
    """
    where = dict(location or {})
    row = Consent(
        archive=installation.archive,
        provider=provider,
        name=name,
        redirect=redirect,
        browser=browser,
        origin=origin,
        wider=wider,
    )
    own = {CLIENT_SECRET: client_secret}
    if reconnects is not None:
        row.reconnects = reconnects.uid
        if not where.get(CLIENT_ID):
            own = secrets_of(reconnects, installation)
        where = {**reconnects.location, **{name: value for name, value in where.items() if value}}
    row.location = {name: value for name, value in where.items() if value}
    seal_secrets(row, own, installation)
    client = _client(row, installation)
    row.location.setdefault(CLIENT_ID, client.id)
    _ask(row, installation)
    Consent.objects.filter(made_at__lt=timezone.now() - KEPT).delete()
    row.save(force_insert=True)
    return row


def ask_again(row: Consent, installation: Installation, *, wider: bool = False) -> None:
    """Ask the same once more, with an address of its own; the one before is worth nothing from now on."""
    row.wider = row.wider or wider
    row.trouble = row.told = row.hint = row.account = row.account_id = ""
    row.tokens, row.looked, row.made_at = b"", None, timezone.now()
    _ask(row, installation)
    row.save()


def _ask(row: Consent, installation: Installation) -> None:
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    address = oauth.authorize_address(
        sign_in_of(row),
        client_of(row, installation),
        redirect=row.redirect,
        state=state,
        verifier=verifier,
        scopes=_scopes(row),
        endpoints=Endpoints(installation.cloud_base),
    )
    row.state_hash = digest(state)
    _seal(row, Asked(address=address, verifier=verifier), installation)


def begin_device(row: Consent, installation: Installation) -> oauth.DeviceCode:
    """Ask by a code that the person types on another device. Raises Refused where the provider does not have that."""
    client = _client(row, installation)
    code = oauth.begin_device(sign_in_of(row), client, Endpoints(installation.cloud_base), scopes=_scopes(row))
    row.state_hash = ""
    _seal(row, Asked(device=code), installation)
    row.save()
    return code


def poll(row: Consent, installation: Installation) -> bool:
    """Whether the person has consented on the other device; then the sign-in is kept.

    Raises SlowDown when asked too soon, NoConsent when the person said no or took too long.
    """
    code = _asked(row, installation).device
    if code is None:
        raise WrongUse("This sign-in does not go by a code.")
    client, endpoints = client_of(row, installation), Endpoints(installation.cloud_base)
    tokens = oauth.poll_device(sign_in_of(row), client, code, endpoints, scopes=_scopes(row))
    if tokens is not None:
        _keep(row, tokens, installation)
    return tokens is not None


def address_of(row: Consent, installation: Installation) -> str:
    """The address at the provider where the person is asked. "" once it is used, or for a code on another device."""
    return _asked(row, installation).address


def device_of(row: Consent, installation: Installation) -> oauth.DeviceCode | None:
    """The code that the person types on another device, if it goes that way."""
    return _asked(row, installation).device


def find(uid: str, *, browser: str, archive: str = OWN) -> Consent:
    """The question with this uid, for the browser that asked and for this archive. Raises NotFound."""
    found = Consent.objects.filter(uid=uid, browser=browser, archive=archive).first()
    if found is None:
        raise NotFound("This sign-in is not under way any more.", hint="Begin again; nothing was changed.")
    return found


def waiting_for(state: str) -> Consent | None:
    """The question that an answer with this state belongs to, None if there is none, or it was answered."""
    return Consent.objects.filter(state_hash=digest(state)).first() if state else None


def come_back(answer: Mapping[str, str], installation: Installation, *, browser: str) -> Consent:
    """Take what the provider sent the browser back with, and keep the sign-in that it is good for.

    answer: the query: state and code, or state and error. An answer counts once: of two at the same moment one.
    Raises NoConsent with `why` "unknown" when nobody asked for this, in this browser. What else goes wrong is noted
    in the row and raised: NoConsent, Unavailable, SlowDown.
    """
    row = waiting_for(answer.get("state", ""))
    if row is None or row.browser != browser or not _answered(row):
        raise NoConsent(
            "This answer belongs to no sign-in that is under way here.",
            why="unknown",
            hint="It was used already, or it began in another browser. Begin again; nothing was changed.",
        )
    return _take(row, answer, installation)


def paste(row: Consent, text: str, installation: Installation) -> Consent:
    """Take what a person copied: the code that the provider showed, or the address that the browser ended at.

    Raises WrongUse for something else, NoConsent and the like as come_back does.
    """
    given = text.strip()
    query = urlsplit(given).query if "?" in given else given
    answer = dict(parse_qsl(query)) if "=" in query else {}
    if answer.get("state"):
        if digest(answer["state"]) != row.state_hash:
            raise WrongUse("This is the address of another sign-in.", hint="Copy the whole address of the last page.")
    elif row.redirect or not given or any(c.isspace() for c in given):
        raise WrongUse("This is not what was asked for.", hint="Copy the whole address of the page you ended at.")
    else:
        answer = {"code": answer.get("code", given)}
    if not _answered(row):
        raise WrongUse("This sign-in was answered already.", hint="Begin again; nothing was changed.")
    return _take(row, answer, installation)


def _answered(row: Consent) -> bool:
    """Whether this is the first answer. After it the state is worth nothing."""
    before, row.state_hash = row.state_hash, ""
    return bool(Consent.objects.filter(pk=row.pk, state_hash=before).exclude(state_hash="").update(state_hash=""))


def _take(row: Consent, answer: Mapping[str, str], installation: Installation) -> Consent:
    with noting(row):
        _check(row, answer)
        asked = _asked(row, installation)
        try:
            tokens = oauth.exchange(
                sign_in_of(row),
                client_of(row, installation),
                code=answer["code"],
                verifier=asked.verifier,
                redirect=row.redirect,
                scopes=_scopes(row),
                endpoints=Endpoints(installation.cloud_base),
            )
        except SignInAgain as error:
            raise no("code", row) from error
        _keep(row, tokens, installation)
    return row


def _check(row: Consent, answer: Mapping[str, str]) -> None:
    """Refuse an answer that gives no code, comes too late, or from somebody else (RFC 9207)."""
    if row.made_at < timezone.now() - LASTS:
        raise no("late", row)
    issuer = answer.get("iss", "")
    if issuer and urlsplit(issuer).hostname != urlsplit(sign_in_of(row).authorize).hostname:
        raise no("unknown", row)
    if error := answer.get("error", ""):
        raise no(SAID.get(error, "other"), row)
    if not answer.get("code"):
        raise no("other", row)


def _keep(row: Consent, tokens: Tokens, installation: Installation) -> None:
    now = timezone.now()
    row.scopes, row.consented_at = list(tokens.scopes), now
    row.ends_at, row.ends_surely = _end(row, tokens, installation, now)
    _seal(row, Asked(), installation)
    row.save()
    KeptTokens(row, installation).save(tokens)
    row.refresh_from_db()


def _end(row: Consent, tokens: Tokens, installation: Installation, now: datetime) -> tuple[datetime | None, bool]:
    """When this consent ends, and whether the provider said so; else it may, if the app is one of the keeper's own."""
    if tokens.ends_at:
        return datetime.fromtimestamp(tokens.ends_at, UTC), True
    trial = sign_in_of(row).trial_days
    is_own = row.location.get(CLIENT_ID) != installation.clients.get(row.provider, ("", ""))[0]
    return (now + timedelta(days=trial), False) if trial and is_own else (None, False)


def sign_in_of(row: Consent | Connection) -> SignIn:
    """How the provider gives consent. Raises WrongUse where nobody signs in."""
    kind = providers.provider(row.provider)
    if kind.sign_in is None:
        raise WrongUse(f"Nobody signs in at: {kind.title}.")
    return kind.sign_in


def _scopes(row: Consent) -> tuple[str, ...]:
    sign_in = sign_in_of(row)
    return sign_in.wider if row.wider and sign_in.wider else sign_in.scopes


def _client(row: Consent, installation: Installation) -> oauth.Client:
    title = providers.provider(row.provider).title
    client = client_of(row, installation)
    if not client.id:
        raise WrongUse(
            f"{title} wants to know which app asks, and none is set up here.",
            hint="Make one of your own, which costs nothing: docs/guide/connect-a-cloud.md says how, step by step.",
        )
    if sign_in_of(row).secret and not client.secret:
        raise WrongUse(f"{title} wants the client secret of the app too.", hint="Give it with --client-secret-file.")
    return client


def _seal(row: Consent, asked: Asked, installation: Installation) -> None:
    row.asked = installation.safe.seal(msgspec.json.encode(asked), place=row.place(ASKED))


def _asked(row: Consent, installation: Installation) -> Asked:
    return msgspec.json.decode(installation.safe.unseal(bytes(row.asked), place=row.place(ASKED)), type=Asked)


def digest(secret: str) -> str:
    """What is kept of a value that must be recognised and not known."""
    return hashlib.sha256(secret.encode()).hexdigest()
