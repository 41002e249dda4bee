"""`chatkeep sync` and `conflicts`: several machines with one vault, and what they did differently."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from chatkeep.cli import options
from chatkeep.cli.ending import DONE, PROBLEMS

if TYPE_CHECKING:
    from chatkeep.archive import Conflict
    from chatkeep.operations import Step, SyncReport


@click.command()
@options.connection_name
@click.option("--accept-deletions", is_flag=True, help="Also when others deleted very many at once.")
@options.as_json
def sync(name: str, accept_deletions: bool, as_json: bool) -> int:
    """Bring this machine and all others that share the vault of a place to the same state.

    What the others saved is merged into what is here, and the result is saved. Nothing is deleted but what somebody
    deleted; when that is more than a hundred conversations or a fifth of all, you are asked first.
    """
    from chatkeep.cli import progress, rooms
    from chatkeep.cli.output import write_json

    app = rooms.App()
    from chatkeep.jobs import kinds

    connection = app.connection(name)
    with app.holding("sync", connection.subject) as run, app.archive() as archive, app.place(connection) as place:
        means = kinds.Means.alone(archive, app.installation)
        with progress.shown(as_json=as_json) as told:

            def tell(step: Step) -> None:
                run.progress(step)
                told(step)

            report = kinds.sync(place, means, accept_deletions=accept_deletions, progress=tell)
        if report.held_back and not as_json and sys.stdin.isatty() and _confirmed(report):
            report = kinds.sync(place, means, accept_deletions=True, progress=run.progress)
        run.reports(report)
    if as_json:
        write_json(report)
    else:
        _say(report, connection.name)
    return PROBLEMS if report.problems else DONE


def _confirmed(report: SyncReport) -> bool:
    from chatkeep.cli.output import count

    what = f"Other machines deleted {count(report.held_back, 'conversation')} that are here. Delete them here too?"
    return click.confirm(what, err=True)


def _say(report: SyncReport, name: str) -> None:
    from chatkeep.cli.output import count, say, say_problems

    others = count(report.devices, "other machine") if report.devices else "no other machine yet"
    say(f"{name}: in step with {others}; {count(report.conversations, 'conversation')}")
    facts = [
        f"{report.merged:,} came or changed" if report.merged else "",
        f"{report.deleted:,} deleted, as another machine did" if report.deleted else "",
        f"{count(report.attachments, 'attachment')} fetched" if report.attachments else "",
        f"{report.emptied:,} deleted after thirty days in the trash" if report.emptied else "",
        f"{count(report.pushed, 'document')} sent" if report.pushed else "",
    ]
    say("  " + ("; ".join(filter(None, facts)) or "nothing new") + f"; {count(report.requests, 'request')}")
    if report.conflicts:
        say(f"  {count(report.conflicts, 'thing')} to look at: chatkeep conflicts")
    if report.problems:
        say(f"  {count(len(report.problems), 'problem')}:")
        say_problems(report.problems)


@click.command()
@click.argument("id", required=False, default="")
@click.option("--message", default="", metavar="MESSAGE", help="Which message of the conversation, if it has several.")
@click.option("--choose", default="", metavar="VERSION", help="Show this version of the message.")
@click.option("--keep", is_flag=True, help="Keep both versions, or the conversation that came back.")
@click.option("--undo", is_flag=True, help="Take back what was chosen; it is listed again.")
@options.as_json
def conflicts(id: str, message: str, choose: str, keep: bool, undo: bool, as_json: bool) -> None:
    """List what two machines did differently, or settle it.

    Nothing is lost by leaving it: every version is kept. A message that was edited twice shows the later version until
    you choose another; a deleted conversation that had something new is here until you delete it again.
    """
    from chatkeep.cli import rooms
    from chatkeep.cli.output import say, write_json

    if bool(choose) + keep + undo > 1:
        raise click.UsageError("--choose, --keep and --undo exclude one another.")
    if (choose or keep or undo) and not id:
        raise click.UsageError("Say which conversation, by its id.")
    with rooms.App().archive() as archive:
        found = [one for one in archive.conflicts(settled=undo) if one.id.startswith(id)]
        if choose or keep or undo:
            meant = _meant(found, message, id)
            if undo:
                archive.unsettle(meant.id, meant.message)
            else:
                archive.settle(meant.id, meant.message, choose=_version(meant, choose))
            found = [one for one in archive.conflicts() if one.id == meant.id]
    if as_json:
        write_json(found)
    elif choose or keep or undo:
        say("Taken back." if undo else "Settled.")
    elif not found:
        say("Nothing differs.")
    else:
        _list(found)


def _meant(found: list[Conflict], message: str, id: str) -> Conflict:
    from chatkeep.errors import NotFound, WrongUse

    meant = [one for one in found if one.message.startswith(message)]
    if not meant:
        raise NotFound(f"There is no conflict about {id!r}.", hint="See them with: chatkeep conflicts")
    if len(meant) > 1:
        raise WrongUse(f"{len(meant)} conflicts are about {id!r}.", hint="Say which message with --message.")
    return meant[0]


def _version(conflict: Conflict, beginning: str) -> str:
    from chatkeep.errors import NotFound

    if not beginning:
        return ""
    meant = [raw for raw, _ in conflict.versions if raw.startswith(beginning)]
    if len(meant) != 1:
        raise NotFound(f"That message has no version {beginning!r}.", hint="See them with: chatkeep conflicts")
    return meant[0]


def _list(found: list[Conflict]) -> None:
    from chatkeep.cli.output import one_line, say

    for one in found:
        title = one_line(one.title, 60) or "-"
        if one.kind == "returned":
            say(f"{one.id[:8]}  {title}: was deleted, and has something that the deletion did not see")
            say(f"          chatkeep conflicts {one.id[:8]} --keep, or: chatkeep delete {one.id[:8]}")
            continue
        say(f"{one.id[:8]}  {title}: a message has several versions")
        for number, (raw, text) in enumerate(one.versions):
            shown = "shown" if not number else "     "
            say(f"          {raw[:8]}  {shown}  {one_line(text, 70)}")
        say(f"          chatkeep conflicts {one.id[:8]} --message {one.message[:8]} --choose VERSION, or --keep")
