"""Detection: whose export it is, and what a person is told when it is nobody's."""

from __future__ import annotations

import json
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from chatkeep.errors import NotFound, UnknownFormat
from chatkeep.importers import registry
from chatkeep.importers.detect import detect
from chatkeep.testing.reading import read

SAMPLES = Path(__file__).parents[1] / "samples"
CHATGPT = SAMPLES / "chatgpt" / "classic" / "input"
CLAUDE = SAMPLES / "claude" / "export" / "input"


def _platforms(*paths: Path) -> list[str]:
    found = detect(paths)
    for _, source in found:
        source.close()
    return [importer.platform for importer, _ in found]


def test_an_export_is_given_to_its_importer() -> None:
    assert _platforms(CHATGPT) == ["chatgpt"]
    assert _platforms(CLAUDE / "conversations.json") == ["claude"]


def test_exports_of_two_platforms_may_be_given_together() -> None:
    assert sorted(_platforms(CHATGPT, CLAUDE)) == ["chatgpt", "claude"]


def test_several_zips_of_one_account_are_one_source(tmp_path: Path) -> None:
    paths = []
    for batch in sorted((SAMPLES / "claude" / "batches" / "input").iterdir()):
        paths.append(tmp_path / f"{batch.name}.zip")
        with zipfile.ZipFile(paths[-1], "w") as packed:
            packed.write(batch / "conversations.json", "conversations.json")
    [(importer, source)] = detect(paths)
    with source:
        assert sorted(one.title for one in read(importer, source).conversations) == ["Batch 0", "Batch 1"]


def test_a_picture_is_named_as_one_and_what_was_expected_is_listed(tmp_path: Path) -> None:
    picture = tmp_path / "holiday.jpg"
    picture.write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    with pytest.raises(UnknownFormat) as wrong:
        detect([picture])
    assert wrong.value.what == "holiday.jpg is not a chat export that Chatkeep knows: it is a JPEG picture."
    assert all(importer.title in wrong.value.hint for importer in registry.ALL)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.json", b"", "it is empty"),
        ("letter.pdf", b"%PDF-1.7 ...", "a PDF document"),
        ("list.json", b'[{"name": "x", "alice@example.org": 1}]', "a list of objects with 'name'."),
        ("note.txt", b"Dear diary", "a text, but no chat"),
        ("page.html", b"<!DOCTYPE html><p>", "a web page"),
        ("pack.7z", b"7z\xbc\xaf\x27\x1c", "unpack it"),
        ("bytes", b"\0\1\2\3", "binary"),
        ("numbers.json", b"[1, 2]", "JSON, but no list of conversations"),
        ("clip", b"\0\0\0\x18ftypmp42", "video"),
        ("sound.wav", b"RIFF\0\0\0\0WAVEfmt ", "a sound"),
    ],
)
def test_what_a_file_seems_to_be_is_said(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnknownFormat) as wrong:
        detect([tmp_path / name])
    assert words in wrong.value.what
    assert "alice@example.org" not in str(wrong.value)


def test_a_folder_without_chats_says_what_it_holds(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"{number}.txt").write_text("nothing")
    with pytest.raises(UnknownFormat, match=r"it holds 0\.txt, 1\.txt, 2\.txt, 3\.txt, 4\.txt and 2 more"):
        detect([tmp_path])


def test_a_list_of_downloads_is_explained(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest-1-2026-09-01.json"
    link = "https://downloads.example.org/x/conversations-000.zip?sig=1"
    manifest.write_text(json.dumps({"version": 1, "files": [{"name": "conversations", "url": link}]}))
    with pytest.raises(UnknownFormat, match="only lists the downloads of a Claude export") as wrong:
        detect([manifest])
    assert "sig=1" not in str(wrong.value)


def test_what_nobody_claims_beside_an_export_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"\xff\xd8\xff")
    [(importer, source)] = detect([CLAUDE, tmp_path / "holiday.jpg"])
    with source:
        assert importer.platform == "claude"
        assert [problem.where for problem in source.problems] == ["holiday.jpg"]
        assert "JPEG" in source.problems[0].what


def test_a_path_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        detect([tmp_path / "nothing.zip"])


def test_a_stranger_comes_in_by_the_same_door_and_a_broken_one_stays_out(caplog: pytest.LogCaptureFixture) -> None:
    doors = [
        *registry.BUILT_IN,
        EntryPoint("mine", "chatkeep.importers.claude:CLAUDE", registry.GROUP),
        EntryPoint("broken", "chatkeep.importers.nowhere:NOTHING", registry.GROUP),
        EntryPoint("chatgpt", "chatkeep.importers.claude:CLAUDE", registry.GROUP),
    ]
    found = registry.load(doors)
    assert len(found) == len(registry.BUILT_IN) + 1
    assert found[0].platform == "chatgpt"
    assert "nowhere" in caplog.text
