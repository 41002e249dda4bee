"""A token that comes by another way than a request to the API: it counts alike."""

from __future__ import annotations

from django.db import close_old_connections

from chatkeep.api import rates, tokens
from chatkeep.api.tokens import Access


def admitted(token: str) -> Access | None:
    """What a token allows now; None when it lets nobody in. One request of its minute is spent.

    For any thread: a connection to the database that went stale is replaced. Raises SlowDown.
    """
    close_old_connections()
    try:
        access = tokens.bearer(token)
        if access is not None:
            rates.spend(access)
        return access
    finally:
        close_old_connections()
