"""Checking a vault: is everything that its snapshots name there, and is it what was written?

The structure (every tree of every snapshot, every blob in the index, every pack with its right size) costs the trees
and a listing. Reading the data costs everything; a sample reads some of the packs, others each time.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
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

    def run(self, read_data: bool, sample_percent: float | None) -> CheckReport:
        self._objects.names.start_over()
        self._objects.refresh_snapshots()
        self._objects.refresh_index(looked=True)
        found = self._sealed_objects()
        self._trees(found)
        self._packs()
        if read_data or sample_percent is not None:
            self._data(100.0 if sample_percent is None else sample_percent)
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
        names = sorted(self._objects.index.pack_names())
        count = min(len(names), max(1, round(len(names) * percent / 100))) if names else 0
        chosen = names if count == len(names) else random.sample(names, count)
        rows = self._objects.index.packs_by_name()
        for done, name in enumerate(chosen, 1):
            self._pack(name, rows[name])
            self._progress(done, count)

    def _pack(self, name: str, row: int) -> None:
        try:
            data = self._objects.fetch(pack_name(name))
        except NotFound:
            return  # told of by _packs
        self._read += 1
        if hashlib.sha256(data).hexdigest() == name and self._header_fits(data, row):
            for problem in self._bad_blobs(data, row):
                self._is_damaged(problem.where + name, problem.where, problem.what)
            return
        found = list(self._bad_blobs(data, row))
        for problem in found:
            self._is_damaged(problem.where + name, problem.where, problem.what)
        if not found:
            self._is_damaged(
                name, f"vault, pack {name[:12]}", "It is not what was written, though all blobs can be read."
            )

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
