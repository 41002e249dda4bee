"""Locks: stock restic honours ours, and we honour its."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from tests.vault.small_archive import Restic, contents, documents

from chatkeep import vault
from chatkeep.errors import Busy, Problem
from chatkeep.providers.folder import Folder
from chatkeep.vault import Vault
from chatkeep.vault.lock import FOLDER, LockObject, SharedLock
from chatkeep.vault.sealed import seal_json
from chatkeep.vault.snapshot import format_time

HOST = "laptop-7f3a"
NO_SUCH_PROCESS = 2**22 + 1


def put_lock(
    kept: Vault, *, exclusive: bool = False, age: timedelta = timedelta(0), host: str = "else", pid: int = 1
) -> str:
    value = LockObject(time=format_time(datetime.now(UTC) - age), exclusive=exclusive, hostname=host, pid=pid)
    name, data = seal_json(kept._objects.seal, value)
    kept._objects.storage.put(FOLDER + name, data)
    return FOLDER + name


def locks(storage: Folder) -> list[str]:
    return [stored.name.removeprefix("Vault/") for stored in storage.listing("Vault/locks/")]


def test_while_we_write_restic_does_not_prune_and_may_back_up(kept: Vault, storage: Folder, restic: Restic) -> None:
    kept.save(contents(documents(3)), host=HOST)
    with SharedLock(kept._objects, host=HOST):
        assert "already locked" in restic.run("prune", fails=True)
        restic.run("backup", str(storage.path / "README.txt"))
    restic.run("prune")
    assert restic.is_clean()


def test_while_another_program_is_alone_with_the_vault_we_do_not_write(kept: Vault, storage: Folder) -> None:
    name = put_lock(kept, exclusive=True)
    with pytest.raises(Busy, match="else") as raised:
        kept.save(contents(documents(3)), host=HOST)
    assert raised.value.temporary
    assert locks(storage) == [name]
    assert storage.listing("Vault/data/") == []


def test_restic_takes_our_exclusive_lock_for_one_of_its_own(kept: Vault, restic: Restic, storage: Folder) -> None:
    put_lock(kept, exclusive=True)
    assert "already locked" in restic.run("backup", str(storage.path / "README.txt"), fails=True)


def test_a_shared_lock_of_another_does_not_keep_us_out(kept: Vault, storage: Folder) -> None:
    name = put_lock(kept)
    assert kept.save(contents(documents(3)), host=HOST).verified
    assert locks(storage) == [name]


def test_a_lock_means_nothing_after_thirty_minutes(kept: Vault, storage: Folder) -> None:
    put_lock(kept, exclusive=True, age=timedelta(minutes=29))
    with pytest.raises(Busy):
        kept.save(contents(documents(3)), host=HOST)
    for name in locks(storage):
        storage.delete(f"Vault/{name}")
    name = put_lock(kept, exclusive=True, age=timedelta(minutes=31))
    assert kept.save(contents(documents(3)), host=HOST).verified
    assert locks(storage) == [name]


def test_locks_that_our_own_dead_runs_left_are_removed(kept: Vault, storage: Folder) -> None:
    put_lock(kept, host=HOST, pid=NO_SUCH_PROCESS)
    put_lock(kept, host=HOST, pid=os.getpid(), age=timedelta(hours=2))
    alive = put_lock(kept, host=HOST, pid=os.getpid())
    kept.save(contents(documents(3)), host=HOST)
    assert locks(storage) == [alive]


def test_a_lock_that_cannot_be_read_keeps_us_out_until_it_is_old(kept: Vault, storage: Folder) -> None:
    name = "Vault/locks/" + "ab" * 32
    storage.put(name, b"half a lock")
    with pytest.raises(Busy):
        kept.save(contents(documents(3)), host=HOST)
    long_ago = datetime.now(UTC).timestamp() - 3600
    os.utime(storage.path / name, (long_ago, long_ago))
    assert kept.save(contents(documents(3)), host=HOST).verified


def test_reading_needs_no_lock(kept: Vault, storage: Folder) -> None:
    saved = kept.save(contents(documents(3)), host=HOST)
    put_lock(kept, exclusive=True)
    fresh = vault.open_with_master_key(storage, kept.master_key)
    assert not [item for item in fresh.load(saved.snapshot) if isinstance(item, Problem)]
    assert fresh.check(read_data=True).ok
