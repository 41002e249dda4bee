"""What we know of the files at Drive: names to ids and back, and which names were touched since a token of the feed.

Drive knows ids and parents, no paths, and lets two files or folders bear one name. Folders of one name are one folder
here, so two devices that made the same one at the same moment do no harm. Pure: nothing here makes a request.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from chatkeep.errors import Refused
from chatkeep.storage import StoredObject, check_name

FOLDER = "application/vnd.google-apps.folder"
MARK = "chatkeep"
"""The property, private to the app, that marks the top folder. It stays when a person renames or moves the folder."""

FIELDS = "id,name,mimeType,parents,size,md5Checksum,createdTime,modifiedTime,version,explicitlyTrashed,appProperties"
HISTORY = 300
NAMES_KEPT = 20_000


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A file or folder as Drive tells it. top: what its mark says, "" without one. md5: "" of folders."""

    id: str
    parent: str
    name: str
    folder: bool
    size: int
    md5: str
    made: str
    modified: str
    version: int
    trashed: bool
    top: str = ""


def entry(file: dict[str, Any]) -> Entry:
    """An entry from the fields in FIELDS."""
    return Entry(
        id=file["id"],
        parent=(file.get("parents") or [""])[0],
        name=file.get("name", ""),
        folder=file.get("mimeType") == FOLDER,
        size=int(file.get("size", 0)),
        md5=file.get("md5Checksum", ""),
        made=file.get("createdTime", ""),
        modified=file.get("modifiedTime", ""),
        version=int(file.get("version", 0)),
        trashed=bool(file.get("explicitlyTrashed")),
        top=file.get("appProperties", {}).get(MARK, ""),
    )


class _Kept(msgspec.Struct, array_like=True):
    """A tree as it is noted between two processes."""

    version: int
    token: str
    look_again_at: float
    looks: int
    entries: list[Entry]
    history: list[tuple[str, list[str]]]


KEPT_VERSION = 1


class Tree:
    """The files below the top folder, which bears `mark`. token: how far the feed was read.

    look_again_at: when to list everything once more, because a list may miss what is new; 0 for never. looks: how
        often that was done.
    history: the tokens we know of, each with the names touched from it on until the next one.
    """

    def __init__(
        self, mark: str, token: str = "", entries: Iterable[Entry] = (), *, look_again_at: float = 0.0
    ) -> None:
        self.mark = mark
        self.token = token
        self.look_again_at = look_again_at
        self.looks = 0
        self.changed = True
        self._entries: dict[str, Entry] = {}
        self._below: dict[str, dict[str, set[str]]] = {}
        self._tops: set[str] = set()
        self._buried: set[str] = set()
        self._strange: set[str] = set()
        self._abroad: set[str] = set()
        self._history: list[tuple[str, list[str]]] = [(token, [])]
        for one in entries:
            self._add(one)

    # Kept between processes

    def kept(self) -> bytes:
        """Everything, small."""
        kept = _Kept(
            KEPT_VERSION, self.token, self.look_again_at, self.looks, list(self._entries.values()), self._history
        )
        return zlib.compress(msgspec.msgpack.encode(kept), 3)

    @classmethod
    def from_kept(cls, mark: str, data: bytes) -> Tree | None:
        """The tree that was kept, or None if it cannot be read; then everything is listed anew."""
        try:
            kept = msgspec.msgpack.decode(zlib.decompress(data), type=_Kept)
        except (zlib.error, msgspec.DecodeError):
            return None
        if kept.version != KEPT_VERSION:
            return None
        tree = cls(mark, kept.token, kept.entries, look_again_at=kept.look_again_at)
        tree._history = kept.history or tree._history
        tree.looks, tree.changed = kept.looks, False
        return tree

    # Where things are

    def _add(self, one: Entry) -> None:
        self._drop(one.id)
        self._entries[one.id] = one
        self._below.setdefault(one.parent, {}).setdefault(one.name, set()).add(one.id)
        if one.folder and one.top == self.mark:
            self._tops.add(one.id)

    def _drop(self, id: str) -> Entry | None:
        one = self._entries.pop(id, None)
        if one:
            self._below[one.parent][one.name].discard(id)
            if not self._below[one.parent][one.name]:
                del self._below[one.parent][one.name]
        self._tops.discard(id)
        return one

    def top(self) -> str:
        """The id of the top folder: of several the oldest; "" if there is none, or it is in the bin."""
        return self._oldest(self._live(self._tops))

    def _live(self, ids: Iterable[str]) -> list[Entry]:
        return [self._entries[id] for id in ids if not self._entries[id].trashed and not self._hidden(id)]

    def _hidden(self, id: str) -> bool:
        """Whether it lies in a folder that is in the bin."""
        seen = {id}
        while (above := self._entries.get(self._entries[id].parent)) and above.id not in seen:
            if above.trashed:
                return True
            id = above.id
            seen.add(id)
        return False

    @staticmethod
    def _oldest(found: Iterable[Entry]) -> str:
        return min(((one.made, one.id) for one in found), default=("", ""))[1]

    def _folders(self, path: Iterable[str]) -> list[Entry]:
        """All folders of a path, which may be several of one name."""
        found = self._live(self._tops)
        for part in path:
            below = [id for one in found for id in self._below.get(one.id, {}).get(part, ())]
            found = [self._entries[id] for id in below if self._entries[id].folder and not self._entries[id].trashed]
        return found

    def folder(self, path: Iterable[str]) -> str:
        """The id of the folder of a path, of several the oldest; "" if there is none."""
        return self._oldest(self._folders(path))

    def files(self, name: str) -> list[Entry]:
        """The files of a name, the newest first."""
        *path, last = name.split("/")
        ids = [id for one in self._folders(path) for id in self._below.get(one.id, {}).get(last, ())]
        found = [self._entries[id] for id in ids if not self._entries[id].folder and not self._entries[id].trashed]
        return sorted(found, key=lambda one: (one.modified, one.id), reverse=True)

    def name(self, id: str) -> str:
        """The name of a file or folder, "" if it is not below the top folder or cannot be named."""
        parts: list[str] = []
        one = self._entries.get(id)
        while one and one.id not in self._tops and len(parts) < 100:
            if one.trashed or not _nameable(one.name):
                return ""
            parts.append(one.name)
            one = self._entries.get(one.parent)
        if one is None or one.trashed or self._hidden(one.id):
            return ""
        return "/".join(reversed(parts))

    def listing(self, prefix: str) -> list[StoredObject]:
        """The files whose name starts with prefix, in the order of names; of several of one name the newest."""
        *path, _ = prefix.split("/")
        found: dict[str, Entry] = {}
        for name, one in self._walk("/".join(path), self._folders(path)):
            if name.startswith(prefix) and (name not in found or one.modified > found[name].modified):
                found[name] = one
        return [stored(name, found[name]) for name in sorted(found)]

    def _walk(self, at: str, folders: list[Entry]) -> Iterator[tuple[str, Entry]]:
        waiting = [(at, one.id) for one in folders]
        while waiting:
            path, id = waiting.pop()
            for part, ids in self._below.get(id, {}).items():
                if not _nameable(part):
                    continue
                name = f"{path}/{part}" if path else part
                for one in (self._entries[id] for id in ids):
                    if one.trashed:
                        continue
                    if one.folder:
                        waiting.append((name, one.id))
                    else:
                        yield name, one

    # What happens

    def learn(self, one: Entry) -> None:
        """A file or folder that we made or changed ourselves."""
        before = self._file_name(one.id)
        self._add(one)
        self._touch(before, self._file_name(one.id))

    def bury(self, id: str) -> None:
        """A file that we deleted for good: what the feed still tells of it is old."""
        name = self._file_name(id)
        self._buried.add(id)
        self._drop(id)
        self._touch(name)

    @property
    def strange(self) -> bool:
        """Whether the feed told of a file in a folder that we do not know: then a list did not have the folder."""
        return bool(self._strange)

    def find_out(self, entries: Iterable[Entry]) -> bool:
        """What another list has; whether a strange folder is strange still.

        Nothing is taken for gone because a list does not have it: lists lag behind.
        """
        self.look_again_at = 0.0
        self.looks += 1
        self.changed = True
        new = [one for one in entries if one.id not in self._buried and one.id not in self._entries]
        for one in new:
            self._add(one)
        self._touch(*{name for one in new for name in self._names_below(one.id)})
        self._abroad |= self._strange - self._entries.keys()
        self._strange.clear()
        return not self._abroad <= self._entries.keys()

    def _names_below(self, id: str) -> Iterator[str]:
        """The name of a file, or those of all files in a folder."""
        yield self._file_name(id)
        for named in self._below.get(id, {}).values():
            for below in named:
                yield from self._names_below(below)

    def _file_name(self, id: str) -> str:
        one = self._entries.get(id)
        return self.name(id) if one and not one.folder else ""

    def _touch(self, *names: str) -> None:
        self.changed = True
        self._history[-1][1].extend(name for name in names if name)

    def take(self, told: list[dict[str, Any]], token: str, *, suspects: frozenset[str] = frozenset()) -> None:
        """What the feed tells from our token on to the new one.

        suspects: ids that a process which died may have used; if one of them is gone we cannot say what it was.
        """
        ids = {change["fileId"] for change in told if change.get("fileId")}
        before = [self._file_name(id) for id in ids]
        turned = [self._taken(change, ids, suspects) for change in told if change.get("fileId")]
        self._strange -= self._entries.keys() | self._abroad
        if told:
            self._touch(*before, *(self._file_name(id) for id in ids))
        if any(turned):
            self._history.clear()
        if any(turned) or token != self.token:
            self._history.append((token, []))
            self.token, self.changed = token, True
        self._shorten()

    def _taken(self, change: dict[str, Any], ids: set[str], suspects: frozenset[str]) -> bool:
        """Take one change; whether it turned over more names than the changes name."""
        id = change["fileId"]
        known = self._entries.get(id)
        if change.get("removed") or "file" not in change:
            if known and known.folder:
                self._drop_below(id)
            self._drop(id)
            return known.folder if known else id in suspects and id not in self._buried
        new = entry(change["file"])
        if id in self._buried or (known and known.version > new.version):
            return False
        self._add(new)
        if not known and new.parent and not new.top:
            self._strange.add(new.parent)
        if known or not new.folder:
            return bool(known) and new.folder and _place(known) != _place(new)
        return any(below not in ids for named in self._below.get(id, {}).values() for below in named)

    def _drop_below(self, id: str) -> None:
        for below in [below for named in self._below.get(id, {}).values() for below in named]:
            self._drop_below(below)
            self._drop(below)

    def _shorten(self) -> None:
        self._history = self._history[-HISTORY:]
        while len(self._history) > 1 and sum(len(names) for _, names in self._history) > NAMES_KEPT:
            del self._history[0]

    def since(self, token: str) -> tuple[frozenset[str], frozenset[str]] | None:
        """The names that are there and those that are gone, of all touched since a token; None if it is not known."""
        places = [place for place, (known, _) in enumerate(self._history) if known == token]
        if not places:
            return None
        touched = {name for _, names in self._history[places[0] :] for name in names}
        there = frozenset(name for name in touched if self.files(name))
        return there, frozenset(touched) - there


def _place(one: Entry | None) -> tuple[str, str, bool] | None:
    return (one.parent, one.name, one.trashed) if one else None


def stored(name: str, one: Entry) -> StoredObject:
    """An entry as callers see it."""
    return StoredObject(name, one.size, datetime.fromisoformat(one.modified) if one.modified else None)


def _nameable(part: str) -> bool:
    """Whether a name that a person gave can be part of ours."""
    try:
        check_name(part)
    except Refused:
        return False
    return "/" not in part
