"""`chatkeep backup`, `snapshots`, `restore`, `check` and `drill`: the vault."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from chatkeep.cli import options
from chatkeep.cli.ending import DONE, PROBLEMS
from chatkeep.cli.exporting import FORMATS

if TYPE_CHECKING:
    from chatkeep.jobs.run import Run
    from chatkeep.operations import BackupReport, CheckReport, DrillReport, Progress, RestoreReport, Step


@click.command()
@options.connection_name
@options.as_json
def backup(name: str, as_json: bool) -> int:
    """Save the archive into the vault of a place. Only what changed is sent."""
    from chatkeep.cli import progress, rooms
    from chatkeep.cli.output import write_json

    app = rooms.App()
    from chatkeep.jobs import kinds

    connection = app.connection(name)
    with app.holding("backup", connection.subject) as run, app.archive() as archive, app.place(connection) as place:
        means = kinds.Means.alone(archive, app.installation)
        with progress.shown(as_json=as_json) as told:
            report = kinds.back_up(place, means, progress=both(run, told))
        run.reports(report)
    if as_json:
        write_json(report)
    else:
        _say_backup(report, connection.name)
    return PROBLEMS if report.problems else DONE


def both(run: Run, told: Progress) -> Progress:
    """Progress that is shown here and keeps the lease."""

    def tell(step: Step) -> None:
        run.progress(step)
        told(step)

    return tell


def _say_backup(report: BackupReport, name: str) -> None:
    from chatkeep.cli.output import count, say, say_problems, size

    held = f"{count(report.conversations, 'conversation')}, {count(report.messages, 'message')}"
    if report.unchanged:
        say(f"{name}: nothing changed; snapshot {report.snapshot[:8]} holds {held}")
    else:
        say(f"{name}: snapshot {report.snapshot[:8]} holds {held}")
        new = f"{count(report.new_documents, 'new document')}, {count(report.new_attachments, 'new attachment')}"
        say(f"  {new}; {size(report.bytes_sent)} sent in {count(report.requests, 'request')}")
    say("  Verified: read back, and the counts agree." if report.verified else "  Not verified; see the problems.")
    if report.problems:
        say(f"  {count(len(report.problems), 'problem')}:")
        say_problems(report.problems)


@click.command()
@options.connection_name
@options.as_json
def snapshots(name: str, as_json: bool) -> int:
    """List what can be restored from a place, newest first."""
    from chatkeep import operations
    from chatkeep.cli import rooms
    from chatkeep.cli.output import say, say_problems, table, when, write_json

    app = rooms.App()
    with app.place(app.connection(name)) as place:
        found = operations.snapshots(place.vault)
        unread = operations.unread(place.vault)
    if as_json:
        write_json(found)
    elif not found and not unread:
        say("No backup yet. Make one with: chatkeep backup")
    else:
        rows = [
            (one.id[:8], when(one.time), f"{one.conversations:,}", f"{one.messages:,}", one.device) for one in found
        ]
        table(rows, head=("Snapshot", "Time", "Conversations", "Messages", "Device"), wide=4)
    say_problems(unread)
    return PROBLEMS if unread else DONE


@click.command()
@options.connection_name
@click.option("--snapshot", default="", metavar="ID", help="As of this snapshot; the newest if not given.")
@click.option("--as-of", default="", metavar="TIME", help="As of the newest snapshot not after this date or time.")
@click.option("--conversation", "conversations", multiple=True, metavar="ID", help="Only this one; may be repeated.")
@click.option("--replace", is_flag=True, help="Put the restored version in the place of what is here.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--as-files", "out", default="", metavar="PATH", help="Write files to a folder, .zip or file instead.")
@click.option("--format", "-f", "exporter", type=click.Choice(FORMATS), default="json", help="Of the files: json.")
@click.option("--into", default="", metavar="FOLDER", help="Make a new archive in this folder instead.")
@options.yes
@options.as_json
def restore(
    name: str,
    snapshot: str,
    as_of: str,
    conversations: tuple[str, ...],
    replace: bool,
    dry_run: bool,
    out: str,
    exporter: str,
    into: str,
    yes: bool,
    as_json: bool,
) -> int:
    """Get conversations back from a vault: everything, or those you name.

    Nothing that is here is lost: what comes back is merged with it, unless you say --replace. "chatkeep undo" takes a
    restore back. With --as-files or --into what is here is not touched at all.
    """
    from chatkeep.cli import progress, rooms
    from chatkeep.cli.output import write_json

    if snapshot and as_of:
        raise click.UsageError("--snapshot and --as-of both say which snapshot; give one.")
    if (out and into) or ((out or into) and (replace or dry_run)):
        raise click.UsageError("--as-files, --into, --replace and --dry-run do not go together; give one.")
    if replace and not (dry_run or yes or as_json) and sys.stdin.isatty():
        click.confirm("Put the restored versions in the place of what is here?", abort=True, err=True)
    app = rooms.App()
    from chatkeep.jobs import kinds

    connection = app.connection(name)
    wanted: dict[str, Any] = {"snapshot": snapshot, "as_of": as_of, "conversations": conversations}
    wanted |= {"out": out, "exporter": exporter} if out else {"into": into} if into else {}
    wanted |= {} if out or into else {"replace": replace, "dry_run": dry_run}
    with app.holding("restore", connection.subject) as run, app.archive() as archive, app.place(connection) as place:
        means = kinds.Means.alone(archive, app.installation)
        with progress.shown(as_json=as_json) as told:
            report = kinds.restore(place, means, progress=both(run, told), **wanted)
        run.reports(report)
    if as_json:
        write_json(report)
    else:
        _say_restore(report)
    return PROBLEMS if report.problems else DONE


_SHOWN_CHANGES = 20


def _say_restore(report: RestoreReport) -> None:
    from chatkeep.cli.output import count, one_line, say, say_problems, when

    for change in report.conversations[:_SHOWN_CHANGES]:
        facts = [f"+{change.added}" if change.added else "", f"~{change.changed}" if change.changed else ""]
        facts += [f"-{change.removed}" if change.removed else ""]
        did = "new, " + count(change.added, "message") if change.new else " ".join(filter(None, facts)) or "settings"
        say(f"  {change.id[:8]}  {one_line(change.title, 60) or '-'}  ({did})")
    if len(report.conversations) > _SHOWN_CHANGES:
        say(f"  … and {len(report.conversations) - _SHOWN_CHANGES:,} more; --json lists all.")
    of = f"of {report.expected:,} expected, from the backup of {when(report.time)}"
    if report.out:
        files = f" in {count(report.files, 'file')}" if report.files else ""
        say(f"{count(report.restored, 'conversation')} restored to {one_line(report.out)}{files} {of}")
    elif report.dry_run:
        say(f"{count(report.changed, 'conversation')} would change, {of}. Nothing was changed.")
    else:
        say(f"{count(report.restored, 'conversation')} restored {of}; {report.changed:,} changed here")
        if report.receipt:
            say(f"Undo with: chatkeep undo {report.receipt}")
    if report.problems:
        say(f"{count(len(report.problems), 'problem')}:")
        say_problems(report.problems)


@click.command()
@options.connection_name
@click.option("--read-data", is_flag=True, help="Also read and verify every byte.")
@click.option("--sample", type=click.FloatRange(0, 100), default=None, metavar="P", help="Read so many percent of it.")
@options.as_json
def check(name: str, read_data: bool, sample: float | None, as_json: bool) -> int:
    """Verify a vault: is everything there, and is it what was written?"""
    from chatkeep.cli import progress, rooms
    from chatkeep.cli.output import write_json

    app = rooms.App()
    from chatkeep.jobs import kinds

    connection = app.connection(name)
    with app.holding("check", connection.subject) as run, app.place(connection) as place:
        with progress.shown(as_json=as_json) as told:
            report = kinds.check(place, read_data=read_data, sample_percent=sample, progress=both(run, told))
        run.reports(report)
    if as_json:
        write_json(report)
    else:
        _say_check(report, connection.name)
    return DONE if report.ok and not report.problems else PROBLEMS


def _say_check(report: CheckReport, name: str) -> None:
    from chatkeep.cli.output import count, say, say_problems

    held = f"{count(report.snapshots, 'snapshot')}, {count(report.conversations, 'conversation')} in the newest"
    read = f"; {count(report.read, 'pack')} read and verified" if report.read else ""
    if report.ok:
        say(f"{name}: whole. {held}{read}.")
    else:
        say(f"{name}: {report.damaged:,} damaged, {report.missing:,} missing. {held}{read}.")
    say_problems(report.problems)


@click.command()
@options.connection_name
@click.option("--sample", type=click.IntRange(1), default=None, metavar="N", help="So many conversations; 100.")
@options.as_json
def drill(name: str, sample: int | None, as_json: bool) -> int:
    """Rehearse the restore: does what is in the vault come back as it was saved?

    A sample, another one each time, is restored beside the archive and compared, document by document. Nothing here or
    there is changed.
    """
    from chatkeep.cli import progress, rooms
    from chatkeep.cli.output import write_json

    app = rooms.App()
    from chatkeep.jobs import kinds

    connection = app.connection(name)
    with app.holding("drill", connection.subject) as run, app.archive() as archive, app.place(connection) as place:
        means = kinds.Means.alone(archive, app.installation)
        with progress.shown(as_json=as_json) as told:
            report = kinds.drill(place, means, progress=both(run, told), sample=sample)
        run.reports(report)
    if as_json:
        write_json(report)
    else:
        _say_drill(report, connection.name)
    return DONE if report.ok else PROBLEMS


def _say_drill(report: DrillReport, name: str) -> None:
    from chatkeep.cli.output import count, say, say_problems, size

    of = f"{report.compared:,} of {count(report.conversations, 'conversation')}"
    came = f"{size(report.bytes)}, {count(report.attachments, 'attachment')}"
    if report.ok:
        say(f"{name}: the restore works. {of} came back as saved ({came}).")
    else:
        say(f"{name}: the restore does NOT bring everything back. {of} came ({came}).")
        say_problems(report.problems)
