"""What a check found damaged, the next backup mends from what is here; what it cannot mend it does not hide."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.vault.small_archive import PASSPHRASE, Clock, Restic, attachment, contents, documents, loaded
from tests.vault.test_tidy import TimedFolder

from chatkeep import vault
from chatkeep.providers.folder import Folder
from chatkeep.vault import Vault, VaultAttachment

HOST = "laptop-7f3a"


def flip_all(kept: Vault, storage: Folder, kind: str) -> None:
    """Flip a bit in the first blob of every pack of a kind."""
    index = kept._objects.index
    for name, row in index.packs_by_name().items():
        if next(index.blobs_of(row))[0] == kind:
            path = f"Vault/data/{name[:2]}/{name}"
            data = bytearray(storage.get(path))
            data[40] ^= 1
            storage.put(path, bytes(data))


def test_a_damaged_pack_is_written_anew_by_the_next_backup(kept: Vault, storage: Folder, restic: Restic) -> None:
    held = documents(20)
    kept.save(contents(held), host=HOST)
    for kind in ("data", "tree"):
        flip_all(kept, storage, kind)
        assert not kept.check(read_data=True).ok
        healed = kept.save(contents(held), host=HOST)
        assert (healed.verified, healed.unchanged) == (True, False)
        for reader in (kept, vault.open_with_master_key(storage, kept.master_key)):
            assert loaded(reader.load(healed.snapshot)) == held
        assert kept.save(contents(held), host=HOST).unchanged
    kept.tidy(host=HOST)  # from now on restic does not see the damaged packs either
    found = restic.restored(storage.path.parent / "out")
    assert len([name for name in found if name.startswith("conversations/")]) == 20


def test_tidying_takes_the_damaged_pack_away_and_restic_finds_the_vault_clean(place: Path, restic: Restic) -> None:
    clock, storage = Clock(), TimedFolder(place, new=True)
    storage.clock = clock
    kept, _ = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST, clock=clock)
    held = documents(20)
    kept.save(contents(held), host=HOST)
    flip_all(kept, storage, "data")
    assert not kept.check(read_data=True).ok
    kept.save(contents(held), host=HOST)
    assert kept.needs_tidying(host=HOST)
    for _ in range(2):
        assert kept.tidy(host=HOST).problems == []
        clock.go(timedelta(hours=25))
    assert restic.is_clean()
    assert kept.check(read_data=True).ok
    assert loaded(kept.load(kept.snapshots()[-1])) == held


def test_what_is_damaged_and_not_here_is_a_problem_and_the_backup_not_called_verified(
    kept: Vault, storage: Folder
) -> None:
    picture = attachment(b"picture" * 100)
    kept.save(contents(documents(3), attachments=[picture]), host="phone-0001")
    flip_all(kept, storage, "data")
    assert not kept.check(read_data=True).ok
    elsewhere = VaultAttachment(picture.sha256, picture.size)
    saved = kept.save(contents(documents(3), attachments=[elsewhere]), host=HOST)
    assert not saved.verified
    assert [problem.where for problem in saved.problems] == [f"attachment {picture.sha256}"]
    mended = kept.save(contents(documents(3), attachments=[picture]), host="phone-0001")
    assert mended.verified
    assert kept.save(contents(documents(3), attachments=[elsewhere]), host=HOST).verified


def test_a_slice_of_the_data_moves_on_until_all_was_read(kept: Vault, storage: Folder, tmp_path: Path) -> None:
    mine = vault.open_with_master_key(storage, kept.master_key, cache=tmp_path / "cache")
    for count in range(1, 6):
        mine.save(contents(documents(count)), host=HOST)
    names = set(mine._objects.index.pack_names())
    assert len(names) == 10
    read: list[str] = []
    real = mine._objects.fetch

    def fetch(name: str, **more: int) -> bytes:
        if name.startswith("data/") and not more:
            read.append(name.rpartition("/")[2])
        return real(name, **more)

    mine._objects.fetch = fetch  # type: ignore[method-assign, assignment]
    for _ in range(5):
        assert mine.check(sample_percent=20).read == 2
    assert sorted(read) == sorted(names)
