from __future__ import annotations

from collections.abc import Callable

import pytest

from chatkeep.errors import Damaged, NotFound, Refused, Unavailable
from chatkeep.providers.dropbox import Dropbox
from chatkeep.providers.dropbox.api import Answer
from chatkeep.providers.dropbox.sending import outgoing
from chatkeep.providers.notes import MemoryNotes
from chatkeep.testing.storage_suite import sample
from fakes.dropbox import DropboxFake
from fakes.given import Cloud

from .conftest import Time

Opened = Callable[..., Dropbox]


def _names(storage: Dropbox, prefix: str = "") -> list[str]:
    return [stored.name for stored in storage.listing(prefix)]


# Names


@pytest.mark.parametrize(
    "name", ["trailing ", "a /b", "Desktop.INI", "x/.DS_Store", "thumbs.db", ".dropbox", "e\u0301te\u0301"]
)
def test_a_name_that_dropbox_bends_or_refuses_is_refused_before_any_request(
    storage: Dropbox, dropbox_fake: Cloud, name: str
) -> None:
    dropbox_fake.journal.clear()
    for call in (storage.get, storage.stat, storage.delete, lambda name: storage.put(name, b"")):
        with pytest.raises(Refused):
            call(name)
    with pytest.raises(Refused):
        storage.put_many({"fine": b"", name: b""})
    with pytest.raises(Refused):
        storage.move("fine", name)
    assert dropbox_fake.journal.entries == []


def test_a_name_that_dropbox_bends_all_the_same_is_refused_and_taken_away(storage: Dropbox, fake: DropboxFake) -> None:
    fake.renames = lambda name: name.replace("~", "-")
    with pytest.raises(Refused, match="another form"):
        storage.put("a~b", b"x")
    assert fake.files() == {}


def test_names_are_as_written_also_when_dropbox_shows_their_folders_in_lower_case(
    storage: Dropbox, opened: Opened, fake: DropboxFake
) -> None:
    cursor = storage.changes("").cursor
    storage.put("Chats/WhatsApp/2024/Für Ana.md", b"x")
    fake.parents_in_lower_case = True
    assert storage.changes(cursor).changed == {"Chats/WhatsApp/2024/Für Ana.md"}
    assert _names(opened()) == ["Chats/WhatsApp/2024/Für Ana.md"]
    assert _names(opened(notes=MemoryNotes()), "Chats/WhatsApp/") == ["Chats/WhatsApp/2024/Für Ana.md"]
    later = storage.changes("").cursor
    fake.write("/Chatkeep/Chats/WhatsApp/2024/New.md", b"of another device")
    assert opened().changes(later).changed == {"Chats/WhatsApp/2024/New.md"}


# The folder


def test_a_folder_that_is_not_there_is_never_taken_for_an_empty_one(opened: Opened, fake: DropboxFake) -> None:
    for call in (
        lambda: opened().listing(),
        lambda: opened().listing("Vault/"),
        lambda: opened().changes(""),
        lambda: opened().put("a", b"x"),
        lambda: opened().put_many({"a": b"x"}),
    ):
        with pytest.raises(Unavailable, match="not in the Dropbox any more"):
            call()
    assert fake.account().tree.nodes == {}


def test_a_folder_that_went_away_is_noticed_by_who_has_it_open(storage: Dropbox, fake: DropboxFake) -> None:
    storage.put("a/b", b"x")
    cursor = storage.changes("").cursor
    fake.remove("/Chatkeep")
    with pytest.raises(Unavailable):
        storage.changes(cursor)
    with pytest.raises(Unavailable):
        storage.listing()


def test_connecting_again_finds_what_is_there_and_refuses_a_file_in_its_place(
    opened: Opened, fake: DropboxFake
) -> None:
    opened(new=True).put("a", b"x")
    assert _names(opened(new=True)) == ["a"]
    fake.write("/Other", b"a file")
    with pytest.raises(Refused):
        opened(new=True, folder="Other")


def test_a_handle_sees_its_own_folder_only(opened: Opened, fake: DropboxFake) -> None:
    fake.write("/Chatkeep 2/a", b"of another")
    fake.write("/b", b"of nobody")
    mine = opened(new=True)
    cursor = mine.changes("").cursor
    fake.write("/Chatkeep 2/c", b"of another")
    assert _names(mine) == []
    assert mine.changes(cursor).changed == set()
    everything = opened(folder="")
    assert _names(everything) == ["Chatkeep 2/a", "Chatkeep 2/c", "b"]
    deep = opened(new=True, folder="My/Deep Folder")
    deep.put("a", b"x")
    assert (_names(deep), deep.get("a")) == (["a"], b"x")
    assert deep.changes(cursor).complete is False


def test_deleting_a_name_that_is_a_folder_takes_nothing_along(storage: Dropbox, fake: DropboxFake) -> None:
    storage.put("a/b", b"x")
    storage.put("a/c", b"x")
    storage.delete("a")
    storage.delete_many(["a", "A", "a/c"])
    assert fake.files() == {"/Chatkeep/a/b": b"x"}
    with pytest.raises(NotFound):
        storage.move("a", "z")


# Listings


def test_a_listing_of_many_pages_is_complete(storage: Dropbox, fake: DropboxFake) -> None:
    fake.page_limit = 7
    storage.put_many({f"{i:03}": b"" for i in range(40)})
    assert _names(storage) == [f"{i:03}" for i in range(40)]


def test_a_listing_starts_over_when_its_cursor_was_reset(
    storage: Dropbox, dropbox_fake: Cloud, fake: DropboxFake
) -> None:
    fake.page_limit = 7
    storage.put_many({f"{i:03}": b"" for i in range(40)})
    json = {"Content-Type": "application/json"}
    reset = b'{"error_summary": "reset/..", "error": {".tag": "reset"}}'
    dropbox_fake.faults.fail("list_folder/continue", 409, headers=json, body=reset, nth=3)
    assert len(_names(storage)) == 40
    dropbox_fake.faults.fail("list_folder/continue", 409, headers=json, body=reset, times=50)
    with pytest.raises(Unavailable):
        storage.listing()


def test_what_is_deleted_while_it_is_listed_is_not_listed(storage: Dropbox, fake: DropboxFake) -> None:
    fake.page_limit = 7
    storage.put_many({f"{folder}/{i}": b"" for folder in "abc" for i in range(9)})

    def meanwhile(route: str) -> None:
        if route.endswith("continue"):
            fake.before = lambda route: None
            fake.remove("/Chatkeep/a")
            fake.remove("/Chatkeep/c/8")

    fake.before = meanwhile
    assert _names(storage) == sorted([f"b/{i}" for i in range(9)] + [f"c/{i}" for i in range(8)])


def test_a_listing_whose_page_fails_raises(storage: Dropbox, dropbox_fake: Cloud, fake: DropboxFake) -> None:
    fake.page_limit = 7
    storage.put_many({f"{i:03}": b"" for i in range(40)})
    dropbox_fake.faults.fail("list_folder/continue", 503, nth=4)
    with pytest.raises(Unavailable):
        storage.listing()


# What changed


def test_nothing_changed_is_one_request(storage: Dropbox, opened: Opened, dropbox_fake: Cloud) -> None:
    storage.put("a", b"x")
    cursor = storage.changes("").cursor
    later = opened()
    dropbox_fake.journal.clear()
    told = later.changes(cursor)
    assert (told.complete, told.changed, told.gone) == (True, set(), set())
    assert len(dropbox_fake.journal.entries) == 1


def test_news_of_many_pages_are_told_in_their_order(storage: Dropbox, fake: DropboxFake) -> None:
    cursor = storage.changes("").cursor
    fake.page_limit = 3
    for i in range(10):
        fake.write(f"/Chatkeep/a/{i}", b"x")
    fake.remove("/Chatkeep/a/3")
    told = storage.changes(cursor)
    assert told.changed == {f"a/{i}" for i in range(10) if i != 3}
    assert told.complete


def test_a_deleted_file_is_told_by_name_also_to_a_process_that_never_saw_it(
    storage: Dropbox, opened: Opened, fake: DropboxFake
) -> None:
    storage.put_many({"a/b": b"", "a/c": b"", "Locks/1": b"", "d": b""})
    cursor = storage.changes("").cursor
    storage.listing()
    fake.remove("/Chatkeep/Locks/1")
    fake.remove("/Chatkeep/d")
    told = opened().changes(cursor)
    assert (told.complete, told.gone) == (True, {"Locks/1", "d"})


def test_a_deleted_folder_means_that_all_must_be_listed(storage: Dropbox, opened: Opened, fake: DropboxFake) -> None:
    storage.put_many({"a/b": b"", "a/c": b"", "d": b""})
    cursor = storage.changes("").cursor
    storage.listing()
    fake.remove("/Chatkeep/a")
    for handle in (storage, opened(), opened(notes=MemoryNotes())):
        told = handle.changes(cursor)
        assert (told.complete, told.changed, told.gone) == (False, set(), set())
    assert storage.changes(told.cursor).complete


def test_without_notes_a_deletion_means_that_all_must_be_listed(
    storage: Dropbox, opened: Opened, fake: DropboxFake
) -> None:
    storage.put("d", b"")
    cursor = storage.changes("").cursor
    fake.remove("/Chatkeep/d")
    assert opened(notes=MemoryNotes()).changes(cursor).complete is False


def test_notes_that_cannot_be_read_are_as_none(storage: Dropbox, opened: Opened, fake: DropboxFake) -> None:
    storage.put("a/b", b"")
    cursor = storage.changes("").cursor
    spoilt = MemoryNotes()
    spoilt.put("folders:chatkeep", b"{not json")
    fake.remove("/Chatkeep/a")
    assert opened(notes=spoilt).changes(cursor).complete is False


def test_folders_that_two_processes_learned_are_both_remembered(
    storage: Dropbox, opened: Opened, fake: DropboxFake, notes: MemoryNotes
) -> None:
    one, other = opened(), opened()
    cursor = one.changes("").cursor
    one.listing(), other.listing()
    fake.write("/Chatkeep/Of One/a", b"")
    seen = one.changes(cursor).cursor
    fake.write("/Chatkeep/Of Other/a", b"")
    later = other.changes(seen).cursor
    fake.remove("/Chatkeep/Of One")
    assert other.changes(later).complete is False
    assert b"Of One" in b"".join(notes._kept.values())
    assert b"Of Other" in b"".join(notes._kept.values())


def test_a_cursor_that_dropbox_forgot_begins_anew(storage: Dropbox, fake: DropboxFake) -> None:
    cursor = storage.changes("").cursor
    fake.reset_cursors()
    storage.put("a", b"x")
    told = storage.changes(cursor)
    assert (told.complete, told.changed) == (False, set())
    assert storage.changes(told.cursor).complete


def test_a_cursor_of_another_account_begins_anew(storage: Dropbox, opened: Opened) -> None:
    cursor = storage.changes("").cursor
    other = opened(new=True, user="bob", notes=MemoryNotes())
    assert other.changes(cursor).complete is False


# Bytes


def test_reading_an_object_or_a_part_of_it_is_one_request(storage: Dropbox, dropbox_fake: Cloud) -> None:
    storage.put("a", sample(1000))
    dropbox_fake.journal.clear()
    storage.get("a")
    storage.get("a", start=10, length=20)
    storage.stat("a")
    storage.listing()
    storage.delete("a")
    assert dropbox_fake.journal.count() == 5


def test_bytes_that_were_changed_on_the_way_are_asked_for_again(storage: Dropbox, dropbox_fake: Cloud) -> None:
    data = sample(10_000)
    storage.put("a", data)
    dropbox_fake.faults.corrupt("files/download", at=77)
    assert storage.get("a") == data


def test_bytes_that_do_not_match_their_hash_twice_are_damaged(storage: Dropbox, fake: DropboxFake) -> None:
    storage.put("a", sample(10_000))
    fake.damage("/Chatkeep/a")
    with pytest.raises(Damaged, match="a"):
        storage.get("a")


def test_an_answer_that_breaks_off_is_unavailable(storage: Dropbox, dropbox_fake: Cloud) -> None:
    storage.put("a", sample(100_000))
    dropbox_fake.faults.shorten("files/download", to=5000, times=2)
    with pytest.raises(Unavailable):
        storage.get("a")
    with pytest.raises(Unavailable):
        storage.get("a", start=10, length=50_000)


@pytest.mark.parametrize(
    ("status", "told", "more"),
    [
        (206, '{"size": 100, "content_hash": ""}', {"Content-Range": "bytes 40-49/100"}),
        (206, '{"size": 100, "content_hash": ""}', {}),
        (206, '{"size": 100, "content_hash": ""}', {"Content-Range": "bytes 10-24/100"}),
        (200, '{"size": 15, "content_hash": ""}', {}),
        (200, "no json", {}),
        (200, "[]", {}),
    ],
)
def test_another_part_than_was_asked_for_is_not_taken(
    storage: Dropbox, dropbox_fake: Cloud, status: int, told: str, more: dict[str, str]
) -> None:
    headers = {"Content-Type": "application/octet-stream", "Dropbox-API-Result": told, **more}
    dropbox_fake.faults.fail("files/download", status, headers=headers, body=b"0123456789", times=2)
    with pytest.raises(Unavailable):
        storage.get("a", start=10, length=15)


def test_a_part_is_cut_out_where_dropbox_gives_all(storage: Dropbox, dropbox_fake: Cloud) -> None:
    headers = {"Content-Type": "application/octet-stream", "Dropbox-API-Result": '{"size": 10, "content_hash": ""}'}
    dropbox_fake.faults.fail("files/download", 200, headers=headers, body=b"0123456789")
    assert storage.get("a", start=3, length=4) == b"3456"


def test_a_part_of_a_file_larger_than_any_object_is_read(storage: Dropbox, fake: DropboxFake) -> None:
    data = sample(2**20) * 70
    fake.write("/Chatkeep/Inbox/export.zip", data)
    assert storage.stat("Inbox/export.zip").size == len(data)
    assert storage.get("Inbox/export.zip", start=69 * 2**20 + 5, length=100) == data[5:105]
    assert storage.get("Inbox/export.zip", start=len(data) - 3) == data[-3:]


# Moving and deleting


def test_a_file_can_be_written_in_another_case(storage: Dropbox, fake: DropboxFake) -> None:
    storage.put("a/name", b"x")
    storage.move("a/name", "a/Name")
    assert fake.files() == {"/Chatkeep/a/Name": b"x"}


def test_a_file_is_not_moved_onto_a_folder(storage: Dropbox, fake: DropboxFake) -> None:
    storage.put_many({"a": b"x", "b/c": b"y"})
    with pytest.raises(Refused):
        storage.move("a", "b")
    assert fake.files() == {"/Chatkeep/a": b"x", "/Chatkeep/b/c": b"y"}


def test_many_objects_are_deleted_by_one_job_that_is_waited_for(
    storage: Dropbox, fake: DropboxFake, waited: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_sleep", waited.sleep)
    storage.put_many({f"{i}": b"" for i in range(50)})
    fake.job_polls, fake.refuse_commits = 3, 1
    fake.calls.clear()
    storage.delete_many([f"{i}" for i in range(48)])
    assert sorted(fake.files()) == ["/Chatkeep/48", "/Chatkeep/49"]
    job = ["files/delete_batch", *["files/delete_batch/check"] * 4]
    assert fake.calls == job * 2
    storage.put_many({f"{i}": b"" for i in range(5)})
    fake.job_polls = 10**6
    with pytest.raises(Unavailable):
        storage.delete_many([f"{i}" for i in range(5)])


@pytest.mark.parametrize("refused", [1, 2, 3])
def test_a_move_that_replaces_is_tried_again_when_others_commit(
    storage: Dropbox, fake: DropboxFake, refused: int
) -> None:
    storage.put_many({"a": b"new", "b": b"old"})
    fake.refuse_commits = refused
    storage.move("a", "b")
    assert fake.files() == {"/Chatkeep/b": b"new"}


def test_nothing_secret_and_no_content_is_shown(storage: Dropbox, notes: MemoryNotes) -> None:
    storage.put("a", b"a private matter")
    answer = Answer({"session_id": "pid_upload_session:secret"})
    shown = repr(storage) + repr(vars(storage)) + repr(notes) + repr(outgoing("/a", b"private")) + repr(answer)
    for secret in ("private", "sl.", "rt-", "pid_upload_session"):
        assert secret not in shown
