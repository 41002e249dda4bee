"""Exports into the archive: what the report says, once, twice, cut off and stopped."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from tests import exports

from chatkeep import exact, operations
from chatkeep.archive import Archive
from chatkeep.errors import NotFound, UnknownFormat
from chatkeep.operations import Cancelled, Step


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive.open(tmp_path / "archive")


def test_the_report_accounts_for_all_that_the_export_has(archive: Archive, tmp_path: Path) -> None:
    export = exports.two(tmp_path / "export.zip")
    report = operations.import_from(archive, [export])
    assert (report.added, report.updated, report.unchanged, report.messages) == (2, 0, 0, 5)
    assert (report.attachments.stored, report.attachments.missing) == (1, 0)
    assert report.by_role == {"assistant": 2, "person": 3}
    assert [(given.path, given.platform) for given in report.source] == [(str(export), "chatgpt")]
    assert report.problems == []
    assert archive.counts().messages == 5


def test_importing_again_adds_nothing(archive: Archive, tmp_path: Path) -> None:
    export = exports.two(tmp_path / "export.zip")
    operations.import_from(archive, [export])
    before = list(archive.entries())
    report = operations.import_from(archive, [export])
    assert (report.added, report.updated, report.unchanged, report.messages) == (0, 0, 2, 5)
    assert list(archive.entries()) == before


def test_what_lacks_a_file_is_decoded_again_only_when_other_files_stand_beside_it(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []
    decode = exact.decode
    monkeypatch.setattr(exact, "decode", lambda raw: decoded.append(raw) or decode(raw))
    cake = exports.conversation(exports.CAKE, "Cake", ["How long?", "Forty minutes."], picture="file_0a1b2c3d4e5f")
    folder = tmp_path / "export"
    folder.mkdir()
    with zipfile.ZipFile(exports.export(tmp_path / "export.zip", [cake])) as packed:
        packed.extractall(folder)

    def missing() -> tuple[int, int, int]:
        decoded.clear()
        report = operations.import_from(archive, [folder])
        return len(decoded), report.updated, report.attachments.missing

    assert missing() == (1, 0, 1)
    assert missing() == (0, 0, 1)
    (folder / "another.txt").write_text("not it")
    assert missing() == (1, 0, 1)
    assert missing() == (0, 0, 1)
    (folder / "file_0a1b2c3d4e5f-picture.png").write_bytes(exports.PICTURE)
    assert missing() == (1, 1, 0)
    assert missing() == (0, 0, 0)
    assert len(list(archive.held())) == 1


def test_a_newer_export_updates_and_adds(archive: Archive, tmp_path: Path) -> None:
    operations.import_from(archive, [exports.two(tmp_path / "export.zip")])
    longer = exports.conversation(
        exports.BOAT, "Boats", ["Which boat?", "A small one.", "Thanks.", "Ahoy."], at=1_710_000_000
    )
    new = exports.conversation("5e1f0f6a-0000-4000-8000-000000000003", "New", ["Hello?", "Yes."])
    report = operations.import_from(archive, [exports.export(tmp_path / "newer.zip", [longer, new])])
    assert (report.added, report.updated, report.unchanged) == (1, 1, 0)
    assert archive.counts().messages == 2 + 4 + 2


def test_several_paths_are_one_import_with_one_receipt(archive: Archive, tmp_path: Path) -> None:
    first = exports.export(tmp_path / "a.zip", [exports.conversation(exports.CAKE, "Cake", ["One?", "Two."])])
    second = exports.export(tmp_path / "b.zip", [exports.conversation(exports.BOAT, "Boat", ["Three?"])])
    report = operations.import_from(archive, [second, first])
    assert report.added == 2
    assert {given.path for given in report.source} == {str(first), str(second)}
    assert len(archive.receipts()) == 1
    archive.undo(report.receipt)
    assert archive.counts().conversations == 0


def test_progress_rises_to_all_bytes_and_counts_conversations(archive: Archive, tmp_path: Path) -> None:
    steps: list[Step] = []
    export = exports.many(tmp_path / "export.zip", 3000)
    operations.import_from(archive, [export], progress=steps.append)
    reading = [step for step in steps if step.stage == "Reading"]
    assert [step.done for step in reading] == sorted(step.done for step in reading)
    with zipfile.ZipFile(export) as packed:
        total = sum(entry.file_size for entry in packed.infolist())
    assert {step.total for step in reading} == {total}
    assert reading[0].done < total / 2
    assert reading[-1].done == total
    assert steps[-2].note == "3,000 conversations"


def test_an_import_that_was_stopped_leaves_whole_conversations_and_goes_on(archive: Archive, tmp_path: Path) -> None:
    export = exports.many(tmp_path / "export.zip", 30)

    def stop(step: Step) -> None:
        if step.note.startswith("7 "):
            raise Cancelled("Enough.")

    with pytest.raises(Cancelled):
        operations.import_from(archive, [export], progress=stop)
    kept = archive.counts()
    assert 0 < kept.conversations < 30
    assert kept.messages == 2 * kept.conversations
    report = operations.import_from(archive, [export])
    assert (report.added, report.unchanged) == (30 - kept.conversations, kept.conversations)
    assert archive.counts().messages == 60


def test_a_record_that_cannot_be_read_is_a_problem_and_all_else_is_kept(archive: Archive, tmp_path: Path) -> None:
    good = exports.conversation(exports.CAKE, "Cake", ["One?", "Two."])
    bad = exports.conversation(exports.BOAT, "Boat", ["Three?"]) | {"mapping": 7}
    report = operations.import_from(archive, [exports.export(tmp_path / "export.zip", [bad, good])])
    assert report.added >= 1
    assert len(report.problems) == 1
    assert "conversation 1" in report.problems[0].where


def test_a_picture_of_a_holiday_is_refused_with_what_was_expected(archive: Archive, tmp_path: Path) -> None:
    picture = tmp_path / "holiday.jpg"
    picture.write_bytes(b"\xff\xd8\xff\xe0" + b"\0" * 500)
    with pytest.raises(UnknownFormat) as refused:
        operations.import_from(archive, [picture])
    assert "JPEG" in refused.value.what
    assert "ChatGPT" in refused.value.hint
    assert archive.receipts() == []


def test_what_is_not_there_is_said_so(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        operations.import_from(archive, [tmp_path / "nothing.zip"])
