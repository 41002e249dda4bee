"""Which message follows which. Lines of a transcript are linked by ids; not every fork of links is a branch.

Tool calls that ran at the same time hang their results side by side, and notices hang beside the answer. Such spurs,
in which neither the person nor Claude says anything, are put into the chain before what follows. What still forks is
a branch: the person went back and asked again.
"""

from __future__ import annotations

from collections.abc import Iterable


class Node:
    """One message in the making. above: the node it follows. spoken: the person or Claude says something in it."""

    __slots__ = ("above", "number", "spoken")

    def __init__(self, number: int, *, spoken: bool) -> None:
        self.number = number
        self.spoken = spoken
        self.above: Node | None = None


def straighten(nodes: list[Node]) -> None:
    """Put spurs into the chain, and cut circles at their first node. nodes: in the order of the file."""
    _cut_circles(nodes)
    below: dict[int, list[Node]] = {}
    for node in nodes:
        if node.above is not None:
            below.setdefault(node.above.number, []).append(node)
    spoken: dict[int, bool] = {}
    end: dict[int, Node] = {}
    for node in reversed(_downwards(nodes, below)):
        children = below.get(node.number, [])
        spoken[node.number] = node.spoken or any(spoken[child.number] for child in children)
        last = node
        spurs = [child for child in children if not spoken[child.number]]
        for spur in spurs:
            spur.above = last
            last = end[spur.number]
        for child in children:
            if spoken[child.number]:
                child.above = last
        end[node.number] = last


def _cut_circles(nodes: Iterable[Node]) -> None:
    done: set[int] = set()
    for node in nodes:
        path: list[Node] = []
        on_path: set[int] = set()
        at: Node | None = node
        while at is not None and at.number not in done and at.number not in on_path:
            path.append(at)
            on_path.add(at.number)
            at = at.above
        if at is not None and at.number in on_path:
            min(path[path.index(at) :], key=lambda one: one.number).above = None
        done |= on_path


def _downwards(nodes: list[Node], below: dict[int, list[Node]]) -> list[Node]:
    """All nodes, each after the one it follows."""
    waiting = [node for node in nodes if node.above is None]
    found = []
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += below.get(node.number, [])
    return found


def last_leaf(nodes: list[Node], start: Node | None = None) -> Node | None:
    """The end of the path that a person saw last: of what was said last, or of a node that is named as its leaf."""
    at = start or next((node for node in reversed(nodes) if node.spoken), nodes[-1] if nodes else None)
    latest: dict[int, Node] = {}
    for node in nodes:
        if node.above is not None:
            latest[node.above.number] = node
    while at is not None and at.number in latest:
        at = latest[at.number]
    return at
