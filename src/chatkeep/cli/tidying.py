"""`chatkeep tidy`: which backups stay, and removing what none of them needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chatkeep.cli import options
from chatkeep.cli.ending import DONE, PROBLEMS

if TYPE_CHECKING:
    from chatkeep.operations import TidyReport


def _keep(name: str, what: str) -> click.Option:
    return click.Option([f"--keep-{name}", name], type=click.IntRange(min=0), metavar="N", help=what)


_KEEPS = [
    _keep("last", "The last N backups; 10 if not given."),
    _keep("hourly", "The newest of N hours that have one; 12."),
    _keep("daily", "Of N days; 14."),
    _keep("weekly", "Of N weeks; 8."),
    _keep("monthly", "Of N months; 12."),
    _keep("yearly", "Of N years; 50."),
]


@click.command()
@options.connection_name
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--remember", is_flag=True, help="Keep by these numbers from now on, by itself too.")
@click.option("--all-devices", is_flag=True, help="Judge the backups of other machines too, not only of this one.")
@options.as_json
def tidy(name: str, dry_run: bool, remember: bool, all_devices: bool, as_json: bool, **keep: int | None) -> int:
    """Forget old backups, and remove what no backup needs.

    The newest backup of each machine stays, whatever you say, and so does everything younger than two days. What
    nothing needs is removed a day after it was found. It also happens by itself after backups, now and then, by the
    numbers that were given with --remember.
    """
    from chatkeep.cli import progress, rooms
    from chatkeep.cli.backing_up import both
    from chatkeep.cli.output import write_json

    app = rooms.App()
    from chatkeep.connections import opening
    from chatkeep.jobs import kinds

    policy = {rule: count for rule, count in keep.items() if count is not None}
    connection = app.connection(name)
    if remember:
        opening.note_retention(connection, policy)
    with app.holding("tidy", connection.subject) as run, app.archive() as archive, app.place(connection) as place:
        means = kinds.Means.alone(archive, app.installation)
        with progress.shown(as_json=as_json) as told:
            report = kinds.tidy(
                place,
                means,
                progress=both(run, told),
                policy=policy,
                all_devices=all_devices,
                dry_run=dry_run,
            )
        run.reports(report)
    if as_json:
        write_json(report)
    else:
        _say(report, connection.name)
    return PROBLEMS if report.problems else DONE


tidy.params[1:1] = _KEEPS


def _say(report: TidyReport, name: str) -> None:
    from chatkeep.cli.output import count, say, say_problems, size, when

    for snapshot in report.forgotten:
        say(f"  {snapshot.id[:8]}  {when(snapshot.time)}  {snapshot.device}")
    did = "would be forgotten" if report.dry_run else "forgotten"
    say(f"{name}: {count(len(report.forgotten), 'backup')} {did}, {report.kept:,} stay")
    if report.dry_run:
        say(f"  {size(report.freed)} would be freed now, {size(report.freed_later)} a day later. Nothing was changed.")
    else:
        say(f"  {size(report.freed)} freed now, {size(report.freed_later)} in a day")
    say_problems(report.problems)
