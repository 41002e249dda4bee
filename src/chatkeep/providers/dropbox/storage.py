"""A folder in somebody's Dropbox as a storage."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from chatkeep.errors import Damaged, NotFound, Refused, Unavailable
from chatkeep.providers.dropbox.api import Answer, Api, check_whole, conflict, failed
from chatkeep.providers.dropbox.sending import Outgoing, Sending, outgoing
from chatkeep.providers.http import METADATA_CAP, Response
from chatkeep.providers.notes import Notes
from chatkeep.providers.shapes import understanding
from chatkeep.storage import Changes, StoredObject, Traits, check_name, check_put, check_range

IGNORED = frozenset(("desktop.ini", "thumbs.db", ".ds_store", "icon\r", ".dropbox", ".dropbox.attr"))
"""Names that Dropbox refuses, in any case. Source: help.dropbox.com/organize/file-names, seen 2026-11."""

PAGE = 2000
SMALL = 64 * 1024
"""Room for the body of a refusal, where few bytes were asked for."""

BATCH = 1000
POLLS_S = (0.1, 0.2, 0.4, 0.8, *(1.5,) * 200)
"""When to ask whether a job is done: five minutes in all, which no thousand deletions took."""

Entry = dict[str, Any]


def check_dropbox_name(name: str) -> None:
    """Refuse, before it is sent, a name that Dropbox refuses or would keep in another form. Raises Refused.

    Dropbox keeps names in Unicode's composed form (NFC), and finds nothing by another one.
    Source: github.com/samschott/maestral/pull/409 and 678, seen 2026-11; rclone's encoding for Dropbox.
    """
    check_name(name)
    if unicodedata.normalize("NFC", name) != name:
        raise Refused("Dropbox would keep this name with other characters for the same letters.")
    for part in name.split("/"):
        if part.endswith(" ") or part.lower() in IGNORED:
            raise Refused("Dropbox does not take a name that ends in a space, or one that systems use themselves.")


def fold(name: str) -> str:
    """How names are compared: Dropbox folds each character by itself."""
    return "".join(folded if len(folded := character.lower()) == 1 else character for character in name)


@understanding
class Dropbox:
    """Named bytes as files below one folder of a Dropbox.

    folder: below what the app may see; "" is all of that. new: make the folder where it is not there yet.
    A folder that has gone is Unavailable as soon as it is listed or first written to.
    """

    traits = Traits(folds_case=True, parallel=4)

    def __init__(
        self,
        api: Api,
        notes: Notes,
        folder: str,
        *,
        new: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if folder:
            check_dropbox_name(folder)
        self._api = api
        self._top = f"/{folder}" if folder else ""
        self._depth = self._top.count("/")
        self._sending = Sending(api, notes)
        self._folders = Folders(notes, f"folders:{fold(folder)}"[:200])
        self._files: set[str] = set()
        self._sleep = sleep
        self._seen = not folder
        if new and folder:
            self._make()

    @property
    def requests(self) -> int:
        """Real requests made so far, those for access tokens too."""
        return self._api.http.requests

    # The folder itself

    def _make(self) -> None:
        answer = self._api.commit(lambda: self._api.ask("files/create_folder_v2", {"path": self._top}))
        if answer.tags and answer.tags[-2:] != ("conflict", "folder"):
            answer.of(self._top)
        self._seen = True

    def _look(self) -> None:
        """Be sure that our folder is there, once: a put would make it anew, and hide that everything is gone."""
        if not self._seen:
            answer = self._api.ask("files/get_metadata", {"path": self._top})
            if answer.says("not_found") or answer.of(self._top)[".tag"] != "folder":
                raise self._gone()
            self._seen = True

    def _gone(self) -> Unavailable:
        return Unavailable(
            f"The folder {self._top} is not in the Dropbox any more.",
            hint="Restore it at dropbox.com under Deleted files, or connect the account anew.",
        )

    def _path(self, name: str) -> str:
        check_dropbox_name(name)
        return f"{self._top}/{name}"

    # One object

    def put(self, name: str, data: bytes) -> StoredObject:
        check_put(name, data)
        item = outgoing(self._path(name), data)
        self._look()
        return self._kept(name, item, self._sending.one(item))

    def put_many(self, objects: Mapping[str, bytes]) -> list[StoredObject]:
        """Put all in a few requests and one commit. See storage.put_many."""
        for name, data in objects.items():
            check_put(name, data)
        items = [outgoing(self._path(name), data) for name, data in objects.items()]
        if not items:
            return []
        self._look()
        told = self._sending.many(items)
        return [self._kept(*each) for each in zip(objects, items, told, strict=True)]

    def _kept(self, name: str, item: Outgoing, told: Entry) -> StoredObject:
        self._files.add(fold(name))
        if fold(str(told["name"])) != fold(name.rpartition("/")[2]):
            self._api.commit(lambda: self._api.ask("files/delete_v2", {"path": told["path_lower"]}))
            raise Refused(f"Dropbox keeps this name in another form: {name}.")
        return StoredObject(name, len(item.data), _moment(told))

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        path = self._path(name)
        if length == 0:
            self.stat(name)
            return b""
        if start == 0 and length is None:
            return self._whole(path, name)
        asked = f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"
        cap = METADATA_CAP if length is None else max(length, SMALL)
        response = self._api.fetch("files/download", {"path": path}, asked=asked, cap=cap)
        if response.status == 409:
            conflict(response).of(name)
        return b"" if response.status == 416 else _slice(response, start, length, name)

    def _whole(self, path: str, name: str) -> bytes:
        """An object, compared with its hash; asked for once more if it is not right, as that may have been the way."""
        try:
            return self._fetched(path, name)
        except Damaged:
            return self._fetched(path, name)

    def _fetched(self, path: str, name: str) -> bytes:
        response = self._api.fetch("files/download", {"path": path})
        if response.status == 409:
            conflict(response).of(name)
        check_whole(response.body, _result(response)["content_hash"], name)
        return response.body

    def stat(self, name: str) -> StoredObject:
        answer = self._api.ask("files/get_metadata", {"path": self._path(name)})
        told = answer.of(name)
        if told[".tag"] != "file":
            raise NotFound(f"Not a file: {name}.")
        self._files.add(fold(name))
        return _stored(name, told)

    def _is_file(self, name: str) -> bool:
        """Whether a file has this name. Deleting or moving a folder would take everything in it along."""
        if fold(name) in self._files:
            return True
        try:
            self.stat(name)
        except NotFound:
            return False
        return True

    def delete(self, name: str) -> None:
        path = self._path(name)
        if self._is_file(name):
            self._files.discard(fold(name))
            answer = self._api.commit(lambda: self._api.ask("files/delete_v2", {"path": path}))
            if not answer.says("not_found"):
                answer.of(name)

    def delete_many(self, names: Iterable[str]) -> None:
        """Delete all by a job of Dropbox for each thousand. See storage.delete_many."""
        paths = {name: self._path(name) for name in names}
        there = {fold(name): path for name, path in paths.items() if self._is_file(name)}
        if len(there) < 3:
            for name in paths:
                self.delete(name)
            return
        self._files -= there.keys()
        waiting = list(there.values())
        for at in range(0, len(waiting), BATCH):
            self._delete_batch(waiting[at : at + BATCH])

    def _delete_batch(self, paths: list[str]) -> None:
        waiting = paths

        def job() -> Answer:
            nonlocal waiting
            argument = {"entries": [{"path": path} for path in waiting]}
            told = self._done("files/delete_batch", self._api.ask("files/delete_batch", argument).of("old files"))
            waiting = _left(waiting, told)
            return Answer(None, ("too_many_write_operations",) if waiting else ())

        self._api.commit(job).of("old files")

    def _done(self, route: str, told: Entry) -> Entry:
        """What a job gave, when it has ended."""
        job = str(told.get("async_job_id", ""))
        for wait_s in POLLS_S:
            if told[".tag"] in ("complete", "failed"):
                return told
            self._sleep(wait_s)
            told = self._api.ask(f"{route}/check", {"async_job_id": job}).of("old files")
        raise Unavailable("A job at Dropbox does not come to its end.")

    def move(self, old: str, new: str) -> None:
        """Give an object another name, whatever its size. See storage.move.

        To the same name in another case it takes two moves; a crash between them leaves it as "<new>.moving".
        """
        source, target = self._path(old), self._path(new)
        if not self._is_file(old):
            raise NotFound(f"Not there: {old}.")
        if source != target:
            self._look()
            if fold(source) == fold(target):  # Dropbox does not move a file onto itself to write it in another case
                self._move(source, target + ".moving", old)
                source = target + ".moving"
            self._move(source, target, new)
            self._files.discard(fold(old))
            self._files.add(fold(new))

    def _move(self, source: str, target: str, name: str) -> None:
        def moved() -> Answer:
            argument = {"from_path": source, "to_path": target, "autorename": False}
            answer = self._api.ask("files/move_v2", argument)
            if answer.tags[-2:] == ("conflict", "file"):
                gone = self._api.ask("files/delete_v2", {"path": target})
                if gone.tags and not gone.says("not_found"):
                    return gone
                answer = self._api.ask("files/move_v2", argument)
            return answer

        self._api.commit(moved).of(name)

    # All objects

    def listing(self, prefix: str = "") -> list[StoredObject]:
        top = prefix.rpartition("/")[0]
        path = self._path(top) if top else self._top
        entries = self._listed(path)
        above = top.rpartition("/")[
            0
        ]  # is not among the entries, so it is as the caller writes it, if not known better
        above = "" if self._folders.has(above, unknown=False) else above
        shown = {key: above + self._relative(entry)[len(above) :] for key, entry in entries.items()}
        self._folders.learn(shown[key] for key, entry in entries.items() if entry[".tag"] == "folder")
        found = [_stored(self._folders.named(shown[key]), e) for key, e in entries.items() if e[".tag"] == "file"]
        self._files.update(fold(stored.name) for stored in found)
        return sorted((stored for stored in found if stored.name.startswith(prefix)), key=lambda stored: stored.name)

    def _relative(self, entry: Entry) -> str:
        """The name below our folder, written as Dropbox shows it; "" for our folder itself and what is above."""
        return "/".join(str(entry["path_display"] or entry["path_lower"]).split("/")[1 + self._depth :])

    def _listed(self, path: str) -> dict[str, Entry]:
        """What is below a path, by path in lower case; nothing if there is no such folder in ours."""
        for _ in range(3):
            answer = self._api.ask("files/list_folder", {"path": path, "recursive": True, "limit": PAGE})
            if answer.says("not_found") or answer.says("not_folder"):
                if path == self._top:
                    raise self._gone()
                self._look()
                return {}
            self._seen = self._seen or path == self._top
            found = self._pages(answer.of(path))
            if found is not None:
                return found
        raise Unavailable("Dropbox began a listing anew again and again.")

    def _pages(self, page: Entry) -> dict[str, Entry] | None:
        """All entries of a listing, the last word on each; None when Dropbox lost the place and it must start over."""
        found: dict[str, Entry] = {}
        while True:
            for entry in page["entries"]:
                path = str(entry["path_lower"])
                if entry[".tag"] == "deleted":
                    for gone in [one for one in found if one == path or one.startswith(path + "/")]:
                        del found[gone]
                else:
                    found[path] = entry
            if not page["has_more"]:
                return found
            answer = self._api.ask("files/list_folder/continue", {"cursor": page["cursor"]})
            if answer.says("reset"):
                return None
            page = answer.of("the listing")

    def changes(self, cursor: str) -> Changes:
        """What happened since the cursor. See storage.changes."""
        ours, _, place = cursor.partition("\n")
        told = self._told(place) if place and ours == fold(self._top) else None
        if told is None:
            argument = {"path": self._top, "recursive": True, "limit": PAGE}
            answer = self._api.ask("files/list_folder/get_latest_cursor", argument)
            if answer.says("not_found") or answer.says("not_folder"):
                raise self._gone()
            latest = str(answer.of(self._top)["cursor"])
            self._seen = True
            return Changes(frozenset(), frozenset(), self._cursor(latest), complete=False)
        self._seen = True
        return told

    def _cursor(self, place: str) -> str:
        return f"{fold(self._top)}\n{place}"

    def _told(self, place: str) -> Changes | None:
        """The news since a place in the feed; None if it cannot be told and everything must be listed."""
        self._folders.refresh()
        news, more = News(self._folders), True
        while more:
            try:
                answer = self._api.ask("files/list_folder/continue", {"cursor": place})
            except Refused:  # no cursor of this account
                return None
            if answer.says("reset") or answer.says("not_found"):
                return None
            page = answer.of("the news")
            for entry in page["entries"]:
                news.add(str(entry[".tag"]), self._relative(entry))
            place, more = str(page["cursor"]), bool(page["has_more"])
        self._files.update(map(fold, news.changed))
        self._files.difference_update(map(fold, news.gone))
        if not news.complete:
            return None
        return Changes(frozenset(news.changed), frozenset(news.gone), self._cursor(place), complete=True)

    def close(self) -> None:
        self._api.close()


class Folders:
    """The folders we know of, and how they are written, noted so that the next process knows them too.

    Dropbox shows the last part of a path as it is written, but not always the folders before it; and of what was
    deleted it does not say whether it was a folder.
    """

    def __init__(self, notes: Notes, key: str) -> None:
        self._notes = notes
        self._key = key
        self._lock = threading.RLock()
        self._names: dict[str, str] | None = None

    def refresh(self) -> None:
        """Take in what other processes learned. None: there is no note, so that anything may be a folder."""
        with self._lock:
            try:
                noted = msgspec.json.decode(self._notes.get(self._key) or b"null", type=list[str] | None)
            except msgspec.DecodeError:
                noted = None
            if noted is not None:
                self._names = {fold(name): name for name in noted} | (self._names or {})

    def learn(self, shown: Iterable[str]) -> None:
        """Take folders as Dropbox shows them; "" is left out."""
        with self._lock:
            before = dict(self._names) if self._names is not None else None
            self._names = self._names or {}
            for name in sorted(shown, key=lambda name: name.count("/")):
                if name:
                    self._names[fold(name)] = self.named(name)
            if self._names != before:
                self.refresh()
                self._notes.put(self._key, msgspec.json.encode(sorted(self._names.values())))

    def named(self, name: str) -> str:
        """A name as it is written, the folders before its last part too."""
        head, slash, last = name.rpartition("/")
        with self._lock:
            return (self._names or {}).get(fold(head), head) + slash + last

    def has(self, name: str, *, unknown: bool) -> bool:
        """Whether this is a folder. unknown: the answer where nothing is known of any folder."""
        with self._lock:
            return unknown if self._names is None else fold(name) in self._names


class News:
    """What a feed tells, made into names of objects."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self.changed: set[str] = set()
        self.gone: set[str] = set()
        self.complete = True

    def add(self, tag: str, shown: str) -> None:
        """One entry, in the order they are told. shown: "" for our own folder."""
        name = self._folders.named(shown)
        if tag == "folder":
            self._folders.learn([shown])
        elif not shown or self._folders.has(name, unknown=tag == "deleted"):
            self.complete = False  # a folder went, and what was in it is not told
        elif tag == "file":
            self.changed.add(name)
            self.gone.discard(name)
        else:
            self.changed.discard(name)
            self.gone.add(name)


def _left(paths: list[str], told: Entry) -> list[str]:
    """Which of the paths a batch did not delete because of another's commit. Raises for other reasons."""
    if told[".tag"] == "failed":
        answer = failed(told.get("failed"))
        if not answer.says("too_many_write_operations"):
            answer.of("old files")
        return paths
    left = []
    for path, entry in zip(paths, told["entries"], strict=True):
        answer = Answer(entry) if entry[".tag"] == "success" else failed(entry.get("failure"))
        if answer.says("too_many_write_operations"):
            left.append(path)
        elif not answer.says("not_found"):
            answer.of(path)
    return left


def _result(response: Response) -> Entry:
    """What Dropbox says of the file whose bytes these are. Raises Unavailable if it was not Dropbox that answered."""
    try:
        told = msgspec.json.decode(response.headers.get("dropbox-api-result", ""), type=dict[str, Any])
    except msgspec.DecodeError:
        told = {}
    if "size" not in told or "content_hash" not in told:
        raise Unavailable("Something else answered in the place of Dropbox.")
    return told


def _slice(response: Response, start: int, length: int | None, name: str) -> bytes:
    """The bytes asked for. Raises Unavailable when it is fewer of them, or others."""
    size = int(_result(response)["size"])
    body = response.body
    if response.status == 200:  # all of it, although a part was asked for
        body = body[start : None if length is None else start + length]
    elif not response.headers.get("content-range", "").startswith(f"bytes {start}-"):
        raise Unavailable(f"Dropbox gave another part than was asked for: {name}.")
    expected = size - start if length is None else min(length, size - start)
    if len(body) != max(0, expected):
        raise Unavailable(f"Dropbox gave fewer bytes than it has: {name}.")
    return body


def _stored(name: str, entry: Entry) -> StoredObject:
    return StoredObject(name, int(entry["size"]), _moment(entry))


def _moment(entry: Entry) -> datetime | None:
    try:
        return datetime.fromisoformat(str(entry["server_modified"]))
    except (KeyError, ValueError):
        return None
