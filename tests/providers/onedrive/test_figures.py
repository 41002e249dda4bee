"""How many requests a backup into OneDrive takes, all of them counted, those for tokens and content too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.providers.onedrive.conftest import Opening
from tests.vault.small_archive import contents, documents, loaded

from chatkeep import vault
from chatkeep.providers import MemoryNotes
from chatkeep.storage import Counting
from chatkeep.vault import Vault, keys
from fakes.given import Cloud
from fakes.rclone import Rclone

HOST = "laptop-7f3a"
Device = Callable[[], tuple[Vault, Counting]]


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)


def device(cloud: Cloud, opening: Opening, folder: Path) -> Device:
    """Opens the vault as a new process of one device does: with its notes and its cache."""
    notes = MemoryNotes()
    made = vault.create(opening(cloud, notes=notes), passphrase=None, hostname=HOST)[0]

    def opened() -> tuple[Vault, Counting]:
        counting = Counting(opening(cloud, new=False, notes=notes))
        return vault.open_with_master_key(counting, made.master_key, cache=folder / "cache"), counting

    return opened


def backed_up(cloud: Cloud, opened: tuple[Vault, Counting], held: dict[str, bytes]) -> list[str]:
    """The requests of one backup, by the journal of the fake, which must agree with what the storage says."""
    handle, counting = opened
    before = counting.requests
    with cloud.journal.counted() as lines:
        handle.save(contents(held), host=HOST)
    counting.close()
    assert counting.requests - before == len(lines)
    return lines


def test_when_nothing_changed_it_takes_two_requests_at_most(cloud: Cloud, opening: Opening, tmp_path: Path) -> None:
    opened, held = device(cloud, opening, tmp_path), documents(20)
    backed_up(cloud, opened(), held)
    backed_up(cloud, opened(), held)
    assert len(backed_up(cloud, opened(), held)) <= 2


@pytest.mark.parametrize("count", [1, 100])
def test_one_change_or_a_hundred_take_ten_requests_at_most(
    cloud: Cloud, opening: Opening, tmp_path: Path, count: int
) -> None:
    opened, held = device(cloud, opening, tmp_path), documents(200)
    backed_up(cloud, opened(), held)
    for _ in range(3):
        held.update((name, held[name] + b" ") for name in sorted(held)[:count])
        lines = backed_up(cloud, opened(), held)
        assert len(lines) <= 10, lines
    handle, _ = opened()
    assert loaded(handle.load(handle.snapshots()[-1])) == held


@pytest.mark.parametrize("count", [0, 1, 100])
def test_without_a_feed_as_on_business_drives_it_takes_fourteen_at_most(
    business: Cloud, opening: Opening, tmp_path: Path, count: int
) -> None:
    opened, held = device(business, opening, tmp_path), documents(200)
    backed_up(business, opened(), held)
    for _ in range(3):
        held.update((name, held[name] + b" ") for name in sorted(held)[:count])
        lines = backed_up(business, opened(), held)
        assert len(lines) <= 14, lines


@pytest.mark.slow
def test_a_first_backup_takes_a_hundredth_of_what_rclone_takes_for_the_files(
    cloud: Cloud, opening: Opening, tmp_path: Path
) -> None:
    held = documents(750)
    ours = backed_up(cloud, device(cloud, opening, tmp_path)(), held)
    files = tmp_path / "files"
    files.mkdir()
    for name, data in held.items():
        (files / f"{name}.json").write_bytes(data)
    issued = cloud.fake.consent.issue("alice", scopes=("Files.ReadWrite", "offline_access"), client="web")
    token = {"access_token": issued.access, "token_type": "Bearer", "expiry": "2099-01-01T00:00:00Z"}
    text = f"[od]\ntype = onedrive\nclient_id = web\nclient_secret = csec\ntoken = {json.dumps(token)}\n"
    rclone = Rclone(cloud, tmp_path, f"{text}drive_id = {cloud.fake.drive().id}\ndrive_type = personal\n")
    with cloud.journal.counted() as theirs:
        rclone("copy", str(files), "od:files", "--transfers", "16")
    assert len([path for path in cloud.fake.files() if path.startswith("files/")]) == len(held)
    assert len(ours) * 100 <= len(theirs), (len(ours), len(theirs))
