"""Starting the pages: with the worker in one process for one person, in several processes without it for many."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import webbrowser

from chatkeep.errors import Unavailable
from chatkeep.settings import Settings

# Django's settings and the models are read only once a server is really started: `import chatkeep.web` stays light.


def serve(settings: Settings, *, open_browser: bool = False) -> None:
    """Serve the pages until the process is stopped.

    For one person it also asks for what the schedules say, does the jobs asked for, and prints a link that signs one
    browser in, once. For many people workers do that, as programs of their own. Raises Unavailable when the port is
    taken, and, for many people, when the database is not up to date after a minute.
    """
    if settings.is_server:
        _serve_many(settings)
    else:
        _serve_one(settings, open_browser=open_browser)


def _serve_many(settings: Settings) -> None:
    from chatkeep.web.processes import Processes, answer_until_told, handed_over

    listener = handed_over() or _listen(settings)

    def answer(port: socket.socket) -> None:
        from django.core.wsgi import get_wsgi_application

        from chatkeep.connections import start

        start.start(settings.home)
        from chatkeep.watching.eyes import Eyes

        application = get_wsgi_application()
        from chatkeep.web import held

        eyes = Eyes(settings, conflicts=held.open_conflicts)
        eyes.open()
        try:
            answer_until_told(application, port, threads=THREADS, trusted_proxy=settings.trusted_proxy)
        finally:
            eyes.close()

    sys.stdout.write(f"Chatkeep answers for {settings.public_url} in {settings.web_processes} processes.\n")
    sys.stdout.flush()
    Processes(listener, answer, count=settings.web_processes).run()


def _serve_one(settings: Settings, *, open_browser: bool) -> None:
    os.environ["CHATKEEP_HOME"] = str(settings.home)
    from chatkeep.connections import start

    start.start(settings.home)
    from chatkeep.api.messenger import Messenger
    from chatkeep.jobs.workshop import workshop
    from chatkeep.watching.chores import chores
    from chatkeep.watching.eyes import Eyes
    from chatkeep.web import held

    listener = _listen(settings)
    works = workshop(held.means())
    eyes = Eyes(settings, works=works.lives, chores=chores(settings, held.means()), conflicts=held.open_conflicts)
    eyes.open()
    messenger = Messenger(held.means(), networks=settings.webhook_networks)
    works.start()
    messenger.start()
    try:
        _announce(settings, listener.getsockname()[1], open_browser=open_browser)
        _answer(listener)
    finally:
        messenger.stop()
        works.stop()
        eyes.close()


THREADS = 8
"""Of each process. A thread that waits for the database or a disk lets others work."""


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"Port {settings.port} is taken, perhaps by another Chatkeep.",
            hint="Stop the other program, or set CHATKEEP_PORT to another number; 0 takes a free one.",
        ) from error
    listener.listen(128)
    return listener


def new_link(settings: Settings, *, port: int) -> str:
    """A new link into the app that is running on a port, made by another process with the same data folder."""
    os.environ["CHATKEEP_HOME"] = str(settings.home)
    from chatkeep.connections import start

    start.start(settings.home)
    return sign_in_link(settings, port)


def sign_in_link(settings: Settings, port: int | None = None) -> str:
    """A new link that signs one browser in, once."""
    from django.urls import reverse

    from chatkeep.web.models import new_token

    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    host = "127.0.0.1" if host in ("0.0.0.0", "[::]") else host  # noqa: S104 - compared, not bound
    return f"http://{host}:{port or settings.port}{reverse('sign-in-link', args=[new_token()])}"


def _announce(settings: Settings, port: int, *, open_browser: bool) -> None:
    link = sign_in_link(settings, port)
    sys.stdout.write(f"\nChatkeep is running. Open this link once in your browser:\n\n  {link}\n\nCtrl-C stops it.\n")
    sys.stdout.flush()
    if open_browser:
        webbrowser.open(link)


def _answer(listener: socket.socket) -> None:
    from django.core.wsgi import get_wsgi_application
    from waitress.server import create_server

    server = create_server(
        get_wsgi_application(), sockets=[listener], threads=THREADS, max_request_body_size=1 << 40, ident=""
    )
    with contextlib.suppress(KeyboardInterrupt, SystemExit):
        server.run()
