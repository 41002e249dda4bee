"""A snapshot beside the archive: as files, or as an archive of its own. What is in use stays as it is."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from tests import exports
from tests.operations.conftest import Machine

from chatkeep import operations, vault
from chatkeep.archive import Archive
from chatkeep.errors import NotFound, WrongUse
from chatkeep.exporters import Customisation
from chatkeep.operations import Cancelled, RestoreReport, Step
from chatkeep.storage import Counting
from chatkeep.vault import Vault


def _as_files(machine: Machine, out: Path, exporter: str = "json", **wanted: object) -> RestoreReport:
    return operations.restore_as_files(
        machine.vault,
        beside=machine.folder / "beside",
        exporter=exporter,
        customisation=Customisation(),
        out=str(out),
        **wanted,  # type: ignore[arg-type]
    )


def test_a_new_archive_has_the_same_bytes_and_the_one_in_use_is_not_touched(machine: Machine, tmp_path: Path) -> None:
    machine.back_up()
    before, number = machine.documents(), machine.archive.number
    report = operations.restore_into(machine.vault, tmp_path / "new")
    assert (report.expected, report.restored, report.messages, report.attachments) == (2, 2, 5, 1)
    assert (report.problems, report.out) == ([], str(tmp_path / "new"))
    with Archive.open(tmp_path / "new") as new:
        assert {entry.id: new.document(entry.id) for entry in new.entries()} == before
        assert [sha256 for sha256, _ in new.held()] == [sha256 for sha256, _ in machine.archive.held()]
        assert new.search("forty").total == 1
    assert machine.archive.number == number


def test_a_folder_with_something_in_it_is_refused(machine: Machine, tmp_path: Path) -> None:
    machine.back_up()
    with pytest.raises(WrongUse, match="not empty"):
        operations.restore_into(machine.vault, machine.folder / "one")
    (tmp_path / "empty").mkdir()
    assert operations.restore_into(machine.vault, tmp_path / "empty").restored == 2


def test_when_it_is_stopped_nothing_stays_behind(machine: Machine, tmp_path: Path) -> None:
    machine.back_up()

    def stop(step: Step) -> None:
        if step.stage == "Fetching" and step.done:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        operations.restore_into(machine.vault, tmp_path / "deep" / "new", progress=stop)
    assert list((tmp_path / "deep").iterdir()) == []


def test_one_conversation_as_of_a_snapshot_becomes_a_file(machine: Machine, tmp_path: Path) -> None:
    first = machine.back_up().snapshot
    said = ["Which boat?", "A small one.", "Thanks.", "Ahoy."]
    newer = exports.conversation(exports.BOAT, "Boats", said, at=1_710_000_000)
    operations.import_from(machine.archive, [exports.export(machine.folder / "newer.zip", [newer])])
    machine.back_up()
    id = next(one.id for one in machine.archive.listing() if one.title == "Boats")
    then = _as_files(machine, tmp_path / "then.txt", "txt", conversations=[id[:8]], snapshot=first)
    now = _as_files(machine, tmp_path / "now.txt", "txt", conversations=[id])
    assert (then.restored, then.files, now.restored) == (1, 1, 1)
    assert "Ahoy." not in (tmp_path / "then.txt").read_text()
    assert "Ahoy." in (tmp_path / "now.txt").read_text()


def test_everything_becomes_a_zip_with_its_attachments_also_what_lay_in_the_trash(
    machine: Machine, tmp_path: Path
) -> None:
    id = next(one.id for one in machine.archive.listing() if one.title == "Boats")
    machine.archive.edit(id, "trashed", True)
    machine.back_up()
    report = _as_files(machine, tmp_path / "all.zip")
    assert (report.expected, report.restored, report.problems) == (2, 2, [])
    names = zipfile.ZipFile(tmp_path / "all.zip").namelist()
    assert sum(name.endswith(".json") for name in names) == 2
    assert any("attachments" in name for name in names)
    assert list((machine.folder / "beside").iterdir()) == []


def test_what_is_damaged_is_told_and_the_rest_is_written(machine: Machine, tmp_path: Path) -> None:
    machine.back_up()
    packs = sorted((path for path in (machine.place / "Vault" / "data").rglob("*") if path.is_file()), key=_size)
    data = bytearray(packs[-1].read_bytes())
    data[40] ^= 1
    packs[-1].write_bytes(data)
    report = operations.restore_into(_anew(machine), tmp_path / "new")
    assert report.problems
    assert report.restored + len(report.problems) >= report.expected


def _size(path: Path) -> int:
    return path.stat().st_size


def _anew(machine: Machine) -> Vault:
    return vault.open_vault(Counting(machine.counting.inner), secret="open sesame")


def test_a_snapshot_or_conversation_that_is_not_there_is_said_before_anything_is_made(
    machine: Machine, tmp_path: Path
) -> None:
    with pytest.raises(NotFound):
        operations.restore_into(machine.vault, tmp_path / "new")
    machine.back_up()
    with pytest.raises(NotFound):
        operations.restore_into(machine.vault, tmp_path / "new", conversations=["ffffffff"])
    assert not (tmp_path / "new").exists()


def test_files_can_go_to_a_stream(machine: Machine) -> None:
    machine.back_up()
    stream = io.BytesIO()
    operations.restore_as_files(
        machine.vault,
        beside=machine.folder / "beside",
        exporter="txt",
        customisation=Customisation(files="one"),
        out="-",
        stream=stream,
    )
    assert "A small one." in stream.getvalue().decode()
