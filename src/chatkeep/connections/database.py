"""Where the rows are: in app.sqlite3 of the data folder, or in the PostgreSQL that an operator names."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SQLITE = "sqlite"
POSTGRESQL = "postgresql"


def configured(url: str, home: Path) -> dict[str, Any]:
    """Django's database for a URL, `postgresql://user:password@host:port/name?sslmode=require`; for "" app.sqlite3."""
    return _postgresql(url) if url else _sqlite(home)


def _sqlite(home: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": home / "app.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }


def _postgresql(url: str) -> dict[str, Any]:
    address = urlsplit(url)
    given = dict(parse_qsl(address.query))
    return {
        "ENGINE": "chatkeep.connections.postgresql",
        "NAME": unquote(address.path.removeprefix("/")),
        "USER": unquote(address.username or ""),
        "PASSWORD": unquote(address.password or ""),
        "HOST": given.pop("host", unquote(address.hostname or "")),
        "PORT": given.pop("port", str(address.port or "")),
        "CONN_MAX_AGE": 0,  # the pool keeps them
        "OPTIONS": _OPTIONS | {"pool": dict(POOL)} | given,
    }


POOL: dict[str, Any] = {"min_size": 0, "max_size": 24, "timeout": 30.0, "max_idle": 120.0}
"""Of each process; one for each of its threads at the most, and those that are idle are given back [s]."""
_OPTIONS: dict[str, Any] = {
    "connect_timeout": 10,
    "application_name": "chatkeep",
    # A machine that went away without a word is noticed within half a minute.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    # What was committed is on disk. A process that was frozen within a transaction holds up nobody for long.
    "options": "-c synchronous_commit=on -c idle_in_transaction_session_timeout=60s",
}
