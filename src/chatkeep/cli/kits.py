"""The emergency kit on the command line: where it may be written, and what is said with a new recovery key."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from chatkeep.connections.kit import Place


def check(kit: Path | None, connection: Place) -> None:
    """Refuse to write over a file, or into the place that the key opens. Raises UsageError."""
    if kit is None:
        return
    if kit.exists():
        raise click.UsageError(f"{kit} is there already; the emergency kit is not written over it.")
    place = Path(connection.account) if connection.provider == "folder" else None
    if place is not None and place.resolve() in kit.resolve().parents:
        raise click.UsageError("That is the place of the vault itself; a key that lies beside it protects nothing.")


def write(kit: Path, connection: Place, recovery_key: str, *, vault: str = "") -> None:
    """Write the emergency kit, for the eyes of its owner alone."""
    from chatkeep.connections.kit import emergency_kit

    page = emergency_kit(
        connection,
        vault=vault or str(getattr(connection, "vault_id", "")),
        recovery_key=recovery_key,
        made=datetime.now(UTC).date(),
    )
    with os.fdopen(os.open(kit, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(page)


def say_key(recovery_key: str, kit: Path | None) -> None:
    """Show a recovery key, this once."""
    from chatkeep.cli.output import say

    say()
    say("  Recovery key   " + click.style(recovery_key, bold=True))
    say()
    say("Print it or put it into your password manager now: it is shown this once and kept nowhere.")
    say("If you lose the passphrase and the recovery key, nobody can open the vault, including us.")
    if kit is not None:
        say(f"The emergency kit with the key is in {kit}. Print it, then delete the file.")
