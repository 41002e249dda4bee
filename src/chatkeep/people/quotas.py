"""How much each person may keep: documents, attachments, connections; by what all get, or they alone."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from django.conf import settings
from django.db import connection

from chatkeep.connections.models import Connection
from chatkeep.errors import QuotaFull
from chatkeep.people.models import Membership, User

WORDS = {
    "bytes": ("conversations", "Delete some for good, or ask whoever runs this server for more room."),
    "attachment_bytes": (
        "attachments",
        "Delete conversations that have many, or ask whoever runs this server for more room.",
    ),
    "connections": ("connected places", "Disconnect one, or ask whoever runs this server for more."),
}


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How much of something is kept, and may be. most: 0 for no limit. is_size: whether it is counted in bytes."""

    name: str
    title: str
    used: int
    most: int
    hint: str

    @property
    def is_size(self) -> bool:
        return self.name != "connections"

    @property
    def left(self) -> int | None:
        """How much more there may be; None for no limit."""
        return max(0, self.most - self.used) if self.most else None

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.used / self.most)) if self.most else 0


def defaults() -> dict[str, int]:
    """What everybody may keep for whom nothing else was said; 0 for no limit."""
    here = settings.CHATKEEP
    return {name: getattr(here, f"most_{name}") for name in WORDS}


def of(user: User, used: Mapping[str, int]) -> list[Quota]:
    """How somebody stands, given what their own archive holds: "bytes", "attachment_bytes"."""
    counted, most = {**used, "connections": connections_of(user)}, limits(user)
    return [
        Quota(name=name, title=title, used=counted.get(name, 0), most=most.get(name, 0), hint=hint)
        for name, (title, hint) in WORDS.items()
    ]


def connections_of(user: User) -> int:
    """How many places the archives that somebody owns are connected to."""
    owned = Membership.objects.filter(user=user, owns=True).values("archive")
    return Connection.objects.filter(archive__in=owned).count()


def owner_of(archive: str) -> User | None:
    """Whose limits an archive counts for; None on a laptop, where there are none."""
    found = Membership.objects.filter(archive=archive, owns=True).select_related("user").first()
    return found.user if found and settings.CHATKEEP.is_server else None


def limits(user: User) -> dict[str, int]:
    """The limits that somebody has, by name; none for what they may keep as much of as they like."""
    return _limited({name: getattr(user, f"most_{name}") for name in WORDS})


def limits_of(archive: str) -> dict[str, int]:
    """The limits that an archive counts for, by name. Every push asks, so it is one plain statement."""
    columns = ", ".join(f"u.most_{name}" for name in WORDS)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM people_membership m JOIN people_user u ON u.id = m.user_id "  # noqa: S608 - our names
            "WHERE m.archive = %s AND m.owns ORDER BY m.since, m.id LIMIT 1",
            [archive],
        )
        found = cursor.fetchone()
    return _limited(dict(zip(WORDS, found, strict=True))) if found and settings.CHATKEEP.is_server else {}


def _limited(own: Mapping[str, int | None]) -> dict[str, int]:
    """own: what was said for somebody alone; None for what holds for all."""
    given = defaults()
    found = {name: given[name] if (most := own[name]) is None else most for name in WORDS}
    return {name: most for name, most in found.items() if most}


def check(archive: str, used: Mapping[str, int], *, more: Mapping[str, int]) -> None:
    """Refuse what would go over a limit. more: how much would be added, by the name of the quota.

    Raises QuotaFull, which says what is used, what is allowed and what can be done.
    """
    user = owner_of(archive)
    for quota in of(user, used) if user else ():
        if quota.most and quota.used + more.get(quota.name, 0) > quota.most:
            raise QuotaFull(f"There is no room for this: {_said(quota)}", hint=quota.hint)


def _said(quota: Quota) -> str:
    if not quota.is_size:
        return f"{quota.used:,} of {quota.most:,} {quota.title} are there."
    return f"{quota.used / 1e6:,.1f} of {quota.most / 1e6:,.1f} MB of {quota.title} are used."
