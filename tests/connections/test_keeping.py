"""Sign-ins as they are kept: one refresh for many, a rotated token on disk before use, and notes that say nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection as database
from django.utils import timezone

from chatkeep.connections import keeping, opening
from chatkeep.connections.installation import Installation
from chatkeep.connections.keeping import KeptNotes, KeptTokens
from chatkeep.connections.models import Connection, Note
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secret
from chatkeep.errors import NotFound, SignInAgain
from chatkeep.providers import Tokens
from connections.attic import NAME, SIGN_IN, attic
from fakes.given import Cloud

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """An attic that gives a new refresh token each time, and takes the one before no more."""
    with attic(rotates=True) as opened:
        yield opened


@pytest.fixture
def here(installation: Installation, cloud: Cloud) -> Installation:
    return replace(installation, clients={NAME: ("cid", "csec")}, cloud_base=cloud.url)


@pytest.fixture
def row(here: Installation, cloud: Cloud) -> Connection:
    """A connection whose access token is of no more use."""
    made = Connection.objects.create(name="a", provider=NAME, account_id="p1", location={"client_id": "cid"})
    issued = cloud.fake.issue("alice")
    KeptTokens(made, here).save(Tokens(issued.access, issued.refresh, 0.0, SIGN_IN.scopes))
    return made


def test_tokens_are_kept_sealed_and_come_back(row: Connection, here: Installation) -> None:
    tokens = Tokens("access-1", "refresh-1", 12.5, ("a", "b"), 99.0)
    KeptTokens(row, here).save(tokens)
    assert KeptTokens(Connection.objects.get(), here).load() == tokens
    assert b"refresh-1" not in bytes(Connection.objects.get().tokens)


def test_without_tokens_one_has_to_sign_in(row: Connection, here: Installation) -> None:
    Connection.objects.update(tokens=b"")
    with pytest.raises(SignInAgain):
        KeptTokens(row, here).load()


def test_tokens_of_a_place_that_has_gone_are_not_kept(row: Connection, here: Installation) -> None:
    kept = KeptTokens(row, here)
    Connection.objects.all().delete()
    with pytest.raises(NotFound):
        kept.save(Tokens("a", "b", 0.0, ()))


def test_many_threads_that_find_the_token_stale_refresh_it_once(
    row: Connection, here: Installation, cloud: Cloud
) -> None:
    barrier, found, wrong = threading.Barrier(16), set(), []

    def ask() -> None:
        means = opening.means_of(row, here)
        assert means is not None
        barrier.wait()
        try:
            found.add(means.access.token())
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert (len(found), cloud.fake.consent.refreshes) == (1, 1)
    assert KeptTokens(row, here).load().access in found


ASKING = """
import sys
from pathlib import Path
import django
django.setup()
from django.db import connections
connections["default"].settings_dict["NAME"] = sys.argv[2]
from connections.attic import AtticFake, NAME, SIGN_IN
from chatkeep import providers
from chatkeep.connections import opening
from chatkeep.connections.installation import Installation
from chatkeep.connections.models import Connection
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secrets
providers.register(providers.Provider(name=NAME, title="Attic", needs=(), open=lambda *_: None, sign_in=SIGN_IN))
home = Path(sys.argv[1])
here = Installation(home, Safe(Secrets(home)), "h", {NAME: ("cid", "csec")}, sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
print(opening.means_of(Connection.objects.get(), here).access.token())
"""


SERVERS = ("DATABASE_URL", "CHATKEEP_KEY", "CHATKEEP_PUBLIC_URL")


def test_several_processes_that_find_the_token_stale_refresh_it_once(
    row: Connection, here: Installation, cloud: Cloud, tmp_path: Path
) -> None:
    given = [str(here.home), str(database.settings_dict["NAME"]), cloud.url]
    environment = {"CHATKEEP_HOME": str(tmp_path / "other"), "DJANGO_SETTINGS_MODULE": "chatkeep.web.configuration"}
    environment |= {"PYTHONPATH": ":".join(path for path in sys.path if path), "PATH": "/usr/bin:/bin"}
    environment |= {name: os.environ[name] for name in SERVERS if name in os.environ}
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", ASKING, *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for _ in range(3)
    ]
    for process in asking:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    told = set()
    for process in asking:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in asking:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        told.add(out.strip())
    assert (len(told), cloud.fake.consent.refreshes) == (1, 1)


def test_a_rotated_token_is_on_disk_before_the_new_one_is_used(
    row: Connection, here: Installation, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Tokens] = []
    save = KeptTokens.save

    def noted(kept: KeptTokens, tokens: Tokens) -> None:
        assert not database.in_atomic_block
        save(kept, tokens)
        assert not database.in_atomic_block  # committed, with synchronous=FULL
        saved.append(tokens)

    monkeypatch.setattr(KeptTokens, "save", noted)
    means = opening.means_of(row, here)
    assert means is not None
    token = means.access.token()
    assert [tokens.access for tokens in saved] == [token]
    assert KeptTokens(row, here).load().refresh == cloud.fake.consent.live_grants()[0].refresh


def test_a_sign_in_survives_many_rotations(row: Connection, here: Installation, cloud: Cloud) -> None:
    for _ in range(5):
        means = opening.means_of(row, here)
        assert means is not None
        token = means.access.token(refused=KeptTokens(row, here).load().access)
        assert cloud.fake.consent.grant(token)
    assert cloud.fake.consent.refreshes == 5


def test_accounts_have_one_gate_in_this_process(row: Connection, here: Installation) -> None:
    other = Connection(name="b", provider=NAME, account_id="p1", location={"client_id": "cid"})
    stranger = Connection(name="c", provider=NAME, account_id="p2", location={"client_id": "cid"})
    gates = [opening.means_of(place, here).gate for place in (row, other, stranger)]  # type: ignore[union-attr]
    assert gates[0] is gates[1]
    assert gates[0] is not gates[2]


def test_notes_are_kept_sealed_under_keys_that_tell_nothing(here: Installation) -> None:
    notes = KeptNotes("owner", here)
    assert notes.get("upload of Mum.md") is None
    notes.put("upload of Mum.md", b"https://session")
    notes.put("upload of Mum.md", b"https://session/2")
    assert KeptNotes("owner", here).get("upload of Mum.md") == b"https://session/2"
    assert KeptNotes("another", here).get("upload of Mum.md") is None
    (note,) = Note.objects.values_list("key", "value")
    assert "Mum" not in note[0]
    assert b"session" not in bytes(note[1])
    notes.drop("upload of Mum.md")
    notes.drop("upload of Mum.md")
    assert notes.get("upload of Mum.md") is None


def test_a_note_that_does_not_open_any_more_is_none(here: Installation) -> None:
    KeptNotes("owner", here).put("x", b"y")
    other = replace(here, safe=Safe(Secret("another secret, also long enough")))
    assert KeptNotes("owner", other).get("x") is None


def test_notes_that_nobody_wrote_for_months_go(here: Installation) -> None:
    notes = KeptNotes("owner", here)
    notes.put("old", b"1")
    Note.objects.update(written_at=timezone.now() - keeping.FORGOTTEN_AFTER - timedelta(days=1))
    notes.put("new", b"2")
    assert (notes.get("old"), notes.get("new")) == (None, b"2")


def test_a_thread_that_was_not_at_the_database_leaves_no_connection_behind(row: Connection, here: Installation) -> None:
    left: list[object] = []

    def visit() -> None:
        KeptTokens(row, here).load()
        KeptNotes(row.uid, here).put("x", b"y")
        left.append(database.connection)

    thread = threading.Thread(target=visit)
    thread.start()
    thread.join()
    assert left == [None]
