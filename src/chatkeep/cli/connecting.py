"""`chatkeep connect`, `connections` and `disconnect`: the places that backups go to."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chatkeep.cli import options
from chatkeep.cli.ending import DONE, FAILED
from chatkeep.cli.lazily import LazyGroup

if TYPE_CHECKING:
    from chatkeep.connections.connecting import Connected
    from chatkeep.connections.models import Connection


@click.group(cls=LazyGroup, lazily={"folder": ("chatkeep.cli.connecting:folder", "A folder on this computer.")})
def connect() -> None:
    """Connect a place for backups.

    A place without a vault gets one; a vault that is there is joined.
    """


@click.command()
@click.argument("path", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", default="", help="How to call the place; its kind if not given.")
@options.passphrase_file
@click.option("--kit", type=click.Path(dir_okay=False, path_type=Path), help="Write the emergency kit to this file.")
@options.as_json
def folder(path: Path, name: str, passphrase_file: Path | None, kit: Path | None, as_json: bool) -> None:
    """A folder on this computer: another disk, a stick, a share, a folder that another program syncs.

    A new vault gets a recovery key, which is shown once: keep it. CHATKEEP_PASSPHRASE or --passphrase-file becomes its
    passphrase, or opens the vault that is there already.
    """
    from chatkeep.cli import rooms
    from chatkeep.cli.output import write_json

    _check_kit(kit)
    app = rooms.App()
    from chatkeep.connections.connecting import connect as connect_place

    made = connect_place(
        "folder",
        {"path": str(path)},
        installation=app.installation,
        name=name,
        passphrase=options.read_passphrase(passphrase_file, app.settings.passphrase),
        ask=_ask if sys.stdin.isatty() and not as_json else None,
    )
    if kit is not None and made.recovery_key:
        _write_kit(kit, made)
    if as_json:
        write_json(made)
    else:
        _say_connected(made, kit)


def _ask() -> str:
    click.echo("There is a vault in this place already.", err=True)
    return str(click.prompt("Its passphrase or recovery key", hide_input=True, err=True))


def _check_kit(kit: Path | None) -> None:
    if kit is not None and kit.exists():
        raise click.UsageError(f"{kit} is there already; the emergency kit is not written over it.")


def _write_kit(path: Path, made: Connected) -> None:
    import os

    from chatkeep.connections.kit import emergency_kit

    page = emergency_kit(
        name=made.name,
        provider=made.provider,
        account=made.account,
        vault=made.vault,
        recovery_key=made.recovery_key,
        made=datetime.now(UTC).date(),
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(page)


def _say_connected(made: Connected, kit: Path | None) -> None:
    from chatkeep.cli.output import one_line, say, size

    verb = "joined the vault at" if made.joined else "made a vault at"
    say(f"{one_line(made.name)}: {verb} {one_line(made.account)}")
    if made.quota:
        say(f"  {size(made.quota.free)} free of {size(made.quota.total)}")
    if made.recovery_key:
        say()
        say("  Recovery key   " + click.style(made.recovery_key, bold=True))
        say()
        say("Print it or put it into your password manager now: it is shown this once and kept nowhere.")
        say("If you lose the passphrase and the recovery key, nobody can open the vault, including us.")
        if kit is not None:
            say(f"The emergency kit with the key is in {kit}. Print it, then delete the file.")
    say(f"Back up with: chatkeep backup {one_line(made.name)}")


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
    from chatkeep.connections import connecting

    return {
        "name": connection.name,
        "provider": connection.provider,
        "account": connection.account,
        "quota": connecting.quota(connection),
        "vault": connection.vault_id,
        "connected_at": _time(connection.connected_at),
        "backed_up_at": _time(connection.backed_up_at),
        "checked_at": _time(connection.checked_at),
        "state": connection.trouble or ("ready" if connection.backed_up_at else "no backup yet"),
    }


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
    from chatkeep.connections import connecting

    tested = connecting.test(app.connection(name), app.installation)
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
    """Forget a place and the key to its vault on this machine. What lies there stays."""
    from chatkeep.cli import rooms
    from chatkeep.cli.output import say, write_json

    connection = rooms.App().connection(name)
    from chatkeep.connections import connecting

    if not yes and not as_json and sys.stdin.isatty():
        click.echo("To connect again you will need the passphrase or the recovery key of the vault.", err=True)
        click.confirm(f"Disconnect {name}?", abort=True, err=True)
    what = connecting.disconnect(connection)
    if as_json:
        write_json({"name": name, "what": what})
    else:
        say(what)
