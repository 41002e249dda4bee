"""Which blobs the snapshots name: a walk through all of their trees, also those of other programs."""

from __future__ import annotations

from collections.abc import Iterable

from chatkeep.errors import Damaged, Problem
from chatkeep.vault.objects import Objects
from chatkeep.vault.pack import Kind
from chatkeep.vault.snapshot import Snapshot
from chatkeep.vault.trees import WHOLE, Trees


class Used:
    """The ids of all blobs that the snapshots seen so far name.

    problems: folders that could not be read. What is below them is not known, so nothing may be deleted then.
    """

    def __init__(self, objects: Objects) -> None:
        self._trees = Trees(objects, window=WHOLE)
        self._walked: set[str] = set()
        self.blobs: dict[Kind, set[bytes]] = {"data": set(), "tree": set()}
        self.problems: list[Problem] = []

    def walk(self, found: Iterable[Snapshot]) -> None:
        """Take in what these snapshots name; those that were walked before cost nothing."""
        for snapshot in found:
            if snapshot.id not in self._walked:
                self._walked.add(snapshot.id)
                self._below(snapshot)

    def knows(self, snapshot: Snapshot) -> bool:
        return snapshot.id in self._walked

    def _below(self, snapshot: Snapshot) -> None:
        waiting = [snapshot.tree]
        while waiting:
            tree = waiting.pop()
            blob_id = bytes.fromhex(tree)
            if blob_id in self.blobs["tree"]:
                continue
            self.blobs["tree"].add(blob_id)
            try:
                nodes = self._trees.read(tree)
            except Damaged as error:
                what = f"A folder of it cannot be read, so nothing is removed from the vault. {error.what}"
                self.problems.append(Problem(f"snapshot {snapshot.id[:8]}", what))
                continue
            for node in nodes:
                if node.subtree:
                    waiting.append(node.subtree)
                self.blobs["data"].update(map(bytes.fromhex, node.content or ()))
