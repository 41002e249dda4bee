"""Opening a vault: the right secret opens it, everything else says exactly why not."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.vault.small_archive import PASSPHRASE, Restic, contents, documents, loaded

from chatkeep import vault
from chatkeep.errors import Damaged, NotFound, Refused, VaultTooNew, WrongPassphrase, WrongUse
from chatkeep.providers.folder import Folder
from chatkeep.providers.memory import Memory
from chatkeep.testing.faulty import Crash, Fault, FaultyStorage, How
from chatkeep.vault import MasterKey, MistypedKey, RecoveryKey, Vault, keys
from chatkeep.vault.config import NAME, is_irreducible, seal_config, unseal_config
from chatkeep.vault.seal import Seal

HOST = "laptop-7f3a"


def test_scrypt_gives_what_its_inventors_say() -> None:
    """RFC 7914, section 12, third vector."""
    made = keys.derive("pleaseletmein", b"SodiumChloride", n=16384, r=8, p=1).to_bytes()
    assert made.hex().startswith("7023bdcb3afd7348461c06cd81fd38eb")
    assert made.hex().endswith("d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887")


def test_new_key_files_cost_what_the_design_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    storage = Memory()
    key = MasterKey.generate()
    now = datetime(2024, 5, 1, tzinfo=UTC)
    keys.write_key_file(storage, key, password="x", kind=keys.PASSPHRASE, hostname=HOST, now=now)
    (stored,) = storage.listing("keys/")
    found = keys.read_key_file(storage.get(stored.name), stored.name.removeprefix("keys/"))
    assert (found.cost_n, found.r, found.p, len(found.salt)) == (2**17, 8, 1, 64)
    assert keys.open_key_file(found, "x") == key


def test_passphrase_and_recovery_key_both_open_the_vault_here_and_with_restic(storage: Folder, place: Path) -> None:
    kept, recovery = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
    saved = kept.save(contents(documents(2)), host=HOST)
    for secret in (PASSPHRASE, str(recovery), str(recovery).lower().replace("-", " ")):
        opened = vault.open_vault(storage, secret=secret)
        assert opened.master_key == kept.master_key
        assert loaded(opened.load(saved.snapshot)) == documents(2)
    for password in (PASSPHRASE, str(recovery)):
        assert Restic(place, password=password).is_clean()


def test_a_vault_without_a_passphrase_opens_with_the_recovery_key_alone(storage: Folder) -> None:
    kept, recovery = vault.create(storage, passphrase=None, hostname=HOST)
    assert len(storage.listing("Vault/keys/")) == 1
    assert vault.open_vault(storage, secret=str(recovery)).id == kept.id


def test_the_master_key_opens_at_once(kept: Vault, storage: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **kwargs: object) -> bytes:
        raise AssertionError("scrypt ran")

    monkeypatch.setattr(hashlib, "scrypt", never)
    key = MasterKey.from_bytes(kept.master_key.to_bytes())
    assert vault.open_with_master_key(storage, key).id == kept.id
    with pytest.raises(AssertionError):
        vault.open_vault(storage, secret=PASSPHRASE)
    with pytest.raises(Damaged):
        vault.open_with_master_key(storage, MasterKey.generate())


@pytest.mark.parametrize("secret", ["wrong", PASSPHRASE.upper(), PASSPHRASE + " ", "", "\x00", "\ud800"])
def test_a_wrong_passphrase_says_so_and_nothing_of_itself(kept: Vault, storage: Folder, secret: str) -> None:
    with pytest.raises(WrongPassphrase) as raised:
        vault.open_vault(storage, secret=secret)
    assert len(secret) < 4 or secret not in str(raised.value) + raised.value.hint


def test_a_mistyped_recovery_key_names_the_group(kept: Vault, storage: Folder) -> None:
    groups = RecoveryKey.generate().groups
    groups[4] = groups[4][:-1] + ("A" if groups[4][-1] != "A" else "B")
    with pytest.raises(MistypedKey, match="Group 5"):
        vault.open_vault(storage, secret="-".join(groups))


def test_the_recovery_key_of_another_vault_is_a_wrong_one(kept: Vault, storage: Folder) -> None:
    with pytest.raises(WrongPassphrase, match="does not open this vault"):
        vault.open_vault(storage, secret=str(RecoveryKey.generate()))


def test_a_passphrase_means_the_same_however_it_is_composed(storage: Folder) -> None:
    vault.create(storage, passphrase=unicodedata.normalize("NFD", "Großmütterchen é"), hostname=HOST)
    vault.open_vault(storage, secret=unicodedata.normalize("NFC", "Großmütterchen é"))
    vault.open_vault(storage, secret=unicodedata.normalize("NFD", "Großmütterchen é"))


@pytest.mark.parametrize("passphrase", ["", "  ", "two\nlines", "nul\x00"])
def test_a_passphrase_with_nothing_in_it_is_refused(storage: Folder, passphrase: str) -> None:
    with pytest.raises(WrongUse):
        vault.create(storage, passphrase=passphrase, hostname=HOST)
    assert not vault.exists(storage)


def _key_file(storage: Folder, kind: str) -> str:
    for stored in storage.listing("Vault/keys/"):
        if msgspec.json.decode(storage.get(stored.name))["username"] == kind:
            return stored.name
    raise AssertionError(kind)


@pytest.mark.parametrize("spoilt", [b"", b"{}", b"not json", b"\x00" * 500])
def test_one_damaged_key_file_does_not_keep_the_other_from_opening(storage: Folder, spoilt: bytes) -> None:
    kept, recovery = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
    first, second = _key_file(storage, keys.PASSPHRASE), _key_file(storage, keys.RECOVERY)
    storage.put(first, spoilt)
    assert vault.open_vault(storage, secret=str(recovery)).id == kept.id
    with pytest.raises(WrongPassphrase, match="1 more key files are damaged"):
        vault.open_vault(storage, secret=PASSPHRASE)
    storage.put(second, spoilt)
    with pytest.raises(Damaged, match="All 2 key files"):
        vault.open_vault(storage, secret=PASSPHRASE)


@pytest.mark.parametrize("change", [{"N": 2**40}, {"N": 3}, {"N": 0}, {"r": 2**30}, {"p": 0}, {"kdf": "md5"}])
def test_a_key_file_cannot_make_us_compute_for_ever(kept: Vault, storage: Folder, change: dict[str, object]) -> None:
    for stored in storage.listing("Vault/keys/"):
        fields = msgspec.json.decode(storage.get(stored.name)) | change
        data = msgspec.json.encode(fields)
        storage.delete(stored.name)
        storage.put("Vault/keys/" + hashlib.sha256(data).hexdigest(), data)
    with pytest.raises(Damaged):
        vault.open_vault(storage, secret=PASSPHRASE)


def test_where_there_is_no_vault_none_is_opened(storage: Folder) -> None:
    assert not vault.exists(storage)
    with pytest.raises(NotFound):
        vault.open_vault(storage, secret=PASSPHRASE)
    with pytest.raises(NotFound):
        vault.open_with_master_key(storage, MasterKey.generate())


def test_a_vault_of_a_later_format_is_left_alone(kept: Vault, storage: Folder) -> None:
    seal = Seal(kept.master_key)
    config = unseal_config(seal, storage.get(f"Vault/{NAME}"))
    later = msgspec.structs.replace(config, fields={**config.fields, "version": 3})
    storage.put(f"Vault/{NAME}", seal_config(seal, later))
    with pytest.raises(VaultTooNew):
        vault.open_with_master_key(storage, kept.master_key)
    with pytest.raises(VaultTooNew):
        vault.open_vault(storage, secret=PASSPHRASE)


def test_fields_of_the_config_that_we_do_not_know_survive(kept: Vault) -> None:
    seal = Seal(kept.master_key)
    fields = {"version": 2, "id": "a" * 64, "chunker_polynomial": "3da3358b4dc173", "is_hot": False, "later": [1]}
    config = unseal_config(seal, seal.seal(msgspec.json.encode(fields)))
    assert unseal_config(seal, seal_config(seal, config)).fields == fields


def test_polynomials_are_irreducible_and_reducible_ones_are_told() -> None:
    assert is_irreducible(0x3DA3358B4DC173)
    assert not is_irreducible(0x3DA3358B4DC172)
    assert not is_irreducible(0x3DA3358B4DC171)


def test_a_second_vault_in_the_same_place_is_refused(kept: Vault, storage: Folder) -> None:
    before = {stored.name: storage.get(stored.name) for stored in storage.listing()}
    with pytest.raises(Refused):
        vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
    storage.delete(f"Vault/{NAME}")
    kept_data = Memory()
    for name, data in before.items():
        kept_data.put(name, data)
    kept_data.put("Vault/data/ab/" + "ab" * 32, b"what is left of a vault whose config was lost")
    kept_data.delete(f"Vault/{NAME}")
    with pytest.raises(Refused):
        vault.create(kept_data, passphrase=PASSPHRASE, hostname=HOST)
    assert len(kept_data.listing("Vault/keys/")) == 2


@pytest.mark.parametrize("how", ["crash", "crash after"])
@pytest.mark.parametrize("put", [1, 2, 3, 4])
def test_a_creation_that_crashed_can_be_repeated(storage: Folder, place: Path, how: How, put: int) -> None:
    with pytest.raises(Crash):
        vault.create(FaultyStorage(storage, Fault("put", put, how)), passphrase=PASSPHRASE, hostname=HOST)
    if (how, put) == ("crash after", 4):
        assert vault.exists(storage)
    else:
        assert not vault.exists(storage)
        vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
    assert Restic(place).is_clean()
    vault.open_vault(storage, secret=PASSPHRASE)


def test_the_readme_beside_the_vault_says_how_to_get_everything_back(kept: Vault, storage: Folder) -> None:
    text = storage.get("README.txt").decode()
    assert "restic -r Vault restore latest --target restored" in text
    assert all(len(line) <= 120 for line in text.splitlines())
