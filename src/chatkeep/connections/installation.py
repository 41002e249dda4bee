"""What connections are opened with on this machine, handed in from the rim where a program starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chatkeep.connections.safe import Safe

OWN = "own"
"""The archive of a laptop, which has one. On a server each has 32 hex digits."""


@dataclass(frozen=True)
class Installation:
    """This installation of Chatkeep.

    home: the data folder; of a server, that of one archive. safe: opens what is sealed in the database. host: this
        device as backups name it. archive: whose connections are meant.
    clients: by the name of a provider, the id and the secret of the app that its sign-in page knows us by, where the
        operator gives one to all. cloud_base: where the providers are to be found instead of the internet, for trials.
    shared: other people use it too, so that nobody may name folders of this machine or servers that it can reach.
    """

    home: Path
    safe: Safe
    host: str
    clients: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    cloud_base: str = ""
    archive: str = OWN
    shared: bool = False


def folder_of(home: Path, archive: str) -> Path:
    """Where the files of an archive are: the data folder of a laptop, on a server a folder of its own in it."""
    return home if archive == OWN else home / "archives" / archive
