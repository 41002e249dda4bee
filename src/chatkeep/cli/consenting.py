"""Asking for consent from a terminal: a browser that comes back to this machine, an address to paste, or a code."""

from __future__ import annotations

import html
import queue
import sys
import threading
import time
import webbrowser
from collections.abc import Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import click

from chatkeep.connections import consenting, looking
from chatkeep.connections.trouble import no
from chatkeep.errors import ChatkeepError, Refused, SlowDown, WrongUse
from chatkeep.providers import NoConsent, SignIn, provider

if TYPE_CHECKING:
    from chatkeep.cli.rooms import App
    from chatkeep.connections.models import Connection, Consent

SHOWN_WITHIN_S = 5.0
OPENS_S = 3.0
"""A browser that has not ended by then is open."""


def consented(
    app: App,
    name_of_provider: str,
    *,
    location: Mapping[str, str],
    client_secret: str,
    name: str = "",
    reconnects: Connection | None = None,
    no_browser: bool,
    quiet: bool,
) -> Consent:
    """A consent that was given and looked at. quiet: nobody is told how it goes on, but where to go.

    Raises NoConsent when it was not given or cannot be used, WrongUse, and what the provider raises.
    """
    sign_in = provider(name_of_provider).sign_in
    if sign_in is None:
        raise WrongUse(f"Nobody signs in at: {provider(name_of_provider).title}.")
    with closing(Return(sign_in, wanted=not (no_browser and sign_in.without_redirect))) as coming:
        row = consenting.begin(
            name_of_provider,
            installation=app.installation,
            redirect=coming.address,
            location=location,
            client_secret=client_secret,
            name=name,
            reconnects=reconnects,
        )
        _ask(row, app, coming, by_device=no_browser and bool(sign_in.device), opens=not no_browser)
        try:
            looking.look(row, app.installation)
        except NoConsent as error:
            if error.why != "wider":
                raise
            click.echo(f"{error.what} {error.hint}", err=True)
            consenting.ask_again(row, app.installation, wider=True)
            _ask(row, app, coming, by_device=no_browser and bool(sign_in.device), opens=not no_browser)
            looking.look(row, app.installation)
    if not quiet:
        click.echo(f"Signed in as {row.account}.", err=True)
    return row


def _ask(row: Consent, app: App, coming: Return, *, by_device: bool, opens: bool) -> None:
    if by_device and _by_device(row, app):
        return
    address = consenting.address_of(row, app.installation)
    title = provider(row.provider).title
    click.echo(f"Allow access at {title} on this page:\n\n  {address}\n", err=True)
    if opens and _opened(address):
        click.echo("It should be open in your browser now. Waiting until you come back …", err=True)
    elif row.redirect:
        click.echo("On another computer the last page will not load: paste its whole address here.", err=True)
    else:
        click.echo("Paste the code here that the page shows.", err=True)
    coming.wait(row, app, reads=not opens or sys.stdin.isatty())


def _opened(address: str) -> bool:
    """Whether a browser shows the page, or is about to. Some end only with their last page, which waits for us."""
    said: list[bool] = []
    browser = threading.Thread(target=lambda: said.append(webbrowser.open(address)), daemon=True)
    browser.start()
    browser.join(OPENS_S)
    return said != [False]


def _by_device(row: Consent, app: App) -> bool:
    """Ask by a code for another device. False where the provider does not have that for this app."""
    try:
        code = consenting.begin_device(row, app.installation)
    except Refused:
        return False
    click.echo(f"On any device open {code.address} and type this code:\n\n  {code.user_code}\n", err=True)
    wait_s = code.interval_s
    while time.time() < code.expires_at:
        time.sleep(wait_s)
        try:
            if consenting.poll(row, app.installation):
                return True
        except SlowDown as error:
            wait_s = max(wait_s, error.wait_s)
    raise no("late", row)


class Return:
    """Waits on this machine for the browser that comes back, or for what is pasted in its place.

    address: where the provider sends the browser; "" when nothing here could be registered with it.
    """

    def __init__(self, sign_in: SignIn, *, wanted: bool) -> None:
        self._came: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._server = _listening(sign_in, self._came) if wanted else None
        self.address = ""
        if self._server is not None:
            port = self._server.server_address[1]
            self.address = f"http://{sign_in.redirect_host}:{port}{consenting.RETURN_PATH}"
            threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def wait(self, row: Consent, app: App, *, reads: bool) -> None:
        """Return when the consent is kept. Raises NoConsent and the like; what is none of it is told and passed by."""
        if reads:
            threading.Thread(target=self._read, daemon=True).start()
        ends = time.monotonic() + consenting.LASTS.total_seconds()
        while (left := ends - time.monotonic()) > 0:
            try:
                kind, what = self._came.get(timeout=left)
            except queue.Empty:
                break
            if self._taken(kind, what, row, app):
                return
        raise no("late", row)

    def _taken(self, kind: str, what: Any, row: Consent, app: App) -> bool:
        if kind == "pasted":
            try:
                consenting.paste(row, what, app.installation)
            except WrongUse as error:
                click.echo(f"{error.what} {error.hint}", err=True)
                return False
        else:
            try:
                found = consenting.come_back(what.answer, app.installation, browser="")
            except ChatkeepError as error:
                what.show(error.what, error.hint)
                if isinstance(error, NoConsent) and error.why == "unknown":
                    return False
                raise
            what.show("Chatkeep has what it needs.", "You may close this page and go back to the terminal.")
            if found.pk != row.pk:
                return False
        row.refresh_from_db()
        return True

    def _read(self) -> None:
        try:
            for line in sys.stdin:
                if line.strip():
                    self._came.put(("pasted", line))
        except (OSError, ValueError):  # there is nothing to read from
            return

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Came:
    """A browser that came back and waits for a page."""

    def __init__(self, answer: dict[str, str]) -> None:
        self.answer = answer
        self.page = b""
        self.decided, self.shown = threading.Event(), threading.Event()

    def show(self, what: str, hint: str) -> None:
        """Answer the browser, and wait a moment until it has the page."""
        self.page = _PAGE.format(what=html.escape(what), hint=html.escape(hint)).encode()
        self.decided.set()
        self.shown.wait(SHOWN_WITHIN_S)


_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>{what}</title></head><body><h1>{what}</h1><p>{hint}</p></body></html>"
)


def _listening(sign_in: SignIn, came: queue.Queue[tuple[str, Any]]) -> ThreadingHTTPServer | None:
    """A server on this machine alone; where every address must be registered, on a port that people were told."""

    class Answering(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            host = self.headers.get("Host", "").rpartition(":")[0]
            if asked.path != consenting.RETURN_PATH or host not in ("127.0.0.1", "localhost"):
                self.send_error(404)
                return
            coming = _Came(dict(parse_qsl(asked.query)))
            came.put(("came", coming))
            coming.decided.wait(60)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(coming.page)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(coming.page)
            coming.shown.set()

        def log_message(self, *_: Any) -> None:
            """The address holds the code: it is not logged."""

    for port in consenting.PORTS if sign_in.exact_redirect else (0,):
        try:
            server = ThreadingHTTPServer(("127.0.0.1", port), Answering)
        except OSError:
            continue
        server.daemon_threads = True
        return server
    return None
