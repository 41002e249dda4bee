"""Whose archives somebody may see: an archive of their own, and those that others share with them."""

from __future__ import annotations

import uuid

from django.http import HttpRequest

from chatkeep.connections.installation import OWN
from chatkeep.people.models import Membership, User

KEEPER = "keeper@localhost"


class Request(HttpRequest):
    """A request of somebody who is signed in. archive_id: the one archive that it is about."""

    user: User
    archive_id: str


def keeper() -> User:
    """The one person of a laptop, who keeps its archive; made at the first call."""
    user, _ = User.objects.get_or_create(email=KEEPER, defaults={"name": "Keeper"})
    Membership.objects.get_or_create(user=user, archive=OWN)
    return user


def archive_of(user: User, wanted: str = "") -> str:
    """The archive that somebody works in: the wanted one if they may, else the first of theirs.

    Who has none is given one of their own.
    """
    ids = archives_of(user)
    if wanted in ids:
        return wanted
    return ids[0] if ids else new_archive(user)


def archives_of(user: User) -> list[str]:
    """All archives that somebody may see; their own is the first."""
    return list(Membership.objects.filter(user=user).values_list("archive", flat=True))


def owned_by(user: User) -> list[str]:
    """The archives that were made for somebody."""
    return list(Membership.objects.filter(user=user, owns=True).values_list("archive", flat=True))


def named(user: User, here: str) -> list[dict[str, object]]:
    """The archives that somebody may see, as a chooser shows them: id, name, and whether it is the one of the page."""
    found = []
    for membership in Membership.objects.filter(user=user):
        owner = Membership.objects.filter(archive=membership.archive, owns=True).select_related("user").first()
        name = "Your own" if membership.owns else f"Shared by {owner.user}" if owner else "Shared"
        found.append({"id": membership.archive, "name": name, "here": membership.archive == here})
    return found


def sign_out(user: User) -> None:
    """End every session of somebody."""
    from allauth.usersessions.models import UserSession  # brings allauth, which a laptop does not have loaded

    for session in UserSession.objects.filter(user=user):
        session.end()


def new_archive(user: User) -> str:
    """Give somebody an archive of their own, and say its id."""
    return str(Membership.objects.create(user=user, archive=uuid.uuid4().hex).archive)
