"""A crash at any point: stock restic finds the vault clean, the last snapshot stands, and the next run succeeds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.vault.small_archive import PASSPHRASE, Restic, attachment, contents, documents, loaded

from chatkeep import vault
from chatkeep.providers.folder import Folder
from chatkeep.testing.faulty import Crash, Fault, FaultyStorage, How
from chatkeep.vault import Vault

HOST = "laptop-7f3a"
PUTS_OF_A_RUN = 5
"""Lock, data pack, tree pack, index, snapshot."""


@pytest.mark.parametrize("how", ["crash", "crash after"])
@pytest.mark.parametrize("put", range(1, PUTS_OF_A_RUN + 1))
def test_after_a_crash_at_any_put_the_vault_is_clean_and_the_next_run_succeeds(
    kept: Vault, storage: Folder, restic: Restic, put: int, how: How
) -> None:
    before = kept.save(contents(documents(5)), host=HOST).snapshot
    dying = FaultyStorage(storage, Fault("put", put, how))
    after = contents(documents(12), attachments=[attachment(b"x" * 999)], tombstones={"a": b"b"})
    with pytest.raises(Crash):
        vault.open_with_master_key(dying, kept.master_key).save(after, host=HOST)
    assert restic.is_clean()
    fresh = vault.open_with_master_key(storage, kept.master_key)
    committed = (put, how) == (PUTS_OF_A_RUN, "crash after")
    assert len(fresh.snapshots()) == 1 + committed
    assert loaded(fresh.load(before)) == documents(5)
    assert fresh.check(read_data=True).ok
    saved = fresh.save(after, host=HOST)
    assert (saved.verified, saved.unchanged, saved.problems) == (True, committed, [])
    assert loaded(fresh.load(saved.snapshot)) == documents(12)
    assert restic.is_clean()


@pytest.mark.parametrize("call", range(1, 15))
def test_after_a_crash_at_any_call_the_last_snapshot_stands(kept: Vault, storage: Folder, call: int) -> None:
    before = kept.save(contents(documents(5)), host=HOST).snapshot
    dying = FaultyStorage(storage, Fault("any", call, "crash"))
    try:
        vault.open_with_master_key(dying, kept.master_key).save(contents(documents(9)), host=HOST)
    except Crash:
        pass
    else:
        assert call > len(dying.calls)
    fresh = vault.open_with_master_key(storage, kept.master_key)
    assert loaded(fresh.load(before)) == documents(5)
    assert fresh.check(read_data=True).ok
    assert fresh.save(contents(documents(9)), host=HOST).verified


def test_a_storage_that_loses_half_a_pack_is_found_out_after_the_commit(
    kept: Vault, storage: Folder, restic: Restic
) -> None:
    liar = FaultyStorage(storage, Fault("put", 2, "truncate"))
    saved = vault.open_with_master_key(liar, kept.master_key).save(contents(documents(9)), host=HOST)
    assert saved.verified
    fresh = vault.open_with_master_key(storage, kept.master_key)
    assert loaded(fresh.load(fresh.snapshots()[-1])) == documents(9)


_KILLED = """
import os, sys
from pathlib import Path
from chatkeep import vault
from chatkeep.providers.folder import Folder
from tests.vault.small_archive import contents, documents
steps, at = [], int(sys.argv[3])
def dying(real):
    def call(*args, **kwargs):
        steps.append(real)
        if len(steps) == at:
            os._exit(9)
        return real(*args, **kwargs)
    return call
kept = vault.open_with_master_key(Folder(Path(sys.argv[1])), vault.MasterKey.from_bytes(bytes.fromhex(sys.argv[2])))
os.fsync, Path.replace = dying(os.fsync), dying(Path.replace)
kept.save(contents(documents(8)), host="laptop-7f3a")
"""


def _until_no_lock_is_left(storage: Folder) -> None:
    """The lock goes when its process does, a moment later."""
    for _ in range(200):
        if not storage.listing("Vault/locks/"):
            return
        time.sleep(0.01)
    raise AssertionError("A lock outlived its process.")


@pytest.mark.slow
def test_a_process_killed_at_any_sync_or_rename_leaves_a_clean_vault(tmp_path: Path) -> None:
    outcomes = []
    for step in range(1, 40):
        place = tmp_path / str(step)
        storage = Folder(place, new=True)
        kept, _ = vault.create(storage, passphrase=PASSPHRASE, hostname=HOST)
        kept.save(contents(documents(3)), host=HOST)
        command = [sys.executable, "-c", _KILLED, str(place), kept.master_key.to_bytes().hex(), str(step)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."])}
        outcomes.append(subprocess.run(command, env=environment, check=False).returncode)
        _until_no_lock_is_left(storage)
        assert Restic(place).is_clean()
        assert loaded(kept.load(kept.snapshots()[0])) == documents(3)
        saved = kept.save(contents(documents(8)), host=HOST)
        assert loaded(kept.load(saved.snapshot)) == documents(8)
        if outcomes[-1] == 0:
            break
    assert set(outcomes) == {0, 9}
    assert len(outcomes) > 12
