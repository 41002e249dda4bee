"""From documents to packs in the vault: one thread hashes and compresses, this one seals and packs, one puts.

Sealing is quicker in one thread than in two, compressing in its own. Every sealed blob is opened again and compared
with what went in before it leaves, so that a fault in memory or in a library is found while the document is at hand.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType

import msgspec
import zstandard

from chatkeep.errors import Damaged, Unavailable
from chatkeep.frames import expand
from chatkeep.vault.chunk import CUT_ABOVE, cut
from chatkeep.vault.contents import ZstdFrame
from chatkeep.vault.index import MOST_BLOBS
from chatkeep.vault.objects import Objects
from chatkeep.vault.pack import Kind, Pack, PackBuilder, header_span, read_header
from chatkeep.vault.sealed import LEVEL

_BATCH_BYTES = 2 * 1024 * 1024
_BATCH_COUNT = 256
_PUTS_WAITING = 2
_MOST_UNNAMED = 256 * 1024 * 1024
"""Packs are named in an index object when there are so many bytes of them, so that a crash does not cost more."""


class Blob(msgspec.Struct):
    """A blob on its way: its id, its plain text with its size [bytes], and its zstd frame.

    plain: None when the frame was already seen to give it.
    """

    id: bytes
    plain: bytes | None
    size: int
    frame: bytes


class Prepared(msgspec.Struct):
    """A document, hashed and cut.

    revision: of the bytes that came. pieces: all of its blob ids. new: to be sealed, taken off once they are; stored:
    whether there were any.
    """

    id: str
    revision: str
    size: int
    pieces: list[bytes]
    new: list[Blob]
    stored: bool


class Packing:
    """Takes blobs, and puts packs of them into the vault. A context: leaving it waits for what is on its way."""

    def __init__(self, objects: Objects, *, before_put: Callable[[], None]) -> None:
        self._objects = objects
        self._before_put = before_put
        self._builders: dict[Kind, PackBuilder] = {"data": PackBuilder("data"), "tree": PackBuilder("tree")}
        self._begun: dict[Kind, set[bytes]] = {"data": set(), "tree": set()}
        self._waiting: dict[Kind, dict[bytes, bytes]] = {"data": {}, "tree": {}}
        self._waiting_bytes: dict[Kind, int] = {"data": 0, "tree": 0}
        self._puts: deque[Future[None]] = deque()
        self._finished: list[Pack] = []
        self._unnamed = 0
        self.indexes: list[str] = []
        self.published: list[str] = []
        self.packs: dict[str, int] = {}
        self.plain_bytes = 0
        self.blobs: dict[Kind, int] = {"data": 0, "tree": 0}

    def __enter__(self) -> Packing:
        self._compressing = self._objects.pool(1)
        self._putting = self._objects.pool(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._compressing.shutdown(cancel_futures=True)
        self._putting.shutdown(cancel_futures=True)

    def has(self, kind: Kind, blob_id: bytes) -> bool:
        """Whether the vault holds a blob, or will when this run is done."""
        return blob_id in self._begun[kind] or blob_id in self._waiting[kind] or self._objects.index.has(kind, blob_id)

    def resume(self) -> None:
        """Take in the packs of a run that did not end: sealed, kept here, and named by no index object.

        One that somebody means to delete is left alone: what it holds is sealed anew, under another name.
        """
        objects = self._objects
        for pack_id in objects.spool.waiting(objects.index.packs_by_name()):
            data = objects.spool.get(pack_id) if bytes.fromhex(pack_id) not in objects.index.doomed else None
            if data is None:
                objects.spool.drop([pack_id])
                continue
            blobs = read_header(objects.seal, data[-header_span(data) : -4])
            self.packs[pack_id] = len(data)
            self._before_put()
            if not objects.has_pack(pack_id, len(data)):
                objects.put_pack(Pack(pack_id, data, blobs))
            self._finished.append(Pack(pack_id, b"", blobs))
        if self._finished:
            self.publish()

    # Documents

    def documents(self, loaded: Iterable[tuple[str, bytes | ZstdFrame]]) -> Iterator[Prepared]:
        """Hash, cut, compress, seal and pack documents (id, bytes); each is told of when its blobs are in a pack."""
        waiting: deque[Future[list[Prepared]]] = deque()
        for batch in _batches(loaded):
            waiting.append(self._compressing.submit(self._prepare, batch))
            if len(waiting) > 1:
                yield from self._add_prepared(waiting.popleft().result())
        while waiting:
            yield from self._add_prepared(waiting.popleft().result())

    def _prepare(self, batch: list[tuple[str, bytes | ZstdFrame]]) -> list[Prepared]:
        prepared = [self._cut(conversation, given) for conversation, given in batch]
        new = [(blob, blob.plain) for document in prepared for blob in document.new if blob.plain is not None]
        for (blob, _), frame in zip(new, compress([plain for _, plain in new]), strict=True):
            blob.frame = frame
        return prepared

    def _cut(self, conversation: str, given: bytes | ZstdFrame) -> Prepared:
        data, frame = (given, b"") if isinstance(given, bytes) else (_expand(given), given.data)
        revision = hashlib.sha256(data)
        whole = len(data) <= CUT_ABOVE
        pieces = [data] if whole else cut(data)
        ids = [revision.digest()] if whole else [hashlib.sha256(piece).digest() for piece in pieces]
        new = [
            Blob(blob_id, None, len(piece), frame) if whole and frame else Blob(blob_id, piece, len(piece), b"")
            for blob_id, piece in dict(zip(ids, pieces, strict=True)).items()
            if piece and not self.has("data", blob_id)
        ]
        return Prepared(conversation, revision.hexdigest(), len(data), ids if data else [], new, bool(new))

    def _add_prepared(self, prepared: list[Prepared]) -> list[Prepared]:
        self.add("data", [blob for document in prepared for blob in document.new])
        for document in prepared:
            document.new = []
        return prepared

    # Blobs

    def add_plain(self, kind: Kind, blobs: Iterable[tuple[bytes, bytes]]) -> int:
        """Compress, seal and pack blobs (id, plain text), in order; small ones wait for others, at most for `flush`.

        How many of them the vault does not hold yet.
        """
        new = 0
        for blob_id, plain in blobs:
            if self.has(kind, blob_id):
                continue
            new += 1
            self._waiting[kind][blob_id] = plain
            self._waiting_bytes[kind] += len(plain)
            if self._waiting_bytes[kind] >= _BATCH_BYTES or len(self._waiting[kind]) >= _BATCH_COUNT:
                self._add_waiting(kind)
        return new

    def _add_waiting(self, kind: Kind) -> None:
        waiting, self._waiting[kind], self._waiting_bytes[kind] = self._waiting[kind], {}, 0
        frames = compress([*waiting.values()])
        blobs = zip(waiting.items(), frames, strict=True)
        self.add(kind, [Blob(blob_id, plain, len(plain), frame) for (blob_id, plain), frame in blobs])

    def add(self, kind: Kind, blobs: list[Blob]) -> None:
        """Seal and pack blobs that the vault does not hold yet."""
        fresh = {blob.id: blob for blob in blobs if not self.has(kind, blob.id)}
        sealed_all = self._objects.seal.seal_many([blob.frame for blob in fresh.values()])
        self._verify(list(fresh.values()), sealed_all)
        for blob, sealed in zip(fresh.values(), sealed_all, strict=True):
            self._begun[kind].add(blob.id)
            self._builders[kind].add(blob.id, sealed, size=blob.size)
            self.blobs[kind] += 1
            self.plain_bytes += blob.size
            if self._builders[kind].full:
                self._put(kind)

    def _verify(self, blobs: list[Blob], sealed_all: list[bytes]) -> None:
        for blob, sealed in zip(blobs, sealed_all, strict=True):
            if self._objects.seal.unseal(sealed) != blob.frame:
                raise Damaged("A blob did not survive sealing; the memory of this machine may be faulty.")
        for blob in blobs:
            if blob.plain is not None and expand(blob.frame, size=blob.size) != blob.plain:
                raise Damaged("A blob did not survive compressing; the memory of this machine may be faulty.")

    def _put(self, kind: Kind) -> None:
        pack = self._builders[kind].finish(self._objects.seal)
        self._builders[kind] = PackBuilder(kind)
        self.packs[pack.id] = len(pack.data)
        self._before_put()
        self._puts.append(self._putting.submit(self._send, pack))
        self._finished.append(msgspec.structs.replace(pack, data=b""))
        self._unnamed += len(pack.data)
        while len(self._puts) >= _PUTS_WAITING:
            self._puts.popleft().result()
        if sum(len(pack.blobs) for pack in self._finished) >= MOST_BLOBS or self._unnamed >= _MOST_UNNAMED:
            self.publish()

    def _send(self, pack: Pack) -> None:
        """Put a pack, and keep it here. What the storage has of it must be all of it."""
        if self._objects.send_pack(pack) != len(pack.data) and self._objects.put_pack(pack) != len(pack.data):
            raise Unavailable("The storage keeps only a part of what it is sent.")

    def flush(self, kind: Kind) -> None:
        """Put the pack that is still open, with what waits for it."""
        self._add_waiting(kind)
        if self._builders[kind].length:
            self._put(kind)

    def publish(self) -> None:
        """Wait until all packs so far are durable, then name them in an index object."""
        while self._puts:
            self._puts.popleft().result()
        packs = self._objects.unindexed + self._finished
        if packs:
            self._before_put()
            self.indexes.append(self._objects.put_index(packs))
            self.published += [pack.id for pack in packs]
            self._objects.unindexed, self._finished, self._unnamed = [], [], 0


def compress(plains: list[bytes]) -> list[bytes]:
    """The zstd frame of each."""
    if len(plains) < 2:
        return [zstandard.ZstdCompressor(level=LEVEL).compress(plain) for plain in plains]
    frames = zstandard.ZstdCompressor(level=LEVEL).multi_compress_to_buffer([*plains], threads=1)
    return [frames[i].tobytes() for i in range(len(plains))]


def _expand(given: ZstdFrame) -> bytes:
    try:
        return expand(given.data, size=given.size)
    except zstandard.ZstdError:
        return b""  # its revision will not fit, and that is how it is told of


def _batches(loaded: Iterable[tuple[str, bytes | ZstdFrame]]) -> Iterator[list[tuple[str, bytes | ZstdFrame]]]:
    batch: list[tuple[str, bytes | ZstdFrame]] = []
    size = 0
    for conversation, given in loaded:
        batch.append((conversation, given))
        size += len(given) if isinstance(given, bytes) else given.size
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_COUNT:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
