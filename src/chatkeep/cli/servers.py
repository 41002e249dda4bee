"""`chatkeep connect webdav` and `connect s3`: places on servers that take a password or a key of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from chatkeep.cli import connecting, options

F = TypeVar("F", bound=Callable[..., Any])

_COMMON = (
    click.option("--name", default="", help="How to call the place; its kind if not given."),
    options.passphrase_file,
    click.option("--kit", type=click.Path(dir_okay=False, path_type=Path), help="Write the emergency kit here."),
    options.as_json,
)


def _common(command: F) -> F:
    for option in reversed(_COMMON):
        command = option(command)
    return command


def _secret_file(what: str) -> Callable[[F], F]:
    told = f"Read the {what} from the first line of this file; typed at a prompt if not given."
    return click.option("--secret-file", type=click.Path(dir_okay=False, path_type=Path), help=told)


@click.command()
@click.argument("address")
@click.option("--user", required=True, help="The user name there.")
@_secret_file("password")
@_common
def webdav(address: str, user: str, secret_file: Path | None, **rest: Any) -> None:
    """A folder on a WebDAV server: ADDRESS is that of the folder, like https://cloud.example/dav/Chatkeep.

    It is made if it is not there. Where the server makes passwords for single apps (Nextcloud does), use one.

    A new vault gets a recovery key, which is shown once: keep it. CHATKEEP_PASSPHRASE or --passphrase-file becomes its
    passphrase, or opens the vault that is there already.
    """
    password = _secret(secret_file, "Password")
    _connect("webdav", {"address": address, "user": user, "password": password}, **rest)


@click.command()
@click.argument("address")
@click.option("--bucket", required=True, help="The bucket, which must be there.")
@click.option("--access-key", required=True, metavar="ID", help="The id of the access key.")
@click.option("--region", default="us-east-1", show_default=True, help="The region of the bucket.")
@click.option("--folder", default="Chatkeep", show_default=True, help="What the names of our objects begin with.")
@_secret_file("secret key")
@_common
def s3(address: str, bucket: str, access_key: str, secret_file: Path | None, **rest: Any) -> None:
    """A bucket at a service that speaks S3: ADDRESS like https://s3.eu-central-1.amazonaws.com.

    Give it an access key that may read, write, list and delete below that folder, and nothing else.

    A new vault gets a recovery key, which is shown once: keep it. CHATKEEP_PASSPHRASE or --passphrase-file becomes its
    passphrase, or opens the vault that is there already.
    """
    where = {name: rest.pop(name) for name in ("region", "folder")}
    secret = {"access_key": access_key, "secret_key": _secret(secret_file, "Secret key")}
    _connect("s3", {"address": address, "bucket": bucket, **where, **secret}, **rest)


def _secret(path: Path | None, prompt: str) -> str:
    import sys

    if path is not None:
        return options.read_passphrase(path, "")
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to type it; give it with --secret-file.")
    return str(click.prompt(prompt, hide_input=True, err=True))


def _connect(
    provider: str,
    where: Mapping[str, str],
    *,
    name: str,
    passphrase_file: Path | None,
    kit: Path | None,
    as_json: bool,
) -> None:
    from chatkeep.cli import rooms

    connecting.check_kit(kit)
    app = rooms.App()
    from chatkeep.connections.connecting import connect

    made = connect(
        provider,
        where,
        installation=app.installation,
        name=name,
        passphrase=options.read_passphrase(passphrase_file, app.settings.passphrase),
        ask=connecting.asking(as_json),
    )
    connecting.done(made, kit, as_json=as_json)
