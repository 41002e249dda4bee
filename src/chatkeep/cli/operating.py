"""`chatkeep server`: what the operator of a server for many people does with it."""

from __future__ import annotations

import click

from chatkeep.cli import options


@click.group()
def server() -> None:
    """Care for a server that many people use."""


@server.command()
@options.as_json
def migrate(as_json: bool) -> None:
    """Bring the database of a server up to date.

    Run it once before a new version starts; the old version goes on working meanwhile. Web processes and workers of
    the new version wait for it.
    """
    from chatkeep.cli import rooms
    from chatkeep.cli.output import count, say, write_json
    from chatkeep.errors import WrongUse

    found = rooms.settings()
    if not found.is_server:
        raise WrongUse("This is no server.", hint="Set DATABASE_URL. One person's data folder updates itself.")
    from chatkeep.connections import start

    done = start.migrate()
    if as_json:
        write_json({"migrations": done})
    else:
        say(f"{count(len(done), 'migration')} done" if done else "The database is up to date")
