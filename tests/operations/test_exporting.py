"""Conversations out of the archive: what was selected, counted, stopped between whole files."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests import exports

from chatkeep import operations
from chatkeep.archive import Archive
from chatkeep.errors import NotFound, WrongUse
from chatkeep.exporters import Customisation
from chatkeep.operations import Cancelled, ExportReport, Step
from chatkeep.operations.progress import Progress, quiet
from chatkeep.selection import Selection


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = Archive.open(tmp_path / "archive")
    operations.import_from(archive, [exports.two(tmp_path / "export.zip")])
    return archive


def export(
    archive: Archive, out: Path, exporter: str, selection: Selection, *, progress: Progress = quiet
) -> ExportReport:
    return operations.export_to(
        archive, selection, exporter=exporter, customisation=Customisation(), out=str(out), progress=progress
    )


def test_what_was_selected_is_written_and_counted(archive: Archive, tmp_path: Path) -> None:
    report = export(archive, tmp_path / "out", "txt", Selection(query="boat"))
    assert (report.conversations, report.messages, report.files) == (1, 3, 1)
    (file,) = (path for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert "A small one." in file.read_text()
    assert file.stat().st_size == report.bytes


def test_json_there_and_back_is_the_same_archive(archive: Archive, tmp_path: Path) -> None:
    boat = archive.listing()[0].id
    archive.edit(boat, "title", "Ships")
    archive.edit(boat, "labels", ["sea"])
    for out in (tmp_path / "folder", tmp_path / "all.zip"):
        export(archive, out, "json", Selection())
        with Archive.open(tmp_path / f"back-{out.name}") as back:
            report = operations.import_from(back, [out])
            assert (report.added, report.messages, report.problems) == (2, 5, [])
            assert report.attachments.stored == 1
            assert list(back.entries()) == list(archive.entries())
            assert [back.document(one.id) for one in back.entries()] == [
                archive.document(one.id) for one in archive.entries()
            ]
            assert list(back.held()) == list(archive.held())


def test_an_export_that_was_stopped_leaves_no_half_file(archive: Archive, tmp_path: Path) -> None:
    def stop(step: Step) -> None:
        if step.done == 1:
            raise Cancelled("Enough.")

    with pytest.raises(Cancelled):
        export(archive, tmp_path / "all.zip", "html", Selection(), progress=stop)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "export.zip"]
    with pytest.raises(Cancelled):
        export(archive, tmp_path / "out", "json", Selection(), progress=stop)
    for path in (tmp_path / "out").rglob("*.json"):
        assert path.read_bytes() == archive.document(path.stem)


def test_a_stream_gets_everything_as_one_text(archive: Archive) -> None:
    stream = io.BytesIO()
    report = operations.export_to(
        archive, Selection(), exporter="txt", customisation=Customisation(), out="-", stream=stream
    )
    assert len(stream.getvalue()) == report.bytes
    assert b"Forty minutes." in stream.getvalue()


def test_what_makes_no_sense_is_refused_before_anything_is_written(archive: Archive, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="pdf"):
        export(archive, tmp_path / "out", "pdf", Selection())
    with pytest.raises(WrongUse, match="stream"):
        export(archive, Path("-"), "txt", Selection())
    with pytest.raises(NotFound):
        export(archive, tmp_path / "out", "txt", Selection(ids=("ffff",)))
    assert not (tmp_path / "out").exists()
