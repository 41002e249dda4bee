from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.providers.google_drive.conftest import Device

from chatkeep.errors import NotFound, QuotaFull, Refused, Unavailable
from chatkeep.providers.google_drive import GoogleDrive
from chatkeep.providers.google_drive.uploads import UNIT, kind, right
from chatkeep.storage import Retrying
from chatkeep.testing.storage_suite import sample
from fakes.given import Cloud

LARGE = sample(6_000_000)
SESSION = "PUT .*upload_id="


def sent(google_fake: Cloud) -> list[int]:
    """How many bytes went to each request of a session."""
    return [entry.sent for entry in google_fake.journal.entries if "upload_id=" in entry.query]


def copies(google_fake: Cloud, name: str) -> int:
    return sum(1 for file in google_fake.fake.users["alice"].files.values() if file.name == name)


def test_an_upload_goes_on_where_it_was_after_its_process_was_killed(google_fake: Cloud, device: Device) -> None:
    google_fake.faults.cut(SESSION, after=4 * UNIT + 1000)
    with pytest.raises(Unavailable):
        device.open().put("Vault/pack", LARGE)
    device.kill()
    again = device.open(new=False)
    assert again.put("Vault/pack", LARGE).size == len(LARGE)
    assert sent(google_fake) == [4 * UNIT + 1000, 0, len(LARGE) - 4 * UNIT]
    assert google_fake.journal.count("uploadType=resumable&fields") == 1
    assert again.get("Vault/pack") == LARGE


def test_other_bytes_of_the_same_name_begin_anew(google_fake: Cloud, device: Device) -> None:
    google_fake.faults.cut(SESSION, after=4 * UNIT)
    with pytest.raises(Unavailable):
        device.open().put("Vault/pack", LARGE)
    device.kill()
    other = sample(6_000_000, of="other")
    again = device.open(new=False)
    again.put("Vault/pack", other)
    assert again.get("Vault/pack") == other
    assert copies(google_fake, "pack") == 1


def test_an_upload_whose_session_has_gone_begins_anew(google_fake: Cloud, device: Device) -> None:
    google_fake.faults.cut(SESSION, after=4 * UNIT)
    with pytest.raises(Unavailable):
        device.open().put("Vault/pack", LARGE)
    device.kill()
    google_fake.fake.lose_sessions()
    assert device.open(new=False).put("Vault/pack", LARGE).size == len(LARGE)
    assert copies(google_fake, "pack") == 1


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
def test_a_create_whose_answer_was_lost_makes_one_file_when_repeated(
    google_fake: Cloud, device: Device, data: bytes
) -> None:
    storage = device.open()
    storage.put("Vault/other", b"x")
    google_fake.faults.lose(SESSION if len(data) > 100 else "POST .*uploadType=multipart")
    with pytest.raises(Unavailable):
        storage.put("Vault/pack", data)
    assert storage.put("Vault/pack", data).size == len(data)
    assert copies(google_fake, "pack") == 1


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
def test_not_even_when_the_process_was_killed_in_between(google_fake: Cloud, device: Device, data: bytes) -> None:
    storage = device.open()
    storage.put("Vault/other", b"x")
    google_fake.faults.lose(SESSION if len(data) > 100 else "POST .*uploadType=multipart")
    with pytest.raises(Unavailable):
        storage.put("Vault/pack", data)
    device.kill()
    before = sum(sent(google_fake))
    again = device.open(new=False)
    assert again.put("Vault/pack", data).size == len(data)
    assert copies(google_fake, "pack") == 1
    assert sum(sent(google_fake)) == before
    assert again.get("Vault/pack") == data


def test_other_bytes_after_a_lost_answer_replace_what_was_made(google_fake: Cloud, storage: GoogleDrive) -> None:
    google_fake.faults.lose("POST .*uploadType=multipart")
    with pytest.raises(Unavailable):
        storage.put("pack", b"first")
    storage.put("pack", b"second")
    assert copies(google_fake, "pack") == 1
    assert storage.get("pack") == b"second"


def test_folders_are_made_once_however_often_their_answers_are_lost(google_fake: Cloud, storage: GoogleDrive) -> None:
    patient = Retrying(storage, sleep=lambda _: None)
    google_fake.faults.lose("POST www.googleapis.com/drive/v3/files", times=2)
    patient.put("Chats/2024/a", b"x")
    google_fake.faults.lose("POST www.googleapis.com/batch", times=1)
    patient.put_many({"Chats/data/a/1": b"x", "Chats/data/b/2": b"x", "Vault/index/3": b"x"})
    folders = [file.name for file in google_fake.fake.users["alice"].files.values() if file.folder]
    assert sorted(folders) == sorted(["Chatkeep", "Chats", "2024", "Vault", "data", "a", "b", "index"])


def test_drive_may_keep_less_than_it_was_sent(google_fake: Cloud, storage: GoogleDrive) -> None:
    google_fake.fake.partial_store = True
    storage.put("pack", LARGE)
    assert storage.get("pack") == LARGE
    assert len(sent(google_fake)) == 2
    storage.put("less", sample(5_000_001))
    assert storage.get("less") == sample(5_000_001)


def test_a_server_that_keeps_nothing_is_given_up_for_now(google_fake: Cloud, storage: GoogleDrive) -> None:
    google_fake.faults.fail(SESSION, 308, times=100)
    with pytest.raises(Unavailable, match="keeps nothing"):
        storage.put("pack", LARGE)
    assert google_fake.journal.count(SESSION) == 4
    google_fake.faults.clear()
    storage.put("pack", LARGE)


def test_what_was_changed_on_its_way_is_removed_and_sent_again(google_fake: Cloud, storage: GoogleDrive) -> None:
    google_fake.faults.garble("POST .*uploadType=multipart", at=-50)
    with pytest.raises(Unavailable, match="changed on its way"):
        storage.put("a", b"y" * 1000)
    assert copies(google_fake, "a") == 0
    assert storage.listing() == []
    google_fake.faults.garble(SESSION, at=17)
    Retrying(storage, sleep=lambda _: None).put("pack", LARGE)
    assert storage.get("pack") == LARGE
    assert copies(google_fake, "pack") == 1


def test_a_full_account_says_so_and_leaves_nothing(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put("Vault/a", b"old")
    google_fake.fake.users["alice"].limit = 1000
    for name, data in (("Vault/a", bytes(2000)), ("Vault/b", bytes(2000)), ("Vault/c", LARGE)):
        with pytest.raises(QuotaFull) as raised:
            storage.put(name, data)
        assert raised.value.hint
    assert {one.name: storage.get(one.name) for one in storage.listing()} == {"Vault/a": b"old"}
    google_fake.fake.users["alice"].limit = None
    storage.put("Vault/c", LARGE)


def test_no_body_of_a_single_request_is_larger_than_drive_says(google_fake: Cloud, storage: GoogleDrive) -> None:
    google_fake.fake.simple_limit = 5_000_000
    for size in (4_999_999, 5_000_000, 5_000_001):
        storage.put(str(size), bytes(size))
        storage.put(str(size), b"1" * size)
    assert len(storage.listing()) == 3


def test_the_address_of_a_session_is_sent_without_our_token(google_fake: Cloud, storage: GoogleDrive) -> None:
    seen: list[bool] = []
    answer = google_fake.fake.answer
    google_fake.fake.answer = lambda request: (
        seen.append("authorization" in request.headers) if "upload_id" in request.query else None,
        answer(request),
    )[1]
    storage.put("pack", LARGE)
    assert seen == [False]


def test_a_folder_that_went_meanwhile_is_made_anew(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put("Chats/2024/a", b"x")
    drive = google_fake.fake.users["alice"]
    drive.delete(drive.path("Chatkeep", "Chats"))
    storage.put("Chats/2024/b", b"y")
    assert [one.name for one in storage.listing()] == ["Chats/2024/b"]


def test_a_file_that_went_meanwhile_is_made_anew(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put("a", b"x")
    drive = google_fake.fake.users["alice"]
    drive.delete(drive.path("Chatkeep", "a"))
    storage.put("a", b"y")
    assert storage.get("a") == b"y"


def test_where_drive_bends_a_name_nothing_stays(google_fake: Cloud, storage: GoogleDrive) -> None:
    create = google_fake.fake.users["alice"].create
    google_fake.fake.users["alice"].create = lambda meta, data, app: create(
        meta | {"name": meta["name"].strip()}, data, app
    )
    with pytest.raises(Refused, match="does not keep the name"):
        storage.put("trailing space ", b"x")
    assert storage.listing() == []


def test_a_second_device_does_not_make_a_file_of_a_name_that_it_knows(
    google_fake: Cloud, storage: GoogleDrive, devices: Callable[..., Device]
) -> None:
    storage.put("Vault/a", b"x")
    second = devices().open(new=False)
    second.put("Vault/a", b"y")
    assert copies(google_fake, "a") == 1
    assert storage.get("Vault/a") == b"y"
    second.delete("Vault/a")
    with pytest.raises(NotFound):
        storage.get("Vault/a")


def test_readable_copies_are_told_as_what_they_are() -> None:
    assert kind("Chats/2024-01-05 Grüße [1a2b].MD") == "text/markdown"
    assert kind("Vault/data/ab/abcd") == kind("md") == "application/octet-stream"


def test_without_any_hash_nothing_is_taken_for_right() -> None:
    assert not right({"id": "1"}, b"x")
    assert right({"md5Checksum": "9dd4e461268c8034f5c8564e155c67a6"}, b"x")
    assert not right({"md5Checksum": "9dd4e461268c8034f5c8564e155c67a6", "sha256Checksum": "00"}, b"x")


def test_an_export_of_any_size_is_read_in_parts(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put("Inbox/export.zip", b"x")
    drive = google_fake.fake.users["alice"]
    data = sample(45_000_000)
    drive.update(drive.path("Chatkeep", "Inbox", "export.zip"), {}, data, "cid")
    assert storage.stat("Inbox/export.zip").size == len(data)
    assert storage.get("Inbox/export.zip", start=44_999_990) == data[-10:]
    assert storage.get("Inbox/export.zip", start=20_000_000, length=1000) == data[20_000_000:20_001_000]
    storage.move("Inbox/export.zip", "Inbox/done/export.zip")
    assert storage.stat("Inbox/done/export.zip").size == len(data)
