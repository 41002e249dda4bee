"""Checking a vault: is everything that its snapshots name there, and is it what was written?

The structure (every tree of every snapshot, every blob in the index, every pack with its right size) costs the trees
and a listing. Reading the data costs everything; a sample reads those packs that were not read for longest. What is
found damaged is remembered, so that the next backup writes it anew (heal.py).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TypeVar

import msgspec

from chatkeep.errors import Damaged, NotFound, Problem, VaultTooNew
from chatkeep.vault import index as indexes
from chatkeep.vault import keys, lock
from chatkeep.vault import snapshot as snapshots
from chatkeep.vault.config import NAME as CONFIG
from chatkeep.vault.config import unseal_config
from chatkeep.vault.index import IndexObject
from chatkeep.vault.names import PACKS
from chatkeep.vault.objects import Objects, open_blob, pack_name
from chatkeep.vault.pack import header_span, read_header
from chatkeep.vault.sealed import unseal_json
from chatkeep.vault.snapshot import Snapshot, SnapshotObject
from chatkeep.vault.trees import SUFFIX, WHOLE, Trees

_CHECKED = "checked"

Progress = Callable[[int, int], None]
T = TypeVar("T")


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found.

    ok: nothing is damaged or missing. damaged: objects and blobs that are not what was written. missing: packs,
    trees and blobs that a snapshot or the index names and nobody has. read: packs that were read whole.
    problems: each in words, with the conversations it touches.
    """

    ok: bool
    damaged: int
    missing: int
    read: int
    problems: list[Problem]


def check(
    objects: Objects,
    *,
    read_data: bool = False,
    sample_percent: float | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Check a vault. See Vault.check."""
    return _Check(objects, progress or (lambda done, total: None)).run(read_data, sample_percent)


class _Check:
    def __init__(self, objects: Objects, progress: Progress) -> None:
        self._objects = objects
        self._progress = progress
        self._damaged: dict[str, Problem] = {}
        self._missing: dict[str, Problem] = {}
        self._users: dict[str, set[str]] = defaultdict(set)
        self._read = 0
        self._bad: set[str] = set()
        self._good: set[str] = set()

    def run(self, read_data: bool, sample_percent: float | None) -> CheckReport:
        self._objects.names.start_over()
        self._objects.refresh_snapshots()
        self._objects.refresh_index(looked=True)
        found = self._sealed_objects()
        self._trees(found)
        self._packs()
        if read_data or sample_percent is not None:
            self._data(100.0 if sample_percent is None else sample_percent)
        self._objects.learn_damage(bad=self._bad, good=self._good - self._bad)
        return CheckReport(
            ok=not self._damaged and not self._missing,
            damaged=len(self._damaged),
            missing=len(self._missing),
            read=self._read,
            problems=[*self._damaged.values(), *self._missing.values()],
        )

    def _is_damaged(self, key: str, where: str, what: str) -> None:
        self._damaged.setdefault(key, Problem(where, what))

    def _is_missing(self, key: str, where: str, what: str) -> None:
        self._missing.setdefault(key, Problem(where, what))

    # Small objects: read from the storage itself, never from the cache

    def _sealed_objects(self) -> list[Snapshot]:
        self._try(CONFIG, lambda data: unseal_config(self._objects.seal, data))
        self._each(keys.FOLDER, keys.read_key_file)
        self._each(indexes.FOLDER, self._unsealing(IndexObject))
        self._each(lock.FOLDER, self._unsealing(lock.LockObject))
        return self._each(
            snapshots.FOLDER,
            lambda data, name: snapshots.from_object(name, self._unsealing(SnapshotObject)(data, name)),
        )

    def _unsealing(self, kind: type[T]) -> Callable[[bytes, str], T]:
        return lambda data, name: unseal_json(self._objects.seal, name, data, kind=kind)

    def _each(self, folder: str, read: Callable[[bytes, str], T]) -> list[T]:
        found = (
            self._try(folder + name, partial(_with_name, read, name))
            for name in sorted(self._objects.names.listed(folder))
        )
        return [value for value in found if value is not None]

    def _try(self, name: str, read: Callable[[bytes], T]) -> T | None:
        try:
            return read(self._objects.fetch(name))
        except NotFound:
            if name == CONFIG:
                self._is_missing(name, f"vault, {name}", "It is not there.")
        except (Damaged, VaultTooNew) as error:
            self._is_damaged(name, f"vault, {name[:30]}", error.what)
        return None

    # Structure

    def _trees(self, found: list[Snapshot]) -> None:
        trees, seen = Trees(self._objects, window=WHOLE), set[str]()
        for snapshot in found:
            self._walk(trees, snapshot.tree, seen, f"snapshot {snapshot.id[:12]}")

    def _walk(self, trees: Trees, tree: str, seen: set[str], where: str) -> None:
        if tree in seen:
            return
        seen.add(tree)
        try:
            nodes = trees.read(tree)
        except Damaged as error:
            report = self._is_damaged if self._objects.locate("tree", _bytes(tree)) else self._is_missing
            report(tree, where, f"A folder of it cannot be read. {error.what}")
            return
        for node in nodes:
            if node.subtree:
                self._walk(trees, node.subtree, seen, where)
            for piece in node.content or []:
                self._users[piece].add(node.name)
                if self._objects.locate("data", _bytes(piece)) is None:
                    self._is_missing(piece, _where(node.name, where), "A part of it is missing from the vault.")

    def _packs(self) -> None:
        there = {stored.name.rpartition("/")[2]: stored.size for stored in self._objects.storage.listing(PACKS)}
        for name, size in self._objects.index.pack_sizes().items():
            if there.get(name) != size:
                self._bad.add(name)
            if name not in there:
                self._is_missing(name, self._touched(name), f"The pack {name[:12]} is missing.")
            elif there[name] != size:
                self._is_damaged(
                    name, self._touched(name), f"The pack {name[:12]} has {there[name]} bytes, not {size}."
                )

    def _touched(self, pack: str) -> str:
        """The conversations that have a part in a pack, in words."""
        row = self._objects.index.packs_by_name()[pack]
        blobs = (blob_id.hex() for kind, blob_id, _ in self._objects.index.blobs_of(row) if kind == "data")
        names = sorted({name for blob in blobs for name in self._users.get(blob, ())})
        return (
            ", ".join(_where(name, "") for name in names[:20]) + (" …" if len(names) > 20 else "") or "vault, folders"
        )

    # Data

    def _data(self, percent: float) -> None:
        names = self._objects.index.pack_names()
        count = min(len(names), max(1, round(len(names) * percent / 100))) if names else 0
        rows, times = self._objects.index.packs_by_name(), self._read_times(names)
        for done, name in enumerate(self._longest_unread(names, times)[:count], 1):
            self._pack(name, rows[name])
            times[name] = self._objects.clock().timestamp()
            self._progress(done, count)
        self._objects.cache.put(_CHECKED, msgspec.msgpack.encode(times))

    def _read_times(self, names: Iterable[str]) -> dict[str, float]:
        """When each pack was last read by a check of this machine [s since 1970]."""
        kept = self._objects.cache.get(_CHECKED)
        with contextlib.suppress(msgspec.DecodeError):
            times = msgspec.msgpack.decode(kept, type=dict[str, float]) if kept else {}
            return {name: times[name] for name in names if name in times}
        return {}

    def _longest_unread(self, names: Iterable[str], times: Mapping[str, float]) -> list[str]:
        """A slice that moves on with each check, so that every pack is read in time, and none twice before all are."""
        return sorted(names, key=lambda name: (times.get(name, 0.0), name))

    def _pack(self, name: str, row: int) -> None:
        try:
            data = self._objects.fetch(pack_name(name))
        except NotFound:
            return  # told of by _packs
        self._read += 1
        found = list(self._bad_blobs(data, row))
        for problem in found:
            self._is_damaged(problem.where + name, problem.where, problem.what)
        whole = hashlib.sha256(data).hexdigest() == name and self._header_fits(data, row)
        if not whole and not found:
            what = "It is not what was written, though all blobs can be read."
            self._is_damaged(name, f"vault, pack {name[:12]}", what)
        (self._good if whole and not found else self._bad).add(name)

    def _header_fits(self, data: bytes, row: int) -> bool:
        span = header_span(data)
        try:
            header = {(blob.kind, blob.id, blob.offset) for blob in read_header(self._objects.seal, data[-span:-4])}
        except Damaged:
            return False
        return all((kind, i, place.offset) in header for kind, i, place in self._objects.index.blobs_of(row))

    def _bad_blobs(self, data: bytes, row: int) -> Iterator[Problem]:
        view = memoryview(data)
        for kind, blob_id, place in self._objects.index.blobs_of(row):
            try:
                sealed = view[place.offset : place.offset + place.length]
                open_blob(self._objects.seal, sealed, blob_id=blob_id, size=place.size)
            except Damaged as error:
                names = sorted(self._users.get(blob_id.hex(), ())) or [f"a {kind} blob"]
                yield Problem(", ".join(_where(name, "vault") for name in names), error.what)


def _with_name(read: Callable[[bytes, str], T], name: str, data: bytes) -> T:
    return read(data, name)


def _bytes(name: str) -> bytes:
    try:
        return bytes.fromhex(name)
    except ValueError:
        return b""


def _where(name: str, otherwise: str) -> str:
    """A node's name in words. Names in foreign snapshots are those of a person's files, and are not quoted."""
    conversation = name.removesuffix(SUFFIX)
    if name.endswith(SUFFIX) and all(c in "0123456789abcdef-" for c in conversation):
        return f"conversation {conversation}"
    if len(name) == 64:
        return f"attachment {name}"
    return otherwise or "another file"
