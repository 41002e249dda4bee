"""`chatkeep server`: what the operator of a server for many people does with it."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from chatkeep.cli import options
from chatkeep.settings import Settings


@click.group()
def server() -> None:
    """Care for a server that many people use."""


@server.command()
@options.as_json
def migrate(as_json: bool) -> None:
    """Bring the database of a server up to date.

    Run it once before a new version starts; the old version goes on working meanwhile. Web processes and workers of
    the new version wait for it.
    """
    from chatkeep.cli.output import count, say, write_json
    from chatkeep.connections import start

    _server()

    done = start.migrate()
    if as_json:
        write_json({"migrations": done})
    else:
        say(f"{count(len(done), 'migration')} done" if done else "The database is up to date")


@server.command()
@click.option("--operator", metavar="E-MAIL", default="", help="Invite this person to run the server.")
@click.option("--email", metavar="E-MAIL", default="", help="Invite this person as a member.")
@options.as_json
def invite(operator: str, email: str, as_json: bool) -> None:
    """Make a link by which one person makes an account. It works once, for a week.

    The first operator is made so; all others are invited on the page of people. Without an address the link is for
    whoever has it.
    """
    from chatkeep.cli import rooms
    from chatkeep.cli.output import say, write_json
    from chatkeep.errors import WrongUse

    if operator and email:
        raise click.UsageError("--operator and --email both say whom; give one.")
    app = rooms.App()
    if not app.settings.is_server:
        raise WrongUse("This is no server.", hint="Set DATABASE_URL. On a laptop there is one person.")
    from chatkeep.people import inviting
    from chatkeep.people.models import Role

    made, token = inviting.invite(by=None, email=operator or email, role=Role.OPERATOR if operator else Role.MEMBER)
    link = f"{app.settings.public_url}/invitation/{token}"
    if as_json:
        write_json({"link": link, "role": made.role, "expires_at": made.expires_at.isoformat(timespec="seconds")})
        return
    say(f"This link makes an account ({made.role}), once, until {made.expires_at:%d %B %Y}:")
    say(f"  {link}")


@server.command()
@click.option("--quick", is_flag=True, help="Count only; do not look whether what was counted is sound.")
@options.as_json
def check(quick: bool, as_json: bool) -> int:
    """Count what a server keeps, and look whether all of it is there.

    Every conversation is read, and every attachment that it names is looked for. Compare the counts of before and after
    when a server was restored or moved.
    """
    from chatkeep.cli.ending import DONE, PROBLEMS
    from chatkeep.cli.output import count, say, say_problems, write_json

    found = _operating()
    from chatkeep.jobs import census
    from chatkeep.jobs.means import means_of

    means = means_of(found)
    try:
        taken = census.take(means, quick=quick)
    finally:
        means.close()
    if as_json:
        write_json(taken)
    else:
        say(f"{count(taken.people, 'person', 'people')}, {count(taken.archives, 'archive')}")
        say(f"{count(taken.conversations, 'conversation')}, {count(taken.messages, 'message')}")
        say(f"{count(taken.attachments, 'attachment')}, {count(taken.connections, 'connection')}")
        say_problems(taken.problems)
    return PROBLEMS if taken.problems else DONE


@server.command()
@options.as_json
def restored(as_json: bool) -> None:
    """Put right what a restored backup of the database has from the past.

    Run it after the restore, before processes start: everybody is signed out, since some had signed out after that
    backup, and jobs that ran at its moment wait for a worker again.
    """
    from chatkeep.cli.output import count, say, write_json

    _operating()
    from chatkeep.jobs import restored as past

    ended, put_back = past.end_sessions(), past.put_back()
    if as_json:
        write_json({"sessions": ended, "jobs": put_back})
    else:
        say(f"{count(ended, 'session')} ended, {count(put_back, 'job')} put back")


@server.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--archive", "whose", metavar="WHOSE", required=True, help="Into whose archive: e-mail address, or its id."
)
@options.as_json
def adopt(folder: Path, whose: str, as_json: bool) -> int:
    """Bring the data folder of a laptop into somebody's archive here.

    FOLDER is what CHATKEEP_HOME was there; nothing is taken from it. Conversations, edits, attachments, the trash and
    what was deleted come. Receipts come into an archive that has none yet, so that imports can be undone there too.
    Accounts at the clouds come with their sign-in, sealed anew, and are paused until their person resumes them on
    the page of the place; what only the laptop can reach does not come. Run again, it goes on where it was, and adds
    nothing that is there. Ends with the counts compared, and with exit code 1 if they differ.
    """
    from chatkeep.archive import Archive
    from chatkeep.cli import progress
    from chatkeep.cli.ending import DONE, FAILED
    from chatkeep.cli.output import say, say_problems, write_json
    from chatkeep.errors import WrongUse
    from chatkeep.operations import adopt as take_over

    found = _operating()
    if not (folder / "archive.sqlite3").is_file():
        raise WrongUse(f"{folder} has no archive.sqlite3.", hint="Give the data folder of the laptop.")
    from chatkeep.jobs import moving_in
    from chatkeep.jobs.means import means_of

    id = _archive_of(whose)
    means = means_of(found)
    try:
        with Archive.open(folder) as given, progress.shown(as_json=as_json) as told:
            report = take_over(given, means.archive_of(id), progress=told)
        places = moving_in.places(folder, means.installation_of(id))
    finally:
        means.close()
    if as_json:
        plain = msgspec.to_builtins(report)
        left = [msgspec.to_builtins(one) for one in places.problems]
        write_json({**plain, "connections": {"given": places.given, "here": places.here, "left": left}})
        return DONE if report.is_whole else FAILED
    for name in ("conversations", "messages", "attachments", "tombstones", "receipts"):
        compared = getattr(report, name)
        say(f"{name:14} {compared.given:>9,} given {compared.here:>9,} here")
    say(f"{'connections':14} {places.given:>9,} given {places.here:>9,} here")
    if report.receipts.here < report.receipts.given:
        say("Receipts did not all come: this archive had some of its own, and undoing goes by their order.")
    if places.added:
        say(f"Paused until their person resumes them: {', '.join(one.name for one in places.added)}")
    say_problems([*report.problems, *places.problems])
    return DONE if report.is_whole else FAILED


def _archive_of(whose: str) -> str:
    """The id of an archive, or of the one that a person owns. Raises NotFound."""
    from chatkeep.errors import NotFound
    from chatkeep.people import belonging
    from chatkeep.people.models import Membership, User, plain_email

    if Membership.objects.filter(archive=whose).exists():
        return whose
    user = User.objects.filter(email=plain_email(whose)).first()
    if user is None:
        raise NotFound(f"Nobody here has an archive {whose}", hint="Invite them first: chatkeep server invite --email.")
    return belonging.archive_of(user)


def _operating() -> Settings:
    """The settings of a server whose database is ready. Raises WrongUse where there is none."""
    from chatkeep.connections.start import start

    found = _server()
    start(found.home)
    return found


def _server() -> Settings:
    from chatkeep.cli import rooms
    from chatkeep.errors import WrongUse

    found = rooms.settings()
    if not found.is_server:
        raise WrongUse("This is no server.", hint="Set DATABASE_URL. One person's data folder updates itself.")
    return found


@server.command()
@click.option("--workers", type=click.IntRange(0, 64), default=2, show_default=True, help="How many workers.")
@click.option("--json", "as_json", is_flag=True, hidden=True, help="Accepted; there is no result.")
def run(workers: int, as_json: bool) -> None:
    """Run all of a server on this machine: the pages, and workers.

    Each program that ends is begun again, until SIGTERM or Ctrl-C. systemd, Compose or Kubernetes can take its place.
    """
    import sys

    from chatkeep.cli import rooms
    from chatkeep.cli.supervising import Together
    from chatkeep.errors import WrongUse

    if not rooms.settings().is_server:
        raise WrongUse("This is no server.", hint="Set DATABASE_URL, or run: chatkeep serve")
    program = [sys.executable, "-m", "chatkeep"]
    Together([[*program, "serve", "--no-browser"], *[[*program, "worker"]] * workers]).run()
