"""Chatkeep's own exports come back byte for byte."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatkeep.exporters import Customisation, export, output
from chatkeep.importers import registry
from chatkeep.importers.chatkeep_json import LOSSLESS
from chatkeep.importers.detect import detect
from chatkeep.model import Conversation, encode
from chatkeep.source import Source
from chatkeep.testing import museum, strategies
from chatkeep.testing.importer_suite import STRANGERS, cuts
from chatkeep.testing.reading import Reading, read, source_of, summary

SAMPLE = Path(__file__).parents[1] / "samples" / "chatkeep" / "museum"


def given_back(place: Path) -> Reading:
    with Source.open([place]) as source:
        return read(LOSSLESS, source)


def bytes_of(conversations: list[Conversation]) -> list[bytes]:
    return sorted(encode(one) for one in conversations)


def exported(place: Path, conversations: list[Conversation], files: dict[str, Path], **how: str) -> Path:
    export(
        iter(conversations),
        exporter="json",
        customisation=Customisation(**how),
        out=output(place),
        attachment=files.get,
    )
    return place


def test_the_sample_gives_what_its_page_expects() -> None:
    found = json.dumps(summary(given_back(SAMPLE / "input")), ensure_ascii=False, indent=1, default=repr) + "\n"
    assert json.loads(found) == json.loads((SAMPLE / "expected.json").read_text("utf-8"))


@pytest.mark.parametrize("name", ["folder", "all.zip"])
def test_everything_comes_back_byte_for_byte(name: str, tmp_path: Path) -> None:
    found = given_back(exported(tmp_path / name, museum.collection(), museum.kept(tmp_path)))
    assert bytes_of(found.conversations) == bytes_of(museum.collection())
    assert found.kept == museum.ATTACHMENTS
    assert (found.problems, found.notes, found.incomplete) == ([], [], 0)


def test_one_file_brings_the_documents_and_says_what_is_not_in_it(tmp_path: Path) -> None:
    found = given_back(exported(tmp_path / "all.json", museum.collection(), museum.kept(tmp_path)))
    assert bytes_of(found.conversations) == bytes_of(museum.collection())
    assert (found.problems, found.incomplete) == ([], 1)
    assert "4 of its attachments are not in the export" in found.notes[0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(strategies.conversations(), min_size=1, max_size=4, unique_by=lambda one: one.id))
def test_any_documents_come_back_byte_for_byte(conversations: list[Conversation]) -> None:
    data = b"[\n" + b",\n".join(encode(one) for one in conversations) + b"\n]\n"
    found = read(LOSSLESS, source_of({"all.json": data}))
    assert [encode(one) for one in found.conversations] == [encode(one) for one in conversations]
    assert found.problems == []


def test_it_is_recognised_whatever_it_is_called_and_by_nobody_else(tmp_path: Path) -> None:
    for name in ("folder", "all.zip", "all.json"):
        place = exported(tmp_path / name, museum.collection(), museum.kept(tmp_path))
        [(importer, source)] = detect([place])
        source.close()
        assert importer is LOSSLESS
    renamed = (tmp_path / "all.json").rename(tmp_path / "conversations.json")
    with Source.open([renamed]) as source:
        assert [one.platform for one in registry.ALL if one.sniff(source)] == ["chatkeep"]


@pytest.mark.parametrize("name", sorted(STRANGERS))
def test_what_is_no_export_is_not_claimed(name: str) -> None:
    assert not LOSSLESS.sniff(source_of({name: STRANGERS[name]}))


def test_a_file_cut_off_anywhere_gives_what_is_whole_and_says_so() -> None:
    data = b"[" + b",\n".join(encode(one) for one in museum.collection()) + b"]"
    for size in cuts(len(data), seed="museum"):
        shorter = source_of({"all.json": data[:size]})
        if LOSSLESS.sniff(shorter):
            found = read(LOSSLESS, shorter)
            assert set(bytes_of(found.conversations)) <= set(bytes_of(museum.collection()))
            assert found.problems


def test_a_document_that_is_none_becomes_a_problem_and_the_rest_comes() -> None:
    good = encode(museum.group())
    bad = [b'{"format":1,"id":"x","messages":3,"platform":"x"}', b'{"format":99,"id":"x","platform":"x"}', b"7"]
    bad.append(b'{"format":1,"id":"","platform":"x"}')
    found = read(LOSSLESS, source_of({"all.json": b"[" + b",".join([good, *bad, good]) + b"]"}))
    assert len(found.conversations) == 2
    assert len(found.problems) == len(bad)
    assert any("99" in problem.what for problem in found.problems)


def test_an_attachment_that_was_changed_is_told(tmp_path: Path) -> None:
    place = exported(tmp_path / "all.zip", museum.collection(), museum.kept(tmp_path))
    sha256 = hashlib.sha256(museum.FILES["notes"]).hexdigest()
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(place) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"other" if name.endswith(sha256) else old.read(name))
    found = given_back(changed)
    assert [sha256[:12] in problem.what for problem in found.problems] == [True]
    assert found.incomplete == 1


def test_a_digest_stands_for_the_document_alone() -> None:
    document = encode(museum.group())
    alone = read(LOSSLESS, source_of({"a.json": document})).digests
    listed = read(LOSSLESS, source_of({"b.json": b"[\n" + document + b"\n]"})).digests
    assert alone == listed
