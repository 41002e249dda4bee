"""What is done by itself, seen and changed from the command line; copies and the inbox of a place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests import exports
from tests.cli.conftest import Command

from chatkeep.connections import opening
from chatkeep.jobs import queue, schedules
from chatkeep.jobs.models import State
from chatkeep.operations import inbox


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "QUIET_S", 0.0)


def one(chatkeep: Command, what: str) -> dict[str, object]:
    (found,) = [entry for entry in chatkeep("schedule", "--json").json if entry["what"] == what]
    return dict(found)


def test_without_a_place_nothing_is_scheduled(chatkeep: Command) -> None:
    assert chatkeep("schedule").out.startswith("Nothing is connected yet.")
    assert chatkeep("schedule", "--json").json == []


def test_a_connected_place_is_backed_up_and_checked_by_itself(backed_up: Command) -> None:
    found = {entry["what"]: entry for entry in backed_up("schedule", "--json").json}
    assert list(found) == ["backup", "sync", "check", "drill", "copies", "inbox"]
    assert [entry["on"] for entry in found.values()] == [True, False, True, True, False, False]
    assert re.fullmatch(r"every day at 0\d:\d\d, and 5 minutes after a change", found["backup"]["words"])
    assert found["backup"]["next_at"] > found["backup"]["last_at"] > ""
    assert (found["copies"]["next_at"], found["copies"]["last_at"]) == ("", "")
    shown = backed_up("schedule").out
    assert shown.splitlines()[0].split() == ["Place", "What", "When", "Next", "Last", "done"]
    assert re.search(r"folder +copies +off\n", shown)


def test_a_schedule_is_changed_and_turned_off(backed_up: Command) -> None:
    changed = backed_up("schedule", "set", "backup", "--every", "6h", "--after-change", "30", "--json").json
    assert [entry["words"] for entry in changed] == ["every 6 hours, and 30 minutes after a change"]
    assert one(backed_up, "backup")["every"] == "6h"
    assert backed_up("schedule", "set", "copies", "folder", "--every", "week sun 4:00").code == 0
    assert one(backed_up, "copies")["on"] is True
    assert backed_up("schedule", "set", "check", "--off").code == 0
    assert one(backed_up, "check")["on"] is False


def test_what_makes_no_sense_is_wrong_use(backed_up: Command) -> None:
    ended = backed_up("schedule", "set", "backup", "--every", "at noon")
    assert (ended.code, '"day 03:30"' in ended.err) == (2, True)
    assert backed_up("schedule", "set", "backup", "--every", "never", "--after-change", "0").code == 2
    ended = backed_up("schedule", "set", "coffee", "--on")
    assert (ended.code, "backup, sync, check, drill, copies, inbox" in ended.err) == (1, True)


def test_a_place_is_paused_and_resumed(backed_up: Command) -> None:
    assert "folder is paused: Somebody paused it." in backed_up("schedule", "pause").out
    assert one(backed_up, "backup")["paused"] == "Somebody paused it."
    assert "paused: Somebody paused it." in backed_up("status").out
    assert "paused" not in backed_up("schedule", "resume").out


def test_status_says_when_the_next_backup_is(backed_up: Command) -> None:
    (place,) = backed_up("status", "--json").json["places"]
    assert place["next_at"] > place["backed_up_at"]
    assert re.search(r"next backup \d{4}-\d\d-\d\d \d\d:\d\d", backed_up("status").out)
    backed_up("schedule", "set", "backup", "--off")
    assert "no backup is scheduled" in backed_up("status").out


def test_a_backup_that_was_missed_is_said_to_be_due(backed_up: Command) -> None:
    backed_up("schedule")
    from chatkeep.jobs.models import Schedule

    Schedule.objects.update(next_due=opening.connection().connected_at)
    assert "due as soon as Chatkeep runs" in backed_up("status").out


# -- copies


def test_copies_are_written_and_what_was_chosen_is_remembered(backed_up: Command, place: Path) -> None:
    report = backed_up("copies", "--format", "txt", "--attachments", "--json").json
    assert (report["written"], report["attachments"], report["verified"]) == (2, 1, True)
    assert len(list((place / "Chats").rglob("*.txt"))) == 2
    again = backed_up("copies")
    assert again.out.splitlines()[0] == "folder: 2 readable copies in Chats"
    assert "0 written, 0 removed, 2 up to date" in again.out
    assert "Verified" in again.out
    assert schedules.arguments(schedules.one(opening.connection().subject, "publish"))["exporter"] == "txt"


def test_copies_are_taken_away_and_written_no_more(backed_up: Command, place: Path) -> None:
    backed_up("schedule", "set", "copies", "--on")
    backed_up("copies")
    (edited, _) = sorted((place / "Chats").rglob("*.md"))
    edited.write_text("mine")
    ended = backed_up("copies", "--remove")
    assert ended.code == 0
    assert "1 removed" in ended.out
    assert "was edited and is left as it is" in ended.out
    assert [path.read_text() for path in (place / "Chats").rglob("*") if path.is_file()] == ["mine"]
    assert one(backed_up, "copies")["on"] is False


# -- the inbox


def test_the_inbox_is_imported_with_a_receipt(backed_up: Command, place: Path, tmp_path: Path) -> None:
    assert "the inbox is empty" in backed_up("inbox").out
    (place / "Inbox").mkdir()
    exports.many(place / "Inbox" / "more.zip", 3)
    ended = backed_up("inbox")
    assert ended.out.startswith("more.zip: 3 added, 0 updated, 6 messages; now in Inbox/Done/more.zip\n")
    receipt = re.search(r"chatkeep undo (\d+)", ended.out)
    assert receipt
    assert backed_up("undo", receipt[1]).code == 0


def test_what_is_no_export_is_told_once_with_its_own_exit_code(backed_up: Command, place: Path) -> None:
    (place / "Inbox").mkdir()
    (place / "Inbox" / "holiday.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    first = backed_up("inbox")
    assert first.code == 3
    assert "JPEG" in first.err
    again = backed_up("inbox")
    assert (again.code, again.err) == (0, "")
    assert "holiday.jpg: no export that Chatkeep knows; it stays there" in again.out


# -- the worker


def test_a_worker_does_what_is_due_and_ends(backed_up: Command, place: Path, tmp_path: Path) -> None:
    backed_up("schedule", "set", "inbox", "--on")
    backed_up("worker", "--once")
    from chatkeep.jobs.models import Schedule

    Schedule.objects.update(next_due=opening.connection().connected_at)
    (place / "Inbox").mkdir()
    exports.many(place / "Inbox" / "more.zip", 3)
    assert backed_up("worker", "--once", "--json").json["done"] >= 3
    connection = opening.connection()
    done = {kind: queue.last_done(kind, connection.subject) for kind in ("backup", "check", "drill", "inbox")}
    assert {kind: job.state for kind, job in done.items() if job} == dict.fromkeys(done, State.DONE)
    assert backed_up("list", "--json").json.__len__() == 5
    assert backed_up("worker", "--once").out == "0 jobs done\n"
