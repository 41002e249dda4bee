"""What commands work in: the archive, and, with Django, connections and the lease of their subject."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import click

from chatkeep.archive import Archive
from chatkeep.errors import WrongUse
from chatkeep.settings import Settings

if TYPE_CHECKING:
    from chatkeep.connections.installation import Installation
    from chatkeep.connections.models import Connection, Device
    from chatkeep.connections.opening import Place
    from chatkeep.connections.secret import Secrets
    from chatkeep.jobs.run import Run


def settings() -> Settings:
    """The settings of this run. Raises WrongUse."""
    return Settings.from_environment()


def own(settings: Settings) -> Settings:
    """The settings, for a command that works on the one archive of a laptop. Raises WrongUse on a server."""
    if settings.is_server:
        raise WrongUse(
            "This command is for the one archive of a laptop, and a server has many.",
            hint="Use the pages of the server; to work with a data folder, leave DATABASE_URL out.",
        )
    return settings


@contextmanager
def archive() -> Iterator[Archive]:
    """The archive of the data folder. Edits need `App.archive`, which knows the device."""
    home = own(settings()).home
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with Archive.open(home) as opened:
        yield opened


class App:
    """Connections, device and leases: what needs Django, which starts with it."""

    def __init__(self) -> None:
        from chatkeep.connections.start import start

        self.settings = settings()
        start(self.settings.home)

    @cached_property
    def device(self) -> Device:
        """This machine as backups name it."""
        from chatkeep.connections.opening import this_device

        return this_device(self.settings.device)

    @cached_property
    def secrets(self) -> Secrets:
        """The secrets that tokens and keys are sealed under."""
        from chatkeep.connections.secret import Secrets

        return Secrets(self.settings.home, given=self.settings.key, before=self.settings.key_before)

    @cached_property
    def installation(self) -> Installation:
        """What connections are opened with."""
        from chatkeep.connections.installation import Installation
        from chatkeep.connections.safe import Safe

        return Installation(
            home=self.settings.home,
            safe=Safe(self.secrets),
            host=self.device.host,
            clients=self.settings.clients,
            cloud_base=self.settings.cloud_base,
        )

    @contextmanager
    def archive(self) -> Iterator[Archive]:
        """The archive, for edits in the name of this device."""
        with Archive.open(own(self.settings).home, device=self.device.host) as opened:
            yield opened

    def connection(self, name: str) -> Connection:
        """The connection that is meant. Raises NotFound, WrongUse."""
        from chatkeep.connections.opening import connection

        own(self.settings)
        return connection(name)

    @contextmanager
    def holding(self, kind: str, subject: str) -> Iterator[Run]:
        """The lease of a subject; waits for another run and says for whom. Raises Busy after ten minutes."""
        from chatkeep.jobs import queue

        with queue.holding(kind, subject, by=f"the command line ({os.getpid()})", waiting=_tell_waiting) as run:
            yield run

    @contextmanager
    def place(self, connection: Connection) -> Iterator[Place]:
        """The vault of a connection, open. Raises what opening it raises."""
        from chatkeep.connections.opening import opened

        with opened(connection, self.installation) as place:
            yield place


def _tell_waiting(job: object) -> None:
    from chatkeep.jobs.queue import describe

    click.echo(f"Waiting: {describe(job)}.", err=True)  # type: ignore[arg-type]
