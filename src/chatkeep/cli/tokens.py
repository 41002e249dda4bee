"""`chatkeep tokens`: which programs may ask over the API, and what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from chatkeep.cli import options
from chatkeep.cli.lazily import LazyGroup

if TYPE_CHECKING:
    from chatkeep.api.models import Token

_COMMANDS = {
    "list": ("chatkeep.cli.tokens:list_tokens", "List the tokens that let programs in."),
    "add": ("chatkeep.cli.tokens:add", "Make a token for a program."),
    "revoke": ("chatkeep.cli.tokens:revoke", "Let a token in no more."),
}


@click.group(cls=LazyGroup, lazily=_COMMANDS, invoke_without_command=True)
@options.as_json
@click.pass_context
def tokens(context: click.Context, as_json: bool) -> None:
    """Say which programs may ask over the API, and what.

    A token is shown once, when it is made; only its hash is kept.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_tokens, over=False, as_json=as_json)


@click.command("list")
@click.option("--all", "over", is_flag=True, help="Also those that were revoked or have expired.")
@options.as_json
def list_tokens(over: bool, as_json: bool) -> None:
    """List the tokens that let programs in."""
    from chatkeep.cli import rooms
    from chatkeep.cli.output import say, table, write_json

    rooms.App()
    from chatkeep.api import tokens as kept

    found = kept.listed(over=over)
    if as_json:
        write_json([_shown(one) for one in found])
        return
    if not found:
        say("No tokens. Make one with: chatkeep tokens add NAME --scope read")
        return
    rows = [(str(one.pk), one.name, " ".join(one.scopes), _day(one.used_at) or "never", _end(one)) for one in found]
    table(rows, head=("ID", "Name", "May", "Last used", "Until"), wide=2)


@click.command()
@click.argument("name", metavar="NAME")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    help="What it may do: read, write, export, backup, restore, webhooks. May be given several times.",
)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=None, help="It ends after so many days; never if not given."
)
@click.option("--user", default="", metavar="EMAIL", help="On a server: whose it is.")
@click.option("--service", is_flag=True, help="On a server: it acts for the users that it names.")
@click.option("--per-minute", type=click.IntRange(1), default=None, help="How many requests it may make in a minute.")
@options.as_json
def add(
    name: str,
    scopes: tuple[str, ...],
    days: int | None,
    user: str,
    service: bool,
    per_minute: int | None,
    as_json: bool,
) -> None:
    """Make a token for a program, named after it. It is shown this once."""
    from chatkeep.cli import rooms
    from chatkeep.cli.output import say, write_json

    app = rooms.App()
    from chatkeep.api import tokens as kept

    ends = datetime.now(UTC) + timedelta(days=days) if days else None
    text, row = kept.add(
        name, scopes, expires_at=ends, per_minute=per_minute or 0, **_whose(app.settings.is_server, user, service)
    )
    if as_json:
        write_json({**_shown(row), "token": text})
        return
    say(text)
    click.echo("Keep it now: it is not shown again. Programs send it as: Authorization: Bearer …", err=True)


def _whose(is_server: bool, user: str, service: bool) -> dict[str, Any]:
    """Archive and person of a new token. Raises WrongUse, NotFound."""
    from chatkeep.errors import NotFound, WrongUse
    from chatkeep.people import belonging
    from chatkeep.people.models import User, plain_email

    if not is_server:
        if service or user:
            raise WrongUse("Only a server has many users.", hint="Leave out --service and --user.")
        return {"user": str(belonging.keeper().pk)}
    if service == bool(user):
        raise WrongUse("Say whose the token is.", hint="Give --user EMAIL, or --service for a chat platform.")
    if service:
        return {"archive": ""}
    person = User.objects.filter(email=plain_email(user)).first()
    if person is None:
        raise NotFound("There is no user with this address.")
    return {"archive": belonging.archive_of(person), "user": str(person.pk)}


@click.command()
@click.argument("id", type=int, metavar="ID")
@options.as_json
def revoke(id: int, as_json: bool) -> None:
    """Let a token in no more, from its next request on."""
    from chatkeep.cli import rooms
    from chatkeep.cli.output import say, write_json

    rooms.App()
    from chatkeep.api import tokens as kept

    row = kept.revoke(id)
    write_json(_shown(row)) if as_json else say(f"{row.name} is let in no more.")


def _shown(one: Token) -> dict[str, object]:
    moments = {
        "made_at": one.made_at,
        "expires_at": one.expires_at,
        "used_at": one.used_at,
        "revoked_at": one.revoked_at,
    }
    return {
        "id": one.pk,
        "name": one.name,
        "scopes": one.scopes,
        "service": one.is_service,
        "per_minute": one.per_minute,
        **{name: moment.isoformat(timespec="seconds") if moment else None for name, moment in moments.items()},
    }


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else ""


def _end(one: Token) -> str:
    return "revoked" if one.revoked_at else _day(one.expires_at) or "always"
