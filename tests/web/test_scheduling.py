"""What is done by itself, on the page of a place: seen, changed, done now, paused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from tests import exports

from chatkeep.archive import Archive
from chatkeep.connections import opening
from chatkeep.connections.models import Connection
from chatkeep.jobs import queue, schedules
from chatkeep.jobs.models import Job, State
from chatkeep.operations import inbox


@pytest.fixture
def stick(keeper: Client, example_archive: Archive, tmp_path: Path) -> Connection:
    keeper.post("/backups/connect", {"path": str(tmp_path / "stick"), "name": "stick"})
    return opening.connection("stick")


def _page(keeper: Client) -> str:
    answer = keeper.get("/backups/stick/schedule")
    assert answer.status_code == 200
    return answer.content.decode()


def _change(keeper: Client, **given: object) -> int:
    return keeper.post("/backups/stick/schedule/change", given).status_code


def test_the_page_says_what_is_done_and_when(keeper: Client, stick: Connection) -> None:
    page = _page(keeper)
    assert "and 5 minutes after a change" in page
    for title in ("Backup", "Sync", "Check", "Rehearsed restore", "Readable copies", "Inbox"):
        assert f"{title}</h2>" in page
    assert page.count(">On</span>") == 3
    assert "/backups/stick/schedule" in keeper.get("/backups/").content.decode()


def test_a_rhythm_is_changed_in_the_form(keeper: Client, stick: Connection) -> None:
    for rhythm, every in (
        ("day", "day 04:30"),
        ("week", "week tue 04:30"),
        ("month", "month 7 04:30"),
        ("6h", "6h"),
        ("", ""),
    ):
        answer = _change(
            keeper,
            do="save",
            kind="backup",
            on="1",
            rhythm=rhythm,
            at="04:30",
            weekday="tue",
            day="7",
            after_change="9",
        )
        assert answer == 302
        found = schedules.one(stick.subject, "backup")
        assert (found.every, found.after_change, found.on) == (every, 9, True)
        assert schedules.words(found) in _page(keeper)
    schedules.change(schedules.one(stick.subject, "check"), every="90m")
    assert '<option value="90m" selected>every 90 minutes</option>' in _page(keeper)
    assert _change(keeper, do="save", kind="check", rhythm="90m") == 302
    assert schedules.one(stick.subject, "check").on is False


@pytest.mark.parametrize(
    "given",
    [
        {"do": "save", "kind": "backup", "on": "1", "rhythm": "day", "at": "noon"},
        {"do": "save", "kind": "backup", "on": "1", "rhythm": "", "after_change": "0"},
        {"do": "save", "kind": "backup", "on": "1", "rhythm": "6h", "after_change": "-3"},
        {"do": "save", "kind": "publish", "on": "1", "rhythm": "6h", "exporter": "docx"},
        {"do": "save", "kind": "coffee"},
        {"do": "dance"},
    ],
)
def test_what_makes_no_sense_is_explained_and_changes_nothing(
    keeper: Client, stick: Connection, given: dict[str, str]
) -> None:
    _page(keeper)
    before = [(one.kind, one.every, one.on) for one in schedules.of(stick.subject)]
    answer = keeper.post("/backups/stick/schedule/change", given)
    assert 400 <= answer.status_code < 500
    assert [(one.kind, one.every, one.on) for one in schedules.of(stick.subject)] == before


def test_copies_are_chosen_turned_on_and_written_now(
    keeper: Client, stick: Connection, work: Callable[[], None], tmp_path: Path
) -> None:
    _change(keeper, do="save", kind="publish", on="1", rhythm="day", at="05:00", exporter="html", attachments="1")
    assert '<option value="html" selected>' in _page(keeper)
    _change(keeper, do="now", kind="publish")
    work()
    job = Job.objects.get(kind="publish")
    assert (job.state, job.report["verified"]) == (State.DONE, True)
    assert list((tmp_path / "stick" / "Chats").rglob("*.html"))
    page = keeper.get(f"/activity/{job.pk}/").content.decode()
    assert "Readable copies</h2>" in page
    assert "Copies written" in page


def test_the_inbox_is_looked_into_now(
    keeper: Client, stick: Connection, work: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "QUIET_S", 0.0)
    (tmp_path / "stick" / "Inbox").mkdir()
    exports.many(tmp_path / "stick" / "Inbox" / "more.zip", 3)
    _change(keeper, do="now", kind="inbox")
    work()
    job = Job.objects.get(kind="inbox")
    assert job.state == State.DONE
    page = keeper.get(f"/activity/{job.pk}/").content.decode()
    assert "more.zip" in page
    assert "3 new conversations" in page
    assert "Look at the chats" in page


def test_all_of_it_is_paused_and_goes_on(keeper: Client, stick: Connection) -> None:
    job = queue.enqueue("check", stick.subject, {"connection": "stick"})
    _change(keeper, do="pause")
    page = _page(keeper)
    assert "Somebody paused it." in page
    assert "Go on with all of it" in page
    assert queue.find(job.pk).state == State.PAUSED
    _change(keeper, do="resume")
    assert "Somebody paused it." not in _page(keeper)
    assert queue.find(job.pk).state == State.WAITING


def test_a_place_that_is_not_there_is_not_found(keeper: Client) -> None:
    assert keeper.get("/backups/nowhere/schedule").status_code == 404


def test_a_stranger_sees_and_changes_nothing(stranger: Client) -> None:
    Connection.objects.create(name="stick", provider="folder")
    assert "By itself" not in stranger.get("/backups/stick/schedule").content.decode()
    stranger.post("/backups/stick/schedule/change", {"do": "pause"})
    assert schedules.of() == []
