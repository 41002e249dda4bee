"""Trees: the folders of a snapshot, as JSON whose every byte is fixed.

Nodes depend on content only: no host, no user, no clock. So equal archives have equal roots on any machine, and a
folder that did not change is the same blob as before. Names hold only a-z, 0-9, dot, dash and underscore, which need
no escaping in either of the two layers that the format puts around names.
Source: docs/design/vault.md, section "Trees".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime

import msgspec

from chatkeep.errors import Damaged, WrongUse

NO_TIME = "1970-01-01T00:00:00Z"
_NAME = re.compile(r"[a-z0-9_][a-z0-9._-]{0,199}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z", re.ASCII)
_FILE_MODE = 0o600
_FOLDER_MODE = 0o700 | 1 << 31


class Node(msgspec.Struct, frozen=True):
    """One entry of a tree. content: blob ids (hex) of a file; subtree: id of a folder's tree, "" for others."""

    name: str
    type: str
    content: list[str] | None = None
    subtree: str = ""
    size: int = 0
    mtime: str = NO_TIME


class _Tree(msgspec.Struct):
    nodes: list[Node]


def check_node_name(name: str) -> None:
    """Raises WrongUse for a name that would need escaping."""
    if not _NAME.fullmatch(name):
        raise WrongUse("A name in a vault has only the letters a-z, digits, dots, dashes and underscores.")


def node_time(updated_at: str) -> str:
    """A time as nodes have it: RFC 3339 in UTC with Z, or the constant when it is not a valid one.

    A single impossible time (30 February, a leap second) would make the whole tree unreadable to restic.
    """
    if not _TIME.fullmatch(updated_at):
        return NO_TIME
    try:
        datetime.fromisoformat(updated_at)
    except ValueError:
        return NO_TIME
    return updated_at


def file_node(name: str, *, time: str, size: int, content: list[str]) -> str:
    """The JSON of a file. time: from node_time. content: blob ids in hex, in order."""
    sized = f'"size":{size},' if size else ""
    ids = '","'.join(content)
    listed = f'["{ids}"]' if content else "[]"
    return (
        f'{{"name":"{name}","type":"file","mode":{_FILE_MODE},"mtime":"{time}","atime":"{time}","ctime":"{time}",'
        f'"uid":0,"gid":0,{sized}"content":{listed}}}'
    )


def folder_node(name: str, subtree: str) -> str:
    """The JSON of a folder. subtree: id of its tree in hex."""
    return (
        f'{{"name":"{name}","type":"dir","mode":{_FOLDER_MODE},"mtime":"{NO_TIME}","atime":"{NO_TIME}",'
        f'"ctime":"{NO_TIME}","uid":0,"gid":0,"content":null,"subtree":"{subtree}"}}'
    )


def tree_bytes(nodes: list[str]) -> bytes:
    """The tree of these nodes, which must stand in the order of their names."""
    return f'{{"nodes":[{",".join(nodes)}]}}\n'.encode()


def read_tree(data: bytes) -> list[Node]:
    """The nodes of a tree, also of one that restic wrote. Raises Damaged."""
    try:
        return msgspec.json.decode(data, type=_Tree).nodes
    except msgspec.DecodeError as error:
        raise Damaged("A folder in the vault cannot be read.") from error


_AT_ONCE = 256


class TreeBuilder:
    """Names trees, and collects those that the vault does not hold, in the order in which they were built.

    has: whether the vault holds a tree. take: is given new ones from time to time, so that they need not all be kept
    here; `flush` gives it the rest. made: how many were new.
    """

    def __init__(
        self, has: Callable[[bytes], bool], take: Callable[[list[tuple[bytes, bytes]]], object] | None = None
    ) -> None:
        self.new: list[tuple[bytes, bytes]] = []
        self.built = self.made = 0
        self._has, self._take = has, take

    def add(self, nodes: list[str]) -> str:
        """The id of the tree of these nodes, which must stand in the order of their names."""
        data = tree_bytes(nodes)
        blob_id = hashlib.sha256(data).digest()
        self.built += 1
        if not self._has(blob_id):
            self.new.append((blob_id, data))
            self.made += 1
            if self._take and len(self.new) >= _AT_ONCE:
                self.flush()
        return blob_id.hex()

    def flush(self) -> None:
        """Hand over what is new."""
        if self._take and self.new:
            waiting, self.new = self.new, []
            self._take(waiting)

    def fan_out(self, leaves: dict[str, str]) -> str:
        """The id of the tree above leaves, {"a3f": id of its tree}: one level for each letter of the keys.

        One level is built after the other, the root last: who reads a run's trees finds the upper ones together.
        """
        level = dict(sorted(leaves.items()))
        while "" not in level:
            above: dict[str, list[str]] = {}
            for path, tree in level.items():
                above.setdefault(path[:-1], []).append(folder_node(path[-1], tree))
            level = {path: self.add(nodes) for path, nodes in above.items()}
        return level[""]
