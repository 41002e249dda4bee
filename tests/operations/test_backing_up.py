"""The archive into a vault: only what changed, proven, and honest about what neither place holds."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests import exports
from tests.operations.conftest import Machine

from chatkeep import operations
from chatkeep.errors import Unavailable
from chatkeep.operations import Cancelled, Step
from chatkeep.storage import StoredObject


def test_a_first_backup_sends_everything_and_reads_it_back(machine: Machine) -> None:
    report = machine.back_up()
    assert (report.conversations, report.messages, report.attachments) == (2, 5, 1)
    assert (report.new_documents, report.new_attachments) == (2, 1)
    assert report.verified
    assert report.problems == []
    assert report.requests == machine.counting.requests
    assert report.bytes_sent == machine.counting.sent > 0


def test_nothing_changed_makes_no_snapshot(machine: Machine) -> None:
    first = machine.back_up()
    second = machine.back_up()
    assert second.unchanged
    assert second.snapshot == first.snapshot
    assert second.verified
    assert len(operations.snapshots(machine.vault)) == 1


def test_a_change_sends_that_conversation_alone(machine: Machine) -> None:
    machine.back_up()
    boat = next(one for one in machine.archive.listing() if one.title == "Boats")
    machine.archive.edit(boat.id, "title", "Ships")
    report = machine.back_up()
    assert (report.new_documents, report.new_attachments, report.conversations) == (1, 0, 2)


def test_snapshots_are_listed_newest_first_with_their_counts(machine: Machine, tmp_path: Path) -> None:
    machine.back_up()
    more = exports.conversation("5e1f0f6a-0000-4000-8000-000000000009", "More", ["Hm?"])
    operations.import_from(machine.archive, [exports.export(tmp_path / "more.zip", [more])])
    machine.back_up()
    found = operations.snapshots(machine.vault)
    assert [(one.conversations, one.messages, one.device) for one in found] == [(3, 6, "laptop-1"), (2, 5, "laptop-1")]
    assert found[0].time > found[1].time


def test_an_attachment_that_only_the_vault_holds_is_carried_forward(machine: Machine, other: Machine) -> None:
    machine.back_up()
    other.restore()
    ((sha256, _),) = other.archive.held()
    other.archive.attachment(sha256).unlink()
    other.archive._db.execute("DELETE FROM attachments")
    report = other.back_up()
    assert report.problems == []
    assert report.attachments == 1


def test_an_attachment_that_neither_holds_is_a_problem_and_the_rest_is_saved(machine: Machine) -> None:
    ((sha256, _),) = machine.archive.held()
    machine.archive._db.execute("DELETE FROM attachments")
    report = machine.back_up()
    assert report.conversations == 2
    assert [sha256[:8] in problem.where + problem.what for problem in report.problems] == [True]
    assert not report.verified


def test_a_backup_that_is_stopped_makes_no_snapshot_and_can_go_on(machine: Machine) -> None:
    def stop(step: Step) -> None:
        if step.stage == "Sending":
            raise Cancelled("Enough.")

    with pytest.raises(Cancelled):
        operations.back_up(machine.archive, machine.vault, host="laptop-1", counting=machine.counting, progress=stop)
    assert operations.snapshots(machine.vault) == []
    assert machine.back_up().verified


def test_a_snapshot_that_cannot_be_read_back_is_not_called_verified(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = machine.counting.inner.get

    def lies(name: str, *, start: int = 0, length: int | None = None) -> bytes:
        data = honest(name, start=start, length=length)
        return bytes(len(data)) if "snapshots/" in name else data

    monkeypatch.setattr(machine.counting.inner, "get", lies)
    report = machine.back_up()
    assert not report.verified
    assert ["cannot be read back" in problem.what for problem in report.problems] == [True]


def test_a_place_that_goes_away_makes_no_snapshot(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str, data: bytes) -> StoredObject:
        raise Unavailable("The disk is not plugged in.")

    with monkeypatch.context() as patched:
        patched.setattr(machine.counting.inner, "put", gone)
        with pytest.raises(Unavailable):
            machine.back_up()
    assert operations.snapshots(machine.vault) == []


def test_nothing_new_is_not_read_back_twice_but_what_failed_to_be_read_back_is(machine: Machine) -> None:
    machine.restart()
    first = machine.back_up()
    assert first.verified
    before = machine.counting.calls["get"]
    assert machine.back_up().verified
    assert machine.counting.calls["get"] == before
    (snapshot,) = machine.vault.snapshots()
    stored = machine.place / "Vault" / "snapshots" / snapshot.id
    machine.vault.note_read_back(msgspec.structs.replace(snapshot, id="0" * 64))  # as after a read that failed
    kept = stored.read_bytes()
    stored.write_bytes(bytes(len(kept)))
    assert not machine.back_up().verified
    assert not machine.back_up().verified
    stored.write_bytes(kept)
    assert machine.back_up().verified
