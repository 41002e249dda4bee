"""What is sent is kept here for a while: a run that was killed goes on with the same bytes, what vanished returns."""

from __future__ import annotations

import errno
import hashlib
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from tests.vault.small_archive import PASSPHRASE, Restic, contents, documents, loaded

from chatkeep import vault
from chatkeep.providers.folder import Folder
from chatkeep.providers.memory import Memory
from chatkeep.storage import Around, Storage, StoredObject, link
from chatkeep.testing.faulty import Crash, Fault, FaultyStorage
from chatkeep.vault import Vault, spool
from chatkeep.vault.cache import Cache
from chatkeep.vault.index import DoomedPack, IndexObject
from chatkeep.vault.pack import Pack
from chatkeep.vault.snapshot import format_time
from chatkeep.vault.spool import Spool

HOST = "laptop-7f3a"
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def pack_of(data: bytes) -> Pack:
    return Pack(hashlib.sha256(data).hexdigest(), data, [])


def opened(kept: Vault, storage: Storage, cache: Path) -> Vault:
    return vault.open_with_master_key(storage, kept.master_key, cache=cache)


def killed_at(put: int, kept: Vault, storage: Storage, cache: Path, held: dict[str, bytes]) -> None:
    dying = opened(kept, FaultyStorage(storage, Fault("put", put, "crash")), cache)
    with pytest.raises(Crash):
        dying.save(contents(held), host=HOST)


@pytest.mark.parametrize("put", [3, 4])
def test_a_killed_run_goes_on_with_the_same_bytes(
    kept: Vault, storage: Folder, restic: Restic, tmp_path: Path, put: int
) -> None:
    """Puts: lock, data pack, tree pack, index. It dies at the third, or at the fourth."""
    held = documents(30)
    asked: list[str] = []

    def load(name: str) -> bytes:
        asked.append(name)
        return held[name]

    killed_at(put, kept, storage, tmp_path, held)
    before = {stored.name for stored in storage.listing("Vault/data/")}
    assert len(before) == put - 2
    saved = opened(kept, storage, tmp_path).save(contents(held, load=load), host=HOST)
    after = {stored.name for stored in storage.listing("Vault/data/")}
    assert saved.verified
    assert before <= after
    assert len(after) == 2
    assert asked == []
    assert loaded(kept.load(saved.snapshot)) == held
    assert restic.is_clean()


def test_a_pack_that_was_on_its_way_when_the_run_died_is_sent_as_it_was(tmp_path: Path) -> None:
    storage = Memory()
    kept, _ = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
    killed_at(2, kept, storage, tmp_path, documents(30))
    assert storage.listing("Vault/data/") == []
    spooled = {path.name for path in tmp_path.glob("*/spool/*")}
    assert spooled
    assert opened(kept, storage, tmp_path).save(contents(documents(30)), host=HOST).verified
    assert spooled <= {stored.name.rpartition("/")[2] for stored in storage.listing("Vault/data/")}


def test_of_a_folder_on_this_disk_no_byte_is_kept_twice(kept: Vault, storage: Folder, tmp_path: Path) -> None:
    held = documents(30)
    saved = opened(kept, storage, tmp_path).save(contents(held), host=HOST)
    spooled = list(tmp_path.glob("*/spool/*"))
    assert len(spooled) == 2
    for file in spooled:
        twin = storage.path / f"Vault/data/{file.name[:2]}/{file.name}"
        assert twin.samefile(file)
        twin.unlink()
    assert opened(kept, storage, tmp_path).check().ok is False
    assert opened(kept, storage, tmp_path).save(contents(held), host=HOST).verified
    assert loaded(kept.load(saved.snapshot)) == held


def test_a_pack_that_is_kept_twice_leaves_nothing_beside(kept: Vault, storage: Folder, tmp_path: Path) -> None:
    opened(kept, storage, tmp_path).save(contents(documents(30)), host=HOST)
    before = sorted(tmp_path.glob("*/spool/*"))
    held = opened(kept, storage, tmp_path)._objects.spool
    for file in before:
        name = f"Vault/data/{file.name[:2]}/{file.name}"
        held.keep(Pack(file.name, storage.get(name), []), link=partial(link, storage, name))
    assert sorted(tmp_path.glob("*/spool/*")) == before


def test_of_a_folder_on_another_disk_the_bytes_are_kept(
    kept: Vault, storage: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_disk(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("os.link", other_disk)
    opened(kept, storage, tmp_path).save(contents(documents(30)), host=HOST)
    spooled = list(tmp_path.glob("*/spool/*"))
    assert len(spooled) == 2
    assert all(hashlib.sha256(file.read_bytes()).hexdigest() == file.name for file in spooled)
    assert [file.stat().st_nlink for file in spooled] == [1, 1]


def test_what_somebody_means_to_delete_is_sealed_anew(kept: Vault, storage: Folder, tmp_path: Path) -> None:
    held = documents(30)
    killed_at(4, kept, storage, tmp_path, held)
    left = {stored.name.rpartition("/")[2] for stored in storage.listing("Vault/data/")}
    doomed = [DoomedPack(name, format_time(NOW)) for name in sorted(left)]
    kept._objects.put_index_object(IndexObject([], doomed))
    saved = opened(kept, storage, tmp_path).save(contents(held), host=HOST)
    assert saved.new_documents == 30
    for name in left:
        storage.delete(f"Vault/data/{name[:2]}/{name}")
    fresh = vault.open_with_master_key(storage, kept.master_key)
    assert loaded(fresh.load(saved.snapshot)) == held


class _Taking(Around):
    """Loses what was put into data/ as soon as a snapshot is put."""

    def put(self, name: str, data: bytes) -> StoredObject:
        stored = super().put(name, data)
        if "/snapshots/" in name and not getattr(self, "done", False):
            self.done = True
            for one in self.listing("Vault/data/"):
                self.delete(one.name)
        return stored


@pytest.mark.parametrize("feed", [True, False])
def test_what_vanished_during_the_run_is_sent_again_from_here(tmp_path: Path, feed: bool) -> None:
    place = tmp_path / "place"
    storage: Storage = Memory() if feed else Folder(place, new=True)
    kept, _ = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
    held = documents(30)
    saved = opened(kept, _Taking(storage), tmp_path / "cache").save(contents(held), host=HOST)
    assert saved.verified
    assert len(kept.snapshots()) == 1
    fresh = vault.open_with_master_key(storage, kept.master_key)
    assert loaded(fresh.load(saved.snapshot)) == held
    assert fresh.check(read_data=True).ok


def test_a_pack_that_the_feed_tells_to_be_gone_returns_with_the_next_backup(tmp_path: Path) -> None:
    storage = Memory()
    kept, _ = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
    held = documents(30)
    mine = opened(kept, storage, tmp_path)
    mine.save(contents(held), host=HOST)
    for stored in storage.listing("Vault/data/"):
        storage.delete(stored.name)
    assert opened(kept, storage, tmp_path).save(contents(held), host=HOST).unchanged
    assert kept.check(read_data=True).ok


def test_a_pack_that_is_nowhere_any_more_is_written_anew_with_the_next_backup(tmp_path: Path) -> None:
    storage = Memory()
    kept, _ = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
    held = documents(30)
    opened(kept, storage, tmp_path).save(contents(held), host=HOST)
    for stored in storage.listing("Vault/data/"):
        storage.delete(stored.name)
    for spooled in tmp_path.glob("*/spool/*"):
        spooled.unlink()
    saved = opened(kept, storage, tmp_path).save(contents(held), host=HOST)
    assert (saved.verified, saved.new_documents) == (True, 30)
    fresh = vault.open_with_master_key(storage, kept.master_key)
    assert loaded(fresh.load(saved.snapshot)) == held


def test_the_spool_keeps_a_day_and_small_packs_for_as_long_as_the_vault_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "SMALL", 100)
    now = [NOW]
    small, other, large = pack_of(b"small"), pack_of(b"other"), pack_of(b"x" * 200)
    kept = Spool(Cache(tmp_path, "a" * 64), lambda: now[0])
    for pack in (small, other, large):
        kept.keep(pack)
    assert kept.waiting(published=[large.id]) == [small.id, other.id]
    now[0] += timedelta(hours=25)
    again = Spool(Cache(tmp_path, "a" * 64), lambda: now[0])
    assert again.waiting(published=[]) == []
    again.tidy(published=[small.id, large.id])
    assert [again.get(pack.id) for pack in (small, other, large)] == [b"small", None, None]
    again.drop([small.id])
    assert list(tmp_path.glob("*/spool/*")) == []


def test_the_spool_is_bounded_and_never_gives_other_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ROOM", 250)
    first, second = pack_of(b"a" * 200), pack_of(b"b" * 200)
    kept = Spool(Cache(tmp_path, "a" * 64), lambda: NOW)
    kept.keep(first)
    kept.keep(second)
    assert (kept.get(first.id), kept.get(second.id)) == (first.data, None)
    (path,) = tmp_path.glob("*/spool/*")
    path.write_bytes(b"rotten")
    assert kept.get(first.id) is None
    nowhere = Spool(Cache(None, "a" * 64), lambda: NOW)
    nowhere.keep(first)
    assert nowhere.get(first.id) is None
