"""The tree of a ChatGPT conversation: which message answers which, whatever an export left out.

Exports name the parent of each node, its children, or both. Children can be missing, parents and children can name
nodes that are not there, and edited files hold cycles. Nodes without a message are passed over: what hangs below
them hangs below the nearest message above.
"""

from __future__ import annotations

from typing import Any

from chatkeep.importers.fields import Json
from chatkeep.importers.threads import cut_cycles


def parents(nodes: dict[str, Json]) -> dict[str, str]:
    """The parent of each node, "" for roots. No cycle is left: one of its nodes became a root."""
    above = {key: _named(node, nodes) for key, node in nodes.items()}
    orphans = [key for key, parent in above.items() if not parent]
    if len(orphans) > 1:
        _take_from_children(nodes, above, orphans)
    cut_cycles(above)
    return above


def _named(node: Json, nodes: dict[str, Json]) -> str:
    parent = node.get("parent")
    return parent if type(parent) is str and parent in nodes else ""


def _take_from_children(nodes: dict[str, Json], above: dict[str, str], orphans: list[str]) -> None:
    """Give nodes without a parent the one that lists them as its child."""
    waiting = set(orphans)
    for key, node in nodes.items():
        children = node.get("children")
        for child in children if type(children) is list else ():
            if type(child) is str and child in waiting and child != key:
                above[child] = key
                waiting.discard(child)


def nearest(above: dict[str, str], has_message: set[str]) -> dict[str, str]:
    """For each node with a message the nearest one above it, "" for none."""
    if len(has_message) == len(above):
        return above
    found: dict[str, str] = {"": ""}
    for start in above:
        path = []
        key = start
        while key not in found:
            path.append(key)
            key = above[key]
        for key in reversed(path):
            parent = above[key]
            found[key] = parent if parent in has_message else found[parent]
    return {key: found[key] for key in has_message}


def places(above: dict[str, str], nodes: dict[str, Json], time_of: dict[str, str]) -> dict[str, int]:
    """The place of each message among its siblings, from 0; those at 0 are left out.

    The order of `children` is the order in which they were made; where it is missing, time and id tell it.
    """
    below: dict[str, list[str]] = {}
    for key, parent in above.items():
        below.setdefault(parent, []).append(key)
    found: dict[str, int] = {}
    for parent, keys in below.items():
        if len(keys) > 1:
            listed = _listed(nodes.get(parent))
            keys.sort(key=lambda key: (listed.get(key, len(listed)), time_of.get(key, ""), key))
            found.update({key: place for place, key in enumerate(keys) if place})
    return found


def _listed(node: Any) -> dict[str, int]:
    children = node.get("children") if type(node) is dict else None
    if type(children) is not list:
        return {}
    return {child: place for place, child in enumerate(children) if type(child) is str}
