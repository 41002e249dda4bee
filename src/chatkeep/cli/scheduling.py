"""`chatkeep schedule`: what is done by itself while Chatkeep runs, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from chatkeep.cli import options

if TYPE_CHECKING:
    from chatkeep.jobs.models import Schedule


class Scheduled(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is done by itself at a place. words: when, for people. next_at, last_at: "" for none.

    paused: why it is not done for now, "" when it is.
    """

    name: str
    what: str
    on: bool
    every: str
    after_change: int
    words: str
    next_at: str
    last_at: str
    paused: str


@click.group(invoke_without_command=True)
@options.as_json
@click.pass_context
def schedule(context: click.Context, as_json: bool) -> None:
    """What is done by itself at connected places, and when.

    It is done while the app runs ("chatkeep serve") or "chatkeep worker"; what was missed is done once, afterwards.
    """
    if context.invoked_subcommand is not None:
        return
    from chatkeep.cli import rooms

    rooms.App()
    from chatkeep.connections import opening
    from chatkeep.jobs import schedules

    schedules.ensure()
    names = {connection.subject: connection.name for connection in opening.connections()}
    _tell([_scheduled(one, names[one.subject]) for one in schedules.of() if one.subject in names], as_json=as_json)


def _tell(found: list[Scheduled], *, as_json: bool) -> None:
    from chatkeep.cli.output import say, table, write_json

    if as_json:
        write_json(found)
        return
    if not found:
        say("Nothing is connected yet. Connect a place with: chatkeep connect folder PATH")
        return
    rows = [_row(one) for one in found]
    table(rows, head=("Place", "What", "When", "Next", "Last done"), wide=2)
    for name, why in dict.fromkeys((one.name, one.paused) for one in found if one.paused):
        say(f"{name} is paused: {why}")


def _row(one: Scheduled) -> tuple[str, ...]:
    from chatkeep.cli.output import when

    following = "paused" if one.paused else when(one.next_at)
    return one.name, one.what, one.words if one.on else "off", following, when(one.last_at)


def _scheduled(found: Schedule, name: str) -> Scheduled:
    from chatkeep.jobs import queue, schedules

    last = queue.last_done(found.kind, found.subject)
    return Scheduled(
        name=name,
        what=schedules.WORDS.get(found.kind, found.kind),
        on=found.on,
        every=found.every,
        after_change=found.after_change,
        words=schedules.words(found),
        next_at=_time(schedules.upcoming(found)),
        last_at=_time(last.ended_at if last else None),
        paused=found.paused,
    )


def _time(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else ""


@schedule.command("set")
@click.argument("what")
@options.connection_name
@click.option("--on/--off", "on", default=None, help="Do it by itself, or not.")
@click.option("--every", default=None, metavar="TIME", help="How often, by the clock; see above. Or: never.")
@click.option(
    "--after-change",
    type=click.IntRange(0, 1440),
    default=None,
    metavar="MINUTES",
    help="So many minutes after a change; 0 for never.",
)
@options.as_json
def set_command(
    what: str, name: str, on: bool | None, every: str | None, after_change: int | None, as_json: bool
) -> None:
    """Change when something is done: backup, sync, check, drill, copies or inbox.

    TIME is one of "30m", "6h", "day 03:30", "week sun 04:00", "month 1 04:15"; hours are those of this machine's clock.
    """
    from chatkeep.cli import rooms

    connection = rooms.App().connection(name)
    from chatkeep.jobs import schedules

    schedules.ensure()
    found = schedules.one(connection.subject, schedules.kind_called(what))
    if on is None and (every or after_change):
        on = True
    every = "" if every == "never" else every
    schedules.change(found, on=on, every=every, after_change=after_change)
    _tell([_scheduled(found, connection.name)], as_json=as_json)


@schedule.command()
@options.connection_name
@options.as_json
def pause(name: str, as_json: bool) -> None:
    """Do nothing by itself at a place until "chatkeep schedule resume"."""
    from chatkeep.cli import rooms

    connection = rooms.App().connection(name)
    from chatkeep.jobs import schedules
    from chatkeep.jobs.models import Why

    schedules.ensure()
    schedules.pause(connection.subject, Why.PERSON, what="Somebody paused it.", hint="Resume it to go on.")
    _tell([_scheduled(one, connection.name) for one in schedules.of(connection.subject)], as_json=as_json)


@schedule.command()
@options.connection_name
@options.as_json
def resume(name: str, as_json: bool) -> None:
    """Go on at a place that was paused; what was missed is done once."""
    from chatkeep.cli import rooms

    connection = rooms.App().connection(name)
    from chatkeep.jobs import schedules
    from chatkeep.jobs.models import Why

    schedules.resume(connection.subject, Why.PERSON)
    _tell([_scheduled(one, connection.name) for one in schedules.of(connection.subject)], as_json=as_json)
