"""What a snapshot has that is not known here: found by going down only into folders that nobody has looked at.

Trees depend on content only, so a folder whose id was seen once never needs to be read again. Which folders were seen
is remembered beside the last snapshot of each host that was merged; forgetting it costs requests and never data, as
merging again what is there changes nothing. Absence means nothing here: only tombstones delete.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import msgspec

from chatkeep.errors import Damaged, Problem
from chatkeep.vault.objects import Objects
from chatkeep.vault.tree import Node
from chatkeep.vault.trees import CONVERSATIONS, SUFFIX, TOMBSTONES, WHOLE, Trees

Nodes = list[tuple[str, Node]]
_MOST_REMEMBERED = 100_000
_LEVELS = 3  # of folders between `conversations` and the documents


class Known(msgspec.Struct, kw_only=True):
    """What is here already.

    revisions: of each conversation, by id. tombstones: SHA-256 of each, by name. since: the snapshot of that host that
    was merged last, "" when none was. again: ids of conversations to be given in any case.
    """

    revisions: Mapping[str, str]
    tombstones: Mapping[str, str]
    since: str = ""
    again: Collection[str] = ()


class Difference(msgspec.Struct, kw_only=True):
    """What a snapshot has and this machine perhaps not, as (name, node); problems: folders that cannot be read."""

    documents: Nodes = []
    tombstones: Nodes = []
    trees: set[str] = set()
    problems: list[Problem] = []


class _Merged(msgspec.Struct):
    snapshot: str
    trees: bytes


def difference(objects: Objects, root: str, known: Known, *, host: str) -> Difference:
    """What the tree of a host's snapshot has that is not known. Raises Damaged when its root cannot be read."""
    seen = _remembered(objects, host, known.since)
    found = Difference(trees=set(seen))
    if root in seen and not known.again:
        return found
    trees = Trees(objects, window=WHOLE)
    tops = {node.name: node.subtree for node in trees.read(root)}
    _documents(trees, tops.get(CONVERSATIONS, ""), known, found)
    _tombstones(trees, tops.get(TOMBSTONES, ""), known, found)
    _again(trees, root, known, found)
    found.trees.add(root)
    return found


def _documents(trees: Trees, top: str, known: Known, found: Difference) -> None:
    level = [("", top)] if top and top not in found.trees else []
    while level:
        below: list[tuple[str, str]] = []
        for path, tree in level:
            for node in _nodes(trees, tree, f"conversations whose ids begin with {path!r}", found):
                if node.subtree and len(path) < _LEVELS:
                    if node.subtree not in found.trees:
                        below.append((path + node.name, node.subtree))
                elif node.name.endswith(SUFFIX) and not _is_here(trees, node, known):
                    found.documents.append((node.name.removesuffix(SUFFIX), node))
        level = below


def _nodes(trees: Trees, tree: str, what: str, found: Difference) -> list[Node]:
    try:
        nodes = trees.read(tree)
    except Damaged as error:
        found.problems.append(Problem(what, error.what))
        return []
    found.trees.add(tree)
    return nodes


def _is_here(trees: Trees, node: Node, known: Known) -> bool:
    revision = known.revisions.get(node.name.removesuffix(SUFFIX))
    return revision is not None and node.content in ([revision], trees.pieces(revision))


def _tombstones(trees: Trees, top: str, known: Known, found: Difference) -> None:
    if top and top not in found.trees:
        for node in _nodes(trees, top, "what was deleted", found):
            if node.content != [known.tombstones.get(node.name)]:
                found.tombstones.append((node.name, node))


def _again(trees: Trees, root: str, known: Known, found: Difference) -> None:
    """Conversations whose tombstones changed here meet once more what others have of them."""
    there = {id for id, _ in found.documents}
    for id in sorted(set(known.again) - there):
        try:
            node = trees.document(root, id)
        except Damaged as error:
            found.problems.append(Problem(f"conversation {id}", error.what))
            continue
        if node is not None and not _is_here(trees, node, known):
            found.documents.append((id, node))


def _remembered(objects: Objects, host: str, snapshot: str) -> Iterator[str]:
    data = objects.cache.get(_name(host)) if snapshot else None
    try:
        merged = msgspec.msgpack.decode(data, type=_Merged) if data else None
    except msgspec.DecodeError:
        return
    if merged is not None and merged.snapshot == snapshot:
        for at in range(0, len(merged.trees), 32):
            yield merged.trees[at : at + 32].hex()


def remember(objects: Objects, host: str, snapshot: str, trees: Collection[str]) -> None:
    """Keeps which folders were seen, once all that is in them is in the archive."""
    listed = sorted(trees) if len(trees) <= _MOST_REMEMBERED else []
    merged = _Merged(snapshot, b"".join(map(bytes.fromhex, listed)))
    objects.cache.put(_name(host), msgspec.msgpack.encode(merged))


def _name(host: str) -> str:
    return f"merged/{host}"
