"""`chatkeep keys`: what opens a vault is seen, tested and changed from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Command


@pytest.fixture
def phrase(tmp_path: Path) -> Path:
    """A file with another passphrase in it."""
    path = tmp_path / "phrase"
    path.write_text("quite another phrase\n")
    return path


def test_the_kept_passphrase_is_tested(backed_up: Command, phrase: Path, tmp_path: Path) -> None:
    wrong = backed_up("keys", "test", "--passphrase-file", phrase, "--json")
    assert wrong.code == 1
    backed_up("keys", "passphrase", "--passphrase-file", phrase)
    assert backed_up("keys", "test", "--passphrase-file", phrase, "--json").json["opens"]


def test_a_mistyped_recovery_key_is_told_by_its_group(backed_up: Command, tmp_path: Path) -> None:
    made = backed_up("keys", "recovery", "--json").json["recovery_key"]
    groups = made.split("-")
    groups[2] = ("B" if groups[2][0] == "A" else "A") + groups[2][1:]  # one wrong letter is always found
    kept = tmp_path / "typed"
    kept.write_text("-".join(groups))
    told = backed_up("keys", "test", "--passphrase-file", kept)
    assert told.code == 1
    assert "Group 3" in told.out
    kept.write_text(made.lower())
    assert backed_up("keys", "test", "--passphrase-file", kept).code == 0


def test_a_key_is_removed_by_its_id_but_never_the_last(backed_up: Command) -> None:
    first, second = backed_up("keys", "--json").json["keys"]
    assert backed_up("keys", "remove", first["id"][:10], "--json").json["removed"]["id"] == first["id"]
    last = backed_up("keys", "remove", second["id"])
    assert last.code == 2
    assert "last key" in last.err


def test_the_kit_of_a_new_key_is_for_its_owner_alone_and_not_beside_the_vault(
    backed_up: Command, place: Path, tmp_path: Path
) -> None:
    beside = backed_up("keys", "recovery", "--kit", place / "kit.txt")
    assert beside.code == 2
    assert "beside it protects nothing" in beside.err
    kit = tmp_path / "kit.txt"
    made = backed_up("keys", "recovery", "--kit", kit, "--json").json["recovery_key"]
    assert made in kit.read_text()
    assert kit.stat().st_mode & 0o077 == 0
    assert backed_up("keys", "recovery", "--kit", kit).code == 2


def test_nobody_there_to_type_is_wrong_use(backed_up: Command) -> None:
    assert backed_up("keys", "test").code == 2


def test_a_vault_is_moved_to_a_new_key_and_all_goes_on(
    backed_up: Command, phrase: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    old.write_text("open sesame")
    made = backed_up("keys", "renew", "--passphrase-file", phrase, "--yes", "--json").json
    assert backed_up("keys", "test", "--passphrase-file", phrase).code == 0
    assert backed_up("keys", "test", "--passphrase-file", old).code == 1
    assert {path.relative_to(place).parts[0] for path in place.rglob("*") if path.is_file()} == {
        "README.txt",
        "Vault-2",
    }
    assert backed_up("backup", "--json").json["unchanged"]
    assert backed_up("check", "--read-data", "--json").json["ok"]
    assert backed_up("drill", "--json").json["ok"]
    assert len(backed_up("snapshots", "--json").json) == 1
    kept = tmp_path / "key"
    kept.write_text(made["recovery_key"])
    assert backed_up("disconnect", "folder", "--yes").code == 0
    monkeypatch.delenv("CHATKEEP_PASSPHRASE")
    assert backed_up("connect", "folder", place, "--passphrase-file", kept, "--json").json["joined"]
    assert backed_up("restore", "--json").json["expected"] == 2
