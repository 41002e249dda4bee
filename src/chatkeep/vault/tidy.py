"""Tidying a vault: old snapshots are forgotten by a policy, what nothing needs goes, small things are merged."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec

from chatkeep.errors import Damaged, NotFound, Problem
from chatkeep.vault import lock
from chatkeep.vault import snapshot as snapshots
from chatkeep.vault.collect import Collected, Collection
from chatkeep.vault.compact import TIER
from chatkeep.vault.index import GRACE
from chatkeep.vault.lock import ExclusiveLock, SharedLock
from chatkeep.vault.objects import Objects
from chatkeep.vault.retention import Kept, Plan, Policy, plan
from chatkeep.vault.sealed import unseal_json
from chatkeep.vault.snapshot import Snapshot

_MANY_TO_FORGET = 8
_OLD_LOCK = timedelta(hours=24)


class Tidied(msgspec.Struct, frozen=True, kw_only=True):
    """What tidying did, or would do (`dry_run`).

    kept: snapshots that stay, with reasons. forgotten: those that went. freed: bytes that are gone from the storage, in
    `deleted` packs; freed_later: bytes of the `doomed` packs, which go when a day has passed. merged: packs that were
    copied into `new_packs`.
    """

    dry_run: bool
    kept: list[Kept]
    forgotten: list[Snapshot]
    deleted: int = 0
    freed: int = 0
    doomed: int = 0
    freed_later: int = 0
    merged: int = 0
    new_packs: int = 0
    index_before: int = 0
    index_after: int = 0
    problems: list[Problem] = []


def due(objects: Objects, policy: Policy, host: str) -> bool:
    """Whether tidying is worth its requests, by what is known already. Asks nothing."""
    limit = objects.clock().timestamp() - GRACE.total_seconds()
    named = objects.index.packs_by_name()
    expired = any(since <= limit for pack, since in objects.index.doomed.items() if pack.hex() in named)
    judged = plan(objects.known_snapshots(), policy, objects.clock(), hosts=[host])
    damaged = objects.damage.packs & named.keys()
    return bool(len(objects.packs_of) >= TIER or expired or damaged or len(judged.gone) >= _MANY_TO_FORGET)


def tidy(objects: Objects, policy: Policy, *, host: str, all_devices: bool, progress: Callable[[str], None]) -> Tidied:
    """Forget, collect, merge. See Vault.tidy."""
    with ExclusiveLock(objects, host=host) as held:
        progress("Forgetting")
        judged = judge(objects, policy, host=host, all_devices=all_devices, now=held.moment)
        forget(objects, judged.gone)
        progress("Collecting")
        done = Collection(objects, held).run()
        _drop_old_locks(objects, held)
        objects.refresh_index()
    objects.spool.tidy(objects.index.packs_by_name())
    objects.damage.keep_only(objects.index.packs_by_name())
    return _tidied(objects, judged, done, dry_run=False)


def preview(objects: Objects, policy: Policy, *, host: str, all_devices: bool) -> Tidied:
    """What tidying would do. Nothing is written."""
    judged = judge(objects, policy, host=host, all_devices=all_devices, now=objects.clock())
    looking = Collection(objects, ExclusiveLock(objects, host=host))
    done = looking.preview(without={one.id for one in judged.gone})
    return _tidied(objects, judged, done, dry_run=True)


def judge(objects: Objects, policy: Policy, *, host: str, all_devices: bool, now: datetime) -> Plan:
    """What the policy keeps of the snapshots that there are: of this device, or of all."""
    found = objects.refresh_snapshots()
    return plan(found, policy, now, hosts=None if all_devices else [host])


def forget(objects: Objects, gone: list[Snapshot]) -> None:
    """Remove snapshots, the oldest first. What they alone needed is collected later."""
    objects.delete_many(snapshots.FOLDER + snapshot.id for snapshot in gone)


def _drop_old_locks(objects: Objects, held: SharedLock) -> None:
    """Remove locks that have meant nothing for a day: of machines that went away while they worked."""
    for name in sorted(objects.names.of(lock.FOLDER)):
        with contextlib.suppress(NotFound, Damaged):
            data = objects.fetch(lock.FOLDER + name)
            found = unseal_json(objects.seal, name, data, kind=lock.LockObject)
            if held.age(name, found) > _OLD_LOCK:
                objects.delete(lock.FOLDER + name)


def _tidied(objects: Objects, judged: Plan, done: Collected, *, dry_run: bool) -> Tidied:
    return Tidied(
        dry_run=dry_run,
        kept=judged.kept,
        forgotten=judged.gone,
        deleted=len(done.deleted),
        freed=done.deleted_bytes,
        doomed=len(done.doomed),
        freed_later=done.doomed_bytes,
        merged=done.merged,
        new_packs=done.new_packs,
        index_before=done.index_before,
        index_after=done.index_after,
        problems=done.problems,
    )
