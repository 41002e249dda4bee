"""Readable copies and the inbox at every cloud: the names they take, what they tell of times, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import exports

from chatkeep import operations, providers
from chatkeep.archive import Archive
from chatkeep.operations import CopiesReport
from chatkeep.providers.notes import MemoryNotes
from chatkeep.storage import Below, Counting, Storage
from fakes.given import Cloud, means

TITLES = (
    "Boats",
    "boats",
    "Grüße: 3/4 <b>*?",
    "con",
    "trailing dot.",
    ".hidden",
    "שלום עולם",
    "日本語のチャット",
    "👨‍👩‍👧‍👦 family",
    "x" * 300,
    "~$draft_vti_desktop.ini",
)


@pytest.fixture(params=["dropbox", "google-drive", "onedrive"])
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    fixture = {"dropbox": "dropbox_fake", "google-drive": "google_fake", "onedrive": "microsoft_fake"}[request.param]
    cloud: Cloud = request.getfixturevalue(fixture)
    provider = providers.provider(request.param)
    assert provider.sign_in is not None
    given = means(cloud, provider.sign_in, notes=MemoryNotes())
    opened = provider.open({"folder": "Chatkeep"}, True, given)
    yield opened
    opened.close()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    said = [exports.conversation(f"5e1f0f6a-0000-4000-8000-{n:012}", t, ["Hm?"]) for n, t in enumerate(TITLES)]
    with Archive.open(tmp_path / "home", device="laptop-1") as opened:
        operations.import_from(opened, [exports.export(tmp_path / "odd.zip", said)])
        yield opened


def publish(archive: Archive, storage: Storage) -> CopiesReport:
    return operations.publish(archive, Counting(storage), host="laptop-1", exporter="markdown")


def test_copies_are_written_kept_and_renamed_and_what_people_edit_stays(archive: Archive, storage: Storage) -> None:
    report = publish(archive, storage)
    assert report.problems == []
    assert (report.written, report.verified) == (len(TITLES), True)
    again = publish(archive, storage)
    assert (again.written, again.unchanged, again.bytes_sent) == (0, len(TITLES), 0)

    chats = Below(storage, "Chats")
    (edited,) = [one.name for one in chats.listing() if "family" in one.name]
    chats.put(edited, b"my own words")
    for one in archive.listing():
        if "family" in one.title or "日本語" in one.title:
            archive.edit(one.id, "title", f"New {one.title}")
    report = publish(archive, storage)
    assert (report.written, report.removed, report.kept, report.problems) == (2, 1, 1, [])
    assert chats.get(edited) == b"my own words"
    assert publish(archive, storage).written == 0

    operations.withdraw(archive, Counting(storage), host="laptop-1")
    assert [one.name for one in chats.listing()] == [edited]


def test_an_export_in_the_inbox_is_imported_and_laid_aside(archive: Archive, storage: Storage, tmp_path: Path) -> None:
    storage.put("Inbox/my chats – 2024.zip", exports.many(tmp_path / "many.zip", 3).read_bytes())
    storage.put("Inbox/holiday.jpg", b"\xff\xd8\xff\xe0" + bytes(500))
    report = operations.take_in(archive, Counting(storage), spool=tmp_path / "spool", quiet_s=0)
    assert [(taken.name, taken.added) for taken in report.taken] == [("my chats – 2024.zip", 3)]
    assert report.left == ["holiday.jpg"]
    names = [one.name for one in storage.listing() if one.name.startswith("Inbox/")]
    assert names == ["Inbox/Done/my chats – 2024.zip", "Inbox/holiday.jpg"]
