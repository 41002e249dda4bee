"""What others do: other devices, and the person in the browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.providers.google_drive.conftest import Device

from chatkeep.errors import NotFound, Unavailable
from chatkeep.providers.google_drive import SIGN_IN, GoogleDrive
from chatkeep.providers.google_drive.storage import LISTS_SETTLE_S, LOOK_AGAIN_S, SETTLES_S
from chatkeep.storage import changes
from fakes.given import Cloud
from fakes.google_drive import FOLDER, Drive


def names(storage: GoogleDrive) -> list[str]:
    return [one.name for one in storage.listing()]


@pytest.fixture
def drive(google_fake: Cloud) -> Drive:
    drive: Drive = google_fake.fake.users["alice"]
    return drive


@pytest.fixture
def second(storage: GoogleDrive, devices: Callable[..., Device]) -> GoogleDrive:
    return devices().open(new=False)


def test_what_another_device_did_is_told_after_a_restart_of_this_one(
    device: Device, devices: Callable[..., Device]
) -> None:
    first = device.open()
    first.put_many({"Vault/a": b"1", "Vault/b": b"2", "Vault/c": b"3"})
    cursor = first.changes("").cursor
    first.close()
    other = devices().open(new=False)
    other.put("Vault/a", b"new")
    other.put("Vault/d", b"4")
    other.delete("Vault/b")
    other.move("Vault/c", "Vault/e")
    told = device.open(new=False).changes(cursor)
    assert told.complete
    assert told.changed == {"Vault/a", "Vault/d", "Vault/e"}
    assert told.gone == {"Vault/b", "Vault/c"}


def test_a_cursor_still_tells_all_after_others_were_given(storage: GoogleDrive, second: GoogleDrive) -> None:
    storage.put("a", b"x")
    cursors = [storage.changes("").cursor]
    for i in range(5):
        second.put(f"b{i}", b"x")
        second.delete(f"b{i - 1}")
        cursors.append(storage.changes(cursors[-1]).cursor)
        storage.listing()
    told = storage.changes(cursors[0])
    assert (told.complete, told.changed) == (True, frozenset({"b4"}))
    assert {"b0", "b1", "b2", "b3"} <= told.gone
    assert storage.changes(cursors[3]).changed == {"b4"}


def test_what_this_device_did_before_it_was_killed_is_told_too(
    google_fake: Cloud, device: Device, devices: Callable[..., Device]
) -> None:
    first = device.open()
    first.put("a", b"x")
    cursor = first.changes("").cursor
    first.put("b", b"x")
    first.delete("a")
    device.kill()
    again = device.open(new=False)
    told = again.changes(cursor)
    assert (told.complete, told.changed, told.gone) == (True, {"b"}, {"a"})
    cursor = told.cursor
    again.put("c", b"x")
    device.kill()
    devices().open(new=False).delete("c")
    lost = device.open(new=False).changes(cursor)
    assert not lost.complete  # nobody can say what the file was called that we made and never noted


def test_notes_that_were_lost_cost_a_listing_and_nothing_else(device: Device, google_fake: Cloud) -> None:
    first = device.open()
    first.put_many({"Vault/a": b"1", "Vault/data/aa/b": b"2"})
    first.changes("")
    first.close()
    device.notes.__init__()  # type: ignore[misc]
    again = device.open(new=False)
    assert names(again) == ["Vault/a", "Vault/data/aa/b"]
    again.put("Vault/a", b"replaced")
    assert len([file for file in google_fake.fake.users["alice"].files.values() if not file.folder]) == 2


def test_notes_that_cannot_be_read_are_notes_that_were_lost(device: Device) -> None:
    device.open().put("a", b"x")
    device.kill()
    for key in ("tree Chatkeep", "ids"):
        device.notes.put(key, b"of a later version")
    again = device.open(new=False)
    assert again.get("a") == b"x"
    again.put("b", b"x")


def test_a_feed_that_no_longer_knows_our_token_is_begun_anew(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put("a", b"x")
    cursor = storage.changes("").cursor
    google_fake.faults.fail("GET .*/changes.pageToken", 400)
    told = storage.changes(cursor)
    assert told.complete or names(storage) == ["a"]
    google_fake.faults.fail("GET .*/changes.pageToken", 410)
    storage.put("b", b"x")
    assert names(storage) == ["a", "b"]


def test_a_folder_that_is_renamed_moved_binned_or_removed_has_everything_listed_again(
    storage: GoogleDrive, drive: Drive
) -> None:
    storage.put_many({"Chats/2024/a": b"x", "Chats/2025/b": b"x", "Vault/c": b"x"})
    cursor = storage.changes("").cursor

    def turned() -> list[str]:
        nonlocal cursor
        told = storage.changes(cursor)
        assert not told.complete
        cursor = told.cursor
        assert storage.changes(cursor).complete
        return names(storage)

    year = drive.path("Chatkeep", "Chats", "2024")
    drive.update(year, {"name": "of old"}, None, "")
    assert turned() == ["Chats/2025/b", "Chats/of old/a", "Vault/c"]
    drive.update(year, {}, None, "", parent=drive.path("Chatkeep").id)
    assert turned() == ["Chats/2025/b", "Vault/c", "of old/a"]
    drive.update(year, {"trashed": True}, None, "")
    assert turned() == ["Chats/2025/b", "Vault/c"]
    drive.update(year, {"trashed": False}, None, "")
    assert turned() == ["Chats/2025/b", "Vault/c", "of old/a"]
    drive.update(year, {}, None, "", parent=drive.root)
    assert turned() == ["Chats/2025/b", "Vault/c"]
    drive.delete(drive.path("Chatkeep", "Chats"))
    assert turned() == ["Vault/c"]


def test_a_file_in_the_bin_is_gone_and_out_of_it_is_back(storage: GoogleDrive, drive: Drive) -> None:
    storage.put("Chats/a", b"x")
    cursor = storage.changes("").cursor
    file = drive.path("Chatkeep", "Chats", "a")
    drive.update(file, {"trashed": True}, None, "")
    told = storage.changes(cursor)
    assert (told.complete, told.gone) == (True, {"Chats/a"})
    with pytest.raises(NotFound):
        storage.get("Chats/a")
    drive.update(file, {"trashed": False}, None, "")
    assert storage.changes(told.cursor).changed == {"Chats/a"}


def test_the_top_folder_may_be_renamed_and_moved_and_its_loss_is_an_error(
    google_fake: Cloud, storage: GoogleDrive, drive: Drive, devices: Callable[..., Device]
) -> None:
    storage.put("Vault/a", b"x")
    top = drive.path("Chatkeep")
    elsewhere = drive.create({"name": "Backups", "mimeType": FOLDER}, b"", "another app")
    drive.update(top, {"name": "Old things"}, None, "", parent=elsewhere.id)
    assert names(storage) == ["Vault/a"]
    assert names(devices().open(new=False)) == ["Vault/a"]
    drive.update(top, {"trashed": True}, None, "")
    for call in (storage.listing, lambda: storage.put("b", b"x"), lambda: devices().open(new=False)):
        with pytest.raises(Unavailable) as raised:
            call()
    assert "bin" in raised.value.hint
    assert names(devices().open(new=True)) == []


def test_a_place_that_was_never_made_is_not_taken_for_an_empty_one(devices: Callable[..., Device]) -> None:
    with pytest.raises(Unavailable):
        devices().open(new=False)
    assert devices().open(new=True).listing() == []
    assert devices().open(new=True, folder="Another").listing() == []


def test_two_folders_of_ours_at_one_account_do_not_see_each_other(devices: Callable[..., Device]) -> None:
    one, other = devices().open(), devices().open(folder="Another")
    one.put("a", b"1")
    other.put("a", b"2")
    cursor = one.changes("").cursor
    other.put("b", b"2")
    told = one.changes(cursor)
    assert (told.complete, told.changed) == (True, frozenset())
    assert (one.get("a"), other.get("a"), names(one)) == (b"1", b"2", ["a"])


def test_other_people_and_other_clients_see_nothing(
    google_fake: Cloud, storage: GoogleDrive, devices: Callable[..., Device]
) -> None:
    storage.put("a", b"x")
    bob = devices(user="bob").open()
    assert bob.listing() == []
    google_fake.fake.issue = lambda user: google_fake.fake.consent.issue(user, scopes=SIGN_IN.scopes, client="other")
    with pytest.raises(Unavailable) as raised:
        devices().open(new=False)
    assert "same client id" in raised.value.hint


def test_files_and_names_that_are_not_ours_are_left_alone(storage: GoogleDrive, drive: Drive) -> None:
    storage.put("Chats/a", b"x")
    chats = drive.path("Chatkeep", "Chats")
    for name in ("with/slash", "..", "back\\slash", ""):
        drive.create({"name": name, "parents": [chats.id]}, b"x", "cid")
    drive.create({"name": "Chats", "mimeType": FOLDER}, b"", "cid")
    assert names(storage) == ["Chats/a"]


def test_lists_that_lag_hide_nothing_that_was_written_here(
    google_fake: Cloud, device: Device, devices: Callable[..., Device]
) -> None:
    google_fake.fake.list_lag = 3600
    first = device.open()
    first.put("Vault/a", b"x")
    assert names(first) == ["Vault/a"]
    first.close()
    assert names(device.open(new=False)) == ["Vault/a"]
    with pytest.raises(Unavailable):
        devices().open(new=False)  # the folder itself is not in the list yet


@pytest.mark.parametrize(("lag", "wait"), [(30, LISTS_SETTLE_S), (600, LISTS_SETTLE_S + LOOK_AGAIN_S)])
def test_what_a_list_hid_is_found_when_it_is_looked_at_again(
    google_fake: Cloud, devices: Callable[..., Device], lag: float, wait: float
) -> None:
    now = 1_700_000_000.0
    google_fake.fake.clock = lambda: now
    first = devices().open()
    assert first.traits.settles == SETTLES_S
    first.put("Vault/old", b"x")
    now += 7200
    first.put("Vault/new", b"x")
    first.put("Vault/young/newer", b"x")
    google_fake.fake.list_lag = lag
    joined = devices().open(new=False)
    assert names(joined) == ["Vault/old"]
    assert joined.traits.settles == LISTS_SETTLE_S
    now += LISTS_SETTLE_S / 2
    assert joined.traits.settles == LISTS_SETTLE_S / 2
    now -= LISTS_SETTLE_S / 2
    cursor = joined.changes("").cursor
    end = now + wait
    while now < end:
        now = min(now + LISTS_SETTLE_S, end)
        joined.listing()
    told = joined.changes(cursor)
    assert told.complete
    assert told.changed >= {"Vault/new", "Vault/young/newer"}
    assert names(joined) == ["Vault/new", "Vault/old", "Vault/young/newer"]
    assert joined.traits.settles == SETTLES_S
    now += 2 * LOOK_AGAIN_S
    joined.listing()
    now += 2 * LOOK_AGAIN_S
    with google_fake.journal.counted("GET .*/files") as lines:
        joined.listing()
    assert lines == []


def test_two_devices_that_connect_while_lists_lag_share_what_they_wrote_in_the_end(
    google_fake: Cloud, devices: Callable[..., Device]
) -> None:
    now = 1_700_000_000.0
    google_fake.fake.clock = lambda: now
    google_fake.fake.list_lag = 600
    one = devices().open()
    now += 1
    other = devices().open()
    assert sum(file.name == "Chatkeep" for file in google_fake.fake.users["alice"].files.values()) == 2
    one.put("Vault/data/aa/1", b"1")
    other.put("Vault/data/aa/2", b"2")
    assert names(other) == ["Vault/data/aa/2"]
    now += LOOK_AGAIN_S + 1
    for storage in (one, other):
        assert names(storage) == ["Vault/data/aa/1", "Vault/data/aa/2"]
        assert storage.get("Vault/data/aa/1") == b"1"
    one.put("Vault/data/aa/3", b"3")
    assert names(other)[-1] == "Vault/data/aa/3"


def test_two_files_of_one_name_count_as_the_newer_and_go_together(
    google_fake: Cloud, storage: GoogleDrive, second: GoogleDrive, drive: Drive
) -> None:
    storage.put("warm", b"x")
    second.put("warm", b"x")
    storage.put("Vault/head", b"older")
    second._tree = type(second._known).from_kept("Chatkeep", second._known.kept())  # it has not looked since
    google_fake.fake.feed_lag = 1e9
    second.put("Vault/head", b"newer")
    google_fake.fake.feed_lag = 0
    assert sum(file.name == "head" for file in drive.files.values()) == 2
    assert names(storage) == ["Vault/head", "warm"]
    assert storage.get("Vault/head") in (b"older", b"newer")
    storage.delete("Vault/head")
    assert sum(file.name == "head" for file in drive.files.values()) == 0
    with pytest.raises(NotFound):
        second.get("Vault/head")


def test_a_feed_that_lags_brings_back_nothing_and_loses_nothing(google_fake: Cloud, storage: GoogleDrive) -> None:
    storage.put("a", b"1")
    google_fake.fake.feed_lag = 1e9
    storage.put("b", b"2")
    storage.put("a", b"new")
    storage.delete("b")
    storage.put("c", b"3")
    assert names(storage) == ["a", "c"]
    assert storage.get("a") == b"new"
    google_fake.fake.feed_lag = 0
    assert names(storage) == ["a", "c"]
    assert storage.get("a") == b"new"


def test_a_second_handle_reads_what_was_replaced_and_not_a_mixture(storage: GoogleDrive, second: GoogleDrive) -> None:
    storage.put("a", b"1" * 1000)
    assert second.get("a") == b"1" * 1000
    storage.put("a", b"2" * 500)
    assert second.get("a") == b"2" * 500
    assert second.get("a", start=499) == b"2"
    assert changes(second) is not None
