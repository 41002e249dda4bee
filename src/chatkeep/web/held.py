"""What the pages work with: the archive of this process, opened once, and this installation."""

from __future__ import annotations

from functools import lru_cache

from chatkeep.archive import Archive
from chatkeep.connections import opening
from chatkeep.connections.installation import Installation
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secrets
from chatkeep.jobs.kinds import Means
from chatkeep.selection import Selection
from chatkeep.web.configuration import CHATKEEP


@lru_cache(maxsize=1)
def archive() -> Archive:
    """The archive in the data folder. It serves all threads of the process."""
    return Archive.open(CHATKEEP.home, device=opening.this_device(CHATKEEP.device).host)


def means() -> Means:
    """What the jobs of this process work with."""
    return Means(archive(), installation())


def installation() -> Installation:
    """What connections are opened with."""
    return Installation(
        home=CHATKEEP.home,
        safe=Safe(_secrets()),
        host=opening.this_device(CHATKEEP.device).host,
        clients=CHATKEEP.clients,
        cloud_base=CHATKEEP.cloud_base,
    )


@lru_cache(maxsize=1)
def _secrets() -> Secrets:
    return Secrets(CHATKEEP.home, given=CHATKEEP.key, before=CHATKEEP.key_before)


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
