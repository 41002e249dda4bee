"""`chatkeep delete` and `forget`: for good, on every machine that syncs; and without a trace."""

from __future__ import annotations

import shutil
import sys

import click
import msgspec

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


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@options.yes
@options.as_json
def forget(ids: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Erase every trace of conversations on this machine, and keep them from coming back.

    Only the mark of their ids stays. Backups are written anew without them, other machines erase them too when they
    sync, and no import brings them again. It says what cannot be reached. This cannot be undone.
    """
    from contextlib import ExitStack
    from functools import partial

    from chatkeep import operations
    from chatkeep.cli import rooms
    from chatkeep.cli.output import count, say, say_problems, write_json
    from chatkeep.errors import ChatkeepError, Problem

    if not yes and not as_json and sys.stdin.isatty() and sys.stderr.isatty():
        click.confirm(
            f"Erase {count(len(ids), 'conversation')} for ever? Nothing brings it back.", abort=True, err=True
        )
    app = rooms.App()
    from chatkeep.connections.opening import connections
    from chatkeep.jobs.kinds import opened_snapshots

    closed: list[Problem] = []
    shutil.rmtree(opened_snapshots(app.settings.home), ignore_errors=True)  # they hold what backups held
    with app.archive() as archive, ExitStack() as stack:
        vaults, copies = {}, []
        for connection in connections():
            try:
                place = stack.enter_context(app.place(connection))
            except ChatkeepError as error:
                closed.append(Problem(f"backups at {connection.name}", f"They could not be opened: {error.what}"))
                continue
            vaults[connection.name] = place.vault
            copies.append(partial(operations.erase_copies, place.counting, host=app.device.host))
        report = operations.forget(archive, vaults, ids, places=copies)
    report = msgspec.structs.replace(report, problems=[*closed, *report.problems])
    if as_json:
        write_json(report)
    else:
        say(
            f"{count(report.conversations, 'conversation')} erased, {count(report.attachments, 'attachment')} with them"
        )
        say(f"{count(report.rewritten, 'backup')} written anew without them")
        say("Not reached:")
        for sentence in report.not_reached:
            say(f"  {sentence}")
        say_problems(report.problems)
    return PROBLEMS if report.problems else DONE
