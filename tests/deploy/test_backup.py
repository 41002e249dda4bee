"""The server itself is backed up while it works, and restored into an empty PostgreSQL and an empty folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import postgres
from deploy.running import chatkeep, settings
from postgres import Cluster

SETUP = """
import io, json, sys, uuid
from chatkeep.connections import start
from chatkeep.settings import Settings
settings = Settings.from_environment()
start.start(settings.home)
from chatkeep.importers.native import read_native
from chatkeep.jobs import lease, queue
from chatkeep.jobs.means import means_of
from chatkeep.people import belonging
from chatkeep.people.models import User
from corpus.blocks import make_items
from corpus.item import Settings as Corpus
from corpus.truth import Truth
means = means_of(settings)
"""
FILL = """
from django.contrib.sessions.backends.db import SessionStore
for number in range(3):
    user = User.objects.create(email=f"person-{number}@backup.example")
    archive = means.archive_of(belonging.archive_of(user))
    items = make_items(Corpus("chatgpt", "classic", number, True), Truth(), begin=0, end=12, jobs=1)
    archive.apply([c for item in items for c in read_native("chatgpt", item.data, archive.keep).conversations])
    session = SessionStore()
    session["_auth_user_id"] = str(user.pk)
    session.create()
job = queue.enqueue("check", "archive:" + "0" * 32)
assert lease.take(job)
"""
ONE_MORE = """
from chatkeep.model import *
from chatkeep.people.models import Membership
archive = means.archive_of(Membership.objects.order_by("pk").first().archive)
kept = archive.keep(io.BytesIO(b"a picture that came while the backup was made"))
conversation = decode(archive.document(archive.listing(limit=1)[0].id))
part = Part(type="attachment", sha256=kept.sha256, size=kept.size, name="late.png")
said = msgspec.structs.replace(conversation.messages[-1], id=str(uuid.uuid4()), parts=(part,))
archive.apply([msgspec.structs.replace(conversation, messages=(*conversation.messages, said))])
"""
STATE = """
from django.contrib.sessions.models import Session
from chatkeep.jobs.models import Job
states = sorted(Job.objects.values_list("state", flat=True))
print(json.dumps({"sessions": Session.objects.count(), "jobs": states}))
"""


def run(program: str, environment: dict[str, str]) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", SETUP + program], env=environment, capture_output=True, text=True, timeout=180
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def counts(environment: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(chatkeep("server", "check", "--json", environment=environment))
    return found


class Backup:
    """A dump of the rows and a copy of the store, as docs/guide/operate.md makes them."""

    def __init__(self, folder: Path) -> None:
        self.rows = folder / "rows.dump"
        self.store = folder / "store"

    def save_rows(self, url: str) -> None:
        command = [postgres.binaries() / "pg_dump", "--format=custom", f"--file={self.rows}", url]
        subprocess.run(command, check=True, timeout=120)

    def save_store(self, home: Path) -> None:
        shutil.copytree(home, self.store)

    def restore(self, url: str, home: Path) -> None:
        command = [postgres.binaries() / "pg_restore", "--exit-on-error", "--no-owner", f"--dbname={url}", self.rows]
        subprocess.run(command, check=True, timeout=120)
        shutil.copytree(self.store, home, dirs_exist_ok=True)


@pytest.fixture
def server(cluster: Cluster, tmp_path: Path) -> dict[str, str]:
    """A server with three people, their conversations, their sessions, and a job that runs."""
    environment = settings(tmp_path, database=cluster.fresh())
    bench = str(Path(__file__).parent.parent.parent / "bench")
    environment["PYTHONPATH"] += f":{bench}"
    chatkeep("server", "migrate", environment=environment)
    run(FILL, environment)
    return environment


@pytest.fixture
def elsewhere(tmp_path: Path, server: dict[str, str]) -> Iterator[dict[str, str]]:
    """Another PostgreSQL and another folder, both empty; the same secret."""
    (tmp_path / "there").mkdir()
    with postgres.running() as other:
        yield settings(tmp_path / "there", database=other.fresh()) | {"PYTHONPATH": server["PYTHONPATH"]}


def url_of(environment: dict[str, str]) -> str:
    return Path(environment["DATABASE_URL_FILE"]).read_text().strip()


def home_of(environment: dict[str, str]) -> Path:
    return Path(environment["CHATKEEP_HOME"])


@pytest.mark.slow
def test_what_was_there_when_the_rows_were_saved_is_all_there_again(
    server: dict[str, str], elsewhere: dict[str, str], tmp_path: Path
) -> None:
    backup, before = Backup(tmp_path), counts(server)
    assert before["conversations"] == 36
    backup.save_rows(url_of(server))
    run(ONE_MORE, server)  # people go on meanwhile
    backup.save_store(home_of(server))
    backup.restore(url_of(elsewhere), home_of(elsewhere))
    assert counts(elsewhere) == before
    assert counts(server) != before


@pytest.mark.slow
def test_with_the_store_saved_first_an_attachment_would_be_missing(
    server: dict[str, str], elsewhere: dict[str, str], tmp_path: Path
) -> None:
    """The control of the order, and of the check."""
    backup = Backup(tmp_path)
    backup.save_store(home_of(server))
    run(ONE_MORE, server)
    backup.save_rows(url_of(server))
    backup.restore(url_of(elsewhere), home_of(elsewhere))
    checked = subprocess.run(
        [sys.executable, "-m", "chatkeep", "server", "check"], env=elsewhere, capture_output=True, text=True
    )
    assert checked.returncode == 3
    assert "missing" in checked.stdout + checked.stderr


@pytest.mark.slow
def test_after_a_restore_nobody_is_signed_in_and_jobs_wait_for_a_worker(
    server: dict[str, str], elsewhere: dict[str, str], tmp_path: Path
) -> None:
    backup = Backup(tmp_path)
    backup.save_rows(url_of(server))
    backup.save_store(home_of(server))
    backup.restore(url_of(elsewhere), home_of(elsewhere))
    assert json.loads(run(STATE, elsewhere)) == {"sessions": 3, "jobs": ["running"]}
    said = json.loads(chatkeep("server", "restored", "--json", environment=elsewhere))
    assert said == {"sessions": 3, "jobs": 1}
    assert json.loads(run(STATE, elsewhere)) == {"sessions": 0, "jobs": ["waiting"]}
    assert "up to date" in chatkeep("server", "migrate", environment=elsewhere)
