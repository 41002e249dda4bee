"""A storage that tells what changed: fewer requests, and nothing is missed for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.vault.small_archive import Clock, contents, document, documents, loaded

from chatkeep import vault
from chatkeep.errors import NotFound
from chatkeep.providers.folder import Folder
from chatkeep.providers.memory import Memory
from chatkeep.storage import Below, Changes, Counting, StoredObject, Traits
from chatkeep.vault import Vault
from chatkeep.vault.cache import Cache
from chatkeep.vault.names import Names

HOST = "laptop-7f3a"
OTHER = "phone-0001"


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def made(memory: Memory) -> Vault:
    return vault.create(memory, passphrase=None, hostname=HOST)[0]


def opened(memory: Memory, made: Vault, cache: Path) -> tuple[Vault, Counting]:
    counting = Counting(memory)
    return vault.open_with_master_key(counting, made.master_key, cache=cache), counting


@pytest.mark.parametrize("count", [1, 100])
def test_a_push_costs_nine_requests_however_much_changed_even_in_a_new_process(
    memory: Memory, made: Vault, tmp_path: Path, count: int
) -> None:
    held = documents(200)
    opened(memory, made, tmp_path)[0].save(contents(held), host=HOST)
    held.update((name, held[name] + b" ") for name in sorted(held)[:count])
    cold, counting = opened(memory, made, tmp_path)
    assert cold.save(contents(held), host=HOST).verified
    assert counting.requests <= 9, counting.calls
    assert counting.calls["put"] == 5
    held.update((name, held[name] + b" ") for name in sorted(held)[:count])
    before = counting.requests
    assert cold.save(contents(held), host=HOST).verified
    assert counting.requests - before <= 9


def test_when_nothing_changed_it_is_one_request_even_in_a_new_process(
    memory: Memory, made: Vault, tmp_path: Path
) -> None:
    held = documents(20)
    opened(memory, made, tmp_path)[0].save(contents(held), host=HOST)
    opened(memory, made, tmp_path)[0].snapshots()
    cold, counting = opened(memory, made, tmp_path)
    assert cold.save(contents(held), host=HOST).unchanged
    assert counting.requests == 1
    assert cold.save(contents(held), host=HOST).requests == 1


def test_what_another_device_wrote_is_heard_of(memory: Memory, made: Vault, tmp_path: Path) -> None:
    held = documents(5)
    mine, _ = opened(memory, made, tmp_path / "mine")
    theirs, _ = opened(memory, made, tmp_path / "theirs")
    mine.save(contents(held), host=HOST)
    for round_ in range(3):
        name, data = document(100 + round_)
        held[name] = data
        saved = theirs.save(contents(held), host=OTHER)
        assert mine.snapshots()[-1] == saved.snapshot
        assert loaded(mine.load(saved.snapshot)) == held
        again = mine.save(contents(held), host=HOST)
        assert (again.unchanged, again.new_documents) == (False, 0)


def test_a_lock_of_another_program_is_heard_of(memory: Memory, made: Vault, tmp_path: Path) -> None:
    from tests.vault.test_lock import put_lock

    mine, _ = opened(memory, made, tmp_path)
    mine.save(contents(documents(2)), host=HOST)
    put_lock(made, exclusive=True)
    with pytest.raises(Exception, match="to itself"):
        mine.save(contents(documents(3)), host=HOST)


def test_a_vault_that_went_is_told_at_the_first_look(memory: Memory, made: Vault, tmp_path: Path) -> None:
    opened(memory, made, tmp_path)[0].save(contents(documents(2)), host=HOST)
    for stored in memory.listing():
        memory.delete(stored.name)
    gone, _ = opened(memory, made, tmp_path)
    with pytest.raises(NotFound, match="no vault"):
        gone.save(contents(documents(2)), host=HOST)


def test_a_cursor_that_is_no_longer_known_costs_a_listing_and_nothing_else(
    memory: Memory, made: Vault, tmp_path: Path
) -> None:
    held = documents(9)
    opened(memory, made, tmp_path)[0].save(contents(held), host=HOST)
    moved = Memory()
    for stored in memory.listing():
        moved.put(stored.name, memory.get(stored.name))
    there, _ = opened(moved, made, tmp_path)
    assert there.save(contents(held), host=HOST).unchanged
    assert loaded(there.load(there.snapshots()[-1])) == held


def test_an_object_that_the_feed_never_told_of_is_found_by_listing_again(
    made: Vault, memory: Memory, tmp_path: Path
) -> None:
    class Deaf(Memory):
        """Its feed leaves out what another device put."""

        def changes(self, cursor: str) -> Changes:
            told = super().changes(cursor)
            kept = {name for name in told.changed if "/index/" not in name}
            return Changes(frozenset(kept), told.gone, told.cursor, complete=told.complete)

    deaf = Deaf(memory)
    mine = vault.open_with_master_key(deaf, made.master_key, cache=tmp_path)
    held = documents(3)
    mine.save(contents(held), host=HOST)
    held.update(documents(1, first=70))
    saved = made.save(contents(held), host=OTHER)
    mine.snapshots()
    assert loaded(mine.load(saved.snapshot)) == held


class Lagging(Memory):
    """Its listings show what was put when a minute has passed; its feed tells of it at once."""

    traits = Traits(settles=60.0)

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.born: dict[str, datetime] = {}
        self.listings = 0

    def put(self, name: str, data: bytes) -> StoredObject:
        self.born[name] = self.clock()
        return super().put(name, data)

    def listing(self, prefix: str = "") -> list[StoredObject]:
        self.listings += 1
        shown = self.clock() - timedelta(seconds=self.traits.settles)
        return [stored for stored in super().listing(prefix) if self.born[stored.name] <= shown]


def test_what_was_put_just_before_the_first_look_is_seen_when_listings_show_it_and_nobody_waits() -> None:
    clock = Clock()
    storage = Lagging(clock)
    storage.put("Vault/config", b"")
    clock.go(timedelta(seconds=120))
    names = Names(Below(storage, "Vault"), Cache(None, ""), clock=clock)

    def put(number: int) -> None:
        storage.put(f"Vault/snapshots/{number:064x}", b"")

    put(1)
    clock.go(timedelta(seconds=30))
    assert names.of("snapshots/") == set()  # the first look: neither the listing nor the feed tells of it
    put(2)
    assert len(names.of("snapshots/")) == 1
    clock.go(timedelta(seconds=40))
    put(3)
    assert len(names.of("snapshots/")) == 3
    clock.go(timedelta(seconds=40))
    put(4)
    before = storage.listings
    assert len(names.of("snapshots/")) == 4
    assert storage.listings == before + 1
    put(5)
    assert len(names.of("snapshots/")) == 5
    assert storage.listings == before + 1  # from now on the feed tells it all


class Late(Folder):
    """Its listings show nothing that was put after it was opened."""

    traits = Traits(settles=0.2)

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.there = {stored.name for stored in super().listing()}

    def listing(self, prefix: str = "") -> list[StoredObject]:
        return [stored for stored in super().listing(prefix) if stored.name in self.there]


def test_a_listing_that_comes_late_does_not_make_a_run_doubt_what_it_wrote(tmp_path: Path) -> None:
    storage = Folder(tmp_path / "place", new=True)
    kept, _ = vault.create(storage, passphrase=None, hostname=HOST)
    late = vault.open_with_master_key(Late(storage.path), kept.master_key)
    late._objects.clock = late._objects.names._clock = lambda: datetime(2026, 3, 1, tzinfo=UTC)
    assert late.save(contents(documents(5)), host=HOST).verified
    assert late.save(contents(documents(6)), host=HOST).snapshot.sequence == 2
    assert [one.sequence for one in kept.snapshots()] == [1, 2]


def test_nor_the_next_process_take_an_older_snapshot_for_the_newest(tmp_path: Path) -> None:
    """The archive is again as it was in the older one, so it would think that nothing had changed."""
    storage = Folder(tmp_path / "place", new=True)
    kept, _ = vault.create(storage, passphrase=None, hostname=HOST)
    kept.save(contents(documents(5)), host=HOST)
    late = Late(storage.path)
    for number, count in ((2, 6), (3, 5), (4, 6)):
        process = vault.open_with_master_key(
            late, kept.master_key, cache=tmp_path / "cache", clock=lambda: datetime(2026, 3, 1, tzinfo=UTC)
        )
        saved = process.save(contents(documents(count)), host=HOST)
        assert (saved.unchanged, saved.snapshot.sequence) == (False, number)
