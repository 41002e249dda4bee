"""`chatkeep delete`: for good, on every machine that syncs."""

from __future__ import annotations

import sys

import click

from chatkeep.cli import options
from chatkeep.cli.ending import DONE, PROBLEMS


@click.command()
@click.argument("ids", nargs=-1, metavar="ID...")
@click.option("--trash", "trashed", is_flag=True, help="Everything that lies in the trash.")
@options.yes
@options.as_json
def delete(ids: tuple[str, ...], trashed: bool, yes: bool, as_json: bool) -> int:
    """Delete conversations for good: here, and by the next sync on every machine that shares a vault.

    Backups that were made before still have them until they are thinned out.
    """
    from chatkeep import operations
    from chatkeep.cli import rooms
    from chatkeep.cli.output import count, say, say_problems, write_json
    from chatkeep.selection import Selection

    if bool(ids) == trashed:
        raise click.UsageError("Say which conversations, by their ids, or --trash.")
    with rooms.App().archive() as archive:
        chosen = [one.id for one in archive.listing(Selection(trashed=True))] if trashed else list(ids)
        if chosen and not (yes or as_json) and sys.stdin.isatty() and sys.stderr.isatty():
            click.confirm(f"Delete {count(len(chosen), 'conversation')} for good?", abort=True, err=True)
        report = operations.delete(archive, chosen)
    if as_json:
        write_json(report)
        return DONE
    say(f"{count(report.conversations, 'conversation')} deleted, {count(report.attachments, 'attachment')} with them")
    say_problems(report.problems)
    return PROBLEMS if report.problems else DONE
