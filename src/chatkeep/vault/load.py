"""Getting documents back: everything in few large reads, or one conversation in a few small ones.

What is damaged becomes a problem that names its conversation; all else still comes.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future

import msgspec

from chatkeep.errors import Damaged, Problem
from chatkeep.storage import MAX_OBJECT
from chatkeep.vault.index import Location
from chatkeep.vault.objects import Objects, open_blob
from chatkeep.vault.tree import NO_TIME, Node
from chatkeep.vault.trees import WHOLE, Trees

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
    """A document on its way: its pieces, and those that have come so far, still sealed.

    There is one for each conversation of a restore, and most have one piece: no more is kept here than is needed.
    """

    __slots__ = ("content", "id", "late", "parts", "time")

    def __init__(self, conversation: str, node: Node) -> None:
        self.id = conversation
        self.content = node.content or []
        self.time = "" if node.mtime == NO_TIME else node.mtime
        self.parts: dict[str, bytes] | None = None
        self.late = False

    @property
    def pieces(self) -> set[str]:
        """The pieces that it needs, each once."""
        return set(self.content)

    @property
    def held(self) -> int:
        return sum(map(len, (self.parts or {}).values()))


class _Span(msgspec.Struct):
    """A stretch of a pack to be read at once, and the blobs wanted of it."""

    pack: str
    start: int
    end: int
    blobs: list[tuple[str, Location]]


def load_documents(
    objects: Objects, root: str, *, ids: Iterable[str] | None = None
) -> Iterator[VaultDocument | Problem]:
    """The documents of a tree, in the order in which they lie in the packs, and a problem for each that is damaged.

    Each pack is read once, in stretches; memory holds two stretches and the pieces of documents not yet complete.
    """
    listed = None if ids is None else sorted(set(ids))
    small = listed is not None and len(listed) < _SMALL_READ
    trees = Trees(objects) if small else Trees(objects, window=WHOLE)
    wanted = []
    for conversation, node in trees.documents(root, listed):
        if isinstance(node, Problem):
            yield node
        else:
            wanted.append(_Wanted(conversation, node))
    yield from _Gathering(objects, wanted).run()


def load_nodes(objects: Objects, nodes: Iterable[tuple[str, Node]]) -> Iterator[VaultDocument | Problem]:
    """The bytes of files of which the nodes are known, under the names given, as load_documents gives documents."""
    yield from _Gathering(objects, [_Wanted(name, node) for name, node in nodes]).run()


class _Gathering:
    """Fetches the blobs of many documents, pack by pack, and gives each document when its last piece came."""

    def __init__(self, objects: Objects, wanted: list[_Wanted]) -> None:
        self._objects = objects
        self._wanted = wanted
        self._users: dict[str, list[_Wanted]] = defaultdict(list)
        self._late: list[_Wanted] = []
        self._held = 0

    def run(self) -> Iterator[VaultDocument | Problem]:
        whole = []
        for document in self._wanted:
            if any(self._place(piece) is None for piece in document.content):
                yield _damaged(document, "A part of it is missing from the vault.")
            else:
                whole.append(document)
        for document in whole:
            if not document.content:
                yield _document(document, b"")
            for piece in document.pieces:
                self._users[piece].append(document)
        self._wanted = []
        for span, data in _ahead(self._objects.pool(1), self._spans(), self._fetch):
            for piece, place in span.blobs:
                at = place.offset - span.start
                yield from self._came(piece, span.pack, place.size, data[at : at + place.length])
        for document in self._late:
            yield self._one_by_one(document)

    def _place(self, piece: str) -> Location | None:
        try:
            return self._objects.locate("data", bytes.fromhex(piece))
        except ValueError:
            return None

    def _spans(self) -> Iterator[_Span]:
        by_pack: dict[int, list[tuple[str, Location]]] = defaultdict(list)
        for piece in self._users:
            place = self._place(piece)
            if place is not None:
                by_pack[place.pack].append((piece, place))
        named = [(self._objects.index.pack_name(pack), blobs) for pack, blobs in by_pack.items()]
        for name, blobs in named:
            blobs.sort(key=lambda blob: blob[1].offset)
            span: _Span | None = None
            for piece, place in blobs:
                end = place.offset + place.length
                if span is None or place.offset - span.end > GAP or end - span.start > MAX_OBJECT:
                    if span is not None:
                        yield span
                    span = _Span(name, place.offset, end, [])
                span.blobs.append((piece, place))
                span.end = max(span.end, end)
            if span is not None:
                yield span

    def _fetch(self, span: _Span) -> bytes:
        try:
            return self._objects.fetch_packed(span.pack, start=span.start, length=span.end - span.start)
        except Damaged:
            return b""  # every blob of it will be found to be cut short

    def _came(self, piece: str, pack: str, size: int, sealed: bytes) -> Iterator[VaultDocument | Problem]:
        opened: bytes | Problem | None = None
        for document in self._users[piece]:
            if len(document.content) == 1:
                opened = opened if opened is not None else self._open(piece, pack, size, sealed, document)
                yield _document(document, opened) if isinstance(opened, bytes) else _damaged(document, opened.what)
            elif not document.late:
                yield from self._hold(document, piece, sealed)

    def _open(self, piece: str, pack: str, size: int, sealed: bytes, document: _Wanted) -> bytes | Problem:
        try:
            return open_blob(self._objects.seal, sealed, blob_id=bytes.fromhex(piece), size=size)
        except Damaged as error:
            with contextlib.suppress(Damaged):
                return self._objects.read_elsewhere("data", bytes.fromhex(piece), damaged=pack)
            return _damaged(document, error.what)

    def _hold(self, document: _Wanted, piece: str, sealed: bytes) -> Iterator[VaultDocument | Problem]:
        document.parts = document.parts or {}
        document.parts[piece] = sealed
        self._held += len(sealed)
        if len(document.parts) == len(document.pieces):
            self._held -= document.held
            yield self._join(document)
        elif self._held > _HELD:  # too many pieces wait for others: this one is fetched by itself, at the end
            self._held -= document.held
            document.parts = None
            document.late = True
            self._late.append(document)

    def _join(self, document: _Wanted) -> VaultDocument | Problem:
        parts = []
        held, document.parts = document.parts or {}, None
        for piece in document.content:
            place = self._place(piece)
            pack = self._objects.index.pack_name(place.pack) if place else ""
            opened = self._open(piece, pack, place.size, held[piece], document) if place else b""
            if isinstance(opened, Problem):
                return opened
            parts.append(opened)
        return _document(document, b"".join(parts))

    def _one_by_one(self, document: _Wanted) -> VaultDocument | Problem:
        try:
            pieces = [self._objects.read_blob("data", bytes.fromhex(p)) for p in document.content]
        except Damaged as error:
            return _damaged(document, error.what)
        return _document(document, b"".join(pieces))


def _document(document: _Wanted, data: bytes) -> VaultDocument:
    return VaultDocument(document.id, document.time, data)


def _damaged(document: _Wanted, what: str) -> Problem:
    return Problem(f"conversation {document.id}", what)


def _ahead(pool: Executor, spans: Iterable[_Span], fetch: Callable[[_Span], bytes]) -> Iterator[tuple[_Span, bytes]]:
    """Each span with its bytes; the next is fetched while one is worked on."""
    with pool:
        waiting: deque[tuple[_Span, Future[bytes]]] = deque()
        for span in spans:
            waiting.append((span, pool.submit(fetch, span)))
            if len(waiting) > 1:
                ready, future = waiting.popleft()
                yield ready, future.result()
        while waiting:
            ready, future = waiting.popleft()
            yield ready, future.result()


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
