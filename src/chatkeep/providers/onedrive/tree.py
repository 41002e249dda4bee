"""Which item is which name: what the change feed needs, because it tells ids and leaves out paths.

Kept in notes, so that it survives the process. It may be lost or be behind: then the feed is told to be incomplete,
which costs a listing, and never names something wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from chatkeep.providers.notes import Notes
from chatkeep.storage import Changes

NOTE = "items"
MOST_ITEMS = 4000
"""A note is small: beyond this, files that were seen longest ago are forgotten (folders are not)."""

MOST_MOVES = 100
ELSEWHERE = ""
"""Stands among the moves for a change that is too large to tell: a folder that went or was renamed."""


class Kept(msgspec.Struct):
    """What the note holds. items: name by id, of a folder with "/" at its end, of our own folder "/".

    moves: names that objects had before they got others. moved: how many moves there ever were.
    """

    items: dict[str, str] = {}
    moves: list[str] = []
    moved: int = 0


class Cursor(msgspec.Struct, frozen=True):
    """Where a reader of the feed is. path: of the next page; since: when it was given [RFC 3339]; moved: see Kept."""

    path: str
    since: str
    moved: int


class Tree:
    """The items of one storage, as far as they were seen. root: the id of our folder. Several threads may use it."""

    def __init__(self, notes: Notes, root: str) -> None:
        self._notes = notes
        self._root = root
        self._lock = threading.Lock()
        self._kept: Kept | None = None
        self._changed = False
        self._saved: dict[str, str] = {}

    def _load(self) -> Kept:
        if self._kept is None:
            try:
                self._kept = msgspec.json.decode(self._notes.get(NOTE) or b"{}", type=Kept)
            except msgspec.DecodeError:
                self._kept = Kept()
            self._kept.items[self._root] = "/"
        return self._kept

    def save(self) -> None:
        """Keep what was learnt."""
        with self._lock:
            if self._changed and self._kept is not None:
                files = [id for id, name in self._kept.items.items() if not name.endswith("/")]
                for id in files[: max(0, len(files) - MOST_ITEMS)]:
                    del self._kept.items[id]
                self._notes.put(NOTE, msgspec.json.encode(self._kept))
                self._changed = False

    @property
    def moved(self) -> int:
        with self._lock:
            return self._load().moved

    def knows(self, folder: str) -> bool:
        """Whether a folder was seen."""
        with self._lock:
            return folder + "/" in self._load().items.values()

    def learn(self, item: dict[str, Any], name: str) -> None:
        """An item was seen under a name, and with it the folder it lies in."""
        with self._lock:
            self._learn(str(item.get("id", "")), name + "/" * ("folder" in item))
            above = name.rpartition("/")[0]
            if above and (folder := _above(item)):
                self._learn(folder, above + "/")

    def _learn(self, id: str, name: str) -> None:
        items = self._load().items
        if id and items.get(id) != name:
            if id in items:
                self._moved(ELSEWHERE if name.endswith("/") else items[id])
            items[id] = name
            self._changed = True

    def _renamed(self, id: str, old: str, new: str) -> None:
        items = self._load().items
        del items[id]
        self._moved(ELSEWHERE if old.endswith("/") else old)
        for inside, name in items.items() if old.endswith("/") else ():
            if name.startswith(old):
                items[inside] = new + name.removeprefix(old)

    def _moved(self, name: str) -> None:
        kept = self._load()
        kept.moves = [*kept.moves, name][-MOST_MOVES:]
        kept.moved += 1
        self._changed = True

    def forget(self, id: str) -> None:
        """An item was deleted by us."""
        with self._lock:
            if self._load().items.pop(id, None) is not None:
                self._changed = True

    def read(self, entries: Iterable[dict[str, Any]], before: Cursor, after: Cursor) -> Changes:
        """What the entries of the feed mean, in the order they came; of an item that came twice the last counts."""
        latest = {str(entry.get("id", "")): entry for entry in entries}
        with self._lock:
            reading = _Reading(self._load().items, latest, before.since)
            reading.read()
            for id, old in reading.renamed.items():
                self._renamed(id, old, reading.names[id])
            for id, name in reading.names.items():
                self._learn(id, name)
            for id in reading.removed:
                self._load().items.pop(id, None)
                self._changed = True
            kept = self._load()
            missed = kept.moved - before.moved
            moves = kept.moves[len(kept.moves) - missed :] if missed <= len(kept.moves) else [ELSEWHERE]
            after = msgspec.structs.replace(after, moved=kept.moved)
        gone = (reading.gone | {name for name in moves if name}) - reading.changed
        complete = reading.complete and ELSEWHERE not in moves
        return Changes(frozenset(reading.changed), frozenset(gone), encoded(after), complete)


class _Reading:
    """One set of entries being understood. items: the names known before; since: when the set began."""

    def __init__(self, items: dict[str, str], entries: dict[str, dict[str, Any]], since: str) -> None:
        self._items = items
        self._entries = entries
        self._since = since
        self.changed: set[str] = set()
        self.gone: set[str] = set()
        self.names: dict[str, str] = {}
        self.renamed: dict[str, str] = {}
        self.removed: set[str] = set()
        self.complete = True

    def read(self) -> None:
        for id, entry in self._entries.items():
            if self._items.get(id) == "/":
                self.complete &= "deleted" not in entry
            elif "deleted" in entry:
                self._deleted(id, entry)
            elif "folder" in entry:
                self._folder(id, entry)
            elif "file" in entry:
                self._file(id, entry)

    def _name(self, id: str, depth: int = 0) -> str | None:
        """The name of a folder, "" for ours, or None if nobody told."""
        entry = self._entries.get(id)
        if self._items.get(id) == "/" or entry is None or "name" not in entry or "deleted" in entry or depth > 100:
            known = self._items.get(id)
            return known.rstrip("/") if known is not None and known.endswith("/") else None
        above = self._name(_above(entry), depth + 1)
        return None if above is None else f"{above}/{entry['name']}".lstrip("/")

    def _folder(self, id: str, entry: dict[str, Any]) -> None:
        name, known = self._name(id), self._items.get(id)
        if name is None:
            self.complete = False
            return
        self.names[id] = name + "/"
        if known is not None and known != name + "/":
            self.renamed[id] = known
            self.complete = False
        elif known is None and self._seen_below(id) < int(entry["folder"].get("childCount", 0)):
            self.complete = False  # it came from elsewhere with what is in it, or we never learnt of it

    def _seen_below(self, id: str) -> int:
        return sum(_above(entry) == id and "deleted" not in entry for entry in self._entries.values())

    def _file(self, id: str, entry: dict[str, Any]) -> None:
        above, known = self._name(_above(entry)), self._items.get(id)
        if above is None:
            self.complete = False
            return
        name = f"{above}/{entry['name']}".lstrip("/")
        self.changed.add(name)
        self.names[id] = name
        if known is not None and known != name:
            self.renamed[id] = known
        elif known is None and _older(str(entry.get("createdDateTime", "")), self._since):
            self.complete = False  # not new, so it may have had another name

    def _deleted(self, id: str, entry: dict[str, Any]) -> None:
        known = self._items.get(id)
        self.removed.add(id)
        if known is not None and not known.endswith("/"):
            self.gone.add(known)
            return
        above = self._name(_above(entry))
        if known is None and "name" in entry and "folder" not in entry and above is not None:
            self.gone.add(f"{above}/{entry['name']}".lstrip("/"))
        else:
            self.complete = False


def _above(entry: dict[str, Any]) -> str:
    reference = entry.get("parentReference")
    return str(reference.get("id", "")) if isinstance(reference, dict) else ""


def _older(created: str, since: str) -> bool:
    try:
        return datetime.fromisoformat(created) < datetime.fromisoformat(since)
    except (ValueError, TypeError):
        return True


def encoded(cursor: Cursor) -> str:
    """A cursor as text."""
    return msgspec.json.encode(cursor).decode()


def decoded(text: str) -> Cursor | None:
    """The cursor that a text stands for, or None for any other text."""
    try:
        return msgspec.json.decode(text, type=Cursor) if text else None
    except msgspec.DecodeError:
        return None
