"""Which conversations are meant: one value for the command line, the pages, exports and schedules."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import msgspec

from chatkeep.errors import WrongUse

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class Selection(msgspec.Struct, frozen=True):
    """A choice of conversations. All conditions hold together; within one that lists several, any may hold.

    ids: ids of conversations, or the beginnings of ids that mean only one.
    query: a full-text query (docs/guide/search.md): conversations with a title or a message that match.
    platforms, projects, labels: exact names. people: names of participants, as a person would type them.
    since, until: a date (until: to its end, in UTC) or a time of RFC 3339: conversations that went on in between.
    trashed: those in the trash, instead of those that are not.
    """

    ids: tuple[str, ...] = ()
    query: str = ""
    platforms: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    trashed: bool = False

    @property
    def begins(self) -> str:
        """The first moment meant, "2024-05-01T00:00:00"; "" when there is none. Raises WrongUse for no date."""
        return moment(self.since) if self.since else ""

    @property
    def ends(self) -> str:
        """The first moment no longer meant; "" when there is none. Raises WrongUse for no date."""
        return moment(self.until, after=True) if self.until else ""


def moment(text: str, *, after: bool = False) -> str:
    """A date or an RFC 3339 time as a key that compares with the times of documents [UTC, no zone written].

    after: the end of the date instead of its beginning; a time is taken as it is, with its own second included.
    Raises WrongUse when it is neither.
    """
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            return f"{day + timedelta(days=1) if after else day}T00:00:00"
        when = datetime.fromisoformat(text)
        when = when.replace(tzinfo=when.tzinfo or UTC).astimezone(UTC) + timedelta(seconds=1 if after else 0)
    except (ValueError, OverflowError):
        raise WrongUse(f"{text!r} is not a date", hint="Write dates like 2024-05-31.") from None
    return f"{when.replace(tzinfo=None, microsecond=0).isoformat()}"
