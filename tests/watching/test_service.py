"""Everybody sees how the service is; operators see whether goals are kept; a bundle helps without telling."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import msgspec
import pytest
from django.test import Client
from django.utils import timezone

from chatkeep.connections.models import Connection
from chatkeep.jobs.models import Job, State
from chatkeep.people.models import User
from chatkeep.watching import bundle, service, signs
from chatkeep.watching.goals import goals
from chatkeep.watching.tallies import Tallies
from chatkeep.web import guard
from chatkeep.web.configuration import CHATKEEP
from chatkeep.web.pages import service as pages


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "CHATKEEP", msgspec.structs.replace(CHATKEEP, database_url="postgresql://x"))
    monkeypatch.setattr(guard, "OPEN_PATHS", (*guard.OPEN_PATHS, "/status/"))


@pytest.fixture
def operator(keeper: Client) -> Client:
    keeper.get("/")
    User.objects.update(role="operator")
    return keeper


@pytest.mark.usefixtures("server")
def test_operators_tell_everybody_of_a_disturbance_and_of_its_end(operator: Client, stranger: Client) -> None:
    visitor = Client(headers={"host": "127.0.0.1"})
    signs.beat()
    assert b"Everything works." in visitor.get("/status/").content
    said = {"title": "Uploads are slow", "part": "backups", "severity": "disturbed", "text": "We are at it."}
    assert operator.post("/operator/status/say", said).status_code == 302
    seen = visitor.get("/status/").content
    assert b"Uploads are slow" in seen
    assert b"Not everything works." in seen
    number = service.Incident.objects.get().pk
    operator.post("/operator/status/say", {"incident": number, "text": "Mended.", "do": "over"})
    seen = visitor.get("/status/").content
    assert b"Everything works." in seen
    assert b"Mended." in seen


def test_on_a_laptop_and_for_members_these_pages_are_not_there(keeper: Client) -> None:
    for address in ("/status/", "/operator/slo/", "/operator/status/"):
        assert keeper.get(address).status_code == 404, address
    assert keeper.post("/operator/status/say", {"title": "x"}).status_code == 404


def test_parts_are_as_the_rows_say() -> None:
    now = timezone.now()
    assert {part.name: part.state for part in service.parts(now)}["work"] == "down"
    signs.beat()
    for number in range(30):
        state = State.FAILED if number % 5 == 0 else State.DONE
        Job.objects.create(kind="backup", subject=f"connection:{number}", state=state, ended_at=now)
    found = {part.name: part.state for part in service.parts(now)}
    assert (found["work"], found["backups"], found["pages"]) == ("fine", "disturbed", "fine")


def test_goals_are_measured_from_the_counts_with_outages_apart(operator: Client) -> None:
    tally = Tallies()
    for result, times in (("done", 990), ("failed", 10), ("outage", 7)):
        tally("backup_runs_total", times, {"result": result, "stage": "end"})
    for took, code in ((0.1, "200"), (0.7, "200"), (0.1, "500"), (0.2, "200")):
        tally("http_request_duration_seconds", took, {"route": "home", "method": "GET", "code": code})
    tally("http_request_duration_seconds", 60, {"route": "import", "method": "POST", "code": "200"})
    tally.flush()
    found = {goal.title: goal for goal in goals(timezone.now())}
    backups = found["Backups that finish"]
    assert (backups.measured, backups.is_missed) == (0.99, True)
    assert "7 runs met a provider that was away" in backups.note
    assert found["Requests answered in 500 ms and without an error"].measured == 0.5
    assert found["What was read back is what was written"].measured is None
    answer = operator.get("/operator/slo/").content
    assert b"99.000%" in answer
    assert b"Missed" in answer


def test_a_bundle_has_what_helps_and_nothing_that_tells_of_anybody(place: Connection, tmp_path: Path) -> None:
    Connection.objects.update(account="canary@example.com", trouble="canary trouble", name="canary-name")
    Job.objects.create(kind="backup", subject=place.subject, state=State.FAILED, what="canary", log="canary", report={})
    (tmp_path / bundle.LOG).write_text(
        "2026-01-02 03:04:05,678 ERROR chatkeep.jobs: canary words of a message\nKeyError raised at\n"
        "  run.py:12 work\ncanary line\n"
    )
    environment = {"CHATKEEP_KEY": "canary-key", "CHATKEEP_PORT": "8765", "DATABASE_URL": "postgresql://canary@x/y"}
    environment |= {"CHATKEEP_NOTIFY_MAIL": "smtps://canary", "HOME": "/home/canary", "TZ": "canary zone!"}
    text = bundle.bundle(home=tmp_path, now=timezone.now(), counts={"conversations": 7}, environment=environment)
    assert "canary" not in text
    assert place.uid not in text
    assert str(tmp_path) not in text
    found = json.loads(text)
    assert found["settings"] == {
        "CHATKEEP_KEY": "set",
        "CHATKEEP_NOTIFY_MAIL": "set",
        "CHATKEEP_PORT": "8765",
        "DATABASE_URL": "set",
        "TZ": "set",
    }
    assert found["log"] == ["2026-01-02 03:04:05,678 ERROR chatkeep.jobs", "KeyError raised at", "  run.py:12 work"]
    assert found["places"][0]["has_trouble"] is True
    bundle.write(text, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as made:
        assert made.read("chatkeep.json").decode() == text
    assert (tmp_path / "out.zip").stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        bundle.write(text, tmp_path / "out.zip")
