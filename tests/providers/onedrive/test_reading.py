"""Reading: ranges, addresses that grow old, listings of trees, and what all of it costs."""

from __future__ import annotations

import pytest
from tests.providers.onedrive.conftest import Clock, Opening

from chatkeep.errors import NotFound, SlowDown, Unavailable
from chatkeep.providers import Gate
from chatkeep.providers.onedrive.storage import ADDRESS_LASTS_S
from chatkeep.storage import delete_many, put_many
from chatkeep.testing.storage_suite import sample
from fakes.given import Cloud

PLACE = "Apps/Chatkeep/Chatkeep"


def test_where_an_object_is_fetched_is_asked_for_once_and_again_when_it_is_old(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    now = 0.0
    storage._clock = lambda: now
    data = sample(10_000)
    storage.put("pack", data)
    with cloud.journal.counted() as lines:
        for start in range(0, 10_000, 1000):
            assert storage.get("pack", start=start, length=1000) == data[start : start + 1000]
    assert len(lines) == 10  # the answer to the put said where
    now += ADDRESS_LASTS_S + 1
    with cloud.journal.counted() as lines:
        storage.get("pack", length=1)
    assert len(lines) == 2


def test_what_another_handle_put_costs_one_question_more(cloud: Cloud, opening: Opening) -> None:
    opening(cloud).put("pack", b"0123456789")
    storage = opening(cloud, new=False)
    with cloud.journal.counted() as lines:
        assert [storage.get("pack", start=i, length=1) for i in range(3)] == [b"0", b"1", b"2"]
    assert len(lines) == 4


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_address_that_leads_nowhere_any_more_is_asked_for_anew(cloud: Cloud, opening: Opening, status: int) -> None:
    storage = opening(cloud)
    storage.put("pack", b"bytes")
    storage.get("pack")
    cloud.faults.fail("/content/", status)
    assert storage.get("pack") == b"bytes"


def test_what_another_device_put_in_its_place_is_read(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    storage.put("pack", b"old")
    assert storage.get("pack") == b"old"
    cloud.fake.write(f"{PLACE}/pack", b"new")
    assert storage.get("pack") == b"new"
    cloud.fake.remove(f"{PLACE}/pack")
    cloud.fake.write(f"{PLACE}/pack", b"newest")
    assert storage.get("pack") == b"newest"
    cloud.fake.remove(f"{PLACE}/pack")
    with pytest.raises(NotFound):
        storage.get("pack")


def test_a_download_that_breaks_off_is_an_error_and_not_a_short_object(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    storage.put("pack", sample(100_000))
    for length in (None, 50_000):
        cloud.faults.shorten("/content/", to=1000)
        with pytest.raises(Unavailable):
            storage.get("pack", length=length)


def test_a_server_that_ignores_ranges_or_sends_another_one_is_noticed(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    storage.put("pack", b"0123456789")
    cloud.faults.fail("/content/", 200, body=b"0123456789")
    assert storage.get("pack", start=3, length=2) == b"34"
    cloud.faults.fail("/content/", 206, headers={"Content-Range": "bytes 0-1/10"}, body=b"01")
    with pytest.raises(Unavailable, match="another part"):
        storage.get("pack", start=3, length=2)


def test_objects_larger_than_we_would_ever_put_are_read_in_parts(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    cloud.fake.write(f"{PLACE}/Inbox/export.zip", bytes(40 * 1024 * 1024) + b"end")
    assert storage.stat("Inbox/export.zip").size == 40 * 1024 * 1024 + 3
    assert storage.get("Inbox/export.zip", start=40 * 1024 * 1024) == b"end"


def test_one_folder_is_listed_in_one_request_and_a_tree_in_batches(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    names = [f"Vault/data/{i:02x}/{i:064x}" for i in range(45)] + ["Vault/index/1", "README.txt"]
    put_many(storage, dict.fromkeys(names, b"x"))
    with cloud.journal.counted() as lines:
        assert [one.name for one in storage.listing("Vault/index/")] == ["Vault/index/1"]
    assert len(lines) == 1
    with cloud.journal.counted() as lines:
        assert [one.name for one in storage.listing()] == sorted(names)
    assert len(lines) == 1 + 1 + 1 + 3  # our folder, Vault, data and index, 45 folders twenty at a time
    with cloud.journal.counted() as lines:
        assert len(storage.listing("Vault/data/0")) == 16
    assert len(lines) == 2


def test_many_small_objects_go_twenty_to_a_request(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    objects = {f"Chats/2024/{i:03d} Grüße [{i}].md": sample(i + 1, of=str(i)) for i in range(100)}
    with cloud.journal.counted() as lines:
        put_many(storage, objects)
    assert len(lines) == 5
    assert {one.name: storage.get(one.name) for one in storage.listing()} == objects
    with cloud.journal.counted() as lines:
        delete_many(storage, objects)
    assert len(lines) == 5
    assert cloud.fake.files() == {}


def test_batches_stay_below_the_size_that_graph_takes(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    objects = {f"{i}": sample(900_000, of=str(i)) for i in range(7)} | {"large": bytes(3_500_000), "empty": b""}
    put_many(storage, objects)
    batches = [entry.sent for entry in cloud.journal.entries if entry.path.endswith("$batch")]
    assert len(batches) == 2
    assert max(batches) < 4_000_000
    assert {one.name: one.size for one in storage.listing()} == {name: len(data) for name, data in objects.items()}


def test_what_a_batch_could_not_do_is_done_one_by_one(cloud: Cloud, opening: Opening) -> None:
    clock = Clock()
    storage = opening(cloud, gate=Gate(clock=clock, sleep=clock.sleep))
    cloud.fake.throttled_in_batch = 3
    objects = {f"{i}": b"%d" % i for i in range(10)}
    assert [one.name for one in put_many(storage, objects)] == list(objects)
    assert cloud.fake.files() == {f"{PLACE}/{name}": data for name, data in objects.items()}
    cloud.fake.throttled_in_batch = 2
    with pytest.raises(SlowDown) as raised:
        delete_many(storage, objects)
    assert raised.value.wait_s == 7
    delete_many(storage, objects)
    assert cloud.fake.files() == {}


def test_deleting_never_takes_a_folder(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    storage.put("folder/a", b"x")
    storage.delete("folder")
    delete_many(storage, ["folder", "nothing"])
    assert [one.name for one in storage.listing()] == ["folder/a"]


def test_what_we_put_or_listed_is_deleted_by_one_request_also_when_it_was_made_anew(
    cloud: Cloud, opening: Opening
) -> None:
    storage, other = opening(cloud), opening(cloud, new=False)
    storage.put("locks/1", b"x")
    with cloud.journal.counted() as lines:
        storage.delete("locks/1")
    assert len(lines) == 1
    storage.put("locks/2", b"x")
    other.delete("locks/2")
    other.put("locks/2", b"of somebody else")
    storage.delete("locks/2")
    assert storage.listing() == []


def test_an_object_of_any_size_is_moved_without_being_read(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    cloud.fake.write(f"{PLACE}/Inbox/export.zip", bytes(40 * 1024 * 1024))
    with cloud.journal.counted() as lines:
        storage.move("Inbox/export.zip", "Inbox/Done/2024/export.zip")
    assert not [line for line in lines if "/content" in line]
    assert list(cloud.fake.files()) == [f"{PLACE}/Inbox/Done/2024/export.zip"]


def test_many_threads_make_one_folder(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    storage.put("a", b"x")
    cloud.faults.fail(r"^POST .*/children", 409, body=b"{}", headers={"Content-Type": "application/json"})
    cloud.fake.write(f"{PLACE}/deep/x", b"x")
    cloud.fake.remove(f"{PLACE}/deep/x")
    storage.move("a", "deep/a")
    assert list(cloud.fake.files()) == [f"{PLACE}/deep/a"]
