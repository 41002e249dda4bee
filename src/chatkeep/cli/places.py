"""`chatkeep connections` and `disconnect`: the places that are connected, and how they are."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from chatkeep.cli import options
from chatkeep.cli.ending import DONE, FAILED

if TYPE_CHECKING:
    from chatkeep.connections.health import SignInHealth
    from chatkeep.connections.models import Connection


@click.group(invoke_without_command=True)
@options.as_json
@click.pass_context
def connections(context: click.Context, as_json: bool) -> None:
    """List connected places, and how they are.

    "chatkeep connections test [NAME]" writes, reads and deletes a small object there.
    """
    if context.invoked_subcommand is not None:
        return
    from chatkeep.cli import rooms
    from chatkeep.cli.output import say, table, write_json

    rooms.App()
    from chatkeep.connections import opening

    found = [_facts(connection) for connection in opening.connections()]
    if as_json:
        write_json(found)
    elif not found:
        say("No place is connected: your chats are on this machine only.")
        say("Connect one with: chatkeep connect folder PATH")
    else:
        rows = [(one["name"], one["provider"], _last(one), one["state"], one["account"]) for one in found]
        table(rows, head=("Name", "Kind", "Last backup", "State", "Place"), wide=4)


def _facts(connection: Connection) -> dict[str, Any]:
    from chatkeep.connections import looking
    from chatkeep.connections.health import health

    sign_in = health(connection, now=datetime.now(UTC))
    return {
        "name": connection.name,
        "provider": connection.provider,
        "account": connection.account,
        "quota": looking.quota(connection),
        "vault": connection.vault_id,
        "connected_at": _time(connection.connected_at),
        "backed_up_at": _time(connection.backed_up_at),
        "checked_at": _time(connection.checked_at),
        "sign_in": {"state": sign_in.state, "text": sign_in.text, "ends_at": _time(sign_in.ends_at)},
        "state": _state(connection, sign_in),
    }


def _state(connection: Connection, sign_in: SignInHealth) -> str:
    if sign_in.state == "over":
        return f"signed out: chatkeep reconnect {connection.name}"
    if sign_in.state == "ending":
        return f"sign-in: {sign_in.text}"
    return connection.trouble or ("ready" if connection.backed_up_at else "no backup yet")


def _time(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else ""


def _last(facts: dict[str, Any]) -> str:
    from chatkeep.cli.output import when

    return when(facts["backed_up_at"]) or "never"


@connections.command("test")
@options.connection_name
@options.as_json
def test_command(name: str, as_json: bool) -> int:
    """Write, read and delete a small object, and look for the vault."""
    from chatkeep.cli import rooms
    from chatkeep.cli.output import one_line, say, write_json

    app = rooms.App()
    from chatkeep.connections import looking

    tested = looking.test(app.connection(name), app.installation)
    if as_json:
        write_json(tested)
        return DONE if tested.ok else FAILED
    for step, took_ms in zip(tested.steps, tested.took_ms, strict=True):
        say(f"  {step}: fine ({took_ms:,} ms)")
    if tested.ok:
        say(f"{tested.name} works.")
        return DONE
    click.echo(one_line(f"{tested.what} {tested.hint}"), err=True)
    return FAILED


@connections.command("rotate-secret")
@options.as_json
def rotate_secret(as_json: bool) -> None:
    """Replace the secret of this machine and seal all sign-ins and keys anew.

    Do it when somebody may have seen secret.key or CHATKEEP_KEY. Browsers that are signed in have to use a new link.
    """
    from chatkeep.cli import rooms
    from chatkeep.cli.output import count, say, write_json

    app = rooms.App()
    from chatkeep.connections.rotating import replace_secret

    if app.settings.is_server:
        from chatkeep.people.resealing import seal_anew

        number = replace_secret(app.secrets, also=seal_anew)
    else:
        number = replace_secret(app.secrets)
    if as_json:
        write_json({"sealed": number})
    else:
        say(f"{count(number, 'value')} sealed anew. What opened them before opens nothing any more.")


@click.command()
@click.argument("name")
@options.yes
@options.as_json
def disconnect(name: str, yes: bool, as_json: bool) -> None:
    """Forget a place, its sign-in and the key to its vault on this machine. What lies there stays.

    The provider is told to end the access, where that can be done from here.
    """
    from chatkeep.cli import rooms
    from chatkeep.cli.output import say, write_json

    app = rooms.App()
    connection = app.connection(name)
    from chatkeep.connections import connecting

    if not yes and not as_json and sys.stdin.isatty():
        click.echo("To connect again you will need the passphrase or the recovery key of the vault.", err=True)
        click.confirm(f"Disconnect {name}?", abort=True, err=True)
    left = connecting.disconnect(connection, app.installation)
    if as_json:
        write_json(left)
    else:
        say(left.what)
