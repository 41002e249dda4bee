"""`chatkeep serve`: the app in the browser."""

from __future__ import annotations

from contextlib import closing
from importlib import import_module

import click

from chatkeep.cli import options


@click.command()
@click.option("--host", default="", help="Listen on this address; this machine alone if not given.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Listen on this port; 0 takes a free one.")
@click.option("--no-browser", is_flag=True, help="Only print the link.")
@click.option("--json", "as_json", is_flag=True, hidden=True, help="Accepted; there is no result.")
def serve(host: str, port: int | None, no_browser: bool, as_json: bool) -> None:
    """Open the app in the browser: import, read, search, export, back up.

    It runs until Ctrl-C. The link that it prints signs one browser in, once.
    """
    import os
    import sys

    from chatkeep.cli import rooms

    # The pages read the environment themselves, so what was given here has to be seen there as well.
    if host:
        os.environ["CHATKEEP_HOST"] = host
    if port is not None:
        os.environ["CHATKEEP_PORT"] = str(port)
    found = rooms.settings()
    open_browser = not no_browser and not as_json and sys.stdout.isatty()
    # By its name, because the command line and the pages do not know one another.
    import_module("chatkeep.web").serve(found, open_browser=open_browser)


@click.command()
@click.option("--once", is_flag=True, help="Do what is due now, and end; for a timer of the system.")
@click.option(
    "--slots",
    type=click.IntRange(1, 64),
    default=None,
    help="How many jobs at once; 2, or 6 on a server, if not given.",
)
@options.as_json
def worker(once: bool, slots: int | None, as_json: bool) -> None:
    """Do what is scheduled and asked for, without the app in the browser, until Ctrl-C.

    Several may run at once, beside the app too: each piece of work is done by one of them. Told to end (SIGTERM), it
    takes nothing new; what is under way stops at its next step and waits for another worker.
    """
    from chatkeep.cli import rooms
    from chatkeep.cli.output import count, say, write_json

    app = rooms.App()
    from chatkeep.api.messenger import Messenger
    from chatkeep.jobs.means import means_of
    from chatkeep.jobs.workshop import workshop
    from chatkeep.watching.chores import chores
    from chatkeep.watching.eyes import Eyes

    with closing(means_of(app.settings)) as means:
        works = workshop(means, threads=slots or 0)
        if once:
            done = works.once()
            Messenger(means, networks=app.settings.webhook_networks).tick()
            write_json({"done": done}) if as_json else say(f"{count(done, 'job')} done")
            return
        eyes = Eyes(app.settings, works=works.lives, chores=chores(app.settings, means), conflicts=means.open_conflicts)
        messenger = Messenger(means, networks=app.settings.webhook_networks)
        works.start()
        messenger.start()
        eyes.open()
        say("Working. Ctrl-C ends it.")
        _wait_for_the_end()
        messenger.stop()
        works.stop()
        eyes.close()


def _wait_for_the_end() -> None:
    """Until SIGTERM or Ctrl-C; a second one ends the program at once."""
    import signal
    import threading

    told = threading.Event()

    def tell(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    while not told.wait(3600):
        pass


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), default=None, help="Where the app listens, if not on its usual port."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def link(port: int | None, as_json: bool) -> None:
    """Print a new link into the app that is running, for another browser.

    It signs one browser in, once, and is good for a day.
    """
    from chatkeep.cli import rooms
    from chatkeep.cli.output import say, write_json

    found = rooms.settings()
    made = import_module("chatkeep.web").new_link(found, port=port or found.port)
    if as_json:
        write_json({"link": made})
    else:
        say(made)
    if not _listens(made):
        click.echo(
            f"Nothing answers there now: start Chatkeep with `chatkeep serve{f' --port {port}' if port else ''}`.",
            err=True,
        )


def _listens(link: str) -> bool:
    """Whether something answers where a link leads, on this machine."""
    import socket
    from urllib.parse import urlsplit

    place = urlsplit(link)
    try:
        socket.create_connection((place.hostname or "", place.port or 80), timeout=2).close()
    except OSError:
        return False
    return True
