"""The tree of messages that name their parent, their children or both, whatever an export left out.

Parents and children may name messages that are not there, and edited files hold cycles. The result is always a tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def parents(named: Mapping[str, str], children: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The parent of each message, "" for roots. No cycle is left: one of its messages became a root.

    named: for each message the parent it names, in the order of the export. children: for some of them the children
    they name, which counts for messages that name no parent that is there.
    """
    above = {own: parent if parent in named else "" for own, parent in named.items()}
    for parent, listed in children.items():
        for child in listed:
            if child != parent and above.get(child) == "":
                above[child] = parent
    cut_cycles(above)
    return above


def cut_cycles(above: dict[str, str]) -> None:
    """Make a root of one message of each cycle. above: the parent of each message, "" for roots."""
    known: set[str] = {""}
    for start, parent in above.items():
        if parent in known and start not in known:  # as exports are written, parents come first
            known.add(start)
            continue
        path: set[str] = set()
        own = start
        while own not in known:
            if own in path:
                above[own] = ""
                break
            path.add(own)
            own = above[own]
        known |= path


def places(above: Mapping[str, str], children: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The place of each message among its siblings, from 0: as their parent lists them, then as the export does."""
    below: dict[str, list[str]] = {}
    for own, parent in above.items():
        below.setdefault(parent, []).append(own)
    found: dict[str, int] = {}
    for parent, siblings in below.items():
        listed = {child: place for place, child in reversed(list(enumerate(children.get(parent, ()))))}
        siblings.sort(key=lambda own: listed.get(own, len(listed)))
        found.update({own: place for place, own in enumerate(siblings)})
    return found
