"""One person's Drive in memory: files by id, what changed, what room is left. The routes to it are in google.py."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fakes.google_queries import query

FOLDER = "application/vnd.google-apps.folder"
PLAIN = "application/octet-stream"


class Wrong(Exception):
    """Drive refuses: a status and a reason."""

    def __init__(self, status: int, reason: str, message: str = "", location: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.message = message or reason
        self.location = location


def stamp(moment: float) -> str:
    return (
        datetime.fromtimestamp(int(moment * 1000) / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


@dataclass
class File:
    """One file or folder. app: the client that made it; born: when lists begin to show it."""

    id: str
    name: str
    mime: str
    parent: str
    app: str
    born: float
    created: str
    modified: str
    data: bytes = b""
    version: int = 1
    revision: int = 1
    trashed: bool = False
    app_properties: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> bool:
        return self.mime == FOLDER

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(f"{self.id}{self.version}".encode()).hexdigest()}"'


class Drive:
    """All of one account. limit: its room [bytes], None for no limit."""

    def __init__(self, person: str, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.person = person
        self.root = self._id("root")
        self.files: dict[str, File] = {}
        self.reserved: set[str] = set()
        self.log: list[tuple[float, str, str]] = []  # when, id, app; a change's number is its place, from 1
        self.limit: int | None = 15 * 1024**3
        self.made = 0

    def _id(self, of: str) -> str:
        return "1" + hashlib.sha256(f"{self.person} {of}".encode()).hexdigest()[:32]

    def new_ids(self, count: int) -> list[str]:
        ids = [self._id(f"file {self.made + i}") for i in range(count)]
        self.made += count
        self.reserved.update(ids)
        return ids

    @property
    def used(self) -> int:
        return sum(len(file.data) for file in self.files.values())

    # What is seen

    def real(self, id: str) -> str:
        return self.root if id == "root" else id

    def file(self, id: str, app: str) -> File:
        """A file that an app may see; app "" sees everything."""
        found = self.files.get(id)
        if found is None or (app and found.app != app):
            raise Wrong(404, "notFound", f"File not found: {id}.", "fileId")
        return found

    def trashed(self, file: File) -> bool:
        return file.trashed or (file.parent in self.files and self.trashed(self.files[file.parent]))

    def search(self, text: str, app: str, lag: float) -> list[File]:
        """The files that a query means. lag: those born later are not in the index yet."""
        fields: dict[str, Callable[[File], Any]] = {
            "name": lambda file: file.name,
            "title": lambda file: file.name,
            "mimeType": lambda file: file.mime,
            "trashed": self.trashed,
            "parents": lambda file: [file.parent] + (["root"] if file.parent == self.root else []),
            "modifiedTime": lambda file: file.modified,
            "createdTime": lambda file: file.created,
            "appProperties": lambda file: file.app_properties,
            "properties": lambda file: file.properties,
            "sharedWithMe": lambda file: False,
            "starred": lambda file: False,
        }
        meant = query(text, fields)
        newest = self.clock() - lag
        seen = (file for file in self.files.values() if not app or file.app == app)
        return [file for file in seen if file.born <= newest and meant(file)]

    # What is done

    def note(self, file: File) -> None:
        self.log.append((self.clock(), file.id, file.app))

    def check_room(self, more: int) -> None:
        if self.limit is not None and self.used + more > self.limit:
            raise Wrong(403, "storageQuotaExceeded", "The user's Drive storage quota has been exceeded.")

    def check_parents(self, parents: list[str], app: str) -> str:
        if len(parents) > 1:
            raise Wrong(400, "multipleParentsInsertProhibited", "A file must have exactly one parent.")
        parent = self.real(parents[0]) if parents else self.root
        if parent != self.root and not self.file(parent, app).folder:
            raise Wrong(403, "parentNotAFolder", "The specified parent is not a folder.")
        return parent

    def create(self, meta: dict[str, Any], data: bytes, app: str) -> File:
        id = meta.get("id", "")
        if id and id in self.files:
            raise Wrong(409, "fileIdInUse", "A file already exists with the provided ID.", "id")
        if id and id not in self.reserved:
            raise Wrong(400, "invalid", "The provided file ID is not usable.", "file.id")
        parent = self.check_parents(meta.get("parents", []), app)
        self.check_room(len(data))
        now = self.clock()
        file = File(
            id=id or self.new_ids(1)[0],
            name=meta.get("name", "Untitled"),
            mime=meta.get("mimeType") or PLAIN,
            parent=parent,
            app=app,
            born=now,
            created=_time(meta.get("createdTime"), now),
            modified=_time(meta.get("modifiedTime"), now),
            data=data,
            app_properties=dict(meta.get("appProperties", {})),
            properties=dict(meta.get("properties", {})),
        )
        self.reserved.discard(file.id)
        self.files[file.id] = file
        self.note(file)
        return file

    def update(self, file: File, meta: dict[str, Any], data: bytes | None, app: str, parent: str = "") -> File:
        if data is not None:
            self.check_room(len(data) - len(file.data))
            file.data = data
            file.revision += 1
        if parent:
            file.parent = self.check_parents([parent], app)
        file.name = meta.get("name", file.name)
        file.trashed = meta.get("trashed", file.trashed)
        file.app_properties = _merged(file.app_properties, meta.get("appProperties", {}))
        file.properties = _merged(file.properties, meta.get("properties", {}))
        file.modified = _time(meta.get("modifiedTime"), self.clock())
        file.version += 1
        self.note(file)
        return file

    def delete(self, file: File) -> None:
        """Gone for good, and all below; the feed tells of the file itself alone."""
        for below in list(self.below(file.id)):
            del self.files[below.id]
        del self.files[file.id]
        self.note(file)

    def below(self, id: str) -> Iterator[File]:
        for file in list(self.files.values()):
            if file.parent == id:
                yield file
                yield from self.below(file.id)

    def path(self, *names: str) -> File:
        """A file by its names from the top, for tests; of several the first made."""
        parent, found = self.root, None
        for name in names:
            found = next((f for f in self.files.values() if f.parent == parent and f.name == name), None)
            if found is None:
                raise KeyError("/".join(names))
            parent = found.id
        assert found
        return found


def _time(given: Any, now: float) -> str:
    """Times come with nanoseconds and are kept to the millisecond."""
    if not given:
        return stamp(now)
    return stamp(datetime.fromisoformat(str(given).replace("Z", "+00:00")).timestamp())


def _merged(old: dict[str, str], new: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in (old | new).items() if value is not None}
