"""`chatkeep status` and `doctor`: are my chats safe, and what is wrong on this machine?"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from chatkeep.cli import options
from chatkeep.cli.ending import DONE, PROBLEMS

LITTLE_SPACE = 500_000_000


class PlaceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the backups at one place stand. up_to_date: nothing changed here since the last one.

    drilled_at, drill_ok: when a restore was last rehearsed, "" for never, and whether it brought everything back.
    sign_in: that it has ended, or when it ends; "" where it goes on by itself.
    next_at: when the next backup is due, "" for never by itself; paused: why nothing is done by itself for now.
    """

    name: str
    backed_up_at: str
    conversations: int
    up_to_date: bool
    checked_at: str
    drilled_at: str
    drill_ok: bool
    trouble: str
    sign_in: str = ""
    next_at: str = ""
    paused: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. subject: the place it is about, "" for this machine. level: bad or warn."""

    code: str
    level: str
    subject: str
    what: str
    hint: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. state: safe, behind, alone (on this machine only), empty, or trouble."""

    safe: bool
    state: str
    sentence: str
    conversations: int
    messages: int
    attachments: int
    places: list[PlaceStatus]
    findings: list[Found] = []


@click.command()
@options.as_json
def status(as_json: bool) -> int:
    """Are my chats safe? One sentence, and what it rests on."""
    from chatkeep.cli.output import count, one_line, say, when, write_json

    found = _status()
    if as_json:
        write_json(found)
        return DONE
    say(found.sentence)
    say(f"  {count(found.conversations, 'conversation')}, {count(found.messages, 'message')} on this machine")
    for place in found.places:
        last = (
            f"{place.conversations:,} conversations backed up {when(place.backed_up_at)}" if place.backed_up_at else ""
        )
        checked = f"checked {when(place.checked_at)}" if place.checked_at else "never checked"
        drilled = _drilled(place)
        facts = [last or "no backup yet", "up to date" if place.up_to_date else "", checked, drilled, place.trouble]
        facts += [place.sign_in.rstrip("."), f"run chatkeep reconnect {place.name}"] if place.sign_in else []
        facts.append(f"paused: {place.paused}" if place.paused else _next(place))
        say(f"  {place.name}: " + "; ".join(filter(None, facts)))
    for finding in found.findings:
        say(f"  ! {one_line(finding.what)} {one_line(finding.hint)}".rstrip())
    return DONE


def _drilled(place: PlaceStatus) -> str:
    from chatkeep.cli.output import when

    if not place.drilled_at:
        return "restore never rehearsed"
    return f"restore rehearsed {when(place.drilled_at)}" + ("" if place.drill_ok else ", and it FAILED")


def _next(place: PlaceStatus) -> str:
    from chatkeep.cli.output import when

    if not place.next_at:
        return "no backup is scheduled"
    is_due = place.next_at <= _time(datetime.now(UTC))
    return "the next backup is due as soon as Chatkeep runs" if is_due else f"next backup {when(place.next_at)}"


def _status() -> Status:
    from chatkeep.cli import rooms

    rooms.App()
    from chatkeep.connections import opening
    from chatkeep.jobs import schedules

    schedules.ensure()
    with rooms.archive() as archive:
        counts = archive.counts()
        number = archive.number
    places = [_place(connection, number) for connection in opening.connections()]
    state, sentence = _verdict(counts.conversations, places)
    return Status(
        safe=state in ("safe", "empty"),
        state=state,
        sentence=sentence,
        conversations=counts.conversations,
        messages=counts.messages,
        attachments=counts.attachments,
        places=places,
        findings=_findings(),
    )


def _findings() -> list[Found]:
    """What notices and the home page say too."""
    from chatkeep.cli import rooms
    from chatkeep.watching.findings import findings

    found = findings(home=rooms.settings().home, now=datetime.now(UTC))
    return [Found(code=f.code, level=f.level, subject=f.subject, what=f.what, hint=f.hint) for f in found]


def _place(connection: Any, number: int) -> PlaceStatus:
    from chatkeep.connections.health import health
    from chatkeep.jobs import schedules

    report, sign_in = connection.backed_up or {}, health(connection, now=datetime.now(UTC))
    backup = schedules.one(connection.subject, "backup")
    is_current = bool(connection.backed_up_at) and connection.backed_up_change == number
    return PlaceStatus(
        name=connection.name,
        backed_up_at=_time(connection.backed_up_at),
        conversations=report.get("conversations", 0),
        up_to_date=is_current and not report.get("problems") and _is_sound(connection),
        checked_at=_time(connection.checked_at),
        drilled_at=_time(connection.drilled_at),
        drill_ok=bool((connection.drilled or {}).get("ok")),
        trouble=connection.trouble,
        sign_in=sign_in.text if sign_in.state in ("ending", "over") else "",
        next_at=_time(schedules.upcoming(backup)),
        paused=backup.paused,
    )


def _is_sound(connection: Any) -> bool:
    """Whether neither the last check nor the last drill found something wrong."""
    return all((report or {}).get("ok", True) for report in (connection.checked, connection.drilled))


def _time(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else ""


def _verdict(conversations: int, places: list[PlaceStatus]) -> tuple[str, str]:
    if not conversations:
        return "empty", "There are no chats yet. Start with: chatkeep import PATH"
    if not places:
        return "alone", "No: your chats are on this machine only. Connect a place with: chatkeep connect folder PATH"
    if any(place.up_to_date for place in places):
        return "safe", "Yes: everything on this machine is also in a vault."
    if any(place.trouble for place in places):
        return "trouble", "Not all: the last backup or check did not go well."
    if any(place.backed_up_at for place in places):
        return "behind", "Almost: something changed since the last backup. Run: chatkeep backup"
    return "behind", "Not yet: a place is connected, but nothing was backed up. Run: chatkeep backup"


class Finding(msgspec.Struct, frozen=True):
    """One thing that doctor looked at. level: fine, note or problem."""

    what: str
    level: str
    found: str


@click.command()
@click.option(
    "--bundle",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write FILE.zip for somebody who helps: shown first, with everything secret or personal left out.",
)
@options.as_json
def doctor(as_json: bool, bundle: Path | None) -> int:
    """Look for what is wrong on this machine: versions, disk, archive, connections."""
    from chatkeep.cli.output import one_line, say, write_json

    if bundle:
        return _bundle(bundle, as_json=as_json)
    found = [finding for look in _LOOKS for finding in _seen(look)]
    worst = {finding.level for finding in found}
    if as_json:
        write_json({"ok": "problem" not in worst, "findings": found})
    else:
        for finding in found:
            sign = {"fine": "ok  ", "note": "note", "problem": "BAD "}[finding.level]
            say(f"{sign}  {finding.what}: {one_line(finding.found)}")
    return PROBLEMS if "problem" in worst else DONE


def _bundle(path: Path, *, as_json: bool) -> int:
    import os

    from chatkeep.cli import rooms
    from chatkeep.cli.output import say, write_bytes, write_json
    from chatkeep.errors import WrongUse

    app = rooms.App()
    from chatkeep.watching import bundle

    with app.archive() as archive:
        held = archive.counts()
    counts = {name: getattr(held, name) for name in ("conversations", "messages", "attachments")}
    text = bundle.bundle(home=app.settings.home, now=datetime.now(UTC), counts=counts, environment=os.environ)
    if not as_json:
        write_bytes(text.encode() + b"\n")
        if sys.stdin.isatty():
            click.confirm(f"Write exactly this into {path}?", default=True, abort=True, err=True)
    try:
        bundle.write(text, path)
    except FileExistsError as error:
        raise WrongUse(f"{path} is there already.", hint="Give another name.") from error
    write_json({"bundle": str(path)}) if as_json else say(f"Written: {path}")
    return DONE


def _seen(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What a look found; one that fails is a finding itself."""
    from chatkeep.errors import ChatkeepError

    try:
        return list(look())
    except ChatkeepError as error:
        return [Finding(_name(look), "problem", f"{error.what} {error.hint}".strip())]
    except Exception as error:  # a doctor that falls ill says with what
        return [Finding(_name(look), "problem", f"It could not be looked at ({type(error).__name__}).")]


def _name(look: Callable[[], Iterator[Finding]]) -> str:
    return look.__name__.strip("_").replace("_", " ").capitalize()


def _versions() -> Iterator[Finding]:
    import platform

    from chatkeep import __version__

    yield Finding("Chatkeep", "fine", __version__)
    yield Finding("Python", "fine" if sys.version_info >= (3, 11) else "problem", platform.python_version())


def _data_folder() -> Iterator[Finding]:
    from chatkeep.cli import rooms
    from chatkeep.cli.output import size

    home = rooms.settings().home
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    trial = home / ".doctor"
    trial.write_bytes(b"x")
    trial.unlink()
    yield Finding("Data folder", "fine", f"{home} can be written")
    free = shutil.disk_usage(home).free
    yield Finding("Free space", "problem" if free < LITTLE_SPACE else "fine", f"{size(free)} left on its disk")
    open_to_others = home.stat().st_mode & 0o077
    if sys.platform != "win32" and open_to_others:
        yield Finding("Privacy", "note", f"Other users of this machine can look into {home}; chmod 700 closes it.")


def _archive() -> Iterator[Finding]:
    from chatkeep.cli import rooms

    with rooms.archive() as archive:
        counts = archive.counts()
        problems = archive.check()
    yield Finding("Archive", "fine", f"{counts.conversations:,} conversations, {counts.messages:,} messages")
    for problem in problems:
        yield Finding("Archive", "problem", f"{problem.where}: {problem.what}")


def _connections() -> Iterator[Finding]:
    from chatkeep.cli import rooms

    app = rooms.App()
    from chatkeep.connections import looking, opening

    found = opening.connections()
    if not found:
        yield Finding("Connections", "note", "None: your chats are on this machine only.")
    for connection in found:
        tested = looking.test(connection, app.installation)
        level, text = ("fine", "can be written, read and deleted from") if tested.ok else ("problem", tested.what)
        yield Finding(f"Connection {connection.name}", level, text)


def _restic() -> Iterator[Finding]:
    path = shutil.which("restic")
    text = f"{path}: opens your vault without Chatkeep" if path else "Not installed; it can open your vault without us."
    yield Finding("restic", "fine" if path else "note", text)


_LOOKS = (_versions, _data_folder, _archive, _connections, _restic)
