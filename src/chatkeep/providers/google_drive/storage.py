"""Named bytes in a folder at Google Drive.

Drive knows ids and no paths, and its lists lag behind. So all that the app may see is listed once, and from then on
the change feed keeps us current: one request tells what anybody did. What we know is noted between processes.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from chatkeep.errors import Damaged, NotFound, Refused, Unavailable
from chatkeep.providers.google_drive.calls import API, MOST_IN_BATCH, Calls, reason
from chatkeep.providers.google_drive.ids import Ids
from chatkeep.providers.google_drive.tree import FIELDS, FOLDER, MARK, Entry, Tree, entry, stored
from chatkeep.providers.google_drive.uploads import Uploads, right
from chatkeep.providers.http import Response
from chatkeep.providers.provider import Means
from chatkeep.providers.shapes import understanding
from chatkeep.storage import (
    MAX_OBJECT,
    Changes,
    StoredObject,
    Traits,
    check_name,
    check_put,
    check_range,
    each,
)

SETTLES_S = 2.0
"""How long the feed may take to tell what another device did. Drive promises nothing; not measured on the real one."""

LISTS_SETTLE_S = 60.0
LOOK_AGAIN_S = 3600.0
"""Where the first list had anything, others may have made more just before, which it missed. So everything is listed
again a minute and an hour later; what is left of the minute, we say that this place settles late.

Source: rclone's manual for Drive: what is new may be missing from lists, up to about an hour; 2026-11.
"""

PAGE = "1000"
NAME_LOCKS = 64
LOOKS_AGAIN = 2
LOOKS = 6
"""How often an object is read while somebody else replaces it."""

NONE: frozenset[str] = frozenset()
_PACKS = re.compile("data/[0-9a-f]{2}")


@understanding
class GoogleDrive:
    """The folder `folder` at the top of a person's Drive.

    new: make the folder if it is not there. Raises Unavailable when it is not there and was not to be made.
    requests: every request made, those for signing in and those that failed too.
    """

    def __init__(
        self, means: Means, *, folder: str = "Chatkeep", new: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._calls = Calls(means)
        self._notes = means.notes
        self._ids = Ids(self._calls, means.notes)
        self._uploads = Uploads(self._calls, means.notes)
        self._clock = clock
        self._pending: dict[tuple[str, str], str] = {}
        self._moving: dict[tuple[str, str], str] = {}
        self._state = threading.RLock()
        self._reading = threading.Lock()
        self._making = threading.Lock()
        self._names = [threading.RLock() for _ in range(NAME_LOCKS)]
        self._current = False
        kept = self._notes.get(self._key)
        self._tree = Tree.from_kept(folder, kept) if kept else None
        if new or self._tree is None:
            self._open(new)

    @property
    def traits(self) -> Traits:
        late = self._tree.look_again_at if self._tree is not None and self._tree.looks == 0 else 0.0
        left = min(late - self._clock(), LISTS_SETTLE_S) if late else 0.0
        return Traits(doubles=True, settles=max(SETTLES_S, left), parallel=4)

    @property
    def requests(self) -> int:
        return self._calls.requests

    @property
    def _key(self) -> str:
        return f"tree {self._folder}"

    def _open(self, new: bool) -> None:
        try:
            tree = self._read_on()
            if new and not tree.top():
                self._make_top()
            self._checked(tree)
        except BaseException:
            self._calls.http.close()
            raise

    def _make_top(self) -> None:
        mark = {MARK: self._folder}
        meta = {"name": self._folder, "mimeType": FOLDER, "parents": ["root"], "appProperties": mark}
        self._learn(self._made(("root", self._folder), meta, self._folder))
        self._note()

    # What we know

    @property
    def _known(self) -> Tree:
        if self._tree is None:
            raise Unavailable("Nothing is known of this Google Drive yet.")
        return self._tree

    def _refresh(self) -> Tree:
        """The tree as it is now, for one request. Raises Unavailable when the folder is not there."""
        return self._checked(self._read_on())

    def _read_on(self) -> Tree:
        with self._reading:
            if self._tree is None:
                self._load()
            else:
                if 0 < self._tree.look_again_at <= self._clock():
                    self._look_again(self._tree)
                self._follow(self._tree)
                if self._known.strange:
                    self._look_again(self._known)
            self._current = True
            return self._known

    def _checked(self, tree: Tree) -> Tree:
        if not tree.top():
            raise Unavailable(
                f"The folder {self._folder} is not at Google Drive, or it is in the bin.",
                hint="Put it back from the bin. Only what was made with the same client id can be seen.",
            )
        return tree

    def _load(self) -> None:
        """List all that the app may see. The token is fetched first: what happens meanwhile, the feed tells."""
        token = str(self._calls.json("GET", f"{API}/changes/startPageToken", "The change feed")["startPageToken"])
        entries = self._listed()
        again = self._clock() + LISTS_SETTLE_S if entries else 0.0
        with self._state:
            self._tree = Tree(self._folder, token, entries, look_again_at=again)
        self._note()

    def _look_again(self, tree: Tree) -> None:
        """List once more, for what was so new before that the list did not have it."""
        entries = self._listed()
        with self._state:
            unknown = tree.find_out(entries)
            if unknown or tree.looks < LOOKS_AGAIN:
                tree.look_again_at = self._clock() + LOOK_AGAIN_S

    def _listed(self) -> list[Entry]:
        params = {"pageSize": PAGE, "spaces": "drive", "fields": f"nextPageToken,incompleteSearch,files({FIELDS})"}
        entries: list[Entry] = []
        for page in self._calls.pages(f"{API}/files", "The list of files", params):
            if page.get("incompleteSearch"):
                raise Unavailable("Google Drive could not list everything just now.")
            entries += [entry(file) for file in page["files"]]
        return entries

    def _follow(self, tree: Tree) -> None:
        fields = f"nextPageToken,newStartPageToken,changes(fileId,removed,file({FIELDS}))"
        params = {"pageToken": tree.token, "pageSize": PAGE, "spaces": "drive", "fields": fields}
        told: list[dict[str, object]] = []
        token = ""
        try:
            for page in self._calls.pages(f"{API}/changes", "The change feed", params):
                told += page.get("changes", [])
                token = str(page.get("newStartPageToken", ""))
        except (NotFound, Refused):  # the token is no longer known
            self._load()
            return
        if not token:
            raise Unavailable("Google Drive's change feed broke off.")
        with self._state:
            tree.take(told, token, suspects=self._ids.suspects)
        self._ids.settled()

    def _ready(self) -> Tree:
        """The tree, current at some moment of this process."""
        return self._checked(self._known) if self._current else self._refresh()

    def _learn(self, file: dict[str, Any]) -> Entry:
        one = entry(file)
        with self._state:
            self._known.learn(one)
        return one

    def _note(self) -> None:
        with self._state:
            if self._tree and self._tree.changed:
                self._notes.put(self._key, self._tree.kept())
                self._tree.changed = False

    def _files(self, name: str, *, fresh: bool = False) -> list[Entry]:
        """The files of a name. fresh: ask Drive first; it is asked anyway before saying that there is none."""
        tree = self._refresh() if fresh else self._ready()
        with self._state:
            found = tree.files(name)
        if not found and not fresh:
            return self._files(name, fresh=True)
        return found

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with self._names[hash(name) % NAME_LOCKS]:
            yield

    # Making files and folders

    def _made(self, key: tuple[str, str], meta: Mapping[str, object], about: str) -> dict[str, Any]:
        """Make a folder, once, however often this is repeated."""
        id = self._pending.setdefault(key, self._pending.get(key) or self._ids.take())
        answer = self._calls.send("POST", f"{API}/files", params={"fields": FIELDS}, body={**meta, "id": id})
        if answer.status == 409:  # made before, and the answer was lost; or the id is no good
            answer = self._calls.send("GET", f"{API}/files/{id}", params={"fields": FIELDS})
        if not answer.ok:
            raise self._calls.error(answer, about)
        made: dict[str, Any] = answer.json()
        del self._pending[key]
        if made.get("name") == meta["name"] and made.get("mimeType") == FOLDER:
            return made
        return self._made(key, meta, about)

    def _parent(self, name: str) -> str:
        """The id of the folder that a name lies in, which is made if it is not there."""
        path = name.split("/")[:-1]
        with self._state:
            found = self._known.folder(path)
        if not found:
            with self._making:
                self._make_folders([path])
                with self._state:
                    found = self._known.folder(path)
        if not found:
            raise Unavailable(f"The folder for {name} could not be made at Google Drive.")
        return found

    def _make_folders(self, paths: Iterable[list[str]]) -> None:
        """Make the folders of these paths that are missing: those of one depth in one request.

        With the first folder for packs all 256 of them are made, in three requests, as restic does: else every second
        backup would need a request more. Those that Drive does not make just now are made when they are needed.
        """
        needed = {tuple(path[:depth]) for path in paths for depth in range(1, len(path) + 1)}
        for depth in sorted({len(path) for path in needed}):
            with self._state:
                missing = {path for path in needed if len(path) == depth and not self._known.folder(path)}
                shards = {path[:-1] for path in missing if _PACKS.fullmatch("/".join(path[-2:]))}
                others = {(*above, f"{i:02x}") for above in shards for i in range(256)} - missing
                level = sorted(missing) + sorted(path for path in others if not self._known.folder(path))
            for begin in range(0, len(level), MOST_IN_BATCH):
                self._make_level(level[begin : begin + MOST_IN_BATCH], needed)

    def _make_level(self, level: list[tuple[str, ...]], needed: set[tuple[str, ...]]) -> None:
        with self._state:
            parents = {path[:-1]: self._known.folder(path[:-1]) for path in level}
        metas = [{"name": path[-1], "mimeType": FOLDER, "parents": [parents[path[:-1]]]} for path in level]
        keys = [(parents[path[:-1]], path[-1]) for path in level]
        if len(level) == 1:
            self._learn(self._made(keys[0], metas[0], "/".join(level[0])))
            return
        for key in keys:
            self._pending[key] = self._pending.get(key) or self._ids.take()
        bodies = [{**meta, "id": self._pending[key]} for key, meta in zip(keys, metas, strict=True)]
        answers = self._calls.batch([("POST", f"/files?fields={FIELDS}", body) for body in bodies])
        for path, answer in zip(level, answers, strict=True):
            if answer.ok:
                self._learn(answer.json())
            elif answer.status != 409 and path in needed:
                raise self._calls.error(answer, "/".join(path))
        if any(answer.status == 409 for answer in answers):  # made before, and that answer was lost: the feed knows
            self._refresh()
        for path, key, meta in zip(level, keys, metas, strict=True):
            with self._state:
                known = self._known.folder(path)
            if known:
                self._pending.pop(key, None)
            elif path in needed:
                self._learn(self._made(key, meta, "/".join(path)))

    # The verbs

    def put(self, name: str, data: bytes) -> StoredObject:
        check_put(name, data)
        self._ready()
        with self._alone(name):
            try:
                return self._put(name, data)
            except NotFound:  # a folder or the file went while we did not look
                self._refresh()
            try:
                return self._put(name, data)
            except NotFound:
                raise Unavailable(f"The folder for {name} has gone from Google Drive just now.") from None

    def _put(self, name: str, data: bytes) -> StoredObject:
        with self._state:
            found = self._known.files(name)
        if found and self._uploads.unfinished(name, data) and found[0].md5 == _md5(data):
            return stored(name, found[0])  # it was all there, only its answer was lost
        if found:
            answer = self._uploads.replace(name, data, id=found[0].id)
            if answer.status == 404:
                self._gone(found[0].id)
            return stored(name, self._arrived(name, data, answer, made=False))
        return stored(name, self._create(name, data))

    def _create(self, name: str, data: bytes) -> Entry:
        """Make the file, once: an id is used until Drive has said what became of it."""
        parent, title = self._parent(name), name.rpartition("/")[2]
        id = self._pending.get((parent, name)) or self._uploads.unfinished(name, data) or self._ids.take()
        self._pending[parent, name] = id
        answer = self._uploads.create(name, data, id=id, parent=parent, title=title)
        if answer.status == 409:
            return self._taken_before(name, data, id, parent)
        if answer.ok:
            del self._pending[parent, name]
        return self._arrived(name, data, answer, made=True)

    def _taken_before(self, name: str, data: bytes, id: str, parent: str) -> Entry:
        """There is a file of this id: ours, if an answer was lost; else the id is no good."""
        del self._pending[parent, name]
        answer = self._calls.request("GET", f"{API}/files/{id}", params={"fields": FIELDS})
        if not answer.ok and answer.status != 404:
            raise self._calls.error(answer, name)
        one = self._learn(answer.json()) if answer.ok else None
        if one is None or (one.parent, one.name) != (parent, name.rpartition("/")[2]):
            return self._create(name, data)
        if one.md5 == _md5(data):
            return one
        return self._arrived(name, data, self._uploads.replace(name, data, id=id), made=False)

    def _arrived(self, name: str, data: bytes, answer: Response, *, made: bool) -> Entry:
        """The entry of what was sent, after its hashes and its name were looked at.

        What is wrong is removed if we just made it. Then it can be sent again.
        """
        if not answer.ok:
            raise self._calls.error(answer, name)
        file = answer.json()
        if not file.get("id"):
            raise Unavailable("Google Drive took an object and did not say so.")
        if not right(file, data):
            if made:
                self._remove(str(file["id"]), name)
            raise Unavailable(f"{name} was changed on its way to Google Drive, and is to be sent again.")
        if file.get("name") != name.rpartition("/")[2]:
            self._remove(str(file["id"]), name)
            raise Refused(f"Google Drive does not keep the name {name}.")
        return self._learn(file)

    def _remove(self, id: str, name: str) -> None:
        """Delete for good. Quiet when it is gone.

        Not to the bin: only what is no longer needed comes here (the vault has its own grace period), the bin counts
        against the account's space for 30 days, and an app that sees only its own files cannot empty it.
        """
        answer = self._calls.request("DELETE", f"{API}/files/{id}")
        if not answer.ok and answer.status not in (404, 410):
            raise self._calls.error(answer, name)
        self._gone(id)

    def _gone(self, id: str) -> None:
        with self._state:
            self._known.bury(id)

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        check_name(name)
        for _ in range(LOOKS):
            found = self._files(name)
            if not found:
                break
            if length == 0:
                return b""
            answer = self._downloaded(found[0], start, length)
            if answer.status in (404, 410):
                self._gone(found[0].id)
                continue
            data = self._read(name, answer, start, length)
            whole = start == 0 and length is None
            if not whole or found[0].md5 == _md5(data) or self._is_now(found[0].id, name, data):
                return data
        else:
            raise Damaged(f"{name} did not come from Google Drive as it is said to be there.")
        raise NotFound(f"{name} is not there.")

    def _downloaded(self, one: Entry, start: int, length: int | None) -> Response:
        headers = {}
        cap = max(one.size, MAX_OBJECT) if length is None else max(length, 1) + MAX_OBJECT
        if start or length is not None:
            headers["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        params = {"alt": "media"}
        address = f"{API}/files/{one.id}"
        answer = self._calls.request("GET", address, params=params, headers=headers, expects="bytes", cap=cap)
        if answer.status == 403 and reason(answer) == "cannotDownloadAbusiveFile":  # sealed bytes look like anything
            params["acknowledgeAbuse"] = "true"
            answer = self._calls.request("GET", address, params=params, headers=headers, expects="bytes", cap=cap)
        return answer

    def _read(self, name: str, answer: Response, start: int, length: int | None) -> bytes:
        if answer.status == 416:
            return b""
        if not answer.ok:
            raise self._calls.error(answer, name)
        if answer.status == 206:
            if not answer.headers.get("content-range", "").startswith(f"bytes {start}-"):
                raise Unavailable(f"Google Drive gave another part of {name} than was asked for.")
            return answer.body
        return answer.body[start : None if length is None else start + length]

    def _is_now(self, id: str, name: str, data: bytes) -> bool:
        """Whether these bytes are what Drive has, after all: somebody may have replaced them since we asked."""
        answer = self._calls.request("GET", f"{API}/files/{id}", params={"fields": FIELDS})
        if answer.status in (404, 410):
            self._gone(id)
            return False
        if not answer.ok:
            raise self._calls.error(answer, name)
        return self._learn(answer.json()).md5 == _md5(data)

    def stat(self, name: str) -> StoredObject:
        check_name(name)
        found = self._files(name, fresh=True)
        if not found:
            raise NotFound(f"{name} is not there.")
        return stored(name, found[0])

    def listing(self, prefix: str = "") -> list[StoredObject]:
        if "/" in prefix:
            check_name(prefix.rpartition("/")[0])
        tree = self._refresh()
        with self._state:
            return tree.listing(prefix)

    def delete(self, name: str) -> None:
        check_name(name)
        with self._alone(name):
            for one in self._files(name):
                self._remove(one.id, name)

    # What Drive can do beside

    def changes(self, cursor: str) -> Changes:
        """What happened since the cursor, for one request; see storage.changes. A cursor is good on this device."""
        tree = self._refresh()
        with self._state:
            token, known = tree.token, tree.since(cursor)
        self._note()
        changed, gone = known or (NONE, NONE)
        return Changes(changed, gone, token, complete=known is not None)

    def put_many(self, objects: Mapping[str, bytes]) -> list[StoredObject]:
        """Put several objects, some at a time; the folders they need are made first, those of one depth at once."""
        for name, data in objects.items():
            check_put(name, data)
        if not objects:
            return []
        self._ready()
        with self._making:
            self._make_folders(name.split("/")[:-1] for name in objects)
        return each(lambda name: self.put(name, objects[name]), objects, self.traits.parallel)

    def delete_many(self, names: Iterable[str]) -> None:
        """Delete several objects, a hundred in a request."""
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            check_name(name)
        if not wanted:
            return
        tree = self._ready()
        with self._state:
            known = all(tree.files(name) for name in wanted)
        if not known:
            tree = self._refresh()
        with self._state:
            ids = [(one.id, name) for name in wanted for one in tree.files(name)]
        for begin in range(0, len(ids), MOST_IN_BATCH):
            self._remove_some(ids[begin : begin + MOST_IN_BATCH])

    def _remove_some(self, ids: list[tuple[str, str]]) -> None:
        answers = self._calls.batch([("DELETE", f"/files/{id}", None) for id, _ in ids])
        failed = []
        for (id, name), answer in zip(ids, answers, strict=True):
            if answer.ok or answer.status in (404, 410):
                self._gone(id)
            else:
                failed.append(self._calls.error(answer, name))
        if failed:
            raise next((error for error in failed if not error.temporary), failed[0])

    def move(self, old: str, new: str) -> None:
        """Give a file another name and folder in one request, whatever its size. See storage.move."""
        check_name(old)
        check_name(new)
        found = self._files(old, fresh=True)
        with self._state:
            replaced = self._known.files(new)
        if not found and self._moving.get((old, new)) in {one.id for one in replaced}:
            return  # it was done, only its answer was lost
        if not found:
            raise NotFound(f"{old} is not there.")
        if old == new:
            return
        self._moving[old, new] = found[0].id
        parent = self._parent(new)
        params = {"fields": FIELDS}
        if parent != found[0].parent:
            params |= {"addParents": parent, "removeParents": found[0].parent}
        body = {"name": new.rpartition("/")[2]}
        self._learn(self._calls.json("PATCH", f"{API}/files/{found[0].id}", old, params=params, body=body))
        for one in replaced + found[1:]:
            self._remove(one.id, new)
        del self._moving[old, new]

    def close(self) -> None:
        """Note what was learned, and let go of the connections."""
        self._note()
        self._ids.close()
        self._calls.http.close()


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
