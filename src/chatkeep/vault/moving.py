"""A new master key: everything is copied into a new vault, sealed anew, and proven there before anybody relies on it.

Changing a passphrase leaves the master key as it is, so whoever opened the vault once can go on reading it. The objects
of a vault are named by their sealed bytes, so another key makes another vault; nothing of the old one is touched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatkeep.errors import Damaged
from chatkeep.storage import Storage
from chatkeep.vault import check, keys
from chatkeep.vault import snapshot as snapshots
from chatkeep.vault.cache import Cache
from chatkeep.vault.config import NAME, make_config, seal_config
from chatkeep.vault.lock import SharedLock
from chatkeep.vault.objects import Objects, open_blob, pack_name
from chatkeep.vault.packing import Packing
from chatkeep.vault.recovery import RecoveryKey
from chatkeep.vault.seal import MasterKey, Seal
from chatkeep.vault.sealed import seal_json, unseal_json

_ID = re.compile("[0-9a-f]{64}")
Progress = Callable[[int, int], None]


def move(
    old: Objects,
    inside: Storage,
    *,
    held: SharedLock,
    passphrase: str | None,
    hostname: str,
    cache: Path | None,
    progress: Progress,
) -> tuple[Objects, RecoveryKey]:
    """Copy a vault into an empty folder under a new key. held: the lock that keeps others from the old one.

    The config is written last: until then the folder is no vault, and it is none again when the proof fails. See
    Vault.move.
    """
    secret = keys.check_passphrase(passphrase) if passphrase is not None else None
    key, recovery, config = MasterKey.generate(), RecoveryKey.generate(), make_config()
    new = Objects(inside, key, config, cache=Cache(cache, config.id), clock=old.clock, sleep=old.sleep)
    found = old.refresh_snapshots()
    old.refresh_index()
    if old.unread_snapshots:
        raise Damaged("A snapshot of the vault cannot be read.", hint="Run: chatkeep check")
    _copy_packs(old, new, held, progress)
    for name in [one.id for one in found]:
        _copy_snapshot(old, new, name)
    keys.write_key_file(inside, key, password=str(recovery), kind=keys.RECOVERY, hostname=hostname, now=old.clock())
    if secret is not None:
        keys.write_key_file(inside, key, password=secret, kind=keys.PASSPHRASE, hostname=hostname, now=old.clock())
    inside.put(NAME, seal_config(Seal(key), config))
    try:
        new.refresh_snapshots()
        _prove(old, new)
    except BaseException:
        inside.delete(NAME)
        raise
    return new, recovery


def _copy_packs(old: Objects, new: Objects, held: SharedLock, progress: Progress) -> None:
    """All blobs that the index names, opened and sealed anew; one pack is in memory at a time."""
    packs = old.index.packs_by_name()
    with Packing(new, before_put=held.renew) as packing:
        for done, (name, row) in enumerate(sorted(packs.items())):
            progress(done, len(packs))
            data = memoryview(old.fetch(pack_name(name)))
            for blob in old.index.packed_blobs(row):
                sealed = data[blob.offset : blob.offset + blob.length]
                plain = open_blob(old.seal, sealed, blob_id=blob.id, size=blob.size)
                packing.add_plain(blob.kind, [(blob.id, plain)])
        packing.flush("data")
        packing.flush("tree")
        packing.publish()
        progress(len(packs), len(packs))


def _copy_snapshot(old: Objects, new: Objects, name: str) -> None:
    """A snapshot as it stands; its first name, by which devices know it, stays its identity."""
    value = unseal_json(old.seal, name, old.fetch(snapshots.FOLDER + name), kind=dict[str, Any])
    if not _ID.fullmatch(str(value.get("original", ""))):
        value["original"] = name
    copy, data = seal_json(new.seal, value)
    new.put(snapshots.FOLDER + copy, data)


def _prove(old: Objects, new: Objects) -> None:
    """Read all of the new vault, and compare what its snapshots hold. Raises Damaged."""
    report = check.check(new, read_data=True, sample_percent=None, progress=None)
    trees = sorted((one.time, one.tree) for one in old.known_snapshots())
    if not report.ok or trees != sorted((one.time, one.tree) for one in new.known_snapshots()):
        raise Damaged("The copy under the new key is not what the vault holds; nothing was changed.")
