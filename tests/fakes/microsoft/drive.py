"""What a OneDrive holds: items by id, in folders whose names fold case, with a recycle bin and a log of changes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

FORBIDDEN = '"*:<>?/\\|'
RESERVED = {".lock", "con", "prn", "aux", "nul", "desktop.ini"} | {f"{x}{n}" for x in ("com", "lpt") for n in range(10)}
LONGEST_PATH = 400
LONGEST_PART = 255


class GraphError(Exception):
    """An answer that is not a success, before it is written out."""

    def __init__(self, status: int, code: str, inner: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.inner, self.headers = status, code, inner, headers or {}


@dataclass
class Item:
    """A file, or a folder where data is None. changed: its place in the drive's log of changes."""

    id: str
    name: str
    parent: str
    data: bytes | None
    created: float
    modified: float
    times: dict[str, str] = field(default_factory=dict)
    etag: int = 1
    ctag: int = 1
    changed: int = 0
    deleted: bool = False
    special: str = ""
    known_hashes: tuple[bytes, dict[str, str]] | None = None

    @property
    def is_folder(self) -> bool:
        return self.data is None

    @property
    def hashes(self) -> dict[str, str]:
        """The three hashes Graph knows, as it writes them."""
        data = self.data or b""
        if self.known_hashes is None or self.known_hashes[0] is not data:
            sha1, sha256 = hashlib.sha1(data).hexdigest(), hashlib.sha256(data).hexdigest()
            found = {"quickXorHash": quick_xor(data), "sha1Hash": sha1.upper(), "sha256Hash": sha256.upper()}
            self.known_hashes = (data, found)
        return self.known_hashes[1]


def quick_xor(data: bytes) -> str:
    """quickXorHash in base64: byte i goes in at bit 11*i mod 160, so bytes 160 apart may be joined first."""
    bits = int.from_bytes(data, "little")
    rows = 1
    while rows * 160 < len(data):
        rows *= 2
    while rows > 1:
        rows //= 2
        bits = (bits >> (rows * 1280)) ^ (bits & ((1 << (rows * 1280)) - 1))
    total = 0
    for i in range(160):
        total ^= ((bits >> (8 * i)) & 0xFF) << (11 * i % 160)
    total = (total >> 160) ^ (total & ((1 << 160) - 1))
    return base64.b64encode((total ^ (len(data) << 96)).to_bytes(20, "little")).decode()


class Drive:
    """One person's drive. kind: "personal" or "business"; total: how much it may hold [bytes]."""

    def __init__(self, id: str, kind: str, clock: Callable[[], float], total: int = 5 * 2**30) -> None:
        self.id, self.kind, self.clock, self.total = id, kind, clock, total
        self.items: dict[str, Item] = {}
        self._names: dict[tuple[str, str], str] = {}
        self.left: list[tuple[int, str, Item]] = []
        """What was moved out of a folder: its place in the log, the id of the folder, the item."""
        self._changes = 0
        self._made = 0
        self.root = self._new("root", "", None)
        self.app_folder_repaired = False

    def _new(self, name: str, parent: str, data: bytes | None) -> Item:
        self._made += 1
        short = hashlib.sha256(f"{self.id}/{self._made}".encode()).hexdigest()
        business = "01" + short[:32].upper()
        id = business if self.kind == "business" else f"{self.id.upper()}!s{short[:32]}"
        now = self.clock()
        item = Item(id, name, parent, data, now, now)
        self.items[item.id] = item
        self._names[(parent, name.lower())] = item.id
        self._touch(item)
        return item

    def _touch(self, item: Item) -> None:
        self._changes += 1
        item.changed = self._changes

    @property
    def changes(self) -> int:
        """How many changes there were so far."""
        return self._changes

    @property
    def used(self) -> int:
        return sum(len(item.data or b"") for item in self.items.values() if not item.deleted)

    @property
    def in_bin(self) -> int:
        return sum(len(item.data or b"") for item in self.items.values() if item.deleted)

    def item(self, id: str) -> Item:
        found = self.items.get(id)
        if found is None or found.deleted:
            raise GraphError(404, "itemNotFound")
        return found

    def child(self, folder: Item, name: str) -> Item | None:
        found = self._names.get((folder.id, name.lower()))
        return self.items[found] if found else None

    def children(self, folder: Item) -> list[Item]:
        found = [item for item in self.items.values() if item.parent == folder.id and not item.deleted]
        return sorted(found, key=lambda item: item.name.lower())

    def at(self, folder: Item, path: list[str]) -> Item:
        for name in path:
            found = self.child(folder, name)
            if found is None:
                raise GraphError(404, "itemNotFound")
            folder = found
        return folder

    def ancestors(self, item: Item) -> Iterator[Item]:
        while item.parent:
            item = self.items[item.parent]
            yield item

    def within(self, item: Item, folder: Item) -> bool:
        return item is folder or any(above is folder for above in self.ancestors(item))

    def path(self, item: Item) -> str:
        """Where an item is, below the root: "a/b", or "" for the root."""
        names = [above.name for above in self.ancestors(item)][:-1]
        return "/".join([*reversed(names), item.name]) if item.parent else ""

    def check_name(self, folder: Item, name: str, *, is_folder: bool) -> None:
        """Raises what the service answers to a name it does not take."""
        low = name.lower()
        bad = not name or any(c in FORBIDDEN or c < " " for c in name) or name != name.strip(" ") or name.endswith(".")
        if bad or low in RESERVED or "_vti_" in low or name.startswith("~$") or len(name) > LONGEST_PART:
            raise GraphError(400, "invalidRequest", "invalidPath")
        if is_folder and name.startswith("~"):
            raise GraphError(400, "invalidRequest", "invalidPath")
        if len(f"{self.path(folder)}/{name}".encode("utf-16-le")) // 2 >= LONGEST_PATH:
            raise GraphError(400, "invalidRequest", "pathIsTooLong")

    def check_space(self, size: int) -> None:
        if self.used + size > self.total:
            raise GraphError(507, "quotaLimitReached", "insufficientStorage")

    def make_folder(self, parent: Item, name: str) -> Item:
        self.check_name(parent, name, is_folder=True)
        if not parent.is_folder:
            raise GraphError(400, "invalidRequest", "invalidPath")
        return self._new(name, parent.id, None)

    def folder(self, folder: Item, path: list[str]) -> Item:
        """The folder at a path, made with all above it where it is not there."""
        for name in path:
            found = self.child(folder, name)
            if found is not None and not found.is_folder:
                raise GraphError(409, "nameAlreadyExists")
            folder = found or self.make_folder(folder, name)
        return folder

    def put(self, parent: Item, name: str, data: bytes) -> tuple[Item, bool]:
        """Write a file whole; True where it is new."""
        found = self.child(parent, name)
        if found is not None and found.is_folder:
            raise GraphError(409, "nameAlreadyExists")
        self.check_space(len(data) - len(found.data or b"" if found else b""))
        if found is None:
            self.check_name(parent, name, is_folder=False)
            return self._new(name, parent.id, data), True
        found.data, found.modified = data, self.clock()
        found.etag += 1
        found.ctag += 1
        self._touch(found)
        return found, False

    def move(self, item: Item, folder: Item, name: str) -> None:
        there = self.child(folder, name)
        if there is not None and there is not item:
            raise GraphError(409, "nameAlreadyExists")
        if not folder.is_folder or (item.is_folder and self.within(folder, item)):
            raise GraphError(400, "invalidRequest")
        self.check_name(folder, name, is_folder=item.is_folder)
        before = item.parent
        del self._names[(item.parent, item.name.lower())]
        item.parent, item.name = folder.id, name
        self._names[(folder.id, name.lower())] = item.id
        self.edited(item)
        self.left.append((item.changed, before, item))

    def edited(self, item: Item) -> None:
        """Its metadata changed, its content not."""
        item.etag += 1
        self._touch(item)

    def delete(self, item: Item) -> None:
        for child in self.children(item) if item.is_folder else ():
            self.delete(child)
        item.deleted = True
        del self._names[(item.parent, item.name.lower())]
        self._touch(item)
