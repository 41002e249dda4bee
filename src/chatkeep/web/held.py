"""The archive of this process, opened once."""

from __future__ import annotations

from functools import lru_cache

from chatkeep.archive import Archive
from chatkeep.connections import opening
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import read_secret
from chatkeep.jobs.kinds import Means
from chatkeep.selection import Selection
from chatkeep.web.configuration import CHATKEEP


@lru_cache(maxsize=1)
def archive() -> Archive:
    """The archive in the data folder. It serves all threads of the process."""
    return Archive.open(CHATKEEP.home, device=opening.this_device(CHATKEEP.device).host)


def means() -> Means:
    """What the jobs of this process work with."""
    return Means(CHATKEEP.home, archive(), safe(), opening.this_device(CHATKEEP.device).host)


def safe() -> Safe:
    """The token safe of this installation."""
    return Safe(read_secret(CHATKEEP.home, given=CHATKEEP.key))


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
