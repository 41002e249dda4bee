"""Tidying: what nothing needs goes a day after, what is small is merged, and every state on the way is whole."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.vault.small_archive import PASSPHRASE, Clock, Restic, contents, document, documents, loaded, restics

from chatkeep import vault
from chatkeep.errors import Busy
from chatkeep.providers.folder import Folder
from chatkeep.providers.memory import Memory
from chatkeep.storage import Counting, Storage, StoredObject
from chatkeep.testing.faulty import Crash, Fault, FaultyStorage
from chatkeep.vault import Vault
from chatkeep.vault.lock import ExclusiveLock, LockObject, SharedLock
from chatkeep.vault.retention import Policy
from chatkeep.vault.sealed import seal_json
from chatkeep.vault.snapshot import format_time

HOST = "laptop-7f3a"
OTHER = "phone-0001"
FEW = Policy(last=2, hourly=0, daily=0, weekly=0, monthly=0, yearly=0)
DAY = timedelta(hours=25)


class TimedFolder(Folder):
    """A folder whose objects bear the time of the test."""

    clock: Callable[[], datetime]

    def put(self, name: str, data: bytes) -> StoredObject:
        stored = super().put(name, data)
        return StoredObject(stored.name, stored.size, self.clock())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(place: Path, clock: Clock) -> TimedFolder:
    storage = TimedFolder(place, new=True)
    storage.clock = clock
    return storage


@pytest.fixture
def old(timed: TimedFolder, clock: Clock) -> Vault:
    """A vault in a folder, whose clock tests move."""
    return vault.create(timed, passphrase=PASSPHRASE, hostname=HOST, clock=clock)[0]


def opened(kept: Vault, storage: Storage, clock: Clock, cache: Path | None = None) -> Vault:
    return vault.open_with_master_key(storage, kept.master_key, clock=clock, cache=cache)


def runs(kept: Vault, clock: Clock, count: int, held: dict[str, bytes], *, host: str = HOST) -> None:
    """So many backups a quarter of a day apart; each changes two conversations and adds one."""
    for i in range(count):
        clock.go(timedelta(hours=6))
        for name in sorted(held)[i % 7 : i % 7 + 2]:
            held[name] = held[name][:-1] + f",{i}}}".encode()
        name, data = document(5000 + len(held))
        held[name] = data
        assert kept.save(contents(held), host=host).verified


def counted(storage: Storage) -> Counter[str]:
    return Counter(stored.name.split("/")[1] for stored in storage.listing("Vault/"))


def all_loaded(kept: Vault) -> dict[str, dict[str, bytes]]:
    return {one.id: loaded(kept.load(one)) for one in kept.snapshots() if not one.foreign}


def test_what_only_forgotten_snapshots_needed_goes_a_day_later(old: Vault, timed: TimedFolder, clock: Clock) -> None:
    held = documents(20)
    old.save(contents(held), host=HOST)
    clock.go(timedelta(days=10))
    kept_ones = dict(sorted(held.items())[:3])
    for _ in range(3):
        clock.go(timedelta(days=3))
        kept_ones.update(documents(1, first=800 + clock.now.day))
        old.save(contents(kept_ones), host=HOST)
    before = all_loaded(old)
    first = old.tidy(FEW, host=HOST)
    assert len(first.forgotten) == 2
    assert (first.deleted, first.freed) == (0, 0)
    assert first.doomed > 0
    assert first.freed_later > 3_000
    clock.go(timedelta(hours=23))
    assert old.tidy(FEW, host=HOST).deleted == 0
    size = sum(stored.size for stored in timed.listing("Vault/data/"))
    clock.go(timedelta(hours=2))
    second = old.tidy(FEW, host=HOST)
    assert second.deleted == first.doomed
    assert sum(stored.size for stored in timed.listing("Vault/data/")) == size - second.freed
    assert all_loaded(old) == {one: before[one] for one in list(before)[2:]}
    assert opened(old, timed, clock).check(read_data=True).ok


@pytest.mark.parametrize("program", restics())
def test_stock_restic_finds_every_state_clean_and_restores_it_byte_for_byte(
    old: Vault, timed: TimedFolder, clock: Clock, place: Path, tmp_path: Path, program: str
) -> None:
    restic, held = Restic(place, program=program), documents(30)
    runs(old, clock, 18, held)
    told = [old.tidy(FEW, host=HOST)]
    assert restic.is_clean()
    runs(old, clock, 2, held)
    assert restic.is_clean()
    clock.go(DAY)
    told.append(old.tidy(FEW, host=HOST))
    assert restic.is_clean()
    assert (told[0].merged > 30, told[0].new_packs, told[1].deleted > 30) == (True, 2, True)
    found = restic.restored(tmp_path / "out")
    assert {Path(p).stem: d for p, d in found.items() if p.startswith("conversations/")} == held
    assert counted(timed)["index"] <= 2


@pytest.mark.parametrize("program", restics())
def test_mixed_with_restics_own_snapshots_and_its_own_prune_nothing_is_lost(
    old: Vault, timed: TimedFolder, clock: Clock, place: Path, tmp_path: Path, program: str
) -> None:
    restic, held = Restic(place, program=program), documents(20)
    (tmp_path / "mine.txt").write_text("restic's own file " * 99)
    for round_ in range(3):
        runs(old, clock, 6, held)
        restic.run("backup", str(tmp_path / "mine.txt"), "--host", "elsewhere")
        old.tidy(FEW, host=HOST)
        clock.go(DAY)
        if round_ == 1:
            restic.run("forget", "--keep-last", "2", "--prune")
            runs(old, clock, 1, held)
        old.tidy(FEW, host=HOST)
        assert restic.is_clean()
        assert loaded(old.load(old.newest(HOST) or old.snapshots()[-1])) == held
    found = json.loads(restic.run("snapshots", "--json").splitlines()[0])
    foreign = [one["id"] for one in found if one["hostname"] == "elsewhere"]
    assert len(foreign) >= 2
    text = restic.restored(tmp_path / "out", foreign[-1])
    assert [data for name, data in text.items() if name.endswith("mine.txt")] == [b"restic's own file " * 99]


@pytest.mark.parametrize("how", ["crash", "crash after"])
def test_after_a_crash_at_any_call_of_a_tidy_the_vault_is_clean_and_the_next_one_ends(
    clock: Clock, how: str, tmp_path: Path
) -> None:
    whole = Memory()
    kept, _ = vault.create(whole, passphrase=PASSPHRASE, hostname=HOST, clock=clock)
    held = documents(12)
    runs(kept, clock, 9, held)
    kept.tidy(FEW, host=HOST)
    runs(kept, clock, 9, held)
    expected = all_loaded(kept)
    clock.go(DAY)
    states: set[str] = set()
    for call in range(1, 400):
        copy = Memory()
        for stored in whole.listing():
            copy.put(stored.name, whole.get(stored.name))
        dying = FaultyStorage(copy, Fault("any", call, how))  # type: ignore[arg-type]
        try:
            opened(kept, dying, clock).tidy(FEW, host=HOST)
        except Crash:
            pass
        else:
            break
        for stored in copy.listing("Vault/locks/"):
            copy.delete(stored.name)
        _is_whole(copy, kept, clock, expected, states, tmp_path / f"{call}")
    assert call > 60
    assert len(states) > 20


def _is_whole(
    copy: Memory, kept: Vault, clock: Clock, expected: dict[str, dict[str, bytes]], states: set[str], place: Path
) -> None:
    """Every snapshot that is left loads as before; each new state is whole for us, one in eight for restic too."""
    state = hashlib.sha256("".join(stored.name for stored in copy.listing("Vault/")).encode()).hexdigest()
    if state in states:
        return
    states.add(state)
    fresh = opened(kept, copy, clock)
    left = all_loaded(fresh)
    assert all(left[one] == expected[one] for one in left)
    assert list(expected)[-1] in left
    assert fresh.check(read_data=True).ok
    if len(states) % 8 == 1:
        folder = Folder(place, new=True)
        for stored in copy.listing():
            folder.put(stored.name, copy.get(stored.name))
        assert Restic(place).is_clean()
    again = opened(kept, copy, clock).tidy(FEW, host=HOST)
    assert again.problems == []
    left = all_loaded(opened(kept, copy, clock))
    assert left == {one: expected[one] for one in list(expected)[-2:]}


def test_nobody_counts_on_what_will_be_deleted(old: Vault, timed: TimedFolder, clock: Clock) -> None:
    """The old conversation comes back in the day of grace: it is stored anew, and outlives the deletion."""
    held = documents(5)
    old.save(contents(held), host=HOST)
    for _ in range(3):
        clock.go(timedelta(days=3))
        old.save(contents(documents(1, first=70 + clock.now.day)), host=HOST)
    assert old.tidy(FEW, host=HOST).doomed > 0
    back = opened(old, timed, clock).save(contents(held), host=OTHER)
    assert back.new_documents == 5
    clock.go(DAY)
    old.tidy(FEW, host=HOST)
    assert loaded(old.load(back.snapshot)) == held
    assert opened(old, timed, clock).check(read_data=True).ok


def test_what_somebody_counted_on_all_the_same_is_copied_before_it_is_deleted(
    old: Vault, timed: TimedFolder, clock: Clock, restic: Restic, tmp_path: Path
) -> None:
    """restic knows nothing of our doom, and counts on what it finds."""
    held = documents(5)
    old.save(contents(held), host=HOST)
    for _ in range(3):
        clock.go(timedelta(days=3))
        old.save(contents(documents(1, first=70 + clock.now.day)), host=HOST)
    assert old.tidy(FEW, host=HOST).doomed > 0
    for name, data in held.items():
        (tmp_path / f"{name}.json").write_bytes(data)
    restic.run("backup", *map(str, tmp_path.glob("*.json")), "--host", "elsewhere")
    for _ in range(3):
        clock.go(DAY)
        assert old.tidy(FEW, host=HOST).problems == []
        assert restic.is_clean()
    found = restic.restored(tmp_path / "out", "latest")
    assert {Path(name).stem for name in found} >= held.keys()


def test_packs_that_a_killed_run_left_go_a_day_later(old: Vault, timed: TimedFolder, clock: Clock) -> None:
    held = documents(4)
    old.save(contents(held), host=HOST)
    dying = opened(old, FaultyStorage(timed, Fault("put", 4, "crash")), clock)
    with pytest.raises(Crash):
        dying.save(contents(documents(9)), host=OTHER)
    assert counted(timed)["data"] == 4
    assert old.tidy(FEW, host=HOST).doomed == 2
    clock.go(DAY)
    assert old.tidy(FEW, host=HOST).deleted == 2
    assert opened(old, timed, clock).check(read_data=True).ok


def test_a_preview_says_what_would_go_and_changes_nothing(old: Vault, timed: TimedFolder, clock: Clock) -> None:
    held = documents(20)
    runs(old, clock, 20, held)
    before = timed.listing()
    told = old.tidy(FEW, host=HOST, dry_run=True)
    assert timed.listing() == before
    done = old.tidy(FEW, host=HOST)
    assert (told.forgotten, told.kept) == (done.forgotten, done.kept)
    assert told.dry_run
    assert told.freed_later > 0


def test_a_tidy_waits_for_those_who_work_and_they_for_it(old: Vault, timed: TimedFolder, clock: Clock) -> None:
    old.save(contents(documents(3)), host=HOST)
    theirs = opened(old, timed, clock)
    with SharedLock(theirs._objects, host=OTHER), pytest.raises(Busy, match=OTHER):
        old.tidy(FEW, host=HOST)
    with ExclusiveLock(theirs._objects, host=OTHER), pytest.raises(Busy, match=OTHER):
        old.save(contents(documents(4)), host=HOST)
    with ExclusiveLock(theirs._objects, host=OTHER), pytest.raises(Busy, match=OTHER):
        old.tidy(FEW, host=HOST)
    assert timed.listing("Vault/locks/") == []


def test_only_our_own_snapshots_are_forgotten_unless_all_are_meant(
    old: Vault, timed: TimedFolder, clock: Clock
) -> None:
    held = documents(3)
    runs(old, clock, 12, held, host=OTHER)
    runs(old, clock, 12, held)
    clock.go(timedelta(days=5))
    assert {one.host for one in old.tidy(FEW, host=HOST).forgotten} == {HOST}
    assert {one.host for one in old.tidy(FEW, host=HOST, all_devices=True).forgotten} == {OTHER}
    assert Counter(one.host for one in old.snapshots()) == {HOST: 2, OTHER: 2}


def test_nothing_is_removed_while_a_folder_of_a_snapshot_cannot_be_read(
    old: Vault, timed: TimedFolder, clock: Clock
) -> None:
    held = documents(3)
    runs(old, clock, 5, held)
    clock.go(timedelta(days=5))
    index = old._objects.index
    trees = [n for n, row in index.packs_by_name().items() if next(index.blobs_of(row))[0] == "tree"]
    for name in trees:
        timed.delete(f"Vault/data/{name[:2]}/{name}")
    told = opened(old, timed, clock).tidy(Policy(last=4), host=HOST)
    assert told.problems
    assert (told.doomed, told.deleted) == (0, 0)


def test_merging_fetches_nothing_that_was_sent_from_here(timed: TimedFolder, clock: Clock, tmp_path: Path) -> None:
    kept, _ = vault.create(timed, passphrase=PASSPHRASE, hostname=HOST, clock=clock)
    counting = Counting(timed)
    mine = vault.open_with_master_key(counting, kept.master_key, clock=clock, cache=tmp_path / "cache")
    held = documents(10)
    runs(mine, clock, 16, held)
    before = counting.calls["get"]
    told = mine.tidy(host=HOST)
    assert told.merged == 32
    assert counting.calls["get"] - before <= 18  # the folders of all snapshots, and a lock; no data
    assert len(list((tmp_path / "cache").glob("*/spool/*"))) == 34
    clock.go(DAY)
    mine.tidy(host=HOST)
    assert len(list((tmp_path / "cache").glob("*/spool/*"))) == 2


def test_old_locks_of_machines_that_went_away_are_removed(old: Vault, timed: TimedFolder, clock: Clock) -> None:
    old.save(contents(documents(2)), host=HOST)
    gone = LockObject(time=format_time(clock.now), hostname="gone-0000", pid=1)
    name, data = seal_json(old._objects.seal, gone)
    timed.put(f"Vault/locks/{name}", data)
    clock.go(timedelta(hours=20))
    old.tidy(host=HOST)
    assert len(timed.listing("Vault/locks/")) == 1
    clock.go(timedelta(hours=5))
    old.tidy(host=HOST)
    assert timed.listing("Vault/locks/") == []


def test_a_cold_start_reads_old_snapshots_from_the_index(old: Vault, timed: TimedFolder, clock: Clock) -> None:
    held = documents(6)
    runs(old, clock, 14, held)
    old.tidy(host=HOST)
    clock.go(DAY)
    runs(old, clock, 2, held)
    counting = Counting(timed)
    cold = opened(old, counting, clock)
    assert [one.id for one in cold.snapshots()] == [one.id for one in old.snapshots()]
    assert counting.requests <= 8, counting.calls


def test_it_is_known_without_asking_when_there_is_enough_to_tidy(old: Vault, timed: TimedFolder, clock: Clock) -> None:
    held = documents(4)
    runs(old, clock, 6, held)
    counting = Counting(timed)
    mine = opened(old, counting, clock)
    mine.save(contents(held), host=HOST)
    before = counting.requests
    assert not mine.needs_tidying(host=HOST)
    assert counting.requests == before
    runs(mine, clock, 2, held)
    assert mine.needs_tidying(host=HOST)
    mine.tidy(host=HOST)
    assert not mine.needs_tidying(host=HOST)
    clock.go(DAY)
    assert mine.needs_tidying(host=HOST)  # what was doomed may be deleted now
    mine.tidy(host=HOST)
    assert not mine.needs_tidying(host=HOST)
