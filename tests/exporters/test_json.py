"""The documents as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatkeep.errors import WrongUse
from chatkeep.exporters import Customisation, export, output, preview
from chatkeep.exporters.json import JSON
from chatkeep.model import encode
from chatkeep.testing import museum
from chatkeep.testing.exporter_suite import ExporterSuite, documents

SAMPLE = Path(__file__).parents[1] / "samples" / "chatkeep" / "museum" / "input"


class TestJson(ExporterSuite):
    exporter = JSON
    golden = Path(__file__).parents[1] / "golden" / "json"

    def check_harmless(self, path: str, text: str) -> None:
        assert len(documents(text.encode())) == 1


def written(place: Path, kept: Path) -> Path:
    files = museum.kept(kept)
    export(
        iter(museum.collection()), exporter=JSON, customisation=Customisation(), out=output(place), attachment=files.get
    )
    return place


def test_a_file_is_the_canonical_bytes_under_the_id(tmp_path: Path) -> None:
    folder = written(tmp_path / "out", tmp_path)
    for conversation in museum.collection():
        assert (folder / f"{conversation.id}.json").read_bytes() == encode(conversation)
    for sha256, data in museum.ATTACHMENTS.items():
        assert (folder / "attachments" / sha256[:2] / sha256).read_bytes() == data


def test_one_file_is_an_array_with_a_document_a_line(tmp_path: Path) -> None:
    lines = written(tmp_path / "all.json", tmp_path).read_bytes().splitlines()
    assert (lines[0], lines[-1]) == (b"[", b"]")
    assert [line.rstrip(b",") for line in lines[1:-1]] == [encode(one) for one in museum.collection()]


def test_the_sample_of_the_importer_is_what_is_written_today(tmp_path: Path) -> None:
    folder = written(tmp_path / "out", tmp_path)
    names = sorted(path.relative_to(SAMPLE) for path in SAMPLE.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert all((SAMPLE / name).read_bytes() == (folder / name).read_bytes() for name in names)


@pytest.mark.parametrize(
    "wish", [{"redact": ("a",)}, {"redact_patterns": ("a",)}, {"names": "roles"}, {"own_names": {"Ada": "A"}}]
)
def test_what_a_lossless_export_cannot_hide_is_refused_before_anything_is_written(wish: dict[str, object]) -> None:
    with pytest.raises(WrongUse):
        preview(museum.group(), JSON, Customisation(**wish))  # type: ignore[arg-type]
