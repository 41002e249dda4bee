"""`chatkeep keys`: what opens a vault: seen, tested, changed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chatkeep.cli import options
from chatkeep.cli.ending import DONE, FAILED
from chatkeep.cli.lazily import LazyGroup

if TYPE_CHECKING:
    from chatkeep.cli.rooms import App
    from chatkeep.connections.opening import Place

_COMMANDS = {
    "list": ("chatkeep.cli.keys:list_keys", "Say which keys open the vault."),
    "test": ("chatkeep.cli.keys:test_key", "Say whether the key you kept opens the vault."),
    "passphrase": ("chatkeep.cli.keys:passphrase", "Give the vault a passphrase, or change it."),
    "recovery": ("chatkeep.cli.keys:recovery", "Make one more recovery key, and the emergency kit."),
    "remove": ("chatkeep.cli.keys:remove", "Let a key open the vault no more."),
    "renew": ("chatkeep.cli.keys:renew", "Move the vault to a new master key."),
}


@click.group(cls=LazyGroup, lazily=_COMMANDS, invoke_without_command=True)
@options.as_json
@click.pass_context
def keys(context: click.Context, as_json: bool) -> None:
    """Say which keys open a vault, test and change them.

    A recovery key is kept nowhere: it is shown when it is made, and is on the emergency kit.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_keys, name="", as_json=as_json)


@contextmanager
def _opened(name: str) -> Iterator[tuple[App, Place]]:
    from chatkeep.cli import rooms

    app = rooms.App()
    connection = app.connection(name)
    with app.place(connection) as place:
        yield app, place


@click.command("list")
@options.connection_name
@options.as_json
def list_keys(name: str, as_json: bool) -> None:
    """Say which keys open the vault of a place."""
    from chatkeep.cli.output import count, say, when, write_json

    with _opened(name) as (_, place):
        connection, found = place.connection, place.vault.keys()
    if as_json:
        write_json({"name": connection.name, "vault": connection.vault_id, "keys": found})
        return
    say(f"The vault at {connection.account} opens with {count(len(found), 'key')}:")
    for key in found:
        made_on = f", made on {key.hostname}" if key.hostname else ""
        say(f"  {key.id[:8]}  {key.kind:<14} {when(key.created)}{made_on}")
    say("Without one of them nobody can open the vault, including us. This machine keeps what it needs to back up.")


@click.command("test")
@options.connection_name
@options.passphrase_file
@options.as_json
def test_key(name: str, passphrase_file: Path | None, as_json: bool) -> int:
    """Say whether the passphrase or recovery key that you kept opens the vault.

    It is typed or pasted at a prompt, or read from --passphrase-file; CHATKEEP_PASSPHRASE is not looked at.
    """
    from chatkeep.cli.output import say, write_json
    from chatkeep.vault import MistypedKey

    with _opened(name) as (_, place):
        secret = options.read_passphrase(passphrase_file, "") or _typed("The passphrase or recovery key you kept")
        try:
            opens, what = place.vault.opens_with(secret), ""
        except MistypedKey as error:
            opens, what = False, f"{error.what} {error.hint}"
        kept = place.connection.name
    if as_json:
        write_json({"name": kept, "opens": opens, "what": what})
    elif opens:
        say(f"Yes: it opens the vault of {kept}.")
    else:
        say(f"No: it does not open the vault of {kept}. {what}".rstrip())
        say("Make a new one while this machine still can: chatkeep keys recovery")
    return DONE if opens else FAILED


@click.command()
@options.connection_name
@options.passphrase_file
@options.as_json
def passphrase(name: str, passphrase_file: Path | None, as_json: bool) -> None:
    """Give the vault a passphrase, or change it. Recovery keys go on to work.

    The new one is read from --passphrase-file, CHATKEEP_PASSPHRASE, or typed twice.
    """
    from chatkeep.cli.output import say, write_json

    with _opened(name) as (app, place):
        new = options.read_passphrase(passphrase_file, app.settings.passphrase) or _typed("New passphrase", twice=True)
        with app.holding("keys", place.connection.subject):
            place.vault.set_passphrase(new, hostname=app.device.host)
        found, kept = place.vault.keys(), place.connection.name
    if as_json:
        write_json({"name": kept, "keys": found})
        return
    say(f"The vault of {kept} opens with the new passphrase, and no more with one it had before.")
    say("Whoever opened it with the old one before may have kept the key behind it; the words alone open it no more.")


@click.command()
@options.connection_name
@click.option("--kit", type=click.Path(dir_okay=False, path_type=Path), help="Write the emergency kit to this file.")
@options.as_json
def recovery(name: str, kit: Path | None, as_json: bool) -> None:
    """Make one more recovery key. It is shown this once; the ones before go on to work until you remove them."""
    from chatkeep.cli import kits
    from chatkeep.cli.output import say, write_json

    with _opened(name) as (app, place):
        connection = place.connection
        kits.check(kit, connection)
        with app.holding("keys", connection.subject):
            key = str(place.vault.add_recovery_key(hostname=app.device.host))
    if kit is not None:
        kits.write(kit, connection, key)
    if as_json:
        write_json({"name": connection.name, "recovery_key": key})
        return
    kits.say_key(key, kit)
    say(f"See and remove older keys with: chatkeep keys list {connection.name}")


@click.command()
@click.argument("id")
@options.connection_name
@options.yes
@options.as_json
def remove(id: str, name: str, yes: bool, as_json: bool) -> None:
    """Let the key whose ID begins so open the vault no more. The last one cannot be removed."""
    from chatkeep.cli.output import say, write_json

    with _opened(name) as (app, place):
        if not yes and not as_json and sys.stdin.isatty():
            click.confirm(f"Remove key {id}? Paper and password managers that hold it become useless.", abort=True)
        with app.holding("keys", place.connection.subject):
            removed = place.vault.remove_key(id)
        kept = place.connection.name
    if as_json:
        write_json({"name": kept, "removed": removed})
    else:
        say(f"The {removed.kind} {removed.id[:8]} opens the vault of {kept} no more.")


@click.command()
@options.connection_name
@options.passphrase_file
@click.option("--kit", type=click.Path(dir_okay=False, path_type=Path), help="Write the emergency kit to this file.")
@click.option("--keep-old", is_flag=True, help="Leave the vault with the old key where it is.")
@options.yes
@options.as_json
def renew(name: str, passphrase_file: Path | None, kit: Path | None, keep_old: bool, yes: bool, as_json: bool) -> None:
    """Move the vault to a new master key, for when somebody else may know the old one.

    Everything is sent again, sealed with the new key, read back and compared; then the old vault is deleted. The new
    recovery key is shown this once. CHATKEEP_PASSPHRASE or --passphrase-file becomes the new passphrase. Your other
    devices must connect the place again.
    """
    from chatkeep.cli import kits, progress
    from chatkeep.cli.output import say, write_json
    from chatkeep.operations import Step
    from chatkeep.operations.lineage import Lineage

    with _opened(name) as (app, place):
        from chatkeep.connections.connecting import renew_keys

        connection = place.connection
        kits.check(kit, connection)
        if not yes and not as_json and sys.stdin.isatty():
            click.confirm("Send everything again under a new key, and delete the vault with the old one?", abort=True)
        passphrase = options.read_passphrase(passphrase_file, app.settings.passphrase)
        with app.holding("keys", connection.subject) as run, app.archive() as archive:
            lineage = Lineage(archive, place.vault.id)
            with progress.shown(as_json=as_json) as told:

                def tell(done: int, total: int) -> None:
                    step = Step("Sealing anew", done, total, "packs")
                    run.progress(step)
                    told(step)

                key = renew_keys(
                    connection,
                    place,
                    app.installation,
                    passphrase=passphrase,
                    keep_old=keep_old,
                    progress=tell,
                    renewed=lambda new: lineage.moved(new.id),
                )
    connection.refresh_from_db()
    if kit is not None:
        kits.write(kit, connection, key)
    if as_json:
        write_json({"name": connection.name, "vault": connection.vault_id, "recovery_key": key})
        return
    kits.say_key(key, kit)
    say("The keys from before open nothing any more." if not keep_old else "The vault with the old key is still there.")
    say("Connect your other devices again with this key; until then they cannot back up.")


def _typed(prompt: str, *, twice: bool = False) -> str:
    """What a person types, unseen. Raises UsageError when nobody is there to type."""
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to type it; give it with --passphrase-file.")
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True))
