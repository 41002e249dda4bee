"""Reading the folders of a snapshot with few requests.

A run writes its trees together, the lower levels first and the root last. So whoever reads one reads its
neighbours with it: a window of the same pack, kept sealed until somebody asks for them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from chatkeep.errors import Damaged, Problem
from chatkeep.vault.index import Location
from chatkeep.vault.objects import Objects, open_blob
from chatkeep.vault.tree import Node, read_tree

NEAR = 128 * 1024
WHOLE = 8 * 1024 * 1024
_KEPT = 16 * 1024 * 1024

CONVERSATIONS = "conversations"
ATTACHMENTS = "attachments"
TOMBSTONES = "tombstones"
MANIFEST = "manifest.json"
SUFFIX = ".json"

Child = tuple[str, Node | Problem]


class Trees:
    """Reads trees by id. window: how many bytes of a pack to read at once; WHOLE for a walk through everything."""

    def __init__(self, objects: Objects, *, window: int = NEAR) -> None:
        self._objects = objects
        self._window = window
        self._kept: OrderedDict[bytes, tuple[bytes, int]] = OrderedDict()
        self._kept_bytes = 0

    def read(self, tree: str) -> list[Node]:
        """The nodes of a tree. Raises Damaged when it is, or is nowhere."""
        blob_id = bytes.fromhex(tree)
        try:
            if blob_id not in self._kept:
                self._read_around(blob_id)
            sealed, size = self._kept[blob_id]
            return read_tree(open_blob(self._objects.seal, sealed, blob_id=blob_id, size=size))
        except Damaged:
            return read_tree(self._objects.read_blob("tree", blob_id))  # it may lie in another pack too

    def _read_around(self, blob_id: bytes) -> None:
        found = self._objects.locate("tree", blob_id)
        if found is None:
            raise Damaged("A folder is missing from the vault.")
        near = self._near(found)
        start = near[0][1].offset
        end = near[-1][1].offset + near[-1][1].length
        data = self._objects.fetch_packed(self._objects.index.pack_name(found.pack), start=start, length=end - start)
        for other, place in [*near, (blob_id, found)]:
            at = place.offset - start
            self._keep(other, data[at : at + place.length], place.size)

    def _near(self, found: Location) -> list[tuple[bytes, Location]]:
        low, high = found.offset - self._window * 3 // 4, found.offset + found.length + self._window // 4
        return [
            (blob_id, place)
            for kind, blob_id, place in self._objects.index.blobs_of(found.pack)
            if kind == "tree" and (low <= place.offset and place.offset + place.length <= high)
        ]

    def _keep(self, blob_id: bytes, sealed: bytes, size: int) -> None:
        old = self._kept.pop(blob_id, None)
        self._kept[blob_id] = (sealed, size)
        self._kept_bytes += len(sealed) - (len(old[0]) if old else 0)
        while self._kept_bytes > _KEPT and len(self._kept) > 1:
            _, (dropped, _) = self._kept.popitem(last=False)
            self._kept_bytes -= len(dropped)

    def pieces(self, revision: str) -> list[str]:
        """The ids of the blobs that a long document of this revision was cut into, as far as it is remembered here."""
        return [piece.hex() for piece in self._objects.cuts.get(revision, [])]

    def folder(self, tree: str, *path: str) -> list[Node]:
        """The nodes of the folder at a path below a tree; empty when there is none. Raises Damaged."""
        for part in path:
            below = next((node.subtree for node in self.read(tree) if node.name == part), "")
            if not below:
                return []
            tree = below
        return self.read(tree)

    def document(self, root: str, conversation: str) -> Node | None:
        """The node of one conversation, or None. Raises Damaged."""
        return self._named(root, conversation + SUFFIX, CONVERSATIONS, *conversation[:3])

    def ids(self, root: str, prefix: str) -> list[str]:
        """The ids of all conversations that begin so. Raises Damaged."""
        found: list[str] = []
        waiting = [("", self.folder(root, CONVERSATIONS))]
        while waiting:
            above, nodes = waiting.pop()
            for node in nodes:
                begin = above + node.name.removesuffix(SUFFIX)
                if node.subtree and (begin.startswith(prefix) or prefix.startswith(begin)):
                    waiting.append((begin if len(begin) < 3 else "", self.read(node.subtree)))
                elif not node.subtree and begin.startswith(prefix):
                    found.append(begin)
        return sorted(found)

    def attachment(self, root: str, sha256: str) -> Node | None:
        """The node of one attachment, or None. Raises Damaged."""
        return self._named(root, sha256, ATTACHMENTS, sha256[:2])

    def _named(self, root: str, name: str, *path: str) -> Node | None:
        return next((node for node in self.folder(root, *path) if node.name == name), None)

    def documents(self, root: str, ids: Iterable[str] | None) -> Iterator[Child]:
        """(id, node or problem) for the conversations asked for, or for all of them.

        Without ids a folder that cannot be read is a problem named by the beginning of the ids in it.
        """
        if ids is None:
            for name, child in self._files(root, CONVERSATIONS, depth=4):
                yield name.removesuffix(SUFFIX), child
            return
        for conversation in ids:
            try:
                node = self.document(root, conversation)
            except Damaged as error:
                yield conversation, Problem(f"conversation {conversation}", error.what)
                continue
            gone = Problem(f"conversation {conversation}", "It is not in this snapshot.")
            yield conversation, node or gone

    def attachments(self, root: str) -> Iterator[Child]:
        """(sha256, node or problem) for all attachments of a snapshot."""
        return self._files(root, ATTACHMENTS, depth=2)

    def _files(self, root: str, top: str, *, depth: int) -> Iterator[Child]:
        try:
            first = next((node for node in self.read(root) if node.name == top), None)
        except Damaged as error:
            yield top, Problem(f"all {top}", error.what)
            return
        if first is not None:
            yield from self._below(first.subtree, top, "", depth)

    def _below(self, tree: str, top: str, beginning: str, depth: int) -> Iterator[Child]:
        try:
            nodes = self.read(tree)
        except Damaged as error:
            where = f"all {top} whose ids begin with {beginning}" if beginning else f"all {top}"
            yield beginning, Problem(where, error.what)
            return
        for node in nodes:
            if node.type == "file":
                yield node.name, node
            elif node.subtree and depth:
                yield from self._below(node.subtree, top, beginning + node.name, depth - 1)
