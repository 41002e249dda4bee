"""Who may ask: tokens are made, listed and taken back, and a token that comes with a request says who acts on what."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from chatkeep.api.models import Token
from chatkeep.connections.installation import OWN
from chatkeep.errors import NotFound, WrongUse

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
    """What the token of a request allows. archive_id: "" for a service until it has named a user.

    known: the archive that the service's pushes made for the user it names; "" when there is none.
    """

    token: int
    name: str
    user: str
    archive_id: str
    scopes: frozenset[str]
    per_minute: int = PER_MINUTE
    known: str = ""

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


_LET_IN = """
SELECT t.id, t.name, t."user", t.archive, t.scopes, t.per_minute, t.used_at IS NULL OR t.used_at < %(stale)s, k.archive
FROM api_token t LEFT JOIN api_known k ON k.token_id = t.id AND k.name = %(behalf)s
WHERE t.token_hash = %(hash)s AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > %(now)s)
AND (t."user" = '' OR EXISTS (SELECT 1 FROM people_user u WHERE u.id = {person} AND u.is_active
    AND u.erased_at IS NULL AND (t.archive = '' OR EXISTS (SELECT 1 FROM people_membership m
        WHERE m.user_id = u.id AND m.archive = t.archive))))
"""
_PERSON = {"postgresql": """CAST(NULLIF(t."user", '') AS uuid)""", "sqlite": """REPLACE(t."user", '-', '')"""}


def bearer(token: str, behalf: str = "") -> Access | None:
    """What a token allows now; None when it lets nobody in. Notes when it was last used, to the minute.

    behalf: whom a service names. One statement, since every request waits for it: the person of a token has to be able
    to see its archive still; a service has none.
    """
    if not _FORM.fullmatch(token):
        return None
    now = timezone.now()
    moment = connection.ops.adapt_datetimefield_value
    given = {"hash": _hash(token), "now": moment(now), "stale": moment(now - _NOTE_USE_EVERY), "behalf": behalf}
    with connection.cursor() as cursor:
        cursor.execute(_LET_IN.format(person=_PERSON[connection.vendor]), given)
        found = cursor.fetchone()
    if found is None:
        return None
    pk, name, user, archive, scopes, per_minute, is_stale, known = found
    if is_stale:
        Token.objects.filter(pk=pk).update(used_at=now)
    return Access(pk, name, user, archive, frozenset(json.loads(scopes)), per_minute, known or "")


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
