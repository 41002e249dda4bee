"""Jobs that do the real thing: import, export, back up, check, restore, as the pages ask for them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.utils import timezone
from tests import exports

from chatkeep.archive import Archive
from chatkeep.connections import connecting, opening
from chatkeep.connections.installation import Installation
from chatkeep.connections.models import Connection
from chatkeep.connections.safe import Safe
from chatkeep.connections.secret import Secret
from chatkeep.exporters import Customisation
from chatkeep.jobs import kinds, queue
from chatkeep.jobs.models import Job, Schedule, State, Why
from chatkeep.jobs.worker import Worker
from chatkeep.jobs.workshop import workshop
from chatkeep.operations import inbox
from chatkeep.selection import Selection
from chatkeep.vault import keys

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)


@pytest.fixture
def means(tmp_path: Path) -> Iterator[kinds.Means]:
    safe = Safe(Secret("a secret that is long enough for this test"))
    with Archive.open(tmp_path / "home", device="laptop-1") as archive:
        yield kinds.Means.alone(archive, Installation(tmp_path / "home", safe, "laptop-1"))


def work(means: kinds.Means, kind: str, subject: str = queue.ARCHIVE, **arguments: Any) -> Job:
    job = queue.enqueue(kind, subject, arguments, by="a test")
    assert Worker(kinds.kinds(means)).run_one()
    return queue.find(job.pk)


@pytest.fixture
def subject(means: kinds.Means, tmp_path: Path) -> str:
    """A connected folder, and two conversations to put there."""
    where = {"path": str(tmp_path / "place")}
    connecting.connect("folder", where, installation=means.installation_of("own"), name="stick")
    assert work(means, "import", paths=[str(exports.two(tmp_path / "export.zip"))]).state == State.DONE
    return opening.connection("stick").subject


def test_an_import_keeps_what_was_given_and_drops_what_was_uploaded(means: kinds.Means, tmp_path: Path) -> None:
    for folder, uploaded in (("given", False), ("uploaded", True)):
        (tmp_path / folder).mkdir()
        path = exports.two(tmp_path / folder / "export.zip")
        job = work(means, "import", paths=[str(path)], uploaded=uploaded)
        assert (job.state, job.report["messages"]) == (State.DONE, 5)
        assert path.exists() is not uploaded
    assert means.archive_of("own").counts().conversations == 2


def test_an_import_that_failed_keeps_what_was_uploaded(means: kinds.Means, tmp_path: Path) -> None:
    (tmp_path / "uploaded").mkdir()
    picture = tmp_path / "uploaded" / "holiday.jpg"
    picture.write_bytes(b"\xff\xd8\xff\xe0" + b"\0" * 500)
    job = work(means, "import", paths=[str(picture)], uploaded=True)
    assert job.state == State.FAILED
    assert "JPEG" in job.what
    assert picture.exists()


def test_a_backup_is_remembered_with_the_connection(means: kinds.Means, subject: str) -> None:
    job = work(means, "backup", subject, connection="stick")
    assert (job.state, job.report["conversations"], job.report["verified"]) == (State.DONE, 2, True)
    found = opening.connection("stick")
    assert found.backed_up_at is not None
    assert found.backed_up == job.report
    assert found.backed_up_change == means.archive_of("own").number
    assert "Sending." in job.log


def test_a_check_and_a_restore(means: kinds.Means, subject: str) -> None:
    work(means, "backup", subject, connection="stick")
    assert work(means, "check", subject, connection="stick", read_data=True).report["ok"]
    assert opening.connection("stick").checked["ok"]
    means.archive_of("own").undo(means.archive_of("own").receipts()[0].id)
    dry = work(means, "restore", subject, connection="stick", dry_run=True)
    assert (dry.report["changed"], means.archive_of("own").counts().conversations) == (2, 0)
    done = work(
        means, "restore", subject, connection="stick", snapshot="", conversations=[], replace=False, dry_run=False
    )
    assert (done.state, done.report["restored"], means.archive_of("own").counts().conversations) == (State.DONE, 2, 2)


def test_a_place_that_is_not_plugged_in_is_tried_again_later(means: kinds.Means, subject: str, tmp_path: Path) -> None:
    (tmp_path / "place").rename(tmp_path / "unplugged")
    job = work(means, "backup", subject, connection="stick")
    assert (job.state, job.attempts) == (State.WAITING, 1)
    assert opening.connection("stick").trouble


def test_a_place_that_was_disconnected_meanwhile_is_said_so(means: kinds.Means, subject: str) -> None:
    connecting.disconnect(opening.connection("stick"), means.installation_of("own"))
    job = work(means, "backup", subject, connection="stick")
    assert job.state == State.FAILED
    assert job.hint


def test_an_export_takes_selection_and_customisation_as_they_are_written_down(
    means: kinds.Means, subject: str, tmp_path: Path
) -> None:
    out = tmp_path / "chats.zip"
    options = dataclasses.asdict(Customisation(times="none", own_names={"ChatGPT": "It"}))
    chosen = msgspec.structs.asdict(Selection(query="boat"))
    job = work(means, "export", format="markdown", out=str(out), selection=chosen, options=options)
    assert (job.state, job.report["conversations"]) == (State.DONE, 1)
    assert out.exists()


def test_a_restore_with_damage_ends_with_problems(means: kinds.Means, subject: str, tmp_path: Path) -> None:
    work(means, "backup", subject, connection="stick")
    packs = [path for path in (tmp_path / "place" / "Vault" / "data").rglob("*") if path.is_file()]
    pack = max(packs, key=lambda path: path.stat().st_size)
    pack.chmod(0o600)
    pack.write_bytes(bytes(len(pack.read_bytes())))
    means.archive_of("own").undo(means.archive_of("own").receipts()[0].id)
    job = work(means, "restore", subject, connection="stick")
    assert job.state == State.PROBLEMS
    assert job.report["problems"]


def test_copies_and_the_inbox_are_jobs_of_a_connection(
    means: kinds.Means, subject: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "QUIET_S", 0.0)
    job = work(means, "publish", subject, connection="stick", exporter="txt", attachments=True)
    assert (job.state, job.report["written"], job.report["attachments"]) == (State.DONE, 2, 1)
    assert len(list((tmp_path / "place" / "Chats").rglob("*.txt"))) == 2
    (tmp_path / "place" / "Inbox").mkdir()
    exports.many(tmp_path / "place" / "Inbox" / "more.zip", 3)
    job = work(means, "inbox", subject, connection="stick")
    assert (job.state, job.report["taken"][0]["added"]) == (State.DONE, 3)
    job = work(means, "publish", subject, connection="stick", exporter="txt", remove=True)
    assert (job.report["removed"], list((tmp_path / "place" / "Chats").rglob("*.txt"))) == (2, [])


def test_a_place_that_is_signed_out_is_not_asked_and_waits(means: kinds.Means, subject: str, tmp_path: Path) -> None:
    Connection.objects.update(signed_out=True)
    (tmp_path / "place").rename(tmp_path / "would be missed")
    job = work(means, "backup", subject, connection="stick")
    assert (job.state, job.paused_for, job.attempts) == (State.PAUSED, Why.SIGN_IN, 0)
    assert "Reconnect" in job.hint


def test_what_is_scheduled_is_done_by_the_workshop(means: kinds.Means, subject: str) -> None:
    """From a change to the backup: the dispatcher asks, the worker does."""
    works = workshop(means)
    assert works.once() == 0
    before = timezone.now() - timedelta(minutes=6)
    # A laptop looks when the change was, a server when it settles.
    Schedule.objects.filter(kind="backup").update(changed_at=before, settles_at=before + timedelta(minutes=5))
    assert works.once() == 1
    assert opening.connection("stick").backed_up_change == means.archive_of("own").number
    assert works.once() == 0


def test_a_workshop_works_in_threads_until_it_is_stopped(means: kinds.Means, subject: str) -> None:
    works = workshop(means)
    works.start()
    job = queue.enqueue("backup", subject, {"connection": "stick"})
    while queue.find(job.pk).is_open:
        time.sleep(0.01)
    works.stop()
    assert queue.find(job.pk).state == State.DONE
    assert Schedule.objects.filter(subject=subject).exists()
