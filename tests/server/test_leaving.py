"""Taking everything away, and being erased so that no trace is left but the certificate."""

from __future__ import annotations

import json
import secrets
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from chatkeep import example
from chatkeep.connections import connecting
from chatkeep.jobs import queue
from chatkeep.jobs.kinds import kinds
from chatkeep.jobs.models import Job
from chatkeep.jobs.worker import Worker
from chatkeep.operations import import_from
from chatkeep.people import inviting
from chatkeep.people.belonging import archives_of
from chatkeep.people.models import Audit, Certificate, User
from chatkeep.vault import keys
from chatkeep.web import held
from server.conftest import Somebody

pytestmark = pytest.mark.usefixtures("tables")
Pair = tuple[User, Client]
CANARY = f"canary{secrets.token_hex(6)}"


def work() -> None:
    worker = Worker(kinds(held.means()))
    while worker.run_one():
        pass


@pytest.fixture
def full(alice: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Alice with conversations, a place, an invitation she made; the id of her archive."""
    monkeypatch.setattr(keys, "COST_N", 2**10)
    monkeypatch.setattr(sys.modules[__name__], "CANARY", f"canary{secrets.token_hex(6)}")
    own = archives_of(alice[0])[0]
    archive = held.means().archive_of(own)
    import_from(archive, example.paths())
    archive.edit(archive.listing()[0].id, "title", CANARY)
    here = replace(held.means().installation_of(own), shared=False)
    connecting.connect("folder", {"path": str(tmp_path / CANARY)}, installation=here, name=CANARY)
    inviting.invite(by=alice[0], archive=own)
    queue.enqueue("check", "connection:x", {"note": CANARY}, archive=own)
    Job.objects.update(state="done")
    return own


def traces(*words: str) -> list[str]:
    """The tables and files that hold one of these words."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_type = 'BASE TABLE' AND table_schema IN ('public', 'archive')"
        )
        for schema, table in cursor.fetchall():
            cursor.execute(f'SELECT x::text FROM "{schema}"."{table}" AS x')
            for (row,) in cursor.fetchall():
                found += [f"{schema}.{table}: {word}" for word in words if word.lower() in str(row).lower()]
    for path in settings.CHATKEEP.home.rglob("*"):
        held_here = path.read_bytes().lower() if path.is_file() else b""
        found += [f"{path}: {word}" for word in words if word.encode().lower() in held_here + str(path).encode()]
    return sorted(set(found))


def test_the_file_holds_everything_and_nothing_that_opens_anything(alice: Pair, full: str) -> None:
    user, browser = alice
    assert browser.post("/settings/everything").status_code == 302
    work()
    job = Job.objects.get(kind="everything")
    assert job.state == "done", job.what
    answer = browser.get(f"/export/{job.pk}/download")
    answer.close()
    assert answer.status_code == 200
    with zipfile.ZipFile(json.loads(job.arguments)["out"]) as file:
        names = file.namelist()
        profile = json.loads(file.read("profile.json"))[0]
        text = "".join(file.read(name).decode(errors="replace") for name in names)
    assert profile["email"] == user.email
    assert CANARY in text
    assert {"log.json", "connections-connection.json", "people-membership.json"} <= set(names)
    assert sum(name.startswith("conversations-") for name in names) >= job.report["conversations"] == 4
    assert "argon2" not in text
    assert "master_key" not in text


def test_afterwards_no_trace_is_left_and_the_certificate_says_what_was_erased(
    alice: Pair, full: str, olivia: Pair, somebody: Somebody
) -> None:
    user, browser = alice
    somebody("bob")
    user.name = f"wonder{secrets.token_hex(6)}"
    user.save(update_fields=["name"])
    words = (CANARY, "alice@example.org", user.name)
    assert len(traces(*words)) > 3  # the control
    assert browser.post("/settings/erase", {"email": "wrong@example.org"}).status_code == 400
    page = browser.post("/settings/erase", {"email": user.email}).content.decode()
    link = page.split("http://127.0.0.1:8765")[1].split("<")[0]
    assert browser.get("/").status_code == 302
    work()
    job = Job.objects.get(kind="erase")
    assert job.state == "done", (job.what, job.log)
    assert traces(*words) == []
    assert not (settings.CHATKEEP.home / "archives" / full).exists()
    kept = Certificate.objects.get()
    assert kept.counts["conversations"] == 4
    assert kept.counts["connections"] == 1
    assert "stay in the person's own account" in kept.unreached[0]
    assert Audit.objects.get(what="user.erased").details == {"certificate": kept.hash}
    given: Any = browser.get(f"{link}?download=1").json()
    assert given["hash"] == kept.hash
    assert kept.hash in olivia[1].get("/operator/erasures/").content.decode()
    assert User.objects.filter(email="bob@example.org").exists()


def test_an_erasure_that_was_cut_off_goes_on(alice: Pair, full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from chatkeep.jobs import leaving

    user, browser = alice
    browser.post("/settings/erase", {"email": user.email})
    usual = leaving._erase_rows
    monkeypatch.setattr(leaving, "_erase_rows", lambda *_: (_ for _ in ()).throw(SystemError("cut off")))
    work()
    assert Job.objects.get(kind="erase").state == "failed"
    monkeypatch.setattr(leaving, "_erase_rows", usual)
    Job.objects.filter(kind="erase").update(state="waiting")
    work()
    assert Certificate.objects.get().counts["conversations"] == 4
    assert traces(CANARY, user.email) == []
