"""`chatkeep connect` and `reconnect`: places for backups, on this computer and at those that one signs in to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chatkeep.cli import kits, options
from chatkeep.cli.lazily import LazyGroup

if TYPE_CHECKING:
    from chatkeep.connections.connecting import Connected

_PLACES = {
    "folder": ("chatkeep.cli.connecting:folder", "A folder on this computer."),
    "google-drive": ("chatkeep.cli.connecting:google_drive", "A folder in your Google Drive."),
    "dropbox": ("chatkeep.cli.connecting:dropbox", "A folder in your Dropbox."),
    "onedrive": ("chatkeep.cli.connecting:onedrive", "A folder in your OneDrive."),
    "webdav": ("chatkeep.cli.servers:webdav", "A folder on a WebDAV server, as Nextcloud has."),
    "s3": ("chatkeep.cli.servers:s3", "A bucket at a service that speaks S3."),
}


@click.group(cls=LazyGroup, lazily=_PLACES)
def connect() -> None:
    """Connect a place for backups.

    A place without a vault gets one; a vault that is there is joined.
    """


_name = click.option("--name", default="", help="How to call the place; its kind if not given.")
_kit = click.option("--kit", type=click.Path(dir_okay=False, path_type=Path), help="Write the emergency kit here.")
_client_id = click.option("--client-id", default="", metavar="ID", help="The app of your own that asks for access.")
_client_secret = click.option(
    "--client-secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Its secret: the first line of this file, or the JSON file that Google gives.",
)
_no_browser = click.option("--no-browser", is_flag=True, help="Give consent on another device, or paste the answer.")


@click.command()
@click.argument("path", type=click.Path(file_okay=False, path_type=Path))
@_name
@options.passphrase_file
@_kit
@options.as_json
def folder(path: Path, name: str, passphrase_file: Path | None, kit: Path | None, as_json: bool) -> None:
    """A folder on this computer: another disk, a stick, a share, a folder that another program syncs.

    A new vault gets a recovery key, which is shown once: keep it. CHATKEEP_PASSPHRASE or --passphrase-file becomes its
    passphrase, or opens the vault that is there already.
    """
    from chatkeep.cli import rooms

    check_kit(kit)
    app = rooms.App()
    from chatkeep.connections.connecting import connect as connect_place

    made = connect_place(
        "folder",
        {"path": str(path)},
        installation=app.installation,
        name=name,
        passphrase=options.read_passphrase(passphrase_file, app.settings.passphrase),
        ask=asking(as_json),
    )
    done(made, kit, as_json=as_json)


def _cloud(provider: str, title: str, about: str) -> click.Command:
    """The command that connects a folder in an account at a provider."""

    def run(
        name: str,
        folder: str,
        client_id: str,
        client_secret_file: Path | None,
        no_browser: bool,
        passphrase_file: Path | None,
        kit: Path | None,
        as_json: bool,
    ) -> None:
        from chatkeep.cli import rooms

        check_kit(kit)
        app = rooms.App()
        passphrase = options.read_passphrase(passphrase_file, app.settings.passphrase)
        id, secret = _client(client_id, client_secret_file)
        from chatkeep.cli.consenting import consented
        from chatkeep.connections import looking
        from chatkeep.connections.connecting import connect_consented

        if name:
            looking.check_name(name)
        location = {"folder": folder, "client_id": id}
        row = consented(
            app, provider, location=location, client_secret=secret, name=name, no_browser=no_browser, quiet=as_json
        )
        made = connect_consented(row, installation=app.installation, passphrase=passphrase, ask=asking(as_json))
        done(made, kit, as_json=as_json)

    run.__doc__ = (
        f"A folder in your {title}. {about}\n\n"
        "Your browser opens at a page where you allow access to that folder. Where there is no browser, --no-browser "
        "shows an address and a code to use on another device.\n\n"
        "A new vault gets a recovery key, which is shown once: keep it. CHATKEEP_PASSPHRASE or --passphrase-file "
        "becomes its passphrase, or opens the vault that is there already."
    )
    _folder = click.option("--folder", default="Chatkeep", show_default=True, help="The folder there; made if needed.")
    for option in (options.as_json, _kit, options.passphrase_file, _no_browser, _client_secret, _client_id, _folder):
        run = option(run)
    return click.command(provider)(_name(run))


google_drive = _cloud("google-drive", "Google Drive", "Chatkeep sees what it put there itself, and nothing else.")
dropbox = _cloud("dropbox", "Dropbox", "Chatkeep gets a folder of its own under Apps, and sees nothing else.")
onedrive = _cloud("onedrive", "OneDrive", "Chatkeep gets a folder of its own under Apps, and sees nothing else.")


@click.command()
@options.connection_name
@_client_id
@_client_secret
@_no_browser
@options.as_json
def reconnect(name: str, client_id: str, client_secret_file: Path | None, no_browser: bool, as_json: bool) -> None:
    """Sign in anew at a place whose sign-in has ended. Everything that was saved stays.

    It must be the same account; another one is refused, and nothing is changed.
    """
    from chatkeep.cli import rooms
    from chatkeep.cli.output import one_line, say, write_json

    app = rooms.App()
    connection = app.connection(name)
    id, secret = _client(client_id, client_secret_file)
    from chatkeep.cli.consenting import consented
    from chatkeep.connections import connecting

    row = consented(
        app,
        connection.provider,
        location={"client_id": id},
        client_secret=secret,
        reconnects=connection,
        no_browser=no_browser,
        quiet=as_json,
    )
    made = connecting.reconnect(row, installation=app.installation)
    if as_json:
        write_json(made)
    else:
        say(f"{one_line(made.name)}: signed in again as {one_line(made.account)}")


def _client(id: str, path: Path | None) -> tuple[str, str]:
    """Id and secret of an own app. Raises WrongUse for a file that holds no secret."""
    if path is None:
        return id, ""
    import json

    from chatkeep.errors import WrongUse

    try:
        text = path.read_text(encoding="utf-8").strip()
        found = json.loads(text) if text.startswith("{") else None
    except (OSError, ValueError) as error:
        raise WrongUse(f"The file {path.name} cannot be read.") from error
    app = {} if found is None else found.get("installed") or found.get("web") or {}
    secret = text.partition("\n")[0].strip() if found is None else str(app.get("client_secret", ""))
    if not secret:
        raise WrongUse(f"The file {path.name} holds no client secret.")
    return id or str(app.get("client_id", "")), secret


def asking(as_json: bool) -> Callable[[], str] | None:
    """How the key to a vault that is there already is asked for; None where nobody can be asked."""
    return _ask if sys.stdin.isatty() and not as_json else None


def _ask() -> str:
    click.echo("There is a vault in this place already.", err=True)
    return str(click.prompt("Its passphrase or recovery key", hide_input=True, err=True))


def check_kit(kit: Path | None) -> None:
    """Refuse to write the emergency kit over a file, before anything is connected. Raises UsageError."""
    if kit is not None and kit.exists():
        raise click.UsageError(f"{kit} is there already; the emergency kit is not written over it.")


def done(made: Connected, kit: Path | None, *, as_json: bool) -> None:
    """Say what was connected, and write the emergency kit of a new vault."""
    from chatkeep.cli.output import write_json

    if kit is not None and made.recovery_key:
        kits.write(kit, made, made.recovery_key, vault=made.vault)
    if as_json:
        write_json(made)
    else:
        _say_connected(made, kit)


def _say_connected(made: Connected, kit: Path | None) -> None:
    from chatkeep.cli.output import one_line, say, size

    verb = "joined the vault at" if made.joined else "made a vault at"
    say(f"{one_line(made.name)}: {verb} {one_line(made.account)}")
    if made.quota and made.quota.total is not None:
        say(f"  {size(made.quota.free or 0)} free of {size(made.quota.total)}")
    if made.recovery_key:
        kits.say_key(made.recovery_key, kit)
    say(f"Back up with: chatkeep backup {one_line(made.name)}")
