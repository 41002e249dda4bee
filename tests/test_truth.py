"""The receipt and the archive against the truth: what a corpus says was written is what the archive holds.

The importers are asked the same in tests/importers/test_truth.py; here everything has gone through the archive, and
in one case through a vault and back as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import truth
from chatkeep import operations, vault
from chatkeep.archive import Archive
from chatkeep.operations import ImportReport
from chatkeep.providers.folder import Folder
from chatkeep.selection import Selection
from chatkeep.storage import Counting
from chatkeep.vault import keys
from corpus.item import Settings
from corpus.truth import NEEDLES
from corpus.write import Order, write_corpus

FORMS = [
    ("chatgpt", "classic", 11),
    ("chatgpt", "sharded", 12),
    ("claude", "classic", 13),
    ("claude-code", "classic", 14),
    ("whatsapp", "classic", 15),
]


def write(folder: Path, form: str, layout: str, seed: int, *, count: int) -> Path:
    out = folder / f"{form}-{layout}.zip"
    settings = Settings(format=form, layout=layout, seed=seed, tame=False)
    write_corpus(Order(settings=settings, conversations=count, out=out, start=0, jobs=1))
    return out


def check(archive: Archive, report: ImportReport, corpus: Path, form: str) -> None:
    expected: dict[str, Any] = truth.expected(corpus)
    assert report.problems == []
    assert report.added == expected["conversations"]
    assert report.messages == sum(report.by_role.values()) == expected["messages_nodes"]
    if form == "chatgpt":  # the only format whose corpus has assets
        found = expected["assets"]
        assert report.attachments.stored == found["present"]
        assert report.attachments.missing == found["referenced"] - found["present"]
    assert truth.count(archive.documents(Selection(platforms=(form,))), truth.RULES[form]) == expected
    assert archive.check() == []


@pytest.mark.parametrize(("form", "layout", "seed"), FORMS)
def test_a_corpus_is_in_the_archive_whole(tmp_path: Path, form: str, layout: str, seed: int) -> None:
    corpus = write(tmp_path, form, layout, seed, count=30 if form != "whatsapp" else 3)
    with Archive.open(tmp_path / "archive") as archive:
        report = operations.import_from(archive, [corpus])
        check(archive, report, corpus, form)
        again = operations.import_from(archive, [corpus])
        assert (again.added, again.updated, again.unchanged) == (0, 0, report.added)
        assert again.messages == report.messages
        check(archive, report, corpus, form)


@pytest.mark.slow
@pytest.mark.parametrize(("form", "layout", "seed"), FORMS)
def test_a_larger_corpus_is_in_the_archive_whole(tmp_path: Path, form: str, layout: str, seed: int) -> None:
    corpus = write(tmp_path, form, layout, seed + 20, count=600 if form != "whatsapp" else 12)
    with Archive.open(tmp_path / "archive") as archive:
        report = operations.import_from(archive, [corpus])
        check(archive, report, corpus, form)
        expected = truth.expected(corpus)["needles"]
        for needle in NEEDLES:
            assert archive.search(needle, hidden=False).total == expected.get(needle, 0), needle


def test_the_needles_are_found_by_searching(tmp_path: Path) -> None:
    corpus = write(tmp_path, "chatgpt", "classic", 31, count=150)
    with Archive.open(tmp_path / "archive") as archive:
        operations.import_from(archive, [corpus])
        expected = {name: number for name, number in truth.expected(corpus)["needles"].items() if number}
        assert expected
        assert {name: archive.search(name).total for name in expected} == expected


def test_all_formats_together_back_from_a_vault_are_still_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)
    forms = [form for form in FORMS if form[1] == "classic"]
    corpora = {form: write(tmp_path, form, layout, seed, count=4) for form, layout, seed in forms}
    with Archive.open(tmp_path / "one") as one, Archive.open(tmp_path / "two") as two:
        report = operations.import_from(one, list(corpora.values()))
        assert {given.platform for given in report.source} == set(corpora)
        storage = Counting(Folder(tmp_path / "place", new=True))
        made, _ = vault.create(storage, passphrase=None, hostname="laptop-1")
        assert operations.back_up(one, made, host="laptop-1", counting=storage).verified
        restored = operations.restore(two, made, beside=tmp_path / "beside")
        assert restored.restored == restored.expected == report.added
        for form, corpus in corpora.items():
            found = truth.count(two.documents(Selection(platforms=(form,))), truth.RULES[form])
            assert found == truth.expected(corpus)
        assert list(two.held()) == list(one.held())
