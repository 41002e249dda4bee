"""What one Dropbox account holds: files and folders found without regard to case, their revisions, and what happened.

Every change is told in `events`, in order, so that a cursor is a place in that list.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

BLOCK = 4 * 1024 * 1024
LONGEST = 255
IGNORED = {"desktop.ini", "thumbs.db", ".ds_store", "icon\r", ".dropbox", ".dropbox.attr"}


class Wrong(Exception):
    """What Dropbox says no to, as the tags of its error from the outside in. more: fields of the innermost tag."""

    def __init__(self, *tags: str, **more: Any) -> None:
        super().__init__("/".join(tags))
        self.tags = tags
        self.more = more


def content_hash(data: bytes) -> str:
    """The SHA-256 of the SHA-256 sums of each 4 MiB, as hex."""
    blocks = [hashlib.sha256(data[at : at + BLOCK]).digest() for at in range(0, len(data), BLOCK)]
    return hashlib.sha256(b"".join(blocks)).hexdigest()


def lower(text: str) -> str:
    """How Dropbox folds a path: character by character, so that the form a Greek sigma has at the end is not used."""
    return "".join(folded if len(folded := character.lower()) == 1 else character for character in text)


def stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Node:
    """A file, or a folder (data is None). path: as people see it."""

    path: str
    id: str
    data: bytes | None = None
    rev: str = ""
    client_modified: str = ""
    server_modified: str = ""
    hash: str = ""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def metadata(self, *, tag: bool) -> dict[str, Any]:
        """As told to clients; routes that can only give one kind leave the tag out."""
        told = {".tag": "folder" if self.data is None else "file"} if tag else {}
        told |= {"name": self.name, "path_lower": lower(self.path), "path_display": self.path, "id": self.id}
        if self.data is None:
            return told
        times = {"client_modified": self.client_modified, "server_modified": self.server_modified}
        kept = {"rev": self.rev, "size": len(self.data), "is_downloadable": True, "content_hash": self.hash}
        return told | times | kept


def deleted(path: str) -> dict[str, Any]:
    name = path.rpartition("/")[2]
    return {".tag": "deleted", "name": name, "path_lower": lower(path), "path_display": path}


@dataclass
class Tree:
    """The files and folders of one account."""

    clock: Callable[[], float]
    nodes: dict[str, Node] = field(default_factory=dict)
    history: dict[str, list[Node]] = field(default_factory=dict)
    events: list[tuple[str, bool]] = field(default_factory=list)
    """(path as people see it, whether it went away), oldest first."""
    last: int = 0

    def _next(self) -> int:
        self.last += 1
        return self.last

    @property
    def used(self) -> int:
        return sum(len(node.data or b"") for node in self.nodes.values())

    def find(self, path: str) -> Node | None:
        """By path, "id:..." or "rev:..."; a path that is not in Unicode's composed form finds nothing."""
        if path.startswith("id:"):
            return next((node for node in self.nodes.values() if node.id == path), None)
        if path.startswith("rev:"):
            every = (node for kept in self.history.values() for node in kept)
            return next((node for node in every if node.rev == path[4:]), None)
        return self.nodes.get(lower(path))

    def file(self, path: str) -> Node:
        node = self.find(check_path(path))
        if node is None:
            raise Wrong("path", "not_found")
        if node.data is None:
            raise Wrong("path", "not_file")
        return node

    def below(self, path: str, *, deep: bool = True) -> Iterator[Node]:
        """What a folder holds, in the order of paths; the folder itself is not among it."""
        start = lower(path) + "/"
        for key in sorted(self.nodes):
            if key.startswith(start) and (deep or "/" not in key[len(start) :]):
                yield self.nodes[key]

    def _place(self, path: str) -> str:
        """Where something new goes: its folders are made, and those that are there keep the way they are written."""
        head, _, name = path.rpartition("/")
        if not head:
            return f"/{name}"
        there = self.nodes.get(lower(head))
        if there is None:
            there = self.make(self._place(head))
        if there.data is not None:
            raise Wrong("conflict", "file_ancestor")
        return f"{there.path}/{name}"

    def make(self, path: str) -> Node:
        node = Node(path, f"id:{self._next():022d}")
        self.nodes[lower(path)] = node
        self.events.append((path, False))
        return node

    def folder(self, path: str) -> Node:
        """A new folder. Raises Wrong where there is something."""
        there = self.nodes.get(lower(path))
        if there:
            raise Wrong("conflict", "folder" if there.data is None else "file")
        return self.make(self._place(check_name(path)))

    def write(self, path: str, data: bytes, *, modified: str = "") -> Node:
        """A new file, or a new revision of one."""
        path = check_name(unicodedata.normalize("NFC", path))
        there = self.nodes.get(lower(path))
        if there and there.data is None:
            raise Wrong("conflict", "folder")
        now = stamp(self.clock())
        place = there.path if there else self._place(path)
        node = Node(
            place, there.id if there else f"id:{self._next():022d}", bytes(data), f"{0x160000000 + self._next():x}"
        )
        node.client_modified, node.server_modified, node.hash = modified or now, now, content_hash(data)
        self.nodes[lower(place)] = node
        self.history.setdefault(lower(place), []).append(node)
        self.events.append((place, False))
        return node

    def remove(self, path: str) -> Node:
        """Take a file, or a folder with all it holds. Raises Wrong when there is none."""
        node = self.find(check_path(path))
        if node is None:
            raise Wrong("not_found")
        for inner in [*self.below(node.path), node]:
            del self.nodes[lower(inner.path)]
        self.events.append((node.path, True))
        return node

    def move(self, old: str, new: str) -> Node:
        """Give a file or a folder another path."""
        node = self.find(check_path(old))
        if node is None:
            raise Wrong("from_lookup", "not_found")
        target = check_name(unicodedata.normalize("NFC", new))
        there = self.nodes.get(lower(target))
        if there:
            raise Wrong("to", "conflict", "folder" if there.data is None else "file")
        if lower(target).startswith(lower(node.path) + "/"):
            raise Wrong("cant_move_folder_into_itself")
        inner = list(self.below(node.path))
        place = self._place(target)
        self.remove(node.path)
        start = node.path
        for one in [node, *inner]:
            one.path = place + one.path[len(start) :]
            self.nodes[lower(one.path)] = one
            self.events.append((one.path, False))
            if one.data is not None:
                self.history.setdefault(lower(one.path), []).append(one)
        return node

    def since(self, at: int, path: str, *, deep: bool) -> list[dict[str, Any]]:
        """What happened below a path (and to it) after the first `at` events, each path as it is now."""
        last = {lower(where): number for number, (where, _) in enumerate(self.events)}
        told = []
        for number, (where, gone) in enumerate(self.events[at:], at):
            if not _within(lower(where), lower(path), deep=deep):
                continue
            node = self.nodes.get(lower(where))
            if gone:
                told.append(deleted(where))
            elif node and last[lower(where)] == number:
                told.append(node.metadata(tag=True))
        return told


def _within(where: str, top: str, *, deep: bool) -> bool:
    if where == top or top.startswith(where + "/"):
        return True
    return where.startswith(top + "/") and (deep or "/" not in where[len(top) + 1 :])


def check_path(path: str) -> str:
    """Refuse a path that cannot be one."""
    if not path.startswith(("id:", "rev:")) and (path.endswith("/") or "//" in path or not path.startswith("/")):
        raise Wrong("malformed_path")
    return path


def check_name(path: str) -> str:
    """Refuse a path that nothing may be written to."""
    for part in check_path(path).split("/")[1:]:
        if len(part) > LONGEST or re.search(r"[\\\x7f\x00]", part) or part in (".", ".."):
            raise Wrong("malformed_path")
        if part.endswith(" ") or part.lower() in IGNORED:
            raise Wrong("disallowed_name")
    return path
