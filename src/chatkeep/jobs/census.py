"""What a server keeps, counted: to be compared before and after it was moved or restored."""

from __future__ import annotations

import msgspec

from chatkeep.connections.models import Connection
from chatkeep.errors import Problem
from chatkeep.jobs.means import Means
from chatkeep.people.models import Membership, User


class Census(msgspec.Struct):
    """How much of each there is. problems: what is not sound or not there."""

    people: int = 0
    archives: int = 0
    conversations: int = 0
    messages: int = 0
    attachments: int = 0
    connections: int = 0
    problems: list[Problem] = []


def take(means: Means, *, quick: bool) -> Census:
    """Count everything; unless it has to be quick, also read every conversation and look for every attachment."""
    taken = Census(people=User.objects.count(), connections=Connection.objects.count())
    ids = Membership.objects.order_by("archive").values_list("archive", flat=True).distinct()
    for id in ids.iterator():
        archive = means.archive_of(id)
        counts = archive.counts()
        taken.archives += 1
        taken.conversations += counts.conversations
        taken.messages += counts.messages
        taken.attachments += counts.attachments
        if not quick:
            taken.problems += [Problem(f"archive {id}, {found.where}", found.what) for found in archive.check()]
    return taken
