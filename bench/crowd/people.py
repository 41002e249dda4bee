"""Fill a server with people and their conversations, in the surroundings of that server; one line of JSON for each.

    python -m crowd.people --first 0 --people 500 --conversations 100

Conversations are those of the bench's corpus, all different, taken in through the archive as the API's pushes are.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from corpus.blocks import make_items
from corpus.item import Settings as Corpus
from corpus.truth import Truth

CORPUS = Corpus("chatgpt", "classic", 7, True)


def natives(person: int, count: int) -> Iterator[bytes]:
    """The conversations of a person as ChatGPT's export has each."""
    first = person * count
    for item in make_items(CORPUS, Truth(), begin=first, end=first + count, jobs=1):
        yield item.data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("first", "people", "conversations"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    from chatkeep.connections import start
    from chatkeep.settings import Settings

    settings = Settings.from_environment()
    start.start(settings.home)
    from chatkeep.importers.native import read_native
    from chatkeep.jobs.means import means_of

    means = means_of(settings)
    for number in range(given.first, given.first + given.people):
        user, archive_id = _person(number)
        archive = means.archive_of(archive_id)
        read = [read_native("chatgpt", value, archive.keep) for value in natives(number, given.conversations)]
        if read:
            archive.apply([conversation for loaded in read for conversation in loaded.conversations], source="load")
        known = [entry.id for entry in archive.listing(limit=20)]
        line = {"number": number, "archive": archive_id, "cookie": _session(user), "chats": known}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    means.close()


def _person(number: int) -> tuple[Any, str]:
    from chatkeep.people import belonging
    from chatkeep.people.models import User

    user, _ = User.objects.get_or_create(email=f"person-{number}@load.example", defaults={"name": f"Person {number}"})
    return user, belonging.archive_of(user)


def _session(user: Any) -> str:
    """The cookie of somebody who has signed in."""
    from importlib import import_module

    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


if __name__ == "__main__":
    main()
