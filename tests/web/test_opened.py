"""A look into a backup: what is in it can be read, searched and picked, and the archive stays as it is."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from chatkeep.archive import Archive
from chatkeep.jobs.kinds import opened_snapshots
from chatkeep.selection import Selection
from chatkeep.vault import keys
from chatkeep.web.configuration import CHATKEEP


@pytest.fixture
def snapshot(
    keeper: Client,
    example_archive: Archive,
    work: Callable[[], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The id of a snapshot of the example at a folder called stick."""
    monkeypatch.setattr(keys, "COST_N", 2**10)
    keeper.post("/backups/connect", {"path": str(tmp_path / "stick"), "name": "stick"})
    keeper.post("/backups/stick/do", {"do": "backup"})
    work()
    found = re.search(r'name="snapshot" value="([0-9a-f]+)"', _text(keeper, "/backups/stick/snapshots"))
    assert found is not None
    return found[1]


def _text(keeper: Client, address: str) -> str:
    return keeper.get(address, follow=True).content.decode()


def _open(keeper: Client, snapshot: str, work: Callable[[], None]) -> str:
    run = keeper.post("/backups/stick/restore", {"snapshot": snapshot, "do": "open"})
    work()
    link = re.search(r'href="(/backups/stick/opened/[0-9a-f]{64}/)"', _text(keeper, run.headers["Location"]))
    assert link is not None
    return link[1]


def test_a_backup_is_read_and_searched_without_restoring_it(
    keeper: Client, snapshot: str, example_archive: Archive, work: Callable[[], None]
) -> None:
    for one in example_archive.listing():
        example_archive.edit(one.id, "trashed", True)
    number = example_archive.number
    address = _open(keeper, snapshot, work)
    page = _text(keeper, address)
    assert "4 conversations" in page
    assert "A week in Lisbon" in page
    found = _text(keeper, address + "?q=tram")
    assert "1 conversation found" in found
    read = re.search(rf'href="({address}[0-9a-f-]+)"', found)
    assert read is not None
    answer = keeper.get(read[1])
    assert "Lisbon" in answer.content.decode()
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert example_archive.number == number


def test_what_was_picked_comes_back_alone(
    keeper: Client, snapshot: str, example_archive: Archive, work: Callable[[], None]
) -> None:
    ids = [one.id for one in example_archive.listing()]
    example_archive.undo(example_archive.receipts()[0].id)
    _open(keeper, snapshot, work)
    keeper.post("/backups/stick/restore", {"snapshot": snapshot, "conversations": ids[:2], "do": "restore"})
    work()
    assert {one.id for one in example_archive.listing(Selection())} == set(ids[:2])


def test_a_backup_becomes_files_to_download(keeper: Client, snapshot: str, work: Callable[[], None]) -> None:
    asked = {"snapshot": snapshot, "format": "txt", "do": "files"}
    run = keeper.post("/backups/stick/restore", asked)
    work()
    link = re.search(r'href="(/export/\d+/download)"', _text(keeper, run.headers["Location"]))
    assert link is not None
    answer = keeper.get(link[1])
    assert b"".join(answer.streaming_content).startswith(b"PK")  # type: ignore[attr-defined]


def test_opening_twice_fetches_once_and_an_old_look_is_cleared_away(
    keeper: Client, snapshot: str, work: Callable[[], None]
) -> None:
    folder = opened_snapshots(CHATKEEP.home)
    _open(keeper, snapshot, work)
    made = (folder / snapshot / "archive.sqlite3").stat().st_ino
    _open(keeper, snapshot, work)
    assert (folder / snapshot / "archive.sqlite3").stat().st_ino == made
    old = folder / ("0" * 64)
    old.mkdir()
    os.utime(old, (time.time() - 8 * 24 * 3600,) * 2)
    _open(keeper, snapshot, work)
    assert not old.exists()


@pytest.mark.parametrize("name", ["0" * 64, "..", "../../archive", "x"])
def test_what_is_not_open_is_said(keeper: Client, snapshot: str, name: str) -> None:
    assert keeper.get(f"/backups/stick/opened/{name}/").status_code == 404


def test_a_rehearsed_restore_is_asked_for_and_seen(keeper: Client, snapshot: str, work: Callable[[], None]) -> None:
    assert "restore never rehearsed" in _text(keeper, "/")
    run = keeper.post("/backups/stick/do", {"do": "drill"})
    work()
    assert "All came back as it was saved" in _text(keeper, run.headers["Location"])
    assert "4 conversations came back as saved" in _text(keeper, "/backups/")
    assert "last rehearsed restore" in _text(keeper, "/")


def test_the_newest_backup_comes_first_and_one_that_cannot_be_read_is_told(
    keeper: Client, snapshot: str, example_archive: Archive, work: Callable[[], None], tmp_path: Path
) -> None:
    example_archive.edit(example_archive.listing()[0].id, "title", "Another title")
    keeper.post("/backups/stick/do", {"do": "backup"})
    work()
    page = _text(keeper, "/backups/stick/snapshots")
    first, second = re.findall(r'name="snapshot" value="([0-9a-f]+)"', page)
    assert second == snapshot
    assert page.index("checked>") < page.index(second)
    assert page.index("newest</span>") < page.index(second)
    assert "cannot be read" not in page
    for kept in [*CHATKEEP.home.rglob(f"{first}*"), *tmp_path.rglob(f"snapshots/{first}")]:
        kept.chmod(0o600)
        kept.write_bytes(b"rubbish")
    page = _text(keeper, "/backups/stick/snapshots")
    assert re.findall(r'name="snapshot" value="([0-9a-f]+)"', page) == [snapshot]
    assert "cannot be read" in page
