"""Stock restic through stock rclone restores the vault from Dropbox and OneDrive; from Drive in its own tests."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.vault.small_archive import PASSPHRASE, contents, documents

from chatkeep import vault
from chatkeep.providers import dropbox, onedrive
from chatkeep.providers.provider import Means
from chatkeep.storage import Retrying, Storage
from chatkeep.vault import keys
from fakes.given import Cloud, means
from fakes.rclone import Rclone

pytestmark = pytest.mark.slow
LASTS = "2099-01-01T00:00:00Z"


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)


def _clean_and_whole(opened: Storage, rclone: Rclone, repository: str, tmp_path: Path) -> None:
    storage = Retrying(opened)
    held = documents(30)
    kept, _ = vault.create(storage, passphrase=PASSPHRASE, hostname="laptop-7f3a")
    assert kept.save(contents(held), host="laptop-7f3a").verified
    storage.close()
    run = _restic(rclone, f"rclone:{repository}")
    assert "no errors were found" in run("check", "--read-data")
    run("restore", "latest", "--target", str(tmp_path / "restored"))
    found = {path.stem: path.read_bytes() for path in (tmp_path / "restored" / "conversations").rglob("*.json")}
    assert found == held


def _restic(rclone: Rclone, repository: str) -> Callable[..., str]:
    environment = {**rclone.environment, "RESTIC_PASSWORD": PASSPHRASE, "RCLONE_CONFIG": str(rclone.config)}

    def run(*words: str) -> str:
        command = ["restic", "--no-cache", "-r", repository, *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def _given(cloud: Cloud, sign_in: object) -> Means:
    return means(cloud, sign_in)  # type: ignore[arg-type]


def test_from_dropbox(dropbox_fake: Cloud, tmp_path: Path) -> None:
    issued = dropbox_fake.fake.issue()
    token = {"access_token": issued.access, "token_type": "bearer", "refresh_token": "", "expiry": LASTS}
    text = f"[db]\ntype = dropbox\nclient_id = cid\nclient_secret = csec\ntoken = {json.dumps(token)}\n"
    opened = dropbox.DROPBOX.open({"folder": "Chatkeep"}, True, _given(dropbox_fake, dropbox.SIGN_IN))
    _clean_and_whole(opened, Rclone(dropbox_fake, tmp_path, text), "db:Chatkeep/Vault", tmp_path)


def test_from_onedrive(microsoft_fake: Cloud, tmp_path: Path) -> None:
    issued = microsoft_fake.fake.consent.issue("alice", scopes=("Files.ReadWrite", "offline_access"), client="web")
    token = {"access_token": issued.access, "token_type": "Bearer", "refresh_token": issued.refresh, "expiry": LASTS}
    drive = microsoft_fake.fake.drive()
    text = f"[od]\ntype = onedrive\nclient_id = web\nclient_secret = csec\ntoken = {json.dumps(token)}\n"
    text += f"drive_id = {drive.id}\ndrive_type = {drive.kind}\n"
    opened = onedrive.ONEDRIVE.open({"folder": "Chatkeep"}, True, _given(microsoft_fake, onedrive.SIGN_IN))
    _clean_and_whole(opened, Rclone(microsoft_fake, tmp_path, text), "od:Apps/Chatkeep/Chatkeep/Vault", tmp_path)
