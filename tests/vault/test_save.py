"""Saving: in proportion to the change, exact without a cache, and nothing at all when nothing changed."""

from __future__ import annotations

import gc
import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard
from tests.vault.small_archive import PASSPHRASE, Restic, attachment, contents, document, documents, loaded

from chatkeep import vault
from chatkeep.errors import Damaged, NotFound, Problem, QuotaFull, WrongUse
from chatkeep.providers.folder import Folder
from chatkeep.providers.memory import Memory
from chatkeep.storage import Counting
from chatkeep.testing.faulty import Fault, FaultyStorage
from chatkeep.vault import Contents, Vault, VaultAttachment, VaultDocument, ZstdFrame
from chatkeep.vault.lock import SharedLock

HOST = "laptop-7f3a"


def files(storage: Folder) -> set[str]:
    return {stored.name for stored in storage.listing()}


def test_nothing_changed_means_no_new_files_at_all(kept: Vault, storage: Folder) -> None:
    held = documents(20)
    first = kept.save(contents(held), host=HOST)
    before = files(storage)
    again = kept.save(contents(held), host=HOST)
    fresh = vault.open_with_master_key(storage, kept.master_key).save(contents(held), host=HOST)
    assert (again.unchanged, fresh.unchanged) == (True, True)
    assert again.snapshot == first.snapshot == fresh.snapshot
    assert (again.bytes_sent, again.requests) == (0, 2)
    assert files(storage) == before


def test_a_run_after_twenty_changes_adds_four_files(kept: Vault, storage: Folder) -> None:
    held = documents(100)
    kept.save(contents(held), host=HOST)
    before = files(storage)
    held.update((name, held[name] + b" ") for name in sorted(held)[:20])
    saved = kept.save(contents(held), host=HOST)
    new = sorted(name.split("/")[1] for name in files(storage) - before)
    assert new == ["data", "data", "index", "snapshots"]
    assert (saved.new_documents, saved.verified) == (20, True)
    assert saved.requests <= 12


@pytest.mark.parametrize("count", [1, 100])
def test_a_cold_run_costs_at_most_fourteen_requests_however_much_changed(
    kept: Vault, storage: Folder, tmp_path: Path, count: int
) -> None:
    held = documents(200)
    cache = tmp_path / "cache"
    vault.open_with_master_key(storage, kept.master_key, cache=cache).save(contents(held), host=HOST)
    held.update((name, held[name] + b" ") for name in sorted(held)[:count])
    counting = Counting(storage)
    vault.open_with_master_key(counting, kept.master_key, cache=cache).save(contents(held), host=HOST)
    assert counting.requests <= 14, counting.calls


def test_only_what_the_vault_does_not_hold_is_loaded(kept: Vault, storage: Folder) -> None:
    held = documents(50)
    asked: list[str] = []

    def load(name: str) -> bytes:
        asked.append(name)
        return held[name]

    kept.save(contents(held, load=load), host=HOST)
    assert asked == sorted(held)
    asked.clear()
    new, data = document(900)
    held[new] = data
    other = vault.open_with_master_key(storage, kept.master_key)
    other.save(contents(held, load=load), host="desktop-11aa")
    assert asked == [new]


def test_equal_archives_have_equal_roots_on_any_device(kept: Vault, storage: Folder) -> None:
    held = documents(30)
    for i in range(1, 30, 7):
        kept.save(contents(dict(list(held.items())[:i])), host=HOST)
    mine = kept.save(contents(held, attachments=[attachment(b"a")], tombstones={"t": b"1"}), host=HOST).snapshot
    elsewhere, _ = vault.create(Memory(), passphrase=None, hostname="phone-0001")
    reverse = dict(reversed(held.items()))
    theirs = elsewhere.save(
        contents(reverse, attachments=[attachment(b"a")], tombstones={"t": b"1"}), host="phone-0001"
    ).snapshot
    assert mine.tree == theirs.tree
    changed = elsewhere.save(contents(held, tombstones={"t": b"1"}), host="phone-0001").snapshot
    assert changed.tree != mine.tree


def test_each_host_has_its_own_chain(kept: Vault) -> None:
    held = documents(3)
    chain = []
    for host in ("a-1", "b-2", "a-1", "a-1", "b-2"):
        name, data = document(100 + len(chain))
        held[name] = data
        chain.append(kept.save(contents(held), host=host).snapshot)
    assert [snapshot.sequence for snapshot in chain] == [1, 1, 2, 3, 2]
    assert [snapshot.parent for snapshot in chain] == ["", "", chain[0].id, chain[2].id, chain[1].id]
    assert kept.newest("a-1") == chain[3]
    assert kept.newest("nobody") is None
    assert kept.snapshots() == chain


def test_a_clock_set_back_does_not_break_the_chain(storage: Folder) -> None:
    times = [datetime(2024, 5, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC)]
    kept, _ = vault.create(storage, passphrase=None, hostname=HOST, clock=lambda: times[0])
    first = kept.save(contents(documents(1)), host=HOST).snapshot
    times.pop(0)
    second = kept.save(contents(documents(2)), host=HOST).snapshot
    assert (second.parent, second.sequence) == (first.id, 2)
    assert second.time >= first.time
    assert kept.snapshots() == [first, second]


def test_counts_are_listed_without_loading_anything(kept: Vault, storage: Folder) -> None:
    kept.save(contents(documents(7), messages=21, tombstones={"x": b""}), host=HOST)
    counting = Counting(storage)
    (found,) = vault.open_with_master_key(counting, kept.master_key).snapshots()
    assert found.counts == {"conversations": 7, "messages": 21, "attachments": 0, "tombstones": 1}
    assert counting.requests == 3
    assert kept.manifest(found).counts == found.counts
    assert kept.manifest(found).sequence == 1


def test_bytes_that_are_not_those_of_the_revision_are_never_saved(kept: Vault) -> None:
    held = documents(10)
    kept.save(contents(held), host=HOST)
    bad, vanished, fresh = sorted(held)[:3]
    now = dict(held)
    for name in (bad, vanished, fresh):
        now[name] = held[name] + b" "
    new, data = document(777)
    now[new] = data

    def load(name: str) -> bytes:
        if name == vanished:
            raise NotFound("It is not there any more.")
        return now[name] if name == fresh else b"rotten"

    saved = kept.save(contents(now, load=load), host=HOST)
    assert {problem.where for problem in saved.problems} == {f"conversation {name}" for name in (bad, vanished, new)}
    expected = {**held, fresh: now[fresh]}
    assert loaded(kept.load(saved.snapshot)) == expected
    assert saved.snapshot.counts["conversations"] == saved.conversations == 10
    assert saved.new_documents == 1
    again = kept.save(contents(now, load=load), host=HOST)
    assert (again.unchanged, again.snapshot) == (True, saved.snapshot)
    assert again.problems == saved.problems


def test_documents_that_are_compressed_already_are_sealed_as_they_are(kept: Vault, restic: Restic) -> None:
    held = documents(20) | documents(1, first=300, messages=1200)
    frames = {n: ZstdFrame(zstandard.ZstdCompressor(level=9).compress(d), len(d)) for n, d in held.items()}
    bad, wrong = sorted(held)[:2]
    frames[bad] = ZstdFrame(b"no frame", len(held[bad]))
    frames[wrong] = ZstdFrame(frames[bad].data, 5)
    given = contents(held)
    saved = kept.save(Contents(entries=given.entries, load=frames.__getitem__, counts={"messages": 1}), host=HOST)
    del held[bad], held[wrong]
    assert loaded(kept.load(saved.snapshot)) == held
    assert len(saved.problems) == 2
    assert restic.is_clean()


def test_a_message_added_to_a_long_conversation_costs_a_piece_of_it(kept: Vault, restic: Restic) -> None:
    name, data = document(1, messages=4000)
    assert len(data) > 1_000_000
    kept.save(contents({name: data}), host=HOST)
    longer = document(1, messages=4001)[1]
    assert len(longer) > len(data)
    saved = kept.save(contents({name: longer}), host=HOST)
    assert saved.bytes_sent < 200_000
    assert loaded(kept.load(saved.snapshot)) == {name: longer}
    assert restic.is_clean()


def test_without_a_cache_long_documents_are_found_again_by_cutting_them_again(kept: Vault, storage: Folder) -> None:
    held = documents(2, messages=1500)
    first = kept.save(contents(held), host=HOST)
    fresh = vault.open_with_master_key(storage, kept.master_key)
    again = fresh.save(contents(held), host=HOST)
    assert (again.unchanged, again.snapshot, again.new_documents) == (True, first.snapshot, 0)
    assert len(storage.listing("Vault/data/")) == 2


def test_attachments_come_back_whole_and_a_missing_one_is_told(kept: Vault, storage: Folder) -> None:
    small, large = b"picture", bytes(range(256)) * 50_000
    given = [attachment(small), attachment(large), attachment(b"")]
    saved = kept.save(contents({}, attachments=given), host=HOST)
    assert saved.new_attachments == 2
    for data in (small, large, b""):
        assert b"".join(kept.attachment(saved.snapshot, hashlib.sha256(data).hexdigest())) == data
    assert list(kept.attachments(saved.snapshot)) == sorted((a.sha256, a.size) for a in given)
    elsewhere = [VaultAttachment(a.sha256, a.size) for a in given]
    lost = VaultAttachment("ab" * 32, 5)
    fresh = vault.open_with_master_key(storage, kept.master_key)
    again = fresh.save(contents({}, attachments=[*elsewhere, lost]), host="desktop-11aa")
    assert again.problems == [
        Problem(
            f"attachment {'ab' * 32}", "It is held neither here nor in the vault, or its bytes are not what they were."
        )
    ]
    assert again.new_attachments == 0
    assert b"".join(fresh.attachment(again.snapshot, elsewhere[1].sha256)) == large
    before = files(storage)
    third = fresh.save(contents({}, attachments=[*elsewhere, lost]), host="desktop-11aa")
    assert (third.unchanged, third.problems) == (True, again.problems)
    assert files(storage) == before
    with pytest.raises(NotFound):
        kept.attachment(saved.snapshot, "cd" * 32)


def test_an_attachment_whose_bytes_changed_is_a_problem_and_not_saved(kept: Vault) -> None:
    changed = VaultAttachment(hashlib.sha256(b"before").hexdigest(), 6, attachment(b"after!").open)
    saved = kept.save(contents({}, attachments=[changed]), host=HOST)
    assert len(saved.problems) == 1
    assert list(kept.attachments(saved.snapshot)) == []


def test_tombstones_come_back(kept: Vault) -> None:
    given = {"a-1": b"{}", "b-2": b"", "c_3.json": b"x" * 5000}
    saved = kept.save(contents({}, tombstones=given), host=HOST)
    assert dict(item for item in kept.tombstones(saved.snapshot) if isinstance(item, tuple)) == given
    without = kept.save(contents({}), host=HOST)
    assert list(kept.tombstones(without.snapshot)) == []


@pytest.mark.parametrize(
    "given",
    [
        {"entries": [("zz", "a" * 64, "")]},
        {"entries": [("abc/..", "a" * 64, "")]},
        {"entries": [("ABC", "a" * 64, "")]},
        {"entries": [("abc", "short", "")]},
        {"entries": [("abc", "a" * 64, ""), ("abc", "b" * 64, "")]},
        {"tombstones": {"Großvater": b""}},
        {"tombstones": {"../x": b""}},
        {"attachments": [VaultAttachment("no hash", 1)]},
    ],
)
def test_names_that_would_break_a_tree_are_wrong_use(kept: Vault, given: dict[str, object]) -> None:
    whole: dict[str, object] = {"entries": [], "load": lambda name: b"", **given}
    with pytest.raises(WrongUse):
        kept.save(Contents(**whole), host=HOST)  # type: ignore[arg-type]
    assert kept.snapshots() == []


def test_a_run_that_is_stopped_leaves_no_lock_and_no_snapshot(kept: Vault, storage: Folder, restic: Restic) -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        kept.save(contents(documents(300)), host=HOST, progress=stop)
    assert storage.listing("Vault/locks/") == kept.snapshots() == []
    assert restic.is_clean()


def test_a_full_disk_is_told_and_the_next_run_succeeds(kept: Vault, storage: Folder, restic: Restic) -> None:
    faulty = FaultyStorage(storage, Fault("put", 3, "fail", lambda: QuotaFull("The disk is full")))
    with pytest.raises(QuotaFull):
        vault.open_with_master_key(faulty, kept.master_key).save(contents(documents(5)), host=HOST)
    assert restic.is_clean()
    assert kept.save(contents(documents(5)), host=HOST).verified


def test_progress_goes_from_nothing_to_everything(kept: Vault) -> None:
    told: list[tuple[int, int]] = []
    kept.save(contents(documents(250)), host=HOST, progress=lambda done, total: told.append((done, total)))
    assert told[0] == (0, 250)
    assert told[-1] == (250, 250)
    assert told == sorted(told)


def test_packs_that_a_prune_took_during_the_run_are_written_again(kept: Vault, storage: Folder, restic: Restic) -> None:
    """The lock was not seen by the other side; what is missing after the commit is found and repaired."""

    class Pruned(Folder):
        taken = ""

        def put(self, name: str, data: bytes):  # type: ignore[no-untyped-def]
            stored = super().put(name, data)
            if "/snapshots/" in name and not self.taken:
                Pruned.taken = next(one.name for one in self.listing("Vault/data/") if one.name in self.own)
                self.delete(Pruned.taken)
            self.own.append(name)
            return stored

    kept.save(contents(documents(5)), host=HOST)
    pruned = Pruned(storage.path)
    pruned.own = []  # type: ignore[attr-defined]
    saved = vault.open_with_master_key(pruned, kept.master_key).save(contents(documents(25)), host=HOST)
    assert Pruned.taken
    assert saved.verified
    assert restic.is_clean()
    fresh = vault.open_with_master_key(storage, kept.master_key)
    assert loaded(fresh.load(fresh.snapshots()[-1])) == documents(25)
    assert fresh.check(read_data=True).ok


def test_a_lost_cache_and_a_spoilt_cache_change_nothing(kept: Vault, storage: Folder, tmp_path: Path) -> None:
    held = documents(30) | documents(1, first=400, messages=1200)
    cache = tmp_path / "cache"
    first = vault.open_with_master_key(storage, kept.master_key, cache=cache).save(contents(held), host=HOST)
    assert vault.open_with_master_key(storage, kept.master_key, cache=cache).save(contents(held), host=HOST).unchanged
    spoilt = [path for path in cache.rglob("*") if path.is_file()]
    assert len(spoilt) == 7
    for path in spoilt:
        path.write_bytes(path.read_bytes()[:-7])
    again = vault.open_with_master_key(storage, kept.master_key, cache=cache)
    assert again.save(contents(held), host=HOST).snapshot.tree == first.snapshot.tree
    assert loaded(again.load(again.snapshots()[-1])) == held


def test_what_left_the_vault_leaves_the_cache(kept: Vault, storage: Folder, restic: Restic, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    held = documents(30)
    for count in (10, 20, 30):
        opened = vault.open_with_master_key(storage, kept.master_key, cache=cache)
        opened.save(contents(dict(list(held.items())[:count])), host=HOST)
    restic.run("forget", "--keep-last", "1", "--prune")
    opened = vault.open_with_master_key(storage, kept.master_key, cache=cache)
    assert opened.save(contents(held), host=HOST).unchanged
    assert loaded(opened.load(opened.snapshots()[-1])) == held
    opened.tidy(host=HOST)  # asks for each snapshot that no list shows
    for folder in ("index", "snapshots"):
        names = {stored.name.rpartition("/")[2] for stored in storage.listing(f"Vault/{folder}/")}
        assert {path.name for path in cache.glob(f"*/{folder}/*")} == names


def test_a_lock_is_renewed_while_a_run_lasts_and_lost_when_the_machine_slept(storage: Folder) -> None:
    now = [datetime(2024, 5, 1, tzinfo=UTC)]
    kept, _ = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST, clock=lambda: now[0])
    with SharedLock(kept._objects, host=HOST) as lock:
        (first,) = storage.listing("Vault/locks/")
        lock.renew()
        assert [one.name for one in storage.listing("Vault/locks/")] == [first.name]
        now[0] += timedelta(minutes=6)
        lock.renew()
        (second,) = storage.listing("Vault/locks/")
        assert second.name != first.name
        now[0] += timedelta(minutes=31)
        with pytest.raises(Exception, match="start over"):
            lock.renew()
    assert storage.listing("Vault/locks/") == []


def test_memory_that_flips_a_bit_is_noticed_before_anything_is_put(
    kept: Vault, storage: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = vault.vault.Objects
    seal = kept._objects.seal
    sealing = seal.seal_many

    def flipping(plains: list[bytes]) -> list[bytes]:
        return [one[:-1] + bytes([one[-1] ^ 1]) if len(one) > 200 else one for one in sealing(plains)]

    monkeypatch.setattr(seal, "seal_many", flipping)
    assert isinstance(kept._objects, real)
    with pytest.raises(Damaged):
        kept.save(contents(documents(3)), host=HOST)
    assert storage.listing("Vault/data/") == kept.snapshots() == []


def test_the_same_bytes_in_one_blob_of_another_program_do_not_change_the_tree(
    kept: Vault, storage: Folder, restic: Restic, tmp_path: Path
) -> None:
    """restic keeps a file of 200 KB whole; a document of that size is always in pieces."""
    name, data = document(6, messages=600)
    assert 150_000 < len(data) < 500_000
    (tmp_path / "document").write_bytes(data)
    restic.run("backup", str(tmp_path / "document"), "--host", "elsewhere")
    saved = kept.save(contents({name: data}), host=HOST)
    elsewhere, _ = vault.create(Memory(), passphrase=None, hostname="phone-0001")
    assert elsewhere.save(contents({name: data}), host="phone-0001").snapshot.tree == saved.snapshot.tree


def test_a_warm_vault_and_a_cold_one_write_the_same_tree(kept: Vault, storage: Folder) -> None:
    held = documents(60)
    for round_ in range(6):
        for name in sorted(held)[round_ : round_ + 3]:
            held[name] += b" "
        if round_ == 3:
            held.pop(sorted(held)[40])
        held.update(documents(2, first=200 + 2 * round_))
        warm = kept.save(contents(held, updated_at=f"2024-05-0{round_ + 1}T00:00:00Z"), host=HOST)
        cold, _ = vault.create(Memory(), passphrase=None, hostname="phone-0001")
        again = cold.save(contents(held, updated_at=f"2024-05-0{round_ + 1}T00:00:00Z"), host="phone-0001")
        assert warm.snapshot.tree == again.snapshot.tree


def test_a_restore_keeps_next_to_nothing_for_each_conversation_on_its_way(kept: Vault) -> None:
    held = documents(1500)
    snapshot = kept.save(contents(held), host=HOST).snapshot
    loading = kept.load(snapshot)
    before = len(gc.get_objects())
    first = next(loading)  # by now it is known where each of them lies
    grown = len(gc.get_objects()) - before
    assert isinstance(first, VaultDocument)
    assert grown < len(held) / 4
    assert sum(1 for _ in loading) == len(held) - 1
