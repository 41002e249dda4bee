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


@server.command()
@click.option("--operator", metavar="E-MAIL", default="", help="Invite this person to run the server.")
@click.option("--email", metavar="E-MAIL", default="", help="Invite this person as a member.")
@options.as_json
def invite(operator: str, email: str, as_json: bool) -> None:
    """Make a link by which one person makes an account. It works once, for a week.

    The first operator is made so; all others are invited on the page of people. Without an address the link is for
    whoever has it.
    """
    from chatkeep.cli import rooms
    from chatkeep.cli.output import say, write_json
    from chatkeep.errors import WrongUse

    if operator and email:
        raise click.UsageError("--operator and --email both say whom; give one.")
    app = rooms.App()
    if not app.settings.is_server:
        raise WrongUse("This is no server.", hint="Set DATABASE_URL. On a laptop there is one person.")
    from chatkeep.people import inviting
    from chatkeep.people.models import Role

    made, token = inviting.invite(by=None, email=operator or email, role=Role.OPERATOR if operator else Role.MEMBER)
    link = f"{app.settings.public_url}/invitation/{token}"
    if as_json:
        write_json({"link": link, "role": made.role, "expires_at": made.expires_at.isoformat(timespec="seconds")})
        return
    say(f"This link makes an account ({made.role}), once, until {made.expires_at:%d %B %Y}:")
    say(f"  {link}")
