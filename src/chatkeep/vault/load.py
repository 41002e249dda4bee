"""Getting documents back: everything in few large reads, or one conversation in a few small ones.

What is damaged becomes a problem that names its conversation; all else still comes.
"""

from __future__ import annotations

import contextlib
import hashlib
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future

import msgspec

from chatkeep.errors import Damaged, Problem
from chatkeep.storage import MAX_OBJECT
from chatkeep.vault.index import Location
from chatkeep.vault.objects import Objects, open_blob
from chatkeep.vault.tree import NO_TIME, Node
from chatkeep.vault.trees import WHOLE, Child, Trees

GAP = 256 * 1024
"""Two blobs of a pack that lie no farther apart are fetched by one read [bytes]."""
_HELD = 32 * 1024 * 1024
_SMALL_READ = 16


class VaultDocument(msgspec.Struct, frozen=True):
    """One conversation document: its id, its time (RFC 3339 with Z, or "" if unknown), its canonical bytes."""

    id: str
    updated_at: str
    data: bytes


class _Wanted:
    """A document of several pieces on its way, and those that have come so far, still sealed."""

    __slots__ = ("content", "id", "late", "parts", "time")

    def __init__(self, conversation: str, time: str, content: list[str]) -> None:
        self.id = conversation
        self.content = content
        self.time = time
        self.parts: dict[str, tuple[bytes, int, str]] = {}  # sealed, plain size, pack
        self.late = False

    @property
    def held(self) -> int:
        return sum(len(sealed) for sealed, _, _ in self.parts.values())


_Use = bytes | tuple[_Wanted, str]
"""What a blob is wanted for. All of a short document: the id of the blob, then in text the document's id, a space and
its time, since there is one of these for each conversation of a restore. A piece of a longer one: that, and its id."""


class _Part(msgspec.Struct, gc=False):
    """The blobs that are wanted of one pack, as columns."""

    offsets: array[int]
    lengths: array[int]
    sizes: array[int]
    uses: list[_Use]

    def add(self, place: Location, use: _Use) -> None:
        self.offsets.append(place.offset)
        self.lengths.append(place.length)
        self.sizes.append(place.size)
        self.uses.append(use)


class _Span(msgspec.Struct):
    """A stretch of a pack to be read at once, and which of the blobs wanted of the pack lie in it."""

    pack: str
    start: int
    end: int
    part: _Part
    numbers: list[int]


def load_documents(
    objects: Objects, root: str, *, ids: Iterable[str] | None = None
) -> Iterator[VaultDocument | Problem]:
    """The documents of a tree, in the order in which they lie in the packs, and a problem for each that is damaged.

    Each pack is read once, in stretches; memory holds two stretches and the pieces of documents not yet complete.
    """
    listed = None if ids is None else sorted(set(ids))
    small = listed is not None and len(listed) < _SMALL_READ
    trees = Trees(objects) if small else Trees(objects, window=WHOLE)
    yield from _Gathering(objects).run(trees.documents(root, listed))


def load_nodes(objects: Objects, nodes: Iterable[tuple[str, Node]]) -> Iterator[VaultDocument | Problem]:
    """The bytes of files of which the nodes are known, under the names given, as load_documents gives documents."""
    yield from _Gathering(objects).run(nodes)


class _Gathering:
    """Fetches the blobs of many documents, pack by pack, and gives each document when its last piece came."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._parts: dict[str, _Part] = {}
        self._late: list[_Wanted] = []
        self._held = 0

    def run(self, children: Iterable[Child]) -> Iterator[VaultDocument | Problem]:
        for name, node in children:
            if isinstance(node, Problem):
                yield node
            elif not node.content:
                yield VaultDocument(name, _time(node), b"")
            elif not self._want(name, _time(node), node.content):
                yield _damaged(name, "A part of it is missing from the vault.")
        for span, coming in _ahead(self._objects.pool(1), self._spans(), self._fetch):
            data = coming.result()
            del coming
            for number in span.numbers:
                at, length = span.part.offsets[number] - span.start, span.part.lengths[number]
                yield from self._came(span, number, data[at : at + length])
            del data  # before the one after the next is fetched
        for document in self._late:
            yield self._one_by_one(document)

    def _want(self, name: str, time: str, content: list[str]) -> bool:
        """Note where the pieces of a document lie. False when one of them is nowhere."""
        places = [(piece, self._place(piece)) for piece in dict.fromkeys(content)]
        if not all(place for _, place in places):
            return False
        several = _Wanted(name, time, content) if len(content) > 1 else None
        for piece, place in places:
            assert place is not None
            use = (several, piece) if several else bytes.fromhex(piece) + f"{name} {time}".encode()
            self._part(self._objects.index.pack_name(place.pack)).add(place, use)
        return True

    def _part(self, pack: str) -> _Part:
        if pack not in self._parts:
            self._parts[pack] = _Part(array("I"), array("I"), array("I"), [])
        return self._parts[pack]

    def _place(self, piece: str) -> Location | None:
        try:
            return self._objects.locate("data", bytes.fromhex(piece))
        except ValueError:
            return None

    def _spans(self) -> Iterator[_Span]:
        while self._parts:
            name = next(iter(self._parts))
            part = self._parts.pop(name)
            span: _Span | None = None
            for number in sorted(range(len(part.uses)), key=part.offsets.__getitem__):
                start, end = part.offsets[number], part.offsets[number] + part.lengths[number]
                if span is None or start - span.end > GAP or end - span.start > MAX_OBJECT:
                    if span is not None:
                        yield span
                    span = _Span(name, start, end, part, [])
                span.numbers.append(number)
                span.end = max(span.end, end)
            if span is not None:
                yield span

    def _fetch(self, span: _Span) -> bytes:
        try:
            return self._objects.fetch_packed(span.pack, start=span.start, length=span.end - span.start)
        except Damaged:
            return b""  # every blob of it will be found to be cut short

    def _came(self, span: _Span, number: int, sealed: bytes) -> Iterator[VaultDocument | Problem]:
        use, size = span.part.uses[number], span.part.sizes[number]
        if isinstance(use, bytes):
            name, _, time = use[32:].decode().rpartition(" ")
            opened = self._open(use[:32], span.pack, size, sealed)
            yield _damaged(name, opened.what) if isinstance(opened, Damaged) else VaultDocument(name, time, opened)
        elif not use[0].late:
            yield from self._hold(*use, span.pack, size, sealed)

    def _open(self, blob_id: bytes, pack: str, size: int, sealed: bytes) -> bytes | Damaged:
        try:
            return open_blob(self._objects.seal, sealed, blob_id=blob_id, size=size)
        except Damaged as error:
            with contextlib.suppress(Damaged):
                return self._objects.read_elsewhere("data", blob_id, damaged=pack)
            return error

    def _hold(
        self, document: _Wanted, piece: str, pack: str, size: int, sealed: bytes
    ) -> Iterator[VaultDocument | Problem]:
        document.parts[piece] = (sealed, size, pack)
        self._held += len(sealed)
        if len(document.parts) == len(set(document.content)):
            self._held -= document.held
            yield self._join(document)
        elif self._held > _HELD:  # too many pieces wait for others: this one is fetched by itself, at the end
            self._held -= document.held
            document.parts = {}
            document.late = True
            self._late.append(document)

    def _join(self, document: _Wanted) -> VaultDocument | Problem:
        parts = []
        held, document.parts = document.parts, {}
        for piece in document.content:
            sealed, size, pack = held[piece]
            opened = self._open(bytes.fromhex(piece), pack, size, sealed)
            if isinstance(opened, Damaged):
                return _damaged(document.id, opened.what)
            parts.append(opened)
        return VaultDocument(document.id, document.time, b"".join(parts))

    def _one_by_one(self, document: _Wanted) -> VaultDocument | Problem:
        try:
            pieces = [self._objects.read_blob("data", bytes.fromhex(p)) for p in document.content]
        except Damaged as error:
            return _damaged(document.id, error.what)
        return VaultDocument(document.id, document.time, b"".join(pieces))


def _time(node: Node) -> str:
    return "" if node.mtime == NO_TIME else node.mtime


def _damaged(conversation: str, what: str) -> Problem:
    return Problem(f"conversation {conversation}", what)


def _ahead(
    pool: Executor, spans: Iterable[_Span], fetch: Callable[[_Span], bytes]
) -> Iterator[tuple[_Span, Future[bytes]]]:
    """Each span with its bytes to come; the next is fetched while one is worked on."""
    with pool:
        waiting: deque[tuple[_Span, Future[bytes]]] = deque()
        for span in spans:
            waiting.append((span, pool.submit(fetch, span)))
            if len(waiting) > 1:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()


def load_attachment(objects: Objects, node: Node, *, sha256: str) -> Iterator[bytes]:
    """The bytes of an attachment, piece by piece. Raises Damaged, at the latest after the last piece."""
    whole = hashlib.sha256()
    for piece in node.content or []:
        data = objects.read_blob("data", bytes.fromhex(piece))
        whole.update(data)
        yield data
    if whole.hexdigest() != sha256:
        raise Damaged("An attachment is not what its name says.")


def load_file(objects: Objects, node: Node) -> bytes:
    """The bytes of a small file, whole. Raises Damaged."""
    return b"".join(objects.read_blob("data", bytes.fromhex(piece)) for piece in node.content or [])
