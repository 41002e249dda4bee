"""How many requests things cost. They are the figures that a backup's are made of."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.providers.google_drive.conftest import Device

from chatkeep.errors import Unavailable
from chatkeep.providers.google_drive import GoogleDrive
from chatkeep.storage import Counting, Retrying
from fakes.given import Cloud
from fakes.google_drive import Wrong

FEED = "GET www.googleapis.com/drive/v3/changes?"


def test_a_run_that_finds_nothing_new_makes_one_request(google_fake: Cloud, device: Device) -> None:
    first = device.open()
    first.put("Vault/config", b"x")
    cursor = first.changes("").cursor
    first.close()
    with google_fake.journal.counted() as lines:
        again = device.open(new=False)
        told = again.changes(cursor)
        again.close()
    assert (told.complete, told.changed, told.gone) == (True, frozenset(), frozenset())
    assert [line.partition("pageToken")[0] for line in lines] == [FEED]
    assert again.requests == 1


def test_with_a_token_that_has_run_out_it_makes_two(google_fake: Cloud, device: Device) -> None:
    now = 1_700_000_000.0
    google_fake.fake.clock = lambda: now
    cursor = device.open().changes("").cursor
    device.opened.pop().close()
    again = device.open(new=False)
    now += 7200
    with google_fake.journal.counted() as lines:
        assert again.changes(cursor).complete
        again.close()
    assert [line.partition("?")[0] for line in lines] == [
        "POST oauth2.googleapis.com/token",
        "GET www.googleapis.com/drive/v3/changes",
    ]
    assert again.requests == 2


def test_connecting_a_new_account_makes_five(google_fake: Cloud, device: Device) -> None:
    """The feed's token, the list, ids, and the folder; the first put needs no more than itself."""
    with google_fake.journal.counted() as lines:
        device.open().put("README.txt", b"x")
    assert [line.split("?")[0].partition("/drive/v3/")[2] for line in lines] == [
        "changes/startPageToken",
        "files",
        "files/generateIds",
        "files",
        "files",
    ]


def test_each_small_object_is_one_request_and_a_large_one_two(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put("Vault/data/ab/1", b"x")
    with google_fake.journal.counted() as lines:
        storage.put("Vault/data/ab/2", b"x" * 5_000_000)
        storage.put("Vault/data/ab/2", b"replaced")
        storage.get("Vault/data/ab/2")
        storage.get("Vault/data/ab/2", start=2, length=3)
        storage.delete("Vault/data/ab/2")
    assert len(lines) == 5
    with google_fake.journal.counted() as lines:
        storage.put("Vault/data/ab/3", b"x" * 5_000_001)
    assert [line.split(" ")[0] for line in lines] == ["POST", "PUT"]


def test_many_objects_need_their_folders_one_request_for_each_depth(google_fake: Cloud, storage: GoogleDrive) -> None:
    objects = {f"Chats/{i % 3}/{i:02x}/{i}": b"x" for i in range(60)}
    with google_fake.journal.counted() as lines:
        stored = storage.put_many(objects)
    assert len([line for line in lines if "/upload/" not in line]) == 3
    assert len(lines) == 60 + 3
    assert [one.name for one in stored] == list(objects)


def test_with_the_first_pack_the_folders_of_all_packs_are_made(google_fake: Cloud, storage: GoogleDrive) -> None:
    google_fake.faults.lose("POST .*/batch", nth=2)
    storage.put("Vault/config", b"x")
    with pytest.raises(Unavailable):
        storage.put("Vault/data/77/77ab", b"x")
    storage.put("Vault/data/77/77ab", b"x")
    folders = [file.name for file in google_fake.fake.users["alice"].files.values() if file.folder]
    assert folders.count("77") == 1
    with google_fake.journal.counted() as lines:
        for i in range(256):
            storage.put(f"Vault/data/{i:02x}/{i:02x}", b"x")
    folders = [file.name for file in google_fake.fake.users["alice"].files.values() if file.folder]
    assert sorted(folders) == sorted(["Chatkeep", "Vault", "data", *(f"{i:02x}" for i in range(256))])
    assert len(lines) <= 256 + 4


def test_a_folder_of_packs_that_drive_does_not_make_just_now_is_made_when_it_is_needed(
    google_fake: Cloud, storage: GoogleDrive
) -> None:
    drive = google_fake.fake.users["alice"]
    create = drive.create

    def busy(meta: dict[str, object], data: bytes, app: str) -> object:
        if meta["name"] in ("aa", "bb") and not data and drive.made < 10_000:
            drive.made = 10_000
            raise Wrong(403, "userRateLimitExceeded")
        return create(meta, data, app)

    drive.create = busy
    storage.put("Vault/data/77/1", b"x")
    assert sum(file.folder for file in drive.files.values()) == 3 + 255
    with google_fake.journal.counted() as lines:
        storage.put("Vault/data/aa/1", b"x")
        storage.put("Vault/data/bb/1", b"x")
    assert len(lines) == 3


def test_many_objects_are_deleted_a_hundred_in_a_request(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put_many({f"Vault/{i}": b"x" for i in range(150)})
    with google_fake.journal.counted() as lines:
        storage.delete_many([f"Vault/{i}" for i in range(150)])
    assert lines == ["POST www.googleapis.com/batch/drive/v3"] * 2
    assert storage.listing() == []


def test_moving_is_two_requests_whatever_the_size(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put("Inbox/a.zip", b"x" * 100)
    storage.put("Done/b.zip", b"y")
    with google_fake.journal.counted() as lines:
        storage.move("Inbox/a.zip", "Done/a.zip")
    assert [line.split(" ")[0] for line in lines] == ["GET", "PATCH"]
    assert [one.name for one in storage.listing()] == ["Done/a.zip", "Done/b.zip"]


def test_ids_left_over_are_used_by_the_next_run(google_fake: Cloud, device: Device) -> None:
    device.open().put("a", b"x")
    device.opened.pop().close()
    with google_fake.journal.counted("generateIds") as lines:
        for i in range(12):
            storage = device.open(new=False)
            storage.put(f"b{i}", b"x")
            storage.close()
    assert lines == []
    assert len(google_fake.fake.users["alice"].files) == 1 + 13


def test_all_requests_are_counted_also_through_what_is_wrapped_around(
    google_fake: Cloud, devices: Callable[..., Device]
) -> None:
    counting = Counting(Retrying(devices().open(), sleep=lambda _: None))
    before = google_fake.journal.count()
    google_fake.faults.fail("POST .*/upload/", 503, times=2)
    counting.put("a", b"x")
    google_fake.fake.consent.expire_access()
    counting.get("a")
    assert counting.requests == google_fake.journal.count() - before == 3 + 3


def test_five_hundred_files_are_listed_in_one_request(google_fake: Cloud, devices: Callable[..., Device]) -> None:
    devices().open().put_many({f"Vault/data/{i % 16:02x}/{i}": b"x" for i in range(500)})
    with google_fake.journal.counted() as lines:
        joined = devices().open(new=False)
        assert len(joined.listing()) == 500
    assert len(lines) == 3  # the feed's token, the list, and the feed
