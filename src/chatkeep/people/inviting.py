"""Invitations: a link that makes somebody an account, or lets them into an archive. It works once, and not for ever."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from chatkeep.errors import NotFound, WrongUse
from chatkeep.people import audit, belonging
from chatkeep.people.models import Invitation, Membership, Role, User, plain_email

LASTS = timedelta(days=7)
KEPT = timedelta(days=90)


def invite(
    *,
    by: User | None,
    email: str = "",
    role: str = Role.MEMBER,
    cohorts: Sequence[str] = (),
    archive: str = "",
    lasts: timedelta = LASTS,
) -> tuple[Invitation, str]:
    """A new invitation, and the token of its link, which is kept nowhere. archive: lets into that one.

    Raises WrongUse for a role that there is not, or when somebody with this address has an account already.
    """
    email = plain_email(email)
    if role not in Role.values:
        raise WrongUse(f"There is no role {role!r}.", hint=f"There are: {', '.join(Role.values)}.")
    if email and not archive and User.objects.filter(email=email).exists():
        raise WrongUse("Somebody with this address has an account already.")
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        Invitation.objects.filter(expires_at__lt=timezone.now() - KEPT).delete()
        made = Invitation.objects.create(
            token_hash=_hash(token),
            email=email,
            role=role,
            cohorts=list(cohorts),
            archive=archive,
            made_by=by,
            expires_at=timezone.now() + lasts,
        )
        details = {"role": role, "cohorts": list(cohorts), "shares": bool(archive)}
        audit.note(by.mark if by else audit.COMMAND_LINE, "user.invited", made.pk.hex, details)
    return made, token


def opened(token: str) -> Invitation:
    """The invitation of a link. Raises NotFound when it was used, has expired or never was."""
    found = Invitation.objects.filter(token_hash=_hash(token)).first()
    still = good(found.pk.hex, account=not found.archive) if found else None
    if still is None:
        raise NotFound("This invitation is not good any more.", hint="Ask for a new one; each works once, for a week.")
    return still


def good(id: str, *, account: bool) -> Invitation | None:
    """The invitation with this id if it can still be used: for an account, or to share an archive."""
    try:
        pk = uuid.UUID(id)
    except ValueError:
        return None
    found = Invitation.objects.filter(pk=pk, used_at=None, expires_at__gt=timezone.now())
    return (found.filter(archive="") if account else found.exclude(archive="")).first()


def accept(id: str, user: User) -> None:
    """Use up an invitation for somebody: their role and cohorts and archive, or the archive that is shared.

    Raises NotFound when it is not good any more; of two at the same moment one is first.
    """
    with transaction.atomic():
        found = good(id, account=True) or good(id, account=False)
        if found is None or not Invitation.objects.filter(pk=found.pk, used_at=None).update(
            used_at=timezone.now(), used_by=user
        ):
            raise NotFound("This invitation is not good any more.", hint="Ask for a new one.")
        if found.archive:
            Membership.objects.get_or_create(user=user, archive=found.archive, defaults={"owns": False})
        else:
            user.role, user.cohorts = found.role, found.cohorts
            user.save(update_fields=["role", "cohorts"])
            belonging.new_archive(user)
        audit.note(user.mark, "invitation.accepted", found.pk.hex, {"role": found.role, "shares": bool(found.archive)})


def open_ones(*, archive: str) -> QuerySet[Invitation]:
    """Invitations that can still be used: into an archive, or, for "", to an account."""
    return Invitation.objects.filter(archive=archive, used_at=None, expires_at__gt=timezone.now())


def withdraw(id: str, *, by: User, archive: str = "") -> None:
    """Make an invitation into an archive, or to an account, worth nothing. Raises NotFound."""
    found = good(id, account=not archive)
    if found is None or found.archive != archive:
        raise NotFound("There is no such invitation.")
    with transaction.atomic():
        found.delete()
        audit.note(by.mark, "invitation.withdrawn", uuid.UUID(id).hex)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
