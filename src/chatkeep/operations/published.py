"""What readable copies lie at a place, as a device remembers it there: which files are ours, and what they hold.

Each device has two objects in `.chatkeep/`, gzip'd JSON: the base, and what came since, so that a small change writes a
small object. What is about to be written stands there before it is written: after a crash a file that was
written is known as ours, and one that somebody edited is known as theirs.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime

import msgspec

from chatkeep.errors import NotFound, VaultTooNew
from chatkeep.storage import Storage

FOLDER = ".chatkeep/"
VERSION = 1
_FEW = 200


class Copy(msgspec.Struct, frozen=True):
    """A file that was written. id, revision: of the conversation. modified: as the place said, None if it did not."""

    id: str
    revision: str
    sha256: str
    size: int
    modified: datetime | None = None
    attachments: tuple[str, ...] = ()


class _Part(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The base, or what came since. how: the format and its options. writing: name → hashes of what was on its way."""

    version: int = VERSION
    how: str = ""
    copies: dict[str, Copy] = {}
    attachments: dict[str, int] = {}
    removed: list[str] = []
    writing: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}


class Published:
    """The memory of one device at one place. copies: name → what it holds; attachments: name → size [bytes].

    left_out: conversation → the revision that was found too large. writing: name → what it may hold after a crash.
    Changed through `add`, `attach` and `drop`, kept by `save`.
    """

    def __init__(self, storage: Storage, host: str) -> None:
        self._storage = storage
        self._names = (f"{FOLDER}{host}.json.gz", f"{FOLDER}{host}.new.json.gz")
        self._base = _read(storage, self._names[0])
        new = _read(storage, self._names[1])
        self.how = new.how or self._base.how
        self.writing = {name: list(hashes) for name, hashes in new.writing.items()}
        self.left_out = self._base.left_out | new.left_out
        self.copies = {name: copy for name, copy in (self._base.copies | new.copies).items() if name not in new.removed}
        self.attachments = {n: s for n, s in (self._base.attachments | new.attachments).items() if n not in new.removed}
        self._changed = set(new.copies) | set(new.attachments) | set(new.removed)
        self._saved = new

    def add(self, name: str, copy: Copy) -> None:
        """A file was written, or found as it would be written."""
        self.copies[name] = copy
        self.writing.pop(name, None)
        self._changed.add(name)

    def attach(self, name: str, size: int) -> None:
        """An attachment was written."""
        self.attachments[name] = size
        self._changed.add(name)

    def drop(self, name: str) -> None:
        """A file is no longer there, or no longer ours."""
        if self.copies.pop(name, None) or self.attachments.pop(name, None) is not None:
            self._changed.add(name)

    def save(self, writing: Mapping[str, str]) -> None:
        """Keep it at the place. writing: name → sha256 of what is put next."""
        for name, sha256 in writing.items():
            self.writing.setdefault(name, []).append(sha256)
        if len(self._changed) > max(_FEW, len(self._base.copies) // 8):
            self._put_base()  # what is in the other one as well does no harm
        new = _Part(
            how=self.how,
            copies={name: copy for name, copy in self.copies.items() if name in self._changed},
            attachments={name: size for name, size in self.attachments.items() if name in self._changed},
            removed=sorted(self._changed - self.copies.keys() - self.attachments.keys()),
            writing={name: list(hashes) for name, hashes in self.writing.items()},
            left_out=self.left_out if self.left_out != self._base.left_out else {},
        )
        if new != self._saved:
            self._put(1, new)
            self._saved = new

    def _put_base(self) -> None:
        whole = _Part(copies=dict(self.copies), attachments=dict(self.attachments), left_out=dict(self.left_out))
        self._put(0, whole)
        self._base, self._changed = whole, set()

    def erase(self, names: Iterable[str], ids: Container[str]) -> None:
        """Forget files and conversations as if they had never been: not even a name that is gone stays."""
        for name in names:
            self.drop(name)
            self.writing.pop(name, None)
        self.left_out = {id: revision for id, revision in self.left_out.items() if id not in ids}
        self._put_base()
        self.save({})

    def _put(self, number: int, part: _Part) -> None:
        self._storage.put(self._names[number], gzip.compress(msgspec.json.encode(part), mtime=0))

    def forget(self) -> None:
        """Remove the memory itself, once there is nothing to remember."""
        for name in self._names:
            self._storage.delete(name)


def copies_of(storage: Storage, ids: Container[str]) -> tuple[dict[str, set[str]], set[str]]:
    """The copies of conversations that any device wrote, name → the hashes that are ours; and attachments only theirs.

    Attachments: names of those that a copy of these conversations leads to, and no other copy.
    """
    found: dict[str, set[str]] = {}
    beside, needed = set[str](), set[str]()
    for stored in storage.listing(FOLDER):
        part = _read(storage, stored.name) if stored.name.endswith(".json.gz") else _Part()
        for name, copy in part.copies.items():
            if copy.id in ids:
                found.setdefault(name, set()).update({copy.sha256, *part.writing.get(name, ())})
                beside.update(copy.attachments)
            elif name not in part.removed:
                needed.update(copy.attachments)
    return found, beside - needed


def others(storage: Storage, host: str, names: Iterator[str]) -> dict[str, set[str]]:
    """What other devices wrote at this place: name → the hashes that are theirs. names: of all objects there."""
    found: dict[str, set[str]] = {}
    for name in names:
        own = name.startswith((f"{FOLDER}{host}.json", f"{FOLDER}{host}.new."))
        if name.startswith(FOLDER) and name.endswith(".json.gz") and not own:
            part = _read(storage, name)
            for path, copy in part.copies.items():
                found.setdefault(path, set()).add(copy.sha256)
                for attachment in copy.attachments:
                    found.setdefault(attachment, set())
            for path, hashes in part.writing.items():
                found.setdefault(path, set()).update(hashes)
    return found


def _read(storage: Storage, name: str) -> _Part:
    """One of the objects; an empty one where it is missing or damaged: then files are compared by what they hold."""
    try:
        data = gzip.decompress(storage.get(name))
        part = msgspec.json.decode(data, type=_Part)
    except (NotFound, OSError, EOFError, zlib.error, msgspec.DecodeError):
        return _Part()
    if part.version > VERSION:
        raise VaultTooNew("The readable copies at this place were written by a later Chatkeep.")
    return part
