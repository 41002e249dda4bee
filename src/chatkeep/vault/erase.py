"""Taking conversations out of all snapshots, as if they had never been saved.

Each snapshot of ours that names one is written anew without it, of any device; then the old one goes, and the packs
that held the sealed bytes are emptied of all else and deleted. Snapshots of other programs are left, and told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable

import msgspec

from chatkeep.errors import Damaged, Problem
from chatkeep.vault import snapshot as snapshots
from chatkeep.vault.collect import Collection as Collecting
from chatkeep.vault.load import load_file
from chatkeep.vault.lock import ExclusiveLock, SharedLock
from chatkeep.vault.objects import Objects
from chatkeep.vault.packing import Packing
from chatkeep.vault.snapshot import Snapshot, SnapshotObject
from chatkeep.vault.tree import NO_TIME, Node, TreeBuilder, file_node, folder_node
from chatkeep.vault.trees import ATTACHMENTS, CONVERSATIONS, MANIFEST, SUFFIX, WHOLE, Trees

Path = tuple[str, ...]


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure did. snapshots_rewritten: without the conversations now. objects_removed: packs that held their
    sealed bytes and are gone. left: what it could not reach, or only later, in words.
    """

    snapshots_rewritten: int
    objects_removed: int
    left: list[Problem]


class _Messages(msgspec.Struct):
    messages: list[msgspec.Raw] = []


def erase(objects: Objects, ids: Iterable[str], *, attachments: Iterable[str], host: str) -> Erased:
    """Take conversations and attachments out of a vault. See Vault.erase."""
    gone = {(CONVERSATIONS, *id[:3], id + SUFFIX) for id in ids} | {(ATTACHMENTS, a[:2], a) for a in attachments}
    with ExclusiveLock(objects, host=host) as held:
        objects.names.start_over()
        found = objects.refresh_snapshots()
        objects.refresh_index(looked=True)
        run = _Erasure(objects, gone)
        with Packing(objects, before_put=held.renew) as packing:
            new = {one.id: value for one in found if not one.foreign and (value := run.without(one, packing))}
            packing.flush("data")
            packing.flush("tree")
            packing.publish()
        for old, value in new.items():
            held.renew()
            objects.put_snapshot(value)
            objects.delete(snapshots.FOLDER + old)
        removed = _remove(objects, held, run)
    return Erased(snapshots_rewritten=len(new), objects_removed=removed, left=run.left)


def _remove(objects: Objects, held: SharedLock, run: _Erasure) -> int:
    """Empty the packs that hold what was erased, and delete them, at once where locks are seen at once."""
    if not run.blobs:
        return 0
    index = objects.index
    packs = {index.pack_name(place.pack) for blob in run.blobs for place in index.places("data", blob)}
    told = Collecting(objects, held, move=frozenset(packs)).run()
    run.left += told.problems
    objects.refresh_index()
    if objects.storage.traits.settles:
        run.left.append(
            Problem("sealed bytes", "They can be opened by nobody without the key, and go within two days.")
        )
        return 0
    done = Collecting(objects, held, at_once=frozenset(packs)).run()
    objects.spool.drop(packs)
    objects.refresh_index()
    if any(objects.index.find("data", blob) for blob in run.blobs):
        run.left.append(
            Problem("sealed bytes", "Snapshots of other programs, or other conversations, still need some of them.")
        )
    return len(done.deleted)


class _Erasure:
    def __init__(self, objects: Objects, gone: Collection[Path]) -> None:
        self._objects = objects
        self._gone = gone
        self._trees = Trees(objects, window=WHOLE)
        self.blobs: set[bytes] = set()
        self.left: list[Problem] = []

    def without(self, snapshot: Snapshot, packing: Packing) -> SnapshotObject | None:
        """The snapshot without what is erased, its trees in packs; None if it has nothing of it or cannot be read."""
        where = f"snapshot {snapshot.id[:8]}"
        try:
            nodes = self._found(snapshot.tree)
            if not nodes:
                return None
            less = self._less(nodes)
            builder = TreeBuilder(lambda blob_id: packing.has("tree", blob_id))
            manifest = self._manifest(snapshot, less)
            root = self._rebuilt(snapshot.tree, (), builder, manifest)
        except Damaged as error:
            self.left.append(Problem(where, f"It could not be written without the conversation. {error.what}"))
            return None
        packing.add_plain("data", [(hashlib.sha256(manifest).digest(), manifest)])
        packing.add_plain("tree", builder.new)
        self.blobs.update(bytes.fromhex(piece) for _, node in nodes for piece in node.content or ())
        return self._object(snapshot, root, less)

    def _found(self, root: str) -> list[tuple[Path, Node]]:
        found = []
        for path in sorted(self._gone):
            nodes = self._trees.folder(root, *path[:-1])
            found += [(path, node) for node in nodes if node.name == path[-1]]
        return found

    def _less(self, nodes: list[tuple[Path, Node]]) -> dict[str, int]:
        """How much less the snapshot counts."""
        less = {"conversations": 0, "attachments": 0, "messages": 0}
        for path, node in nodes:
            less[path[0]] += 1
            if path[0] == CONVERSATIONS:
                less["messages"] += self._messages(node)
        return less

    def _messages(self, node: Node) -> int:
        try:
            return len(msgspec.json.decode(load_file(self._objects, node), type=_Messages).messages)
        except msgspec.DecodeError:
            return 0

    def _manifest(self, snapshot: Snapshot, less: dict[str, int]) -> bytes:
        node = next((node for node in self._trees.folder(snapshot.tree) if node.name == MANIFEST), None)
        if node is None:
            raise Damaged("It has no manifest.")
        found = msgspec.json.decode(load_file(self._objects, node), type=dict[str, object])
        counts = msgspec.convert(found.get("counts"), type=dict[str, int])
        found["counts"] = {name: count - less.get(name, 0) for name, count in counts.items()}
        return msgspec.json.encode(found, order="sorted")

    def _rebuilt(self, tree: str, at: Path, builder: TreeBuilder, manifest: bytes) -> str:
        """The id of a tree without what is erased; "" if nothing is left in it."""
        lines = []
        for node in self._trees.read(tree):
            path = (*at, node.name)
            if node.subtree and any(gone[: len(path)] == path for gone in self._gone):
                below = self._rebuilt(node.subtree, path, builder, manifest)
                lines += [folder_node(node.name, below)] if below else []
            elif node.subtree:
                lines.append(folder_node(node.name, node.subtree))
            elif path == (MANIFEST,):
                blob = hashlib.sha256(manifest).hexdigest()
                lines.append(file_node(MANIFEST, time=NO_TIME, size=len(manifest), content=[blob]))
            elif path not in self._gone:
                lines.append(file_node(node.name, time=node.mtime, size=node.size, content=node.content or []))
        return builder.add(lines) if lines else ""

    def _object(self, snapshot: Snapshot, root: str, less: dict[str, int]) -> SnapshotObject:
        before = self._objects.snapshot_objects[snapshot.id]
        tags = list(before.tags or [])
        for number, tag in enumerate(tags):
            name, equals, count = tag.partition("=")
            if equals and name in less and count.isdecimal():
                tags[number] = f"{name}={int(count) - less[name]}"
        original = snapshot.original or snapshot.id
        return msgspec.structs.replace(before, tree=root, tags=tags, original=original, summary={})
