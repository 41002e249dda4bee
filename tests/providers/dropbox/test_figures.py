"""How many requests a backup into Dropbox takes, all of them counted, those for access tokens too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.vault.small_archive import contents, documents, loaded

from chatkeep import vault
from chatkeep.providers.dropbox import Dropbox
from chatkeep.storage import Counting
from chatkeep.vault import Vault, keys
from fakes.dropbox import DropboxFake
from fakes.given import Cloud
from fakes.rclone import Rclone

HOST = "laptop-7f3a"
Opened = Callable[..., Dropbox]


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)


@pytest.fixture
def made(storage: Dropbox) -> Vault:
    return vault.create(storage, passphrase=None, hostname=HOST)[0]


@pytest.fixture
def fresh(made: Vault, opened: Opened, tmp_path: Path) -> Callable[[], tuple[Vault, Counting]]:
    """The vault as a new process of the same device opens it."""

    def fresh() -> tuple[Vault, Counting]:
        counting = Counting(opened())
        return vault.open_with_master_key(counting, made.master_key, cache=tmp_path / "cache"), counting

    return fresh


Fresh = Callable[[], tuple[Vault, Counting]]


def test_when_nothing_changed_a_backup_is_at_most_two_requests(fresh: Fresh, dropbox_fake: Cloud) -> None:
    held = documents(20)
    fresh()[0].save(contents(held), host=HOST)
    fresh()[0].snapshots()
    cold, counting = fresh()
    dropbox_fake.journal.clear()
    assert cold.save(contents(held), host=HOST).unchanged
    assert counting.requests == dropbox_fake.journal.count() <= 2
    dropbox_fake.journal.clear()
    assert cold.save(contents(held), host=HOST).unchanged
    assert dropbox_fake.journal.count() == 1


@pytest.mark.parametrize("count", [1, 100])
def test_a_backup_of_few_or_many_changes_is_at_most_ten_requests(fresh: Fresh, dropbox_fake: Cloud, count: int) -> None:
    held = documents(200)
    fresh()[0].save(contents(held), host=HOST)
    for handle, counting in (fresh(), fresh()):
        held.update((name, held[name] + b" ") for name in sorted(held)[:count])
        before = counting.requests
        dropbox_fake.journal.clear()
        assert handle.save(contents(held), host=HOST).verified
        assert counting.requests - before == dropbox_fake.journal.count() <= 10, dropbox_fake.journal.lines()
    handle, _ = fresh()
    dropbox_fake.journal.clear()
    assert loaded(handle.load(handle.snapshots()[-1])) == held


@pytest.mark.slow
def test_a_first_backup_is_a_hundredth_of_the_requests_that_rclone_needs_for_the_files(
    opened: Opened, dropbox_fake: Cloud, fake: DropboxFake, tmp_path: Path
) -> None:
    held = documents(500)
    fresh = vault.create(opened(new=True), passphrase=None, hostname=HOST)[0]
    before = dropbox_fake.journal.count()  # rclone too is given a place that was made
    assert fresh.save(contents(held), host=HOST).verified
    ours = dropbox_fake.journal.count() - before
    files = tmp_path / "files"
    files.mkdir()
    for name, data in held.items():
        (files / f"{name}.json").write_bytes(data)
    token = '{"access_token":"%s","token_type":"bearer","refresh_token":"","expiry":"2099-01-01T00:00:00Z"}'
    remote = f"[db]\ntype = dropbox\nclient_id = cid\nclient_secret = csec\ntoken = {token % fake.issue().access}\n"
    Rclone(dropbox_fake, tmp_path, remote)("copy", str(files), "db:files")
    theirs = dropbox_fake.journal.count() - before - ours
    assert len([path for path in fake.files() if path.startswith("/files/")]) == len(held)

    assert ours * 100 <= theirs
