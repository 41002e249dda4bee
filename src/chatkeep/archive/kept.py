"""Connections to PostgreSQL that are kept in a pool: taken from it alive.

A server that is started anew closes all of them. The check that psycopg's pool makes itself sleeps after each that it
finds dead, twice as long each time, so that a few of them take up the half minute for which a request waits.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg_pool import ConnectionPool

Held = TypeVar("Held", bound=psycopg.Connection[Any])


def living(pool: ConnectionPool[Held], take: Callable[[], Held]) -> Held:
    """The first connection of the pool that lives; the others are left at once. Raises what `take` raises."""
    held = take()
    while _was_cut(held):
        held.close()
        pool.putconn(held)
        held = take()
    return held


def _was_cut(held: psycopg.Connection[Any]) -> bool:
    """Whether the server ended it: one that was asked nothing has nothing to say but that, or a notice."""
    told = select.poll()
    told.register(held.fileno(), select.POLLIN)
    try:
        if told.poll(0):
            ConnectionPool.check_connection(held)
    except psycopg.OperationalError:
        return True
    return False
