"""Where the archives of tests have their rows: in their folders, or in a PostgreSQL when it is asked about a server.

Tests open an archive by its folder. About a server, each folder is an archive of its own, and all of them share one
database: so every test asks as well whether archives keep apart.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chatkeep.archive import Archive

about_files = pytest.mark.about_files
about_servers = pytest.mark.about_servers

ASKED = ("tests/archive/", "tests/laws/", "tests/operations/", "tests/test_truth.py")
"""Whose archives are on the server although nobody says so; elsewhere a file is opened when a file is meant."""
NOWHERE = "host=/nowhere"
_in_folder = Archive.open


def on_laptop(folder: Path, **more: Any) -> Archive:
    """An archive in a file, whatever is asked about."""
    return _in_folder(folder, **more)


def archive_id(folder: Path, own: str = "own") -> str:
    """The id that an archive has on the server which would be in this folder on a laptop."""
    return hashlib.sha256(f"{folder.absolute()}/{own}".encode()).hexdigest()[:32]


@contextmanager
def on_server(database: str) -> Iterator[None]:
    """Every archive that is opened without saying where is on the server while the block runs."""

    def opened(folder: Path, **more: Any) -> Archive:
        if not more.get("database"):
            if not os.environ.get("PYTEST_CURRENT_TEST", "").startswith(ASKED):
                return _in_folder(folder, **more)
            more |= {"database": database, "archive_id": archive_id(folder, more.get("archive_id", "own"))}
        elif NOWHERE in more["database"]:  # what the settings were read with, before there was a server
            more |= {"database": database}
        return _in_folder(folder, **more)

    Archive.open = opened  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Archive.open = _in_folder  # type: ignore[method-assign]
