"""What backups cost at Drive, every request counted, those for access tokens too."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.providers.google_drive.conftest import Device
from tests.vault.small_archive import PASSPHRASE, contents, documents, loaded

from chatkeep import vault
from chatkeep.providers.google_drive import GoogleDrive
from chatkeep.storage import Counting, Retrying
from chatkeep.vault import Vault, keys
from fakes.given import Cloud
from fakes.rclone import Rclone

HOST = "laptop-7f3a"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)
    monkeypatch.setattr("chatkeep.providers.google_drive.storage.SETTLES_S", 0.0)
    monkeypatch.setattr("chatkeep.providers.google_drive.storage.LISTS_SETTLE_S", 0.0)


class Machine:
    """A device that backs up, each time in a process of its own, an hour or more after the one before."""

    def __init__(self, cloud: Cloud, device: Device, cache: Path) -> None:
        self.cloud, self.device, self.cache = cloud, device, cache
        self.now = 1_700_000_000.0
        cloud.fake.clock = lambda: self.now
        storage = device.open()
        self.key = vault.create(self.place(storage), passphrase=None, hostname=HOST, cache=cache)[0].master_key
        device.opened.pop().close()

    def place(self, storage: GoogleDrive) -> Counting:
        return Counting(Retrying(storage))

    def run(self, work: Callable[[Vault], object]) -> int:
        """The requests of a process that opens the vault, works, and ends."""
        self.cloud.fake.consent.expire_access()
        storage = self.device.open(new=False)
        self.now += 5000  # the token it was opened with has run out
        before = self.cloud.journal.count()
        counting = self.place(storage)
        work(vault.open_with_master_key(counting, self.key, cache=self.cache))
        self.device.opened.pop().close()
        self.lines = self.cloud.journal.lines()[before:]
        assert counting.requests == len(self.lines)
        return counting.requests


@pytest.fixture
def machine(google_fake: Cloud, device: Device, tmp_path: Path) -> Machine:
    return Machine(google_fake, device, tmp_path / "cache")


def test_when_nothing_changed_a_backup_is_at_most_two_requests(machine: Machine) -> None:
    held = documents(20)
    machine.run(lambda kept: kept.save(contents(held), host=HOST))
    for _ in range(2):
        assert machine.run(lambda kept: kept.save(contents(held), host=HOST)) <= 2


@pytest.mark.parametrize("count", [1, 100])
def test_a_backup_of_few_or_many_changes_is_at_most_ten_requests(machine: Machine, count: int) -> None:
    held = documents(200)
    machine.run(lambda kept: kept.save(contents(held), host=HOST))
    for _ in range(3):
        held.update((name, held[name] + b" ") for name in sorted(held)[:count])
        assert machine.run(lambda kept: kept.save(contents(held), host=HOST)) <= 10, machine.lines
    read: dict[str, bytes] = {}
    machine.run(lambda kept: read.update(loaded(kept.load(kept.snapshots()[-1]))))
    assert read == held


@pytest.mark.slow
def test_a_first_backup_is_a_hundredth_of_the_requests_that_rclone_needs_for_the_files(
    google_fake: Cloud, machine: Machine, tmp_path: Path
) -> None:
    held = documents(1500)
    ours = machine.run(lambda kept: kept.save(contents(held), host=HOST))
    files = tmp_path / "files"
    files.mkdir()
    for name, data in held.items():
        (files / f"{name}.json").write_bytes(data)
    token = '{"access_token":"%s","token_type":"Bearer","refresh_token":"","expiry":"2099-01-01T00:00:00Z"}'
    remote = "[gd]\ntype = drive\nclient_id = cid\nclient_secret = csec\nscope = drive.file\n"
    rclone = Rclone(google_fake, tmp_path, f"{remote}token = {token % google_fake.fake.issue().access}\n")
    google_fake.fake.units_per_minute = 10**9
    with google_fake.journal.counted() as theirs:
        rclone("copy", str(files), "gd:files", "--drive-pacer-min-sleep", "0.1ms", "--transfers", "8")
    assert ours * 100 <= len(theirs), ours


@pytest.mark.slow
def test_stock_restic_and_rclone_read_the_vault_at_drive(google_fake: Cloud, device: Device, tmp_path: Path) -> None:
    """Without Chatkeep: what the README in the folder promises."""
    held = documents(30)
    kept = vault.create(Counting(device.open()), passphrase=PASSPHRASE, hostname=HOST)[0]
    kept.save(contents(held), host=HOST)
    token = '{"access_token":"%s","token_type":"Bearer","refresh_token":"","expiry":"2099-01-01T00:00:00Z"}'
    remote = "[gd]\ntype = drive\nclient_id = cid\nclient_secret = csec\nscope = drive.file\n"
    rclone = Rclone(google_fake, tmp_path, f"{remote}token = {token % google_fake.fake.issue().access}\n")
    environment = rclone.environment | {"RCLONE_CONFIG": str(rclone.config), "RESTIC_PASSWORD": PASSPHRASE}
    environment["RCLONE_DRIVE_PACER_MIN_SLEEP"] = "0.1ms"
    restic = ["restic", "--no-cache", "-r", "rclone:gd:Chatkeep/Vault"]
    for words in (["check", "--read-data"], ["restore", "latest", "--target", str(tmp_path / "back")]):
        done = subprocess.run(
            [*restic, *words], env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
    restored = {path.stem: path.read_bytes() for path in (tmp_path / "back").rglob("*.json")}
    assert {name: restored.get(name) for name in held} == held
