"""What the pages work with. Everything that a request names is looked up here, among what is its archive's own.

What belongs to another archive is not found, as if it were not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from django.db.models import QuerySet
from django.http import HttpRequest

from chatkeep.archive import Archive
from chatkeep.connections import opening
from chatkeep.connections.installation import Installation, folder_of
from chatkeep.connections.models import Connection
from chatkeep.jobs import queue, room
from chatkeep.jobs.asking import person_of
from chatkeep.jobs.means import Means, means_of
from chatkeep.jobs.models import Job
from chatkeep.jobs.run import Run
from chatkeep.people import belonging
from chatkeep.people.models import User
from chatkeep.rollout.rings import Person
from chatkeep.selection import Selection
from chatkeep.web.configuration import CHATKEEP

BY = "the web page"


@lru_cache(maxsize=1)
def means() -> Means:
    """What the jobs of this process work with."""
    return means_of(CHATKEEP)


def archive(request: HttpRequest) -> Archive:
    """The archive that a page is about."""
    return means().archive_of(_id(request))


def installation(request: HttpRequest) -> Installation:
    """What its connections are opened with."""
    return means().installation_of(_id(request))


def folder(request: HttpRequest) -> Path:
    """Where its files are."""
    return folder_of(CHATKEEP.home, _id(request))


def connections(request: HttpRequest) -> list[Connection]:
    """The places that it is connected to."""
    return opening.connections(_id(request))


def connection(request: HttpRequest, name: str) -> Connection:
    """One of them. Raises NotFound."""
    return opening.connection(name, _id(request))


def jobs(request: HttpRequest) -> QuerySet[Job]:
    """The jobs that work on it, the newest first."""
    return Job.objects.filter(archive=_id(request))


def job(request: HttpRequest, pk: int) -> Job:
    """One of them. Raises NotFound."""
    return queue.find(pk, archive=_id(request))


def enqueue(request: HttpRequest, kind: str, subject: str = "", arguments: Mapping[str, Any] | None = None) -> Job:
    """Ask for work on it, or on one of its connections, whose subject is given."""
    id = _id(request)
    return queue.enqueue(kind, subject or queue.archive_subject(id), arguments, by=BY, archive=id)


def holding(request: HttpRequest, kind: str, subject: str) -> AbstractContextManager[Run]:
    """Work on a subject of it now, before the page is answered. Raises Busy after 20 s."""
    return queue.holding(kind, subject, by=BY, wait_s=20, archive=_id(request))


def person(request: HttpRequest) -> User:
    """Whoever is signed in."""
    return cast(belonging.Request, request).user


def archive_id(request: HttpRequest) -> str:
    """The archive that a page is about."""
    return _id(request)


def check_room(request: HttpRequest, **more: int) -> None:
    """Refuse what would go over a limit of whoever owns the archive. Raises QuotaFull."""
    room.check(means(), _id(request), more)


def used(request: HttpRequest) -> dict[str, int]:
    """How much its documents and attachments take [bytes], by the names of quotas."""
    return means().used(_id(request))


def actor(request: HttpRequest) -> str:
    """Who is signed in, as the log of what was done names them."""
    return cast(belonging.Request, request).user.mark


def who(request: HttpRequest) -> Person:
    """Whose archive it is, as flags know people: the same for pages and for jobs."""
    return person_of(_id(request))


def _id(request: HttpRequest) -> str:
    """The archive of a request, as the guard found it for whoever is signed in. There is no other way to name one."""
    return cast(belonging.Request, request).archive_id


def open_conflicts() -> int:
    """How many differences between devices nobody has looked at."""
    return means().open_conflicts()


def selection_of(values: object) -> Selection:
    """The selection that a query or a form names: q, platform, project, label, who, since, until, id, trashed."""
    many, one = values.getlist, values.get  # type: ignore[attr-defined]
    return Selection(
        ids=tuple(many("id")),
        query=one("q", "").strip(),
        platforms=tuple(filter(None, many("platform"))),
        projects=tuple(filter(None, many("project"))),
        labels=tuple(filter(None, many("label"))),
        people=tuple(filter(None, many("who"))),
        since=one("since", ""),
        until=one("until", ""),
        trashed=one("trashed", "") == "1",
    )
