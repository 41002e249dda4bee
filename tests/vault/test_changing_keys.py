"""Keys come and go; the vault always opens with at least one, and stock restic agrees on which."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.vault.small_archive import PASSPHRASE, Restic, contents, documents, loaded

from chatkeep import vault
from chatkeep.errors import Damaged, NotFound, WrongPassphrase, WrongUse
from chatkeep.providers.folder import Folder
from chatkeep.providers.memory import Memory
from chatkeep.vault import MistypedKey, RecoveryKey, Vault

HOST = "laptop-7f3a"


def test_a_new_passphrase_opens_and_the_old_one_no_more(kept: Vault, storage: Folder, place: Path) -> None:
    saved = kept.save(contents(documents(2)), host=HOST)
    kept.set_passphrase("nouvelle phrase", hostname=HOST)
    assert loaded(vault.open_vault(storage, secret="nouvelle phrase").load(saved.snapshot)) == documents(2)
    with pytest.raises(WrongPassphrase):
        vault.open_vault(storage, secret=PASSPHRASE)
    assert _kinds(kept) == ["recovery-key", "passphrase"]
    assert Restic(place, password="nouvelle phrase").is_clean()


def test_a_passphrase_can_be_given_to_a_vault_that_had_none(storage: Folder) -> None:
    kept, recovery = vault.create(storage, passphrase=None, hostname=HOST)
    kept.set_passphrase("first", hostname=HOST)
    for secret in ("first", str(recovery)):
        assert vault.open_vault(storage, secret=secret).id == kept.id


@pytest.mark.parametrize("passphrase", ["", "  ", "two\nlines", "\ud800"])
def test_what_is_no_passphrase_changes_nothing(kept: Vault, passphrase: str) -> None:
    before = kept.keys()
    with pytest.raises(WrongUse):
        kept.set_passphrase(passphrase, hostname=HOST)
    assert kept.keys() == before


def test_one_more_recovery_key_opens_beside_the_first(storage: Folder) -> None:
    kept, first = vault.create(storage, passphrase=None, hostname=HOST)
    second = kept.add_recovery_key(hostname="phone-11aa")
    assert first != second
    for key in (first, second):
        assert vault.open_vault(storage, secret=str(key)).id == kept.id
    assert kept.keys()[-1].hostname == "phone-11aa"


def test_a_removed_key_opens_no_more_and_the_last_one_stays(storage: Folder) -> None:
    kept, first = vault.create(storage, passphrase=None, hostname=HOST)
    second = kept.add_recovery_key(hostname=HOST)
    kept.remove_key(kept.keys()[0].id[:8])
    with pytest.raises(WrongPassphrase):
        vault.open_vault(storage, secret=str(first))
    assert vault.open_vault(storage, secret=str(second)).id == kept.id
    with pytest.raises(WrongUse, match="last key"):
        kept.remove_key(kept.keys()[0].id)
    assert len(kept.keys()) == 1


def test_a_key_is_named_by_enough_of_its_id(kept: Vault) -> None:
    with pytest.raises(NotFound):
        kept.remove_key("zz")
    with pytest.raises(NotFound):
        kept.remove_key("")
    while not (common := _shared_beginning(kept)):
        kept.add_recovery_key(hostname=HOST)
    with pytest.raises(WrongUse, match="begin with"):
        kept.remove_key(common)


def _kinds(vault: Vault) -> list[str]:
    found = vault.keys()
    return [key.kind for key in found]


def _shared_beginning(vault: Vault) -> str:
    found = vault.keys()
    first = [key.id[0] for key in found]
    return next((letter for letter in first if first.count(letter) > 1), "")


def test_what_a_person_kept_can_be_tested(storage: Folder) -> None:
    kept, recovery = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
    assert kept.opens_with(PASSPHRASE)
    assert kept.opens_with(str(recovery).lower())
    assert not kept.opens_with("something else")
    assert not kept.opens_with(str(RecoveryKey.generate()))
    wrong = str(recovery)[:-1] + ("A" if str(recovery)[-1] != "A" else "B")
    with pytest.raises(MistypedKey, match="Group 8"):
        kept.opens_with(wrong)


def test_a_key_of_another_vault_does_not_count(storage: Folder) -> None:
    kept, _ = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
    _, foreign = vault.create(Memory(), passphrase=None, hostname=HOST)
    assert not kept.opens_with(str(foreign))


class _Forgets(Memory):
    """A storage that gives back another key file than the one that was put."""

    lying = False

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        data = super().get(name, start=start, length=length)
        return data[:-1] + b" " if self.lying and "keys/" in name else data


def test_the_old_passphrase_stays_when_the_new_one_cannot_be_proven() -> None:
    storage = _Forgets()
    kept, _ = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
    storage.lying = True
    with pytest.raises(Damaged):
        kept.set_passphrase("new", hostname=HOST)
    storage.lying = False
    assert vault.open_vault(storage, secret=PASSPHRASE).id == kept.id
