"""`chatkeep import`."""

from __future__ import annotations

from pathlib import Path

import click

from chatkeep.cli import options
from chatkeep.cli.ending import DONE, PROBLEMS


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@options.as_json
def import_command(paths: tuple[Path, ...], as_json: bool) -> int:
    """Bring in exports of chats: files, folders and zips, exactly as the platform gave them.

    Several PATHs are one import. Importing again adds only what is new, and "chatkeep undo" takes an import back.
    """
    from chatkeep.cli import progress, rooms
    from chatkeep.cli.output import write_json
    from chatkeep.operations.importing import import_from

    with rooms.archive() as archive, progress.shown(as_json=as_json) as told:
        report = import_from(archive, paths, progress=told)
    if as_json:
        write_json(report)
    else:
        _say(report)
    return PROBLEMS if report.problems else DONE


def _say(report: object) -> None:
    from chatkeep.cli.output import count, one_line, say, say_problems
    from chatkeep.operations.reports import ImportReport

    assert isinstance(report, ImportReport)
    for given in report.source:
        say(f"{given.path} ({given.platform})")
    say(f"  {count(report.added, 'conversation')} added, {report.updated:,} updated, {report.unchanged:,} unchanged")
    accounted = "all accounted for" if not report.problems else "beside what is told below"
    say(f"  {count(report.messages, 'message')} in the export, {accounted}")
    stored, missing = report.attachments.stored, report.attachments.missing
    if stored or missing:
        say(f"  {count(stored, 'attachment')} kept" + (f", {missing:,} not in the export" if missing else ""))
    if report.shells:
        say(f"  {count(report.shells, 'conversation')} that the platform has emptied")
    if report.unknown:
        kinds = ", ".join(f"{name} ({number:,})" for name, number in sorted(report.unknown.items()))
        say(f"  of a kind not known yet, and kept as they are: {kinds}")
    for note in report.notes:
        say(f"  {one_line(note)}")
    if report.problems:
        say(f"  {count(len(report.problems), 'problem')}")
        say_problems(report.problems)
    say(f"Undo with: chatkeep undo {report.receipt}")
