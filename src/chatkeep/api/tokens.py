"""Who may ask: tokens are made, listed and taken back, and a token that comes with a request says who acts on what."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec
from django.db.models import Q
from django.utils import timezone

from chatkeep.api.models import Token
from chatkeep.connections.installation import OWN
from chatkeep.errors import NotFound, WrongUse
from chatkeep.people.models import User

SCOPES = {
    "read": "lists, reads and searches conversations, attachments, jobs, receipts and connections",
    "write": "brings conversations and attachments in, puts into the trash, deletes, undoes",
    "export": "writes exports, and fetches them",
    "backup": "backs up",
    "restore": "restores from backups",
    "webhooks": "says who is told of what happened",
}
PREFIX = "ck_"
PER_MINUTE, SERVICE_PER_MINUTE = 600, 60_000
_FORM = re.compile(r"ck_[A-Za-z0-9_-]{43}")
_NOTE_USE_EVERY = timedelta(minutes=1)


class Access(msgspec.Struct, frozen=True):
    """What the token of a request allows. archive_id: "" for a service until it has named a user."""

    token: int
    name: str
    user: str
    archive_id: str
    scopes: frozenset[str]
    per_minute: int = PER_MINUTE

    @property
    def is_service(self) -> bool:
        """Whether a user has to be named."""
        return not self.archive_id


def add(
    name: str,
    scopes: Collection[str],
    *,
    archive: str = OWN,
    user: str = "",
    expires_at: datetime | None = None,
    per_minute: int = 0,
) -> tuple[str, Token]:
    """A new token, which is shown this once, and its row. archive: "" makes it a service's.

    Raises WrongUse for a scope that is not known, no scope, no name, or an end in the past.
    """
    name = " ".join(name.split())
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown or not scopes:
        raise WrongUse(
            f"{unknown[0]!r} is no scope." if unknown else "A token without a scope may do nothing.",
            hint=f"Scopes are: {', '.join(SCOPES)}.",
        )
    if not name or len(name) > 100:
        raise WrongUse("A token needs a name of at most 100 signs.", hint="Name the program that will use it.")
    if expires_at is not None and expires_at <= timezone.now():
        raise WrongUse("The token would have ended already.", hint="Give a day that is to come.")
    text = PREFIX + secrets.token_urlsafe(32)
    row = Token.objects.create(
        token_hash=_hash(text),
        name=name,
        archive=archive,
        user=user,
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
        per_minute=per_minute or (PER_MINUTE if archive else SERVICE_PER_MINUTE),
    )
    return text, row


def bearer(token: str) -> Access | None:
    """What a token allows now; None when it lets nobody in. Notes when it was last used, to the minute."""
    if not _FORM.fullmatch(token):
        return None
    row = Token.objects.filter(token_hash=_hash(token)).first()
    if row is None or row.is_over or not _is_theirs(row):
        return None
    now = timezone.now()
    if row.used_at is None or now - row.used_at > _NOTE_USE_EVERY:
        Token.objects.filter(pk=row.pk).update(used_at=now)
    return Access(row.pk, row.name, row.user, row.archive, frozenset(row.scopes), row.per_minute)


def _is_theirs(row: Token) -> bool:
    """Whether the person of a token may still see its archive; a service has none."""
    if not row.user:
        return True
    person = User.objects.filter(pk=row.user, is_active=True, erased_at=None)
    return (person.filter(memberships__archive=row.archive) if row.archive else person).exists()


def listed(*, archive: str | None = None, over: bool = False) -> list[Token]:
    """Tokens, the newest first: of one archive, "" for services, None for all. over: also those that have ended."""
    found = Token.objects.all() if archive is None else Token.objects.filter(archive=archive)
    if not over:
        found = found.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)
    return list(found)


def revoke(pk: int, *, archive: str | None = None) -> Token:
    """Let a token in no more, from its next request on. Repeating it changes nothing. Raises NotFound."""
    found = Token.objects.filter(pk=pk)
    row = (found if archive is None else found.filter(archive=archive)).first()
    if row is None:
        raise NotFound(f"There is no token {pk}.", hint="See them with: chatkeep tokens list")
    Token.objects.filter(pk=pk, revoked_at=None).update(revoked_at=timezone.now())
    row.refresh_from_db()
    return row


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
