"""Where a Graph address leads: which drive, which item, which of its sub-resources."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from fakes.microsoft.drive import Drive, GraphError, Item

_ANCHOR = re.compile(r"/(root|special/[^/:]+|items/[^/:]+)(.*)", re.S)
_BELOW = re.compile(r":/([^:]*)(?::(.*))?", re.S)


@dataclass(frozen=True)
class Target:
    """An item, named as a client did: an item that is there, a path below it, and what of it is wanted.

    sub: "", "/content", "/children", "/delta(token='x')"
    """

    drive: Drive
    start: Item
    path: list[str]
    sub: str
    by_app_folder: bool = False

    def item(self) -> Item:
        """Raises the 404 of an item that is not there."""
        return self.drive.at(self.start, self.path)

    def parent(self) -> tuple[Item, str]:
        """The folder and the name that a new item would get, with all folders above made."""
        if not self.path:
            raise GraphError(400, "invalidRequest")
        return self.drive.folder(self.start, self.path[:-1]), self.path[-1]


def anchor(rest: str) -> tuple[str, str, list[str], str]:
    """What stands after the drive: its kind ("root", "special", "items"), its name, the path below, the sub-resource.

    Clients that encode a whole segment send colons and slashes encoded: they mean the same.
    """
    rest = re.sub("%3a", ":", re.sub("%2f", "/", rest, flags=re.I), flags=re.I)
    found = _ANCHOR.fullmatch(rest)
    if found is None:
        raise GraphError(400, "BadRequest", "unsupportedSegment")
    kind, _, name = found[1].partition("/")
    tail = found[2]
    path: list[str] = []
    if tail.startswith(":"):
        below = _BELOW.fullmatch(tail)
        if below is None:
            raise GraphError(400, "BadRequest", "unsupportedSegment")
        path = [unquote(part) for part in below[1].split("/") if part]
        tail = below[2] or ""
    return kind, unquote(name), path, tail.rstrip("/")
