"""Telling a person: by e-mail, ntfy, or to a program of theirs; and the call that a watchdog misses when it stays away.

What goes out says what is wrong with which place, by the name its keeper gave it, and never a word of a chat.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from chatkeep import happenings
from chatkeep.connections.installation import OWN
from chatkeep.connections.safe import Safe
from chatkeep.errors import ChatkeepError, Refused, Unavailable, WrongUse
from chatkeep.providers import calling
from chatkeep.settings import Settings
from chatkeep.watching.models import SEALED, Channels

PATIENCE_S = 10.0


class Ways(msgspec.Struct, frozen=True):
    """The addresses of one keeper; "" for none. Hides when shown: they may hold passwords."""

    mail: str = ""
    ntfy: str = ""
    webhook: str = ""
    ping: str = ""

    def __repr__(self) -> str:
        return "Ways(…)"

    @property
    def any(self) -> bool:
        """Whether a person can be told."""
        return bool(self.mail or self.ntfy or self.webhook)


class Word(msgspec.Struct, frozen=True):
    """What is told. title: a few words; text: sentences. code: of the finding; urgent: it should wake somebody."""

    title: str
    text: str
    code: str = ""
    urgent: bool = False
    over: bool = False


def ways(row: Channels | None, safe: Safe, settings: Settings) -> Ways:
    """The addresses of a keeper: those that were saved, else, on a laptop, those of the settings."""
    given = Ways(settings.notify_mail, settings.notify_ntfy, settings.notify_webhook, settings.notify_ping)
    base = Ways() if settings.is_server else given
    found = {}
    for name in SEALED:
        sealed = bytes(getattr(row, name)) if row else b""
        found[name] = safe.unseal(sealed, place=row.place(name)).decode() if row and sealed else getattr(base, name)
    return Ways(**found)


def save(archive: str, wanted: Ways, *, digest: bool, safe: Safe, guarded: bool) -> Channels:
    """Keep the addresses of a keeper, sealed. Raises WrongUse for what is none, before anything is saved."""
    check(wanted, guarded=guarded)
    row = Channels.objects.filter(archive=archive).first() or Channels(archive=archive)
    for name in SEALED:
        text = getattr(wanted, name)
        setattr(row, name, safe.seal(text.encode(), place=row.place(name)) if text else b"")
    row.digest = digest
    row.save()
    return row


def of(archive: str = OWN) -> Channels | None:
    """The row of an archive."""
    return Channels.objects.filter(archive=archive).first()


def check(wanted: Ways, *, guarded: bool) -> None:
    """Refuse what is no address. Raises WrongUse."""
    for address in (wanted.ntfy, wanted.webhook, wanted.ping):
        if address:
            calling.check(address, guarded=guarded)
    if wanted.mail:
        _server(wanted.mail)


def tell(to: Ways, word: Word, *, guarded: bool) -> list[str]:
    """Tell a person by every way there is. What did not work, in sentences; empty when all did.

    guarded: nothing inside the network that this program stands in is called.
    """
    troubles = []
    for name, send in (("mail", _mail), ("ntfy", _ntfy), ("webhook", _webhook)):
        address = getattr(to, name)
        if not address:
            continue
        try:
            send(address, word, guarded)
            happenings.tell("notices_total", channel=name, result="sent")
        except ChatkeepError as error:
            happenings.tell("notices_total", channel=name, result="failed")
            troubles.append(f"{name}: {error.what}")
    return troubles


def ping(to: Ways, *, guarded: bool) -> bool:
    """Call the watchdog, if there is one. Whether it was reached."""
    try:
        calling.call(to.ping, method="GET", guarded=guarded)
    except ChatkeepError:
        happenings.tell("notices_total", channel="ping", result="failed")
        return False
    happenings.tell("notices_total", channel="ping", result="sent")
    return True


def _ntfy(address: str, word: Word, guarded: bool) -> None:
    """Title, priority and tags are headers, the text is the body. Source: ntfy, Publishing, seen 2026-11."""
    headers = {
        "Title": word.title.encode("ascii", "replace").decode(),
        "Priority": "high" if word.urgent else "default",
        "Tags": "white_check_mark" if word.over else "warning" if word.code else "floppy_disk",
    }
    calling.call(address, content=word.text.encode(), headers=headers, guarded=guarded)


def _webhook(address: str, word: Word, guarded: bool) -> None:
    headers = {"Content-Type": "application/json"}
    calling.call(address, content=msgspec.json.encode(word), headers=headers, guarded=guarded)


class _Server(msgspec.Struct, frozen=True):
    """Where mail is handed in. tls: from the first byte, or begun later ("later"), or not at all ("never")."""

    host: str
    port: int
    tls: str
    name: str
    password: str
    sender: str
    to: str


def _server(address: str) -> _Server:
    hint = "smtps://name:password@mail.example/?from=me@example.org&to=me@example.org; smtp:// for STARTTLS"
    try:
        parts = urlsplit(address)
        given = parse_qs(parts.query)
        tls = {"smtps": "first", "smtp": "later", "smtp+plain": "never"}[parts.scheme]
        sender, to = given["from"][0], given["to"][0]
        port = parts.port or {"first": 465, "later": 587, "never": 25}[tls]
    except (KeyError, IndexError, ValueError) as error:
        raise WrongUse("This is no address of a mail server with from and to.", hint=hint) from error
    if not parts.hostname or "@" not in sender or "@" not in to or any(c in sender + to for c in "\r\n"):
        raise WrongUse("This is no address of a mail server with from and to.", hint=hint)
    name, password = unquote(parts.username or ""), unquote(parts.password or "")
    return _Server(parts.hostname, port, tls, name, password, sender, to)


def _mail(address: str, word: Word, guarded: bool) -> None:
    server = _server(address)
    at = server.host
    if guarded:
        found = calling.addresses(server.host, server.port)
        if not all(calling.is_open(one) for one in found):
            raise Refused("This mail server does not belong to the open internet.")
        at = found[0]
    letter = EmailMessage()
    letter["Subject"], letter["From"], letter["To"] = f"Chatkeep: {word.title}", server.sender, server.to
    letter["Date"], letter["Message-ID"] = formatdate(), make_msgid(domain="chatkeep.invalid")
    letter.set_content(word.text + "\n")
    try:
        with _opened(server, at) as smtp:
            if server.name:
                smtp.login(server.name, server.password)
            smtp.send_message(letter)
    except (OSError, smtplib.SMTPException) as error:
        raise Unavailable("The mail server does not take it.") from error


class _At(smtplib.SMTP):
    """Speaks to one address of a server, the one that was looked at, and not to what its name says a moment later."""

    def __init__(self, server: _Server, at: str) -> None:
        self._at = at
        self._tls_first = server.tls == "first"
        super().__init__(server.host, server.port, timeout=PATIENCE_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made = socket.create_connection((self._at, port), timeout)
        return ssl.create_default_context().wrap_socket(made, server_hostname=host) if self._tls_first else made


def _opened(server: _Server, at: str) -> smtplib.SMTP:
    context = ssl.create_default_context()
    smtp = _At(server, at)
    if server.tls == "later":
        smtp.starttls(context=context)
    return smtp
