"""`chatkeep copies` and `inbox`: what lies at a place beside the vault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from chatkeep.cli import options
from chatkeep.cli.backing_up import both
from chatkeep.cli.ending import DONE, PROBLEMS
from chatkeep.cli.exporting import FORMATS

if TYPE_CHECKING:
    from chatkeep.operations import CopiesReport, InboxReport


@click.command()
@options.connection_name
@click.option("--format", "exporter", type=click.Choice(FORMATS), default=None, help="Markdown if never chosen.")
@click.option("--attachments/--no-attachments", default=None, help="Put pictures and files beside them, or not.")
@click.option("--remove", is_flag=True, help="Take away the copies that this machine wrote, and write no more.")
@options.as_json
def copies(name: str, exporter: str | None, attachments: bool | None, remove: bool, as_json: bool) -> int:
    """Write readable copies of all conversations to a place, below Chats.

    Only what changed is written, one way: files that you add or edit there are never touched. What you choose is
    remembered for the place. "chatkeep schedule set copies --on" does it by itself.

    Copies are not sealed: whoever keeps the place can read them.
    """
    from chatkeep.cli import progress, rooms
    from chatkeep.cli.output import write_json

    app = rooms.App()
    from chatkeep.jobs import kinds, schedules

    connection = app.connection(name)
    schedules.ensure()
    wishes = {"exporter": exporter, "attachments": attachments}
    given = {wish: value for wish, value in wishes.items() if value is not None}
    chosen = schedules.change(
        schedules.one(connection.subject, "publish"), arguments=given, on=False if remove else None
    )
    wanted: dict[str, Any] = schedules.arguments(chosen) | {"remove": remove}
    del wanted["connection"]
    with app.holding("publish", connection.subject) as run, app.archive() as archive, app.place(connection) as place:
        means = kinds.Means.alone(archive, app.installation)
        with progress.shown(as_json=as_json) as told:
            report = kinds.publish(place, means, progress=both(run, told), **wanted)
        run.reports(report)
    if as_json:
        write_json(report)
    else:
        _say_copies(report, connection.name)
    return PROBLEMS if report.problems else DONE


def _say_copies(report: CopiesReport, name: str) -> None:
    from chatkeep.cli.output import count, one_line, say, say_problems, size

    say(f"{name}: {count(report.written + report.unchanged, 'readable copy', 'readable copies')} in Chats")
    did = [f"{report.written:,} written", f"{report.removed:,} removed", f"{report.unchanged:,} up to date"]
    say(f"  {', '.join(did)}; {size(report.bytes_sent)} sent in {count(report.requests, 'request')}")
    if report.attachments:
        say(f"  {count(report.attachments, 'attachment')} put beside them")
    for note in report.notes:
        say(f"  {one_line(note)}")
    say("  Verified: all of them are there." if report.verified else "  Not verified; see the problems.")
    say_problems(report.problems)


@click.command()
@options.connection_name
@options.as_json
def inbox(name: str, as_json: bool) -> int:
    """Import the exports that somebody dropped into the folder Inbox of a place.

    What was imported is moved to Inbox/Done; each thing has a receipt to undo it by. What is no export stays.
    "chatkeep schedule set inbox --on" looks by itself.
    """
    from chatkeep.cli import progress, rooms
    from chatkeep.cli.output import write_json

    app = rooms.App()
    from chatkeep.jobs import kinds

    connection = app.connection(name)
    with app.holding("inbox", connection.subject) as run, app.archive() as archive, app.place(connection) as place:
        means = kinds.Means.alone(archive, app.installation)
        with progress.shown(as_json=as_json) as told:
            report = kinds.take_in(place, means, progress=both(run, told))
        run.reports(report)
    if as_json:
        write_json(report)
    else:
        _say_inbox(report, connection.name)
    return PROBLEMS if report.problems else DONE


def _say_inbox(report: InboxReport, name: str) -> None:
    from chatkeep.cli.output import count, one_line, say, say_problems

    if not (report.taken or report.waiting or report.left):
        say(f"{name}: the inbox is empty. Drop exports into its folder Inbox.")
    for taken in report.taken:
        brought = f"{taken.added:,} added, {taken.updated:,} updated, {count(taken.messages, 'message')}"
        say(f"{one_line(taken.name)}: {brought}; now in {one_line(taken.moved)}")
        say(f"  Undo with: chatkeep undo {taken.receipt}")
    for waiting in report.waiting:
        say(f"{one_line(waiting)}: it still grows, and is taken at the next look")
    for left in report.left:
        say(f"{one_line(left)}: no export that Chatkeep knows; it stays there")
    for note in report.notes:
        say(one_line(note))
    say_problems(report.problems)
