"""No secret is anywhere but in the safe: not in the database's bytes, files, logs, errors, output, exports, reprs."""

from __future__ import annotations

import logging
import os
import re
import threading
import urllib.request
import webbrowser
from dataclasses import dataclass
from pathlib import Path

import pytest

from chatkeep.cli.rooms import App
from chatkeep.connections import consenting, opening
from chatkeep.connections.keeping import KeptNotes, KeptTokens
from chatkeep.connections.models import Connection, Consent, Note
from chatkeep.errors import ChatkeepError
from chatkeep.storage import Retrying
from fakes.given import Cloud

from .conftest import Command

CLIENT_SECRET = "canary-client-secret-7d1f"
PASSPHRASE = "canary passphrase 9a2c"
SESSION = "https://upload.example.com/session?upload_id=canary-session-51be"
LARGE = 6 * 1024 * 1024
COMMANDS = (
    ("connections",),
    ("connections", "--json"),
    ("connections", "test"),
    ("status",),
    ("status", "--json"),
    ("doctor",),
    ("keys", "list"),
    ("backup",),
    ("snapshots",),
    ("check",),
    ("schedule",),
)


pytestmark = pytest.mark.slow


@dataclass
class Watched:
    """A connected place, and everything that was said and logged since."""

    chatkeep: Command
    cloud: Cloud
    home: Path
    said: list[str]

    def run(self, *arguments: object) -> None:
        ended = self.chatkeep(*arguments)
        self.said += [ended.out, ended.err]


@pytest.fixture
def watched(
    filled: Command, google_fake: Cloud, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Watched:
    """Two conversations, and a Google Drive that was connected with an own app, with everything logged."""
    caplog.set_level(logging.DEBUG)
    google_fake.fake.consent.clients = {"cid": CLIENT_SECRET}
    google_fake.fake.consent.automatic = "allow"
    visits: list[threading.Thread] = []

    def visit(address: str) -> bool:
        def go() -> None:
            with urllib.request.urlopen(address, timeout=20) as answer:
                answer.read()

        visits.append(threading.Thread(target=go))
        visits[-1].start()
        return True

    monkeypatch.setattr(webbrowser, "open", visit)
    waits = Retrying.__init__.__kwdefaults__
    monkeypatch.setitem(waits, "sleep", lambda _: None)  # type: ignore[misc]  # pauses are another test's business
    monkeypatch.setenv("CHATKEEP_CLOUD_BASE", google_fake.url)
    monkeypatch.setenv("CHATKEEP_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("CHATKEEP_LOG_LEVEL", "info")
    secret = home.parent / "client-secret"
    secret.write_text(CLIENT_SECRET)
    found = Watched(filled, google_fake, home, [])
    found.run("connect", "google-drive", "--client-id", "cid", "--client-secret-file", secret)
    for thread in visits:
        thread.join()
    return found


def canaries(watched: Watched) -> list[bytes]:
    """Every secret there is: tokens, codes, the app's secret, the session of an upload, keys, the passphrase."""
    app, connection = App(), Connection.objects.get()
    tokens = KeptTokens(connection, app.installation).load()
    issued = [*watched.cloud.fake.consent._access, *watched.cloud.fake.consent._refresh]
    codes = list(watched.cloud.fake.consent._codes)
    key = app.installation.safe.unseal(bytes(connection.master_key), place=connection.place(opening.MASTER_KEY))
    sealed = (watched.home / "secret.key").read_text().strip()
    texts = [tokens.access, tokens.refresh, *issued, *codes, CLIENT_SECRET, SESSION, "canary-session", PASSPHRASE]
    assert tokens.refresh in issued
    assert codes
    return [*(text.encode() for text in (*texts, sealed)), key, key[:32], key.hex().encode()]


def files(home: Path) -> dict[str, bytes]:
    """All that lies in the data folder but the secret itself."""
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file() and path.name != "secret.key"}


def test_no_secret_is_anywhere_but_in_the_safe(
    watched: Watched, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    installation, connection = App().installation, Connection.objects.get()
    KeptNotes(connection.uid, installation).put("upload of canary-name", SESSION.encode())
    sessions = _upload_and_break(watched, installation)
    for command in COMMANDS:
        watched.run(*command)
    watched.run("export", "--format", "json", "--out", tmp_path / "export.zip")
    pending = consenting.begin("google-drive", installation=installation, reconnects=connection, redirect="http://x/")
    verifier = consenting._asked(pending, installation).verifier
    watched.run("connections", "rotate-secret")
    watched.cloud.fake.consent.revoke_all()
    for command in COMMANDS:
        watched.run(*command)
    places = files(watched.home) | {"export": (tmp_path / "export.zip").read_bytes()}
    places["said"] = "\n".join(watched.said).encode()
    places["logged"] = caplog.text.encode()
    places["shown"] = repr([*Connection.objects.all(), *Consent.objects.all(), *Note.objects.all()]).encode()
    secrets = canaries(watched)
    found = [(name, secret) for name, data in places.items() for secret in [*secrets, *sessions] if secret in data]
    assert found == []
    assert [name for name, data in places.items() if verifier.encode() in data] == []
    assert any(b"alice@example.com" in data for data in places.values())  # the control: what is there is found
    assert b"google-drive" in places["said"]


def _upload_and_break(watched: Watched, installation: object) -> list[bytes]:
    """A large upload that breaks off, and answers that say no. What the addresses of the upload are known by."""
    storage = opening.open_storage(Connection.objects.get(), installation)  # type: ignore[arg-type]
    faults = watched.cloud.faults
    faults.fail("PUT .*upload_id", 500, times=30)
    try:
        storage.put("Chats/large", os.urandom(LARGE))
    except ChatkeepError as error:
        watched.said += [str(error), repr(error), error.hint]
    faults.clear()
    sessions = {found for line in watched.cloud.journal.lines() for found in re.findall(r"upload_id=([\w-]+)", line)}
    assert sessions, "the upload has an address of its own"
    for status in (400, 401, 403, 404, 500):
        faults.fail("/drive/v3/", status, times=4, body=b'{"error": {"message": "canary-session in an answer"}}')
        try:
            storage.stat("Vault/config")
        except ChatkeepError as error:
            watched.said += [str(error), repr(error), error.hint]
        faults.clear()
    storage.close()
    return [session.encode() for session in sessions]


def test_what_holds_a_secret_does_not_show_it(watched: Watched) -> None:
    app = App()
    connection = Connection.objects.get()
    held = [
        app.settings,
        app.installation,
        app.installation.safe,
        app.secrets,
        opening.client_of(connection, app.installation),
        KeptTokens(connection, app.installation).load(),
        KeptTokens(connection, app.installation),
        opening.means_of(connection, app.installation),
        connection,
    ]
    shown = repr(held).encode() + "".join(map(str, held)).encode()
    assert [secret for secret in canaries(watched) if secret in shown] == []
