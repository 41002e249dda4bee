"""What changed: told exactly, or told to be incomplete; never wrong."""

from __future__ import annotations

import pytest
from tests.providers.onedrive.conftest import Clock, Opening

from chatkeep.providers import MemoryNotes
from chatkeep.providers.onedrive import OneDrive
from chatkeep.storage import Changes, changes
from fakes.given import Cloud

PLACE = "Apps/Chatkeep/Chatkeep"


@pytest.fixture(autouse=True)
def clock(cloud: Cloud) -> Clock:
    cloud.fake.clock = Clock()
    return cloud.fake.clock


def told(storage: OneDrive, cursor: str = "") -> Changes:
    found = changes(storage, cursor)
    assert found is not None
    return found


def names(found: Changes) -> tuple[set[str], set[str], bool]:
    return set(found.changed), set(found.gone), found.complete


@pytest.fixture
def storage(cloud: Cloud, opening: Opening) -> OneDrive:
    """A storage with some objects that it knows, and folders that it learnt by listing."""
    storage = opening(cloud)
    storage.put_many(dict.fromkeys(("Vault/data/ab/1", "Vault/index/2", "Inbox/3", "top"), b"x"))
    storage.listing()
    return storage


def test_where_nothing_changed_it_costs_one_request(cloud: Cloud, storage: OneDrive) -> None:
    begun = told(storage)
    with cloud.journal.counted() as lines:
        nothing = told(storage, begun.cursor)
    assert names(nothing) == (set(), set(), True)
    assert len(lines) == 1


def test_what_others_do_is_told_by_name(cloud: Cloud, storage: OneDrive) -> None:
    begun = told(storage)
    cloud.fake.write(f"{PLACE}/Vault/snapshots/4", b"new folder")
    cloud.fake.write(f"{PLACE}/Vault/index/2", b"replaced")
    cloud.fake.remove(f"{PLACE}/Inbox/3")
    cloud.fake.rename(f"{PLACE}/top", f"{PLACE}/Inbox/Grüße")
    cloud.fake.write("Documents/not ours.txt", b"x")
    found = told(storage, begun.cursor)
    assert names(found) == ({"Vault/snapshots/4", "Vault/index/2", "Inbox/Grüße"}, {"Inbox/3", "top"}, True)
    assert names(told(storage, found.cursor)) == (set(), set(), True)


def test_it_works_in_another_process_with_the_same_notes(cloud: Cloud, opening: Opening) -> None:
    notes = MemoryNotes()
    first = opening(cloud, notes=notes)
    first.put("a/b/c", b"x")
    cursor = told(first).cursor
    first.put("a/b/d", b"x")
    first.close()
    cloud.fake.remove(f"{PLACE}/a/b/c")
    second = opening(cloud, notes=notes, new=False)
    with cloud.journal.counted() as lines:
        found = told(second, cursor)
    assert (set(found.changed), set(found.gone)) == ({"a/b/d"}, {"a/b/c"})
    assert len(lines) == 1


@pytest.mark.parametrize("page", [1, 2, 200])
@pytest.mark.parametrize("repeats", [False, True], ids=["once", "twice"])
def test_pages_and_repeated_items_change_nothing(cloud: Cloud, storage: OneDrive, page: int, repeats: bool) -> None:
    begun = told(storage)
    cloud.fake.feed.page, cloud.fake.feed.repeats = page, repeats
    for i in range(7):
        cloud.fake.write(f"{PLACE}/Vault/index/new{i}", b"x")
    cloud.fake.remove(f"{PLACE}/Inbox/3")
    assert names(told(storage, begun.cursor)) == ({f"Vault/index/new{i}" for i in range(7)}, {"Inbox/3"}, True)


def test_a_cursor_that_microsoft_forgot_begins_anew(cloud: Cloud, storage: OneDrive) -> None:
    begun = told(storage)
    storage.put("missed", b"x")
    cloud.fake.feed.expired = True
    anew = told(storage, begun.cursor)
    assert names(anew) == (set(), set(), False)
    storage.put("told", b"x")
    assert names(told(storage, anew.cursor)) == ({"told"}, set(), True)


@pytest.mark.parametrize("alone", [False, True], ids=["each told", "folder alone"])
def test_a_folder_that_goes_is_not_guessed_at(cloud: Cloud, storage: OneDrive, alone: bool) -> None:
    begun = told(storage)
    cloud.fake.feed.folder_alone = alone
    cloud.fake.remove(f"{PLACE}/Vault")
    found = told(storage, begun.cursor)
    assert not found.complete
    assert names(told(storage, found.cursor)) == (set(), set(), True)


def test_a_folder_that_is_renamed_is_not_guessed_at_and_its_new_name_is_known_afterwards(
    cloud: Cloud, storage: OneDrive
) -> None:
    begun = told(storage)
    cloud.fake.rename(f"{PLACE}/Vault/data", f"{PLACE}/Vault/other")
    found = told(storage, begun.cursor)
    assert not found.complete
    cloud.fake.write(f"{PLACE}/Vault/other/ab/5", b"x")
    cloud.fake.remove(f"{PLACE}/Vault/other/ab/1")
    assert names(told(storage, found.cursor)) == ({"Vault/other/ab/5"}, {"Vault/other/ab/1"}, True)


def test_a_folder_that_comes_from_elsewhere_with_what_is_in_it_is_not_guessed_at(
    cloud: Cloud, storage: OneDrive
) -> None:
    cloud.fake.write("Documents/exports/a.zip", b"x")
    begun = told(storage)
    cloud.fake.rename("Documents/exports", f"{PLACE}/Inbox/exports")
    assert not told(storage, begun.cursor).complete


def test_a_file_that_comes_from_elsewhere_is_told_and_one_that_leaves_is_gone(cloud: Cloud, storage: OneDrive) -> None:
    cloud.fake.write("Documents/a.zip", b"x")
    begun = told(storage)
    cloud.fake.rename("Documents/a.zip", f"{PLACE}/Inbox/a.zip")
    cloud.fake.rename(f"{PLACE}/top", "Documents/top")
    found = told(storage, begun.cursor)
    assert "Inbox/a.zip" in found.changed
    assert "top" in found.gone


def test_two_readers_of_the_feed_do_not_take_from_one_another(cloud: Cloud, storage: OneDrive) -> None:
    one, other = told(storage).cursor, told(storage).cursor
    cloud.fake.rename(f"{PLACE}/top", f"{PLACE}/Inbox/moved")
    storage.move("Inbox/3", "Inbox/Done/3")
    expected = ({"Inbox/moved", "Inbox/Done/3"}, {"top", "Inbox/3"}, True)
    assert names(told(storage, one)) == expected
    assert names(told(storage, other)) == expected


def test_without_its_notes_it_asks_for_a_listing_instead_of_guessing(
    cloud: Cloud, opening: Opening, clock: Clock
) -> None:
    first = opening(cloud)
    first.put("a/old", b"x")
    first.put("b/old", b"x")
    clock.now += 60
    cursor = told(first).cursor
    cloud.fake.rename(f"{PLACE}/a/old", f"{PLACE}/a/renamed")
    found = told(opening(cloud, new=False), cursor)
    assert not found.complete


def test_a_deleted_folder_of_our_own_is_not_an_empty_one(cloud: Cloud, storage: OneDrive) -> None:
    begun = told(storage)
    cloud.fake.remove(PLACE)
    found = None
    try:
        found = told(storage, begun.cursor)
    except Exception as error:
        assert "is not in your OneDrive any more" in str(error)  # noqa: PT017
    assert found is None or not found.complete


def test_business_drives_have_no_feed_and_are_asked_once(business: Cloud, opening: Opening) -> None:
    notes = MemoryNotes()
    storage = opening(business, notes=notes)
    with business.journal.counted() as lines:
        assert changes(storage, "") is None
        assert changes(storage, "") is None
        assert changes(opening(business, notes=notes, new=False), "any") is None
    assert len(lines) == 1


def test_what_is_remembered_stays_small(
    cloud: Cloud, opening: Opening, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatkeep.providers.onedrive.tree.MOST_ITEMS", 10)
    notes = MemoryNotes()
    storage = opening(cloud, notes=notes)
    storage.put_many({f"data/{i:03d}": b"x" for i in range(60)})
    clock.now += 60
    cursor = told(storage).cursor
    assert (notes.get("items") or b"").count(b"data/0") == 10
    cloud.fake.write(f"{PLACE}/data/059", b"changed")
    cloud.fake.write(f"{PLACE}/data/001", b"changed, and forgotten")
    found = told(storage, cursor)
    assert {"data/059", "data/001"} <= found.changed
    assert not found.complete
