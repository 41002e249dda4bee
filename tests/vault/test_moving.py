"""A new master key: the new vault holds all that the old one held, and nothing that opened the old one opens it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.vault.small_archive import PASSPHRASE, Restic, contents, documents, loaded

from chatkeep import vault
from chatkeep.errors import ChatkeepError, Damaged, WrongPassphrase
from chatkeep.providers.folder import Folder
from chatkeep.providers.memory import Memory
from chatkeep.storage import Below
from chatkeep.testing.faulty import Crash, Fault, FaultyStorage
from chatkeep.vault import Vault

HOST = "laptop-7f3a"


def _two_snapshots(kept: Vault) -> dict[str, bytes]:
    held = documents(40)
    kept.save(contents(dict(list(held.items())[:30])), host=HOST)
    kept.save(contents(held), host=HOST)
    return held


def test_all_snapshots_are_there_under_the_new_key_and_stock_restic_agrees(
    kept: Vault, storage: Folder, place: Path
) -> None:
    held = _two_snapshots(kept)
    new, recovery, folder = kept.move(storage, passphrase="another", hostname=HOST)
    assert (folder, vault.folders(storage)) == ("Vault-2", ["Vault", "Vault-2"])
    assert [one.tree for one in new.snapshots()] == [one.tree for one in kept.snapshots()]
    assert [one.identity for one in new.snapshots()] == [one.identity for one in kept.snapshots()]
    assert loaded(new.load(new.snapshots()[-1])) == held
    assert new.master_key != kept.master_key
    for secret in ("another", str(recovery)):
        assert vault.open_vault(storage, secret=secret, folder=folder).id == new.id
    stock = Restic(place, password=str(recovery))
    stock.vault = place / folder
    assert stock.is_clean()
    assert "Vault-2" in storage.get("README.txt").decode()


def test_what_opened_the_old_vault_opens_the_new_one_no_more(kept: Vault, storage: Folder) -> None:
    _two_snapshots(kept)
    _, _, folder = kept.move(storage, passphrase=None, hostname=HOST)
    with pytest.raises(WrongPassphrase):
        vault.open_vault(storage, secret=PASSPHRASE, folder=folder)
    with pytest.raises(Damaged):
        vault.open_with_master_key(storage, kept.master_key, folder=folder)
    assert vault.open_vault(storage, secret=PASSPHRASE).id == kept.id


def test_the_old_vault_goes_when_it_is_asked_for(kept: Vault, storage: Folder) -> None:
    held = _two_snapshots(kept)
    new, _, folder = kept.move(storage, passphrase=None, hostname=HOST)
    kept.remove(storage, "Vault")
    assert storage.listing("Vault/") == []
    assert loaded(new.load(new.snapshots()[-1])) == held
    assert vault.folders(storage) == [folder]
    assert vault.exists(storage)


def test_a_second_move_goes_on_counting(kept: Vault, storage: Folder) -> None:
    held = _two_snapshots(kept)
    new, _, _ = kept.move(storage, passphrase=None, hostname=HOST)
    newer, _, folder = new.move(storage, passphrase=None, hostname=HOST)
    assert folder == "Vault-3"
    assert loaded(newer.load(newer.snapshots()[-1])) == held
    assert [one.identity for one in newer.snapshots()] == [one.identity for one in kept.snapshots()]


def test_a_crash_at_any_write_leaves_the_old_vault_in_charge_and_the_next_move_tidies_up() -> None:
    inner = Memory()
    kept, _ = vault.create(inner, passphrase=PASSPHRASE, hostname=HOST)
    held = _two_snapshots(kept)
    number = 0
    while True:
        number += 1
        assert number < 60
        faulty = FaultyStorage(inner, Fault("put", number, "crash"))
        opened = vault.open_with_master_key(faulty, kept.master_key)
        try:
            new, _, folder = opened.move(faulty, passphrase=None, hostname=HOST)
        except (Crash, ChatkeepError):
            assert vault.folders(inner)[0] == "Vault"
            again = vault.open_with_master_key(inner, kept.master_key)
            assert loaded(again.load(again.snapshots()[-1])) == held
            for left in inner.listing("Vault/locks/"):
                inner.delete(left.name)
            continue
        break
    assert number > 3
    assert loaded(new.load(new.snapshots()[-1])) == held
    assert all(vault.is_vault(inner, top) for top in {one.name.split("/")[0] for one in inner.listing("Vault-")})
    assert Below(inner, folder).listing("snapshots/")


def test_damage_in_the_old_vault_stops_the_move(kept: Vault, storage: Folder, place: Path) -> None:
    _two_snapshots(kept)
    pack = max((path for path in (place / "Vault" / "data").rglob("*") if path.is_file()), key=_size)
    data = bytearray(pack.read_bytes())
    data[50] ^= 1
    pack.write_bytes(data)
    with pytest.raises(Damaged):
        kept.move(storage, passphrase=None, hostname=HOST)
    assert vault.folders(storage) == ["Vault"]


def _size(path: Path) -> int:
    return path.stat().st_size
