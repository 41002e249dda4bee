"""The person's folder in OneDrive as a storage: named bytes are files, by their path below the app's folder."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from chatkeep.errors import ChatkeepError, Damaged, NotFound, Refused, Unavailable, WrongUse
from chatkeep.providers.http import METADATA_CAP
from chatkeep.providers.notes import Notes
from chatkeep.providers.onedrive import names
from chatkeep.providers.onedrive.graph import BATCH, Answer, Call, Graph, below, check_address, problem
from chatkeep.providers.onedrive.quickxor import quick_xor
from chatkeep.providers.onedrive.tree import Cursor, Tree, decoded, encoded
from chatkeep.providers.onedrive.uploads import FRAGMENT, Uploads
from chatkeep.providers.shapes import understanding
from chatkeep.storage import Changes, StoredObject, Traits, check_put, check_range

ONE_REQUEST = FRAGMENT
"""Up to this an object is sent in one request [bytes]: a session would throw a cut-off fragment away just the same."""

BATCH_BYTES = 3_000_000
"""What one batch carries at most, so that it stays below 4 MB in base64 [bytes]. Source: requests to Graph of more
than 4 MB were refused when they were no file uploads; measure again with a real account."""

FIELDS = "id,name,size,file,folder,parentReference,createdDateTime,lastModifiedDateTime"
CHILDREN = f"?$top=1000&$select={FIELDS}"
ADDRESS_LASTS_S = 1800.0
"""How long a download address is used again [s]; it is good for about an hour. Source: driveItem, Graph, 2026-11."""

MOST_REMEMBERED = 10_000
HASH_WAITS_S = (1.0, 2.0, 4.0)
"""Waits for a hash that is not there right after an upload; then the object is read back instead [s]."""

NO_FEED = "no-feed"


@understanding
class OneDrive:
    """Named bytes as files below one folder. root: its item id; above: the length of its path [UTF-16 units].

    What OneDrive tells of items (ids, names, where to download) is remembered to save requests, and never believed
    when an answer says otherwise.
    """

    traits = Traits(folds_case=True, parallel=4)

    def __init__(
        self,
        graph: Graph,
        notes: Notes,
        *,
        root: str,
        above: int,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._graph = graph
        self._notes = notes
        self._root = root
        self._above = above
        self._clock = clock
        self._sleep = sleep
        self._tree = Tree(notes, root)
        self._uploads = Uploads(graph, notes, self._place, self._arrived, clock=clock)
        self._ids: OrderedDict[str, str] = OrderedDict()
        self._addresses: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def requests(self) -> int:
        """All requests made so far."""
        return self._graph.http.requests

    # Names and addresses.

    def _check(self, name: str) -> None:
        names.check(name, above=self._above)

    def _place(self, name: str, sub: str = "") -> str:
        """The address of a name, below the version; "" for our folder itself."""
        where = f":/{names.quoted(name)}{':' if sub else ''}" if name else ""
        return f"{self._item(self._root)}{where}{sub}"

    def _item(self, id: str) -> str:
        return f"/me/drive/items/{names.quoted(id)}"

    def _problem(self, answer: Answer, name: str) -> ChatkeepError:
        """The error of an answer. What is not there may be our whole folder, which is no empty one."""
        error = problem(answer, name)
        return self._gone() or error if isinstance(error, NotFound) else error

    def _gone(self) -> Unavailable | None:
        if self._graph.ask("GET", self._item(self._root) + "?$select=id").status != 404:
            return None
        return _gone_away()

    def _seen(self, item: dict[str, Any], name: str) -> StoredObject:
        """What an item is to us, after remembering it."""
        with self._lock:
            _remember(self._ids, name, str(item["id"]))
        self._tree.learn(item, name)
        return StoredObject(name, int(item.get("size", 0)), _time(item.get("lastModifiedDateTime")))

    def _forget(self, name: str) -> None:
        with self._lock:
            self._ids.pop(name, None)
            self._addresses.pop(name, None)

    # Writing.

    def put(self, name: str, data: bytes) -> StoredObject:
        check_put(name, data)
        self._check(name)
        answer = self._uploads.send(name, data) if len(data) > ONE_REQUEST else None
        if answer is None:
            answer = self._graph.ask("PUT", self._place(name, "/content"), content=data)
        if answer.status == 413 and data:  # a limit of this account that is lower than what is documented
            answer = self._uploads.send(name, data) or answer
        if answer.ok:
            return self._kept(answer.body, name, data)
        if answer.status == 409 and "nameAlreadyExists" in answer.codes:
            raise Refused(f"A folder in OneDrive has the name {name}, so no object can.")
        raise self._problem(answer, name)

    def _arrived(self, name: str, data: bytes) -> Answer | None:
        answer = self._graph.ask("GET", self._place(name))
        return answer if answer.ok and _matches(answer.body, data) else None

    def _kept(self, item: dict[str, Any], name: str, data: bytes) -> StoredObject:
        """The object, once it is certain that OneDrive has these bytes. Raises Damaged, and removes it, if not."""
        if "id" not in item:
            raise Unavailable(f"OneDrive did not say that it has {name}.")
        if self._is_right(item, name, data):
            self._remember_address(item, name)
            return self._seen(item, name)
        removed = self._graph.ask("DELETE", self._item(item["id"]), match=str(item.get("cTag", "")))
        if removed.status == 412:  # somebody put other bytes there meanwhile; ours are nowhere any more
            return self._seen(item, name)
        raise Damaged(f"{name} did not reach OneDrive as it was sent, and was removed there again.")

    def _is_right(self, item: dict[str, Any], name: str, data: bytes) -> bool:
        """Whether an item that was just written has these bytes. A hash that is missing is waited for."""
        right = _matches(item, data)
        for wait in HASH_WAITS_S if right is None else ():
            self._sleep(wait)
            found = self._graph.ask("GET", self._item(item["id"]))
            if not found.ok or found.body.get("cTag") != item.get("cTag"):
                return True  # replaced or deleted since, by somebody who may
            if (right := _matches(found.body, data)) is not None:
                return right
        return self._fetch(name, 0, None) == data if right is None else right

    def put_many(self, objects: Mapping[str, bytes]) -> list[StoredObject]:
        """Small objects go twenty to a request; what a batch could not do is done one by one."""
        for name, data in objects.items():
            check_put(name, data)
            self._check(name)
        done: dict[str, StoredObject] = {}
        for group in _groups(objects):
            if len(group) > 1:
                done |= self._put_batch({name: objects[name] for name in group})
        for name, data in objects.items():
            if name not in done:
                done[name] = self.put(name, data)
        return [done[name] for name in objects]

    def _put_batch(self, objects: Mapping[str, bytes]) -> dict[str, StoredObject]:
        calls = [Call("PUT", self._place(name, "/content"), data) for name, data in objects.items()]
        answers = zip(objects.items(), self._graph.batch(calls), strict=True)
        return {name: self._kept(answer.body, name, data) for (name, data), answer in answers if answer.ok}

    def delete(self, name: str) -> None:
        self.delete_many([name])

    def delete_many(self, listed: Iterable[str]) -> None:
        """By id, after a look where the id is not known: a folder of that name must never go."""
        wanted = list(dict.fromkeys(listed))
        for name in wanted:
            self._check(name)
        for start in range(0, len(wanted), BATCH):
            group = wanted[start : start + BATCH]
            looked = self._delete_known(group)
            for name, answer in zip(looked, self._look(looked), strict=True):
                self._learn_file(name, answer)
            self._delete_known(looked)

    def _look(self, listed: list[str]) -> list[Answer]:
        select = f"?$select={FIELDS}"
        return self._graph.batch([Call("GET", self._place(name) + select) for name in listed]) if listed else []

    def _learn_file(self, name: str, answer: Answer) -> None:
        if answer.ok and "folder" not in answer.body:
            self._seen(answer.body, name)
        elif not answer.ok and answer.status != 404:
            raise self._problem(answer, name)

    def _delete_known(self, listed: list[str]) -> list[str]:
        """Delete what we know the ids of; gives the names that have none, or one that is no longer theirs."""
        with self._lock:
            known = {name: self._ids[name] for name in listed if name in self._ids}
        answers = self._graph.batch([Call("DELETE", self._item(id)) for id in known.values()])
        left = [name for name in listed if name not in known]
        for (name, id), answer in zip(known.items(), answers, strict=True):
            if not answer.ok and answer.status != 404:
                raise problem(answer, name)
            self._forget(name)
            self._tree.forget(id)
            left += [name] if answer.status == 404 else []
        return left

    def move(self, old: str, new: str) -> None:
        self._check(old)
        self._check(new)
        if old == new:
            return
        found = self._found(old)
        folder, _, last = new.rpartition("/")
        wanted = {"name": last, "parentReference": {"id": self._folder(folder)}}
        answer = self._graph.ask("PATCH", self._item(found["id"]), json=wanted)
        if answer.status == 409 and "nameAlreadyExists" in answer.codes:
            self.delete(new)
            answer = self._graph.ask("PATCH", self._item(found["id"]), json=wanted)
        if not answer.ok:
            raise self._problem(answer, old)
        self._forget(old)
        self._forget(new)
        self._seen(answer.body, new)

    def _folder(self, name: str) -> str:
        """The id of a folder, made with all above it where it is not there."""
        answer = self._graph.ask("GET", self._place(name) + "?$select=id,folder")
        if answer.ok and "folder" in answer.body:
            return str(answer.body["id"])
        if answer.ok:
            raise Refused(f"A file in OneDrive has the name {name}, so no folder can.")
        if answer.status != 404 or not name:
            raise self._problem(answer, name)
        above, _, last = name.rpartition("/")
        wanted = {"name": last, "folder": {}, "@microsoft.graph.conflictBehavior": "fail"}
        made = self._graph.ask("POST", self._item(self._folder(above)) + "/children", json=wanted)
        if made.status == 409:  # somebody was faster
            return self._folder(name)
        if not made.ok:
            raise self._problem(made, name)
        return str(made.body["id"])

    # Reading.

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        self._check(name)
        if length == 0:
            self.stat(name)
            return b""
        return self._fetch(name, start, length)

    def _fetch(self, name: str, start: int, length: int | None) -> bytes:
        known = self._address(name)
        data = self._read(known, name, start, length) if known else None
        if data is None:  # an address grows old, and is of an item that may have gone
            data = self._read(self._new_address(name), name, start, length)
        if data is None:
            raise NotFound(f"{name} is not there.")
        return data

    def _address(self, name: str) -> str:
        with self._lock:
            address, until = self._addresses.get(name, ("", 0.0))
        return address if self._clock() < until else ""

    def _new_address(self, name: str) -> str:
        answer = self._graph.ask("GET", self._place(name, "/content"))
        if answer.status != 302:
            if 400 <= answer.status < 500 and answer.status not in (401, 404):
                self.stat(name)  # a folder has no content: it is not there, as an object
            raise self._problem(answer, name)
        address = check_address(self._graph.http.endpoints, answer.headers.get("location"))
        with self._lock:
            _remember(self._addresses, name, (address, self._clock() + ADDRESS_LASTS_S))
        return address

    def _remember_address(self, item: dict[str, Any], name: str) -> None:
        """Where an object that we just put can be fetched, if that was said along: what is read back costs one less."""
        said = item.get("@microsoft.graph.downloadUrl")
        with contextlib.suppress(Unavailable, WrongUse):
            address = check_address(self._graph.http.endpoints, said)
            with self._lock:
                _remember(self._addresses, name, (address, self._clock() + ADDRESS_LASTS_S))

    def _read(self, address: str, name: str, start: int, length: int | None) -> bytes | None:
        """Bytes at a download address, which is never shown our sign-in; None if it leads nowhere (any more)."""
        ranged = {"Range": f"bytes={start}-{'' if length is None else start + length - 1}"}
        answer = self._graph.http.request(
            "GET",
            address,
            headers=ranged if start or length is not None else {},
            authorised=False,
            expects="bytes",
            cap=METADATA_CAP if length is None else max(length, METADATA_CAP),
        )
        said = Answer(answer.status, {}, answer.headers)
        if answer.status == 416:
            return b""
        if answer.status in (401, 403, 404, 410):
            self._forget(name)
            return None
        if answer.status == 200:
            return answer.body[start : None if length is None else start + length]
        if answer.status != 206:
            raise problem(self._graph.heeded(said), name)
        if not answer.headers.get("content-range", "").startswith(f"bytes {start}-"):
            raise Unavailable(f"OneDrive sent another part of {name} than was asked for.")
        return answer.body

    def _found(self, name: str) -> dict[str, Any]:
        answer = self._graph.ask("GET", f"{self._place(name)}?$select={FIELDS}")
        if not answer.ok:
            raise self._problem(answer, name)
        if "folder" in answer.body or "id" not in answer.body:
            raise NotFound(f"{name} is not there.")
        return answer.body

    def stat(self, name: str) -> StoredObject:
        self._check(name)
        return self._seen(self._found(name), name)

    def listing(self, prefix: str = "") -> list[StoredObject]:
        top = prefix.rpartition("/")[0]
        if top:
            self._check(top)
        found: dict[str, StoredObject] = {}
        level = [_Page(top, self._place(top, "/children") + CHILDREN)]
        answers, asked = [self._looked_into(level[0])], set[str]()
        while level:
            if not asked.isdisjoint(page.path for page in level):
                raise Unavailable("A folder in OneDrive does not come to an end.")
            asked |= {page.path for page in level}
            below_it: list[_Page] = []
            for page, answer in zip(level, answers, strict=True):
                below_it += list(self._taken(page, answer, prefix, found))
            level = below_it
            answers = self._graph.batch([Call("GET", page.path) for page in level])
        self._tree.save()
        return [found[name] for name in sorted(found)]

    def _looked_into(self, page: _Page) -> Answer:
        """The first page of a folder; an empty one where it is not there, though our own folder is.

        One that we never saw may well not be there, so both are asked for at once.
        """
        look = Call("GET", page.path)
        if not page.folder or self._tree.knows(page.folder):
            return self._graph.batch([look])[0]
        inside, ours = self._graph.batch([look, Call("GET", self._item(self._root) + "?$select=id")])
        if ours.status == 404:
            raise _gone_away()
        return Answer(200, {"value": []}) if inside.status == 404 and ours.ok else inside

    def _taken(self, page: _Page, answer: Answer, prefix: str, found: dict[str, StoredObject]) -> Iterator[_Page]:
        """Take in one page of a folder; gives what is to be asked next: its next page, and the folders in it."""
        if answer.status == 404 and page.first:  # a folder that is not there, or went while we looked
            if error := self._gone():
                raise error
            return
        if not answer.ok or not isinstance(answer.body.get("value"), list):
            if answer.status == 404:
                raise Unavailable("A folder in OneDrive changed while it was listed.")
            raise self._problem(answer, page.folder)
        for item in answer.body["value"]:
            name = f"{page.folder}/{item['name']}".lstrip("/")
            if "folder" in item:
                self._tree.learn(item, name)
                if prefix.startswith(name + "/") or f"{name}/".startswith(prefix):
                    yield _Page(name, f"{self._item(item['id'])}/children{CHILDREN}")
            elif "file" in item and name.startswith(prefix):
                found[name] = self._seen(item, name)
        if more := answer.body.get("@odata.nextLink"):
            yield _Page(page.folder, below(str(more)), first=False)

    # What changed.

    def changes(self, cursor: str) -> Changes | None:
        """By the change feed of our folder, which personal drives have and business drives have not."""
        if self._notes.get(NO_FEED):
            return None
        before = decoded(cursor)
        read = self._changes_since(before) if before else None
        found = read or self._from_now()
        self._tree.save()
        return found

    def _changes_since(self, before: Cursor) -> Changes | None:
        """What the feed tells, or None if it no longer knows the cursor."""
        entries: list[dict[str, Any]] = []
        path, asked = before.path, set[str]()
        while True:
            if path in asked:
                raise Unavailable("OneDrive's list of changes does not come to an end.")
            asked.add(path)
            answer = self._graph.ask("GET", path)
            if answer.status in (400, 404, 410):
                return None
            if not answer.ok:
                raise self._problem(answer, "The list of changes")
            entries += answer.body.get("value", ())
            if more := answer.body.get("@odata.nextLink"):
                path = below(str(more))
                continue
            after = Cursor(below(str(answer.body.get("@odata.deltaLink"))), _moment(answer), 0)
            return self._tree.read(entries, before, after)

    def _from_now(self) -> Changes | None:
        path = f"{self._item(self._root)}/delta?token=latest&$select={FIELDS},deleted"
        answer = self._graph.ask("GET", path)
        if answer.status in (400, 501):
            self._notes.put(NO_FEED, b"1")
            return None
        if not answer.ok:
            raise self._problem(answer, "The list of changes")
        after = Cursor(below(str(answer.body.get("@odata.deltaLink"))), _moment(answer), self._tree.moved)
        return Changes(frozenset(), frozenset(), encoded(after), complete=False)

    def close(self) -> None:
        """Keep what was learnt, and let go of the connections. Quiet when called twice."""
        self._tree.save()
        self._graph.http.close()


def _gone_away() -> Unavailable:
    return Unavailable(
        "Chatkeep's folder is not in your OneDrive any more.",
        hint="Look in OneDrive's recycle bin and put it back, or connect again to begin with a new folder.",
    )


class _Page(NamedTuple):
    """One page of a folder's children that is still to be asked for."""

    folder: str
    path: str
    first: bool = True


def _remember(kept: OrderedDict[str, Any], name: str, value: object) -> None:
    kept[name] = value
    kept.move_to_end(name)
    if len(kept) > MOST_REMEMBERED:
        kept.popitem(last=False)


def _groups(objects: Mapping[str, bytes]) -> Iterator[list[str]]:
    """Names that may go in one batch. An empty body cannot be told from none there, so empty objects go alone."""
    group: list[str] = []
    size = 0
    for name, data in objects.items():
        if not data or len(data) > BATCH_BYTES:
            continue
        if len(group) == BATCH or size + len(data) > BATCH_BYTES:
            yield group
            group, size = [], 0
        group.append(name)
        size += len(data)
    if group:
        yield group


def _matches(item: dict[str, Any], data: bytes) -> bool | None:
    """Whether an item has these bytes, by the best hash that is told; None while none is."""
    if item.get("size") != len(data):
        return False
    hashes = (item.get("file") or {}).get("hashes") or {}
    if "sha256Hash" in hashes:
        return bool(hashes["sha256Hash"].lower() == hashlib.sha256(data).hexdigest())
    if "quickXorHash" in hashes:
        return bool(hashes["quickXorHash"] == quick_xor(data))
    if "sha1Hash" in hashes:
        return bool(hashes["sha1Hash"].lower() == hashlib.sha1(data, usedforsecurity=False).hexdigest())
    return None


def _time(stamp: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(stamp))
    except ValueError:
        return None


def _moment(answer: Answer) -> str:
    """When an answer was given, by the provider's clock; "" if it does not say."""
    try:
        return parsedate_to_datetime(answer.headers.get("date", "")).astimezone(UTC).isoformat()
    except (TypeError, ValueError):
        return ""
