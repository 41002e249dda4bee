"""Damage: what is hit is named, and everything else still comes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.vault.small_archive import PASSPHRASE, attachment, contents, documents, loaded

from chatkeep import vault
from chatkeep.errors import ChatkeepError, Problem
from chatkeep.providers.memory import Memory
from chatkeep.storage import Counting
from chatkeep.vault import Vault, VaultDocument, pack

HOST = "laptop-7f3a"
HELD = documents(40) | documents(1, first=500, messages=1000)
PICTURE = attachment(b"picture" * 100)


@pytest.fixture(scope="module")
def whole() -> tuple[Memory, bytes]:
    """A vault of several packs, and its master key."""
    storage = Memory()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(vault.keys, "COST_N", 2**10)
        patched.setattr(pack, "TARGET", 20_000)
        kept, _ = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
        for count in (10, 25, 41):
            part = dict(sorted(HELD.items())[:count])
            kept.save(contents(part, attachments=[PICTURE], tombstones={"t": b"gone"}), host=HOST)
    return storage, kept.master_key.to_bytes()


def copied(whole: tuple[Memory, bytes]) -> Memory:
    copy = Memory()
    for stored in whole[0].listing():
        copy.put(stored.name, whole[0].get(stored.name))
    return copy


def opened(storage: Memory, whole: tuple[Memory, bytes]) -> Vault:
    return vault.open_with_master_key(storage, vault.MasterKey.from_bytes(whole[1]))


def flip(storage: Memory, name: str, bit: int) -> None:
    data = bytearray(storage.get(name))
    data[bit // 8] ^= 1 << bit % 8
    storage.put(name, bytes(data))


def read_all(kept: Vault) -> tuple[dict[str, bytes], list[Problem]]:
    """Everything that can be read of the newest snapshot that can be listed, and the problems met."""
    good: dict[str, bytes] = {}
    problems: list[Problem] = []
    snapshot = kept.snapshots()[-1]
    for item in (*kept.load(snapshot), *kept.tombstones(snapshot), *kept.attachments(snapshot)):
        if isinstance(item, Problem):
            problems.append(item)
        elif isinstance(item, VaultDocument):
            good[item.id] = item.data
    return good, problems


def test_the_control_is_clean(whole: tuple[Memory, bytes]) -> None:
    kept = opened(copied(whole), whole)
    report = kept.check(read_data=True)
    assert (report.ok, report.damaged, report.missing, report.problems) == (True, 0, 0, [])
    assert report.read == len(whole[0].listing("Vault/data/")) > 5
    assert read_all(kept) == (HELD, [])


def test_one_flipped_bit_in_any_object_is_found_by_a_check_that_reads(whole: tuple[Memory, bytes]) -> None:
    chance = random.Random(11)
    names = [stored for stored in whole[0].listing("Vault/") if "/locks/" not in stored.name]
    kinds = {name.name.split("/")[1] for name in names}
    assert kinds == {"config", "data", "index", "keys", "snapshots"}
    for stored in names:
        for bit in {0, stored.size * 8 - 1, *(chance.randrange(stored.size * 8) for _ in range(6))}:
            storage = copied(whole)
            flip(storage, stored.name, bit)
            try:
                kept = opened(storage, whole)
            except ChatkeepError:
                assert stored.name == "Vault/config"
                continue
            report = kept.check(read_data=True)
            assert not report.ok, (stored.name, bit)
            assert report.damaged >= 1
            assert report.problems


def test_a_damaged_blob_is_a_problem_that_names_its_conversation_and_all_else_comes(
    whole: tuple[Memory, bytes],
) -> None:
    chance = random.Random(12)
    seen = 0
    for stored in whole[0].listing("Vault/data/"):
        storage = copied(whole)
        flip(storage, stored.name, chance.randrange(stored.size // 2 * 8))
        good, problems = read_all(opened(storage, whole))
        named = {
            problem.where.removeprefix("conversation ") for problem in problems if "conversation " in problem.where
        }
        assert all(HELD[name] == data for name, data in good.items())
        if named:
            assert set(HELD) - set(good) == named
            assert len(named) == 1
            seen += 1
        else:
            assert len(good) == len(HELD) or problems
    assert seen > 5


def test_a_missing_pack_costs_only_what_was_in_it_and_is_told_without_reading_data(
    whole: tuple[Memory, bytes],
) -> None:
    for stored in whole[0].listing("Vault/data/"):
        storage = copied(whole)
        storage.delete(stored.name)
        kept = opened(storage, whole)
        report = kept.check()
        assert not report.ok
        assert report.missing >= 1
        good, problems = read_all(kept)
        assert all(HELD[name] == data for name, data in good.items())
        assert good.keys() == HELD.keys() or problems


def test_a_pack_that_was_cut_short_is_told_without_reading_data(whole: tuple[Memory, bytes]) -> None:
    stored = whole[0].listing("Vault/data/")[0]
    storage = copied(whole)
    storage.put(stored.name, storage.get(stored.name)[:-1])
    report = opened(storage, whole).check()
    assert (report.ok, report.damaged) == (False, 1)


def test_a_check_without_data_does_not_see_a_flipped_bit_in_a_blob(whole: tuple[Memory, bytes]) -> None:
    """What it costs to leave the data unread; stock restic does the same."""
    storage = copied(whole)
    kept = opened(storage, whole)
    assert kept.check().ok
    index = kept._objects.index
    name = next(n for n, row in index.packs_by_name().items() if next(index.blobs_of(row))[0] == "data")
    flip(storage, f"Vault/data/{name[:2]}/{name}", 800)
    assert kept.check().ok
    assert not kept.check(read_data=True).ok


@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_a_lost_index_is_found_again_from_the_packs(whole: tuple[Memory, bytes], how: str) -> None:
    storage = copied(whole)
    for stored in storage.listing("Vault/index/"):
        if how == "damaged":
            flip(storage, stored.name, 99)
        else:
            storage.delete(stored.name)
    kept = opened(storage, whole)
    assert read_all(kept) == (HELD, [])
    if how == "damaged":
        assert not kept.check().ok
    saved = kept.save(contents(HELD | documents(1, first=900), tombstones={"t": b"gone"}), host=HOST)
    assert saved.verified
    fresh = opened(storage, whole)
    assert loaded(fresh.load(saved.snapshot)) == HELD | documents(1, first=900)


def test_a_damaged_snapshot_hides_only_itself(whole: tuple[Memory, bytes]) -> None:
    storage = copied(whole)
    kept = opened(storage, whole)
    first, second, third = kept.snapshots()
    flip(storage, f"Vault/snapshots/{second.id}", 77)
    fresh = opened(storage, whole)
    assert fresh.snapshots() == [first, third]
    assert loaded(fresh.load(third)) == HELD
    assert not fresh.check().ok


def test_objects_that_were_swapped_or_renamed_are_damage(whole: tuple[Memory, bytes]) -> None:
    storage = copied(whole)
    one, other = [s.name for s in storage.listing("Vault/snapshots/")][:2]
    first, second = storage.get(one), storage.get(other)
    storage.put(one, second)
    storage.put(other, first)
    fresh = opened(storage, whole)
    assert len(fresh.snapshots()) == 1
    assert fresh.check().damaged == 2


def test_a_sample_reads_some_packs(whole: tuple[Memory, bytes]) -> None:
    kept = opened(copied(whole), whole)
    total = len(whole[0].listing("Vault/data/"))
    assert kept.check(sample_percent=1).read == 1
    assert kept.check(sample_percent=50).read == round(total / 2)
    assert kept.check(sample_percent=100).read == total
    assert kept.check().read == 0


def test_a_check_tells_how_far_it_is(whole: tuple[Memory, bytes]) -> None:
    told: list[tuple[int, int]] = []
    opened(copied(whole), whole).check(read_data=True, progress=lambda done, total: told.append((done, total)))
    total = len(whole[0].listing("Vault/data/"))
    assert told == [(done, total) for done in range(1, total + 1)]


def test_one_conversation_takes_few_requests(whole: tuple[Memory, bytes], tmp_path: Path) -> None:
    counting = Counting(copied(whole))
    kept = vault.open_with_master_key(counting, vault.MasterKey.from_bytes(whole[1]), cache=tmp_path)
    snapshot = kept.snapshots()[-1]
    list(kept.load(snapshot, ids=[]))
    before = counting.requests
    wanted = sorted(HELD)[7]
    assert loaded(kept.load(snapshot, ids=[wanted])) == {wanted: HELD[wanted]}
    assert counting.requests - before <= 8


def test_everything_is_read_in_about_as_many_requests_as_there_are_packs(whole: tuple[Memory, bytes]) -> None:
    counting = Counting(copied(whole))
    kept = vault.open_with_master_key(counting, vault.MasterKey.from_bytes(whole[1]))
    snapshot = kept.snapshots()[-1]
    list(kept.load(snapshot, ids=[]))
    before = counting.calls["get"]
    assert loaded(kept.load(snapshot)) == HELD
    assert counting.calls["get"] - before <= len(whole[0].listing("Vault/data/"))


def test_an_id_that_is_not_there_is_a_problem_and_the_others_come(whole: tuple[Memory, bytes]) -> None:
    kept = opened(copied(whole), whole)
    wanted = sorted(HELD)[3]
    found = list(kept.load(kept.snapshots()[-1], ids=[wanted, "abc-none"]))
    assert [item.where for item in found if isinstance(item, Problem)] == ["conversation abc-none"]
    assert [item.data for item in found if isinstance(item, VaultDocument)] == [HELD[wanted]]
