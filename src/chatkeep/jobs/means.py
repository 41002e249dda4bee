"""What jobs work with: any archive of this installation, and what its connections are opened with."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from chatkeep.archive import Archive
from chatkeep.connections import opening
from chatkeep.connections.installation import OWN, Installation, folder_of
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secrets
from chatkeep.errors import NotFound
from chatkeep.jobs.models import Schedule
from chatkeep.settings import Settings

MOST_OPEN = 2_000
"""An open archive of a server is a few objects of some kilobytes; to open it asks the disk and the database."""


@dataclass(frozen=True)
class Means:
    """What jobs work with, by the id of the archive that they are about.

    open_conflicts: how many differences between devices nobody has looked at, in all archives.
    """

    archives: Callable[[str], Archive]
    installation_of: Callable[[str], Installation]
    close: Callable[[], None] = lambda: None
    open_conflicts: Callable[[], int] = lambda: 0

    @classmethod
    def alone(cls, archive: Archive, installation: Installation) -> Means:
        """The means to work on one archive that is open already, and on no other."""

        def only(id: str) -> None:
            if id != installation.archive:
                raise NotFound("This archive is not here.")

        def opened(id: str) -> Archive:
            only(id)
            return archive

        def installed(id: str) -> Installation:
            only(id)
            return installation

        return cls(opened, installed)

    def archive_of(self, id: str) -> Archive:
        """The archive, for edits in the name of its device. Serves all threads; nobody else closes it."""
        return self.archives(id)

    def of(self, id: str) -> Here:
        """What there is for one archive."""
        return Here(self, id)

    def used(self, id: str) -> dict[str, int]:
        """How much an archive's documents and attachments take [bytes], by the names of quotas."""
        archive = self.archive_of(id)
        attachments = sum(size for _, size in archive.held())
        return {"bytes": archive.counts().bytes - attachments, "attachment_bytes": attachments}

    def changes(self) -> dict[str, int]:
        """The number of the last change of each archive that a schedule follows."""
        followed = Schedule.objects.filter(on=True, paused_for="", after_change__gt=0).order_by()
        return {id: self.archive_of(id).number for id in followed.values_list("archive", flat=True).distinct()}


@dataclass(frozen=True)
class Here:
    """The means of one archive."""

    means: Means
    id: str

    @property
    def archive(self) -> Archive:
        """The archive itself."""
        return self.means.archive_of(self.id)

    @property
    def home(self) -> Path:
        """The folder of its files."""
        return self.means.installation_of(self.id).home

    @property
    def host(self) -> str:
        """Where it is kept, as backups name it. Asked each time: what turns out to be a copy gets a new name."""
        return opening.this_device(self.means.installation_of(self.id).host, self.id).host

    def new_host(self) -> str:
        """Gives it a new name in backups, and returns that."""
        return opening.rename_device(self.id)


def means_of(settings: Settings) -> Means:
    """The means of this installation. An archive is opened when it is first asked for, and `close` closes all."""
    secrets = Secrets(settings.home, given=settings.key, before=settings.key_before)

    def installation_of(id: str) -> Installation:
        return Installation(
            home=folder_of(settings.home, id),
            safe=Safe(secrets),
            host=opening.this_device(settings.device, id).host,
            clients=settings.clients,
            cloud_base=settings.cloud_base,
            archive=id,
            shared=settings.is_server,
        )

    opened = _Opened(settings)

    def open_conflicts() -> int:
        if not settings.is_server:
            return len(opened(OWN).conflicts())
        from chatkeep.archive.server import open_conflicts  # brings PostgreSQL's client, which a laptop does without

        return open_conflicts(settings.database_url)

    return Means(opened, installation_of, opened.close, open_conflicts)


_here = threading.local()


def _touched() -> dict[str, Archive]:
    """The archives that this thread asked for since it last told or forgot."""
    found: dict[str, Archive] = _here.__dict__.setdefault("touched", {})
    return found


def tell_changes() -> None:
    """Say which archives this thread may have changed. On a server nobody looks at all of them to find out."""
    if _touched() and connection.vendor == "postgresql":
        from chatkeep.jobs import rota

        for id, archive in _touched().items():
            rota.tell_change(id, archive.number)
    forget_touched()


def forget_touched() -> None:
    """Nothing was changed."""
    _touched().clear()


class _Opened:
    """Archives that are open, the latest MOST_OPEN of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: OrderedDict[str, Archive] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, id: str) -> Archive:
        with self._lock:
            if id not in self._open:
                self._open[id] = self._opened(id)
            self._open.move_to_end(id)
            _touched()[id] = self._open[id]
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)  # not closed: somebody may be reading in it
            return self._open[id]

    def _opened(self, id: str) -> Archive:
        if self._settings.is_server == (id == OWN):
            raise NotFound("This archive is not here.")
        folder = folder_of(self._settings.home, id)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        device = opening.this_device(self._settings.device, id).host
        return Archive.open(folder, archive_id=id, device=device, database=self._settings.database_url)

    def close(self) -> None:
        with self._lock:
            for archive in self._open.values():
                archive.close()
            self._open.clear()
