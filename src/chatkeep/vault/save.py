"""Saving an archive: what the vault does not hold yet becomes packs, then an index object, then a snapshot.

The tree of the whole archive is computed anew each time from ids, revisions and times; that is quick, and a folder
that did not change comes out as a blob that the vault has. So nothing need be remembered to be exact, and what the
cache holds only saves time. Nothing is written when the tree is that of the host's newest snapshot.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

from chatkeep.errors import Damaged, NotFound, Problem, WrongUse
from chatkeep.vault import snapshot as snapshots
from chatkeep.vault.chunk import ATTACHMENT_PIECE, CUT_ABOVE
from chatkeep.vault.contents import Contents, Entry, VaultAttachment, ZstdFrame
from chatkeep.vault.index import GRACE
from chatkeep.vault.lock import SharedLock
from chatkeep.vault.objects import Objects, pack_name
from chatkeep.vault.pack import Pack
from chatkeep.vault.packing import Packing, Prepared
from chatkeep.vault.snapshot import Snapshot
from chatkeep.vault.tree import NO_TIME, TreeBuilder, check_node_name, file_node, folder_node, node_time
from chatkeep.vault.trees import ATTACHMENTS, CONVERSATIONS, MANIFEST, SUFFIX, TOMBSTONES, Trees

MANIFEST_FORMAT = 1
_ID = re.compile(r"[0-9a-f]{3}[0-9a-f-]{0,125}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_OF_NOTHING = hashlib.sha256(b"").hexdigest()
_MORE_TRIES = 2
LONGEST_RUN = GRACE / 2
"""A run that lasts longer looks at the index again before it writes its snapshot."""
_TELL_EVERY = 100
_LOADED_AT_ONCE = 64

Progress = Callable[[int, int], None]
"""Called with (documents saved, documents to save) now and then; what it raises ends the run cleanly."""


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did.

    snapshot: the new one, or the newest of the host when nothing had changed (`unchanged`).
    conversations: how many the snapshot holds. new_documents, new_attachments: stored by this run.
    bytes_sent, requests: all that went to the storage and all calls to it, with locks and checks.
    verified: after the commit all that this run wrote was seen in the vault, and nothing that the snapshot names is
    known to be damaged (`damaged`).
    problems: what could not be saved; each names its conversation or attachment.
    """

    snapshot: Snapshot
    unchanged: bool = False
    conversations: int = 0
    new_documents: int = 0
    new_attachments: int = 0
    bytes_sent: int = 0
    requests: int = 0
    verified: bool = True
    damaged: bool = False
    problems: list[Problem] = []


class _TookTooLong(Exception):
    """What was read of the index when the run began is too old to build upon."""


def save(
    objects: Objects,
    contents: Contents,
    *,
    host: str,
    parents: Sequence[Snapshot] = (),
    progress: Progress | None = None,
) -> Saved:
    """Save an archive. See Vault.save."""
    if not host:
        raise WrongUse("A backup needs the name of its host.")
    run = _Run(objects, contents, host, parents, progress or (lambda done, total: None))
    saved = run.attempt_in_time()
    for _ in range(_MORE_TRIES):
        if saved.verified or saved.damaged:
            break
        saved = run.attempt_in_time(force=True)
    return saved


class _File(msgspec.Struct):
    """What a node needs: the plain size, and the ids of the blobs in hex."""

    size: int
    content: list[str]


class _Run:
    """One call of save: what it was given, and what it has found out so far."""

    def __init__(
        self, objects: Objects, contents: Contents, host: str, parents: Sequence[Snapshot], progress: Progress
    ) -> None:
        self._objects = objects
        self._load, self._frames = contents.load, contents.frames
        self._entries = list(contents.entries)
        self._attachments = sorted(contents.attachments, key=lambda a: a.sha256)
        self._tombstones = {name: contents.tombstones[name] for name in sorted(contents.tombstones)}
        self._counts = dict(contents.counts)
        self._host = host
        self._merged = {parent.host: parent.sequence for parent in parents if parent.host != host}
        self._progress = progress
        self._begun = objects.clock()
        self._requests, self._sent = objects.storage.requests, objects.storage.sent
        _check(self._entries, self._attachments, self._tombstones)

    def attempt_in_time(self, *, force: bool = False) -> Saved:
        """Try until a try is quick enough. What one of them sent is in the index, so the next one has less to do."""
        while True:
            with contextlib.suppress(_TookTooLong):
                return self.attempt(force=force)

    def attempt(self, *, force: bool = False) -> Saved:
        """One try. force: write a snapshot even if it names the same tree as the one before."""
        self._files: dict[str, _File] = {}
        self._whole: dict[str, int] = {}
        self._older: dict[str, tuple[_File, str] | None] = {}
        self._problems: list[Problem] = []
        self._damaged = False
        self._new_documents = self._new_attachments = 0
        self._trees = Trees(self._objects)
        self._force = force
        looked = not force and not self._surely_changed()
        if looked:
            self._look()
            if self._is_unchanged():
                return self._saved(self._newest, unchanged=True)
        with SharedLock(self._objects, host=self._host) as lock:
            self._look(again=looked)
            if not force and self._is_unchanged():
                return self._saved(self._newest, unchanged=True)
            with Packing(self._objects, before_put=lock.renew) as packing:
                return self._write(packing)

    def _surely_changed(self) -> bool:
        """Whether what this machine remembers of the vault lacks something: then the lock can come first."""
        return len(self._objects.index) > 0 and next(self._unknown(), None) is not None

    def _look(self, *, again: bool | None = None) -> None:
        """Read what is new, snapshots first. again: under the lock, which heard the feed; True when we looked before.

        The chain of our host is ours alone, so a second look at the snapshots is worth no listing.
        """
        if not again or self._objects.names.remembers:
            self._snapshots = self._objects.refresh_snapshots(looked=again is not None)
            self._newest = newest(self._snapshots, self._host)
        self._looked_at = self._objects.clock()
        gone = self._objects.refresh_index(looked=True)
        if gone | self._objects.find_missing_packs():
            self._forget()

    def _forget(self) -> None:
        """What was known of files may not be true any more."""
        self._files.clear()
        self._whole.clear()

    def _must_be_in_time(self) -> None:
        """A pack that was doomed since we looked may be deleted a day later; by then our snapshot must be seen."""
        if abs(self._objects.clock() - self._looked_at) > LONGEST_RUN:
            raise _TookTooLong

    def _is_unchanged(self) -> bool:
        """Whether all of it is in the vault as the tree of the host's newest snapshot. Costs no request."""
        if self._newest is None or next(self._unknown(), None) is not None:
            return False
        if not all(self._known(a.sha256, most=ATTACHMENT_PIECE) for a in self._attachments if a.open is not None):
            return False
        builder = TreeBuilder(lambda blob_id: self._objects.index.has("tree", blob_id))
        return self._tree(builder) == self._newest.tree and not builder.made

    def _saved(self, snapshot: Snapshot | None, *, unchanged: bool = False, verified: bool = True) -> Saved:
        assert snapshot is not None
        return Saved(
            snapshot=snapshot,
            unchanged=unchanged,
            conversations=snapshot.counts.get("conversations", 0),
            new_documents=self._new_documents,
            new_attachments=self._new_attachments,
            bytes_sent=self._objects.storage.sent - self._sent,
            requests=self._objects.storage.requests - self._requests,
            verified=verified and not self._damaged,
            damaged=self._damaged,
            problems=[*self._problems, *self._lost(), *self._objects.problems],
        )

    # What the vault holds

    def _unknown(self) -> Iterator[Entry]:
        """The conversations that the vault does not hold as they are now."""
        size = self._objects.index.data_size
        for entry in self._entries:
            if not 0 <= size(bytes.fromhex(entry[1])) <= CUT_ABOVE and not self._known(entry[1]):
                yield entry

    def _known(self, revision: str, *, most: int = CUT_ABOVE) -> _File | None:
        """The file of a document or attachment of this hash, if the vault holds all of it.

        most: what is longer is held in pieces. The same bytes in one blob, from another program, do not count: equal
        archives shall have equal trees.
        """
        if (size := self._whole.get(revision)) is not None:
            return _File(size, [revision])
        found = self._files.get(revision) or self._look_up(revision, most)
        if found and found.content != [revision]:
            self._files[revision] = found
        return found

    def _look_up(self, revision: str, most: int) -> _File | None:
        index = self._objects.index
        size = index.data_size(bytes.fromhex(revision))
        if 0 <= size <= most:
            return _File(size, [revision])
        if cuts := self._objects.cuts.get(revision):
            sizes = [index.data_size(piece) for piece in cuts]
            return _File(sum(sizes), [piece.hex() for piece in cuts]) if min(sizes) >= 0 else None
        return _File(0, []) if revision == _OF_NOTHING else None

    # Writing

    def _write(self, packing: Packing) -> Saved:
        packing.resume()
        self._write_documents(packing)
        self._write_attachments(packing)
        small = [*self._tombstones.values(), self._manifest()]
        new_small = packing.add_plain("data", ((hashlib.sha256(data).digest(), data) for data in small if data))
        builder = TreeBuilder(lambda blob_id: packing.has("tree", blob_id), partial(packing.add_plain, "tree"))
        root = self._tree(builder)
        nothing_new = not (builder.made or new_small or self._new_documents or self._new_attachments)
        if nothing_new and not self._force and self._newest and self._newest.tree == root:
            return self._saved(self._newest, unchanged=True)
        packing.flush("data")
        builder.flush()
        packing.flush("tree")
        packing.publish()
        self._must_be_in_time()
        snapshot = self._commit(packing, root, builder)
        self._remember_cuts()
        return self._saved(snapshot, verified=self._verify(packing))

    def _write_documents(self, packing: Packing) -> None:
        wanted = {entry[0]: entry[1] for entry in self._unknown()}
        self._progress(0, len(wanted))
        for done, prepared in enumerate(packing.documents(self._loaded(wanted)), 1):
            if prepared.revision == wanted[prepared.id]:
                self._take(prepared, wanted[prepared.id])
                self._new_documents += prepared.stored
            if done % _TELL_EVERY == 0 or done == len(wanted):
                self._progress(done, len(wanted))
        for conversation, revision in wanted.items():
            if revision not in self._files and revision not in self._whole:
                self._keep_older(conversation)

    def _loaded(self, wanted: dict[str, str]) -> Iterator[tuple[str, bytes | ZstdFrame]]:
        waiting = iter(wanted)
        while batch := list(itertools.islice(waiting, _LOADED_AT_ONCE)):
            frames = self._frames(batch)
            for conversation in batch:
                try:
                    yield conversation, frames.get(conversation) or self._load(conversation)
                except (Damaged, NotFound) as error:
                    self._problems.append(Problem(f"conversation {conversation}", error.what))

    def _take(self, prepared: Prepared, revision: str) -> None:
        """Notes what was packed: of most documents, which are one piece, the size says all."""
        pieces = [piece.hex() for piece in prepared.pieces]
        if pieces == [revision]:
            self._whole[revision] = prepared.size
            return
        if len(pieces) > 1:
            self._objects.cuts[revision] = prepared.pieces
        self._files[revision] = _File(prepared.size, pieces)

    def _keep_older(self, conversation: str) -> None:
        """Bytes that do not fit their revision are never saved; the version of the snapshot before stays."""
        node = None
        if self._newest is not None:
            with contextlib.suppress(Damaged):
                node = self._trees.document(self._newest.tree, conversation)
        self._older[conversation] = (_File(node.size, node.content or []), node.mtime) if node else None
        if node and not all(self._objects.index.has("data", bytes.fromhex(piece)) for piece in node.content or []):
            self._damaged = True
        what = "Its bytes are not those of its revision, so it was not saved."
        kept = " The version of the backup before was kept." if node else ""
        self._problems.append(Problem(f"conversation {conversation}", what + kept))

    def _write_attachments(self, packing: Packing) -> None:
        for attachment in self._attachments:
            if self._known(attachment.sha256, most=ATTACHMENT_PIECE):
                continue
            packed = attachment.open is not None and self._pack_attachment(packing, attachment)
            if not packed:
                self._find_attachment(attachment.sha256)

    def _pack_attachment(self, packing: Packing, attachment: VaultAttachment) -> bool:
        assert attachment.open is not None
        whole, pieces, size, new = hashlib.sha256(), [], 0, 0
        try:
            with attachment.open() as file:
                while data := file.read(ATTACHMENT_PIECE):
                    whole.update(data)
                    size += len(data)
                    pieces.append(hashlib.sha256(data).digest() if size > len(data) else whole.digest())
                    new += packing.add_plain("data", [(pieces[-1], data)])
        except (OSError, Damaged, NotFound):
            return False
        if whole.hexdigest() != attachment.sha256:
            return False
        self._take(Prepared(attachment.sha256, attachment.sha256, size, pieces, [], new > 0), attachment.sha256)
        self._new_attachments += new > 0
        return True

    def _find_attachment(self, sha256: str) -> None:
        """Look for an attachment that is not here in the newest snapshot of each host, then in all others."""
        ours = [snapshot for snapshot in self._snapshots if not snapshot.foreign]
        newest_of_each = {snapshot.host: snapshot.tree for snapshot in ours}
        for root in dict.fromkeys([*newest_of_each.values(), *(snapshot.tree for snapshot in reversed(ours))]):
            with contextlib.suppress(Damaged):
                node = self._trees.attachment(root, sha256)
                if node is not None:
                    pieces = [bytes.fromhex(piece) for piece in node.content or []]
                    self._take(Prepared(sha256, sha256, node.size, pieces, [], False), sha256)
                    if not all(self._objects.index.has("data", piece) for piece in pieces):
                        self._is_damaged(f"attachment {sha256}")
                    return

    def _is_damaged(self, where: str) -> None:
        self._damaged = True
        what = "Its bytes in the vault are damaged, and this machine does not hold it. A device that does can mend it."
        self._problems.append(Problem(where, what))

    def _lost(self) -> list[Problem]:
        what = "It is held neither here nor in the vault, or its bytes are not what they were."
        lost = (a.sha256 for a in self._attachments if not self._known(a.sha256, most=ATTACHMENT_PIECE))
        return [Problem(f"attachment {sha256}", what) for sha256 in lost]

    # The tree

    def _tree(self, builder: TreeBuilder) -> str:
        """The id of the root of the archive; the builder gets the trees."""
        tops = {
            ATTACHMENTS: self._attachment_nodes(builder),
            CONVERSATIONS: self._conversation_nodes(builder),
            TOMBSTONES: self._tombstone_nodes(builder),
        }
        nodes = [folder_node(name, tree) for name, tree in tops.items() if tree]
        manifest = self._manifest()
        file = file_node(MANIFEST, time=NO_TIME, size=len(manifest), content=[hashlib.sha256(manifest).hexdigest()])
        nodes.insert(sum(name < MANIFEST for name, tree in tops.items() if tree), file)
        return builder.add(nodes)

    def _conversation_nodes(self, builder: TreeBuilder) -> str:
        folders: dict[str, list[Entry]] = defaultdict(list)
        for entry in self._entries:
            folders[entry[0][:3]].append(entry)
        leaves = {
            path: tree for path, entries in sorted(folders.items()) if (tree := self._leaf(builder, path, entries))
        }
        return builder.fan_out(leaves) if leaves else ""

    def _leaf(self, builder: TreeBuilder, path: str, entries: list[Entry]) -> str:
        """The id of the tree of some conversations. A warm vault remembers it while they are the same."""
        before, tree = self._objects.leaves.get(path, ([], ""))
        if before == entries and self._objects.index.has("tree", bytes.fromhex(tree)):
            builder.built += 1
            return tree
        nodes = sorted(filter(None, map(self._node, entries)))
        tree = builder.add([node for _, node in nodes]) if nodes else ""
        if len(nodes) == len(entries) and not any(entry[0] in self._older for entry in entries):
            self._objects.leaves[path] = (entries, tree)
        return tree

    def _node(self, entry: Entry) -> tuple[str, str] | None:
        conversation, revision, time = entry
        file = self._known(revision)
        if file is None:
            file, time = self._older.get(conversation) or (None, "")
        if file is None:
            return None
        name = conversation + SUFFIX
        return name, file_node(name, time=node_time(time), size=file.size, content=file.content)

    def _attachment_nodes(self, builder: TreeBuilder) -> str:
        folders: dict[str, list[str]] = defaultdict(list)
        for attachment in self._attachments:
            file = self._known(attachment.sha256, most=ATTACHMENT_PIECE)
            if file is not None:
                node = file_node(attachment.sha256, time=NO_TIME, size=file.size, content=file.content)
                folders[attachment.sha256[:2]].append(node)
        nodes = [folder_node(name, builder.add(files)) for name, files in sorted(folders.items())]
        return builder.add(nodes) if nodes else ""

    def _tombstone_nodes(self, builder: TreeBuilder) -> str:
        nodes = [
            file_node(name, time=NO_TIME, size=len(data), content=[hashlib.sha256(data).hexdigest()] if data else [])
            for name, data in self._tombstones.items()
        ]
        return builder.add(nodes) if nodes else ""

    def _all_counts(self) -> dict[str, int]:
        lost = sum(1 for older in self._older.values() if older is None)
        held = len(self._attachments) - len(self._lost())
        counts = {"conversations": len(self._entries) - lost, "attachments": held, "tombstones": len(self._tombstones)}
        return {**self._counts, **counts}

    def _manifest(self) -> bytes:
        """A pure function of the content, like the whole tree: the chain of snapshots stands in the snapshots."""
        manifest = {"counts": self._all_counts(), "format": MANIFEST_FORMAT}
        return msgspec.json.encode(manifest, order="sorted")

    # The commit

    def _commit(self, packing: Packing, root: str, builder: TreeBuilder) -> Snapshot:
        before = self._newest
        snapshot = Snapshot(
            id="",
            time=max(self._begun, before.time) if before else self._begun,
            host=self._host,
            tree=root,
            parent=before.id if before else "",
            sequence=before.sequence + 1 if before else 1,
            counts=self._all_counts(),
            merged={**(before.merged if before else {}), **self._merged},
        )
        return self._objects.put_snapshot(snapshots.to_object(snapshot, summary=self._summary(packing, builder)))

    def _summary(self, packing: Packing, builder: TreeBuilder) -> dict[str, Any]:
        files = len(self._entries) + len(self._attachments) + len(self._tombstones) + 1
        new = self._new_documents + self._new_attachments
        return {
            "backup_start": snapshots.format_time(self._begun),
            "backup_end": snapshots.format_time(self._objects.clock()),
            "files_new": new,
            "files_changed": 0,
            "files_unmodified": files - new,
            "dirs_new": builder.made,
            "dirs_changed": 0,
            "dirs_unmodified": builder.built - builder.made,
            "data_blobs": packing.blobs["data"],
            "tree_blobs": packing.blobs["tree"],
            "data_added": packing.plain_bytes,
            "data_added_packed": sum(packing.packs.values()),
            "total_files_processed": files,
            "total_bytes_processed": self._size(),
        }

    def _size(self) -> int:
        """The plain size of all documents and attachments [bytes]."""
        size = self._objects.index.data_size
        hashes = itertools.chain((entry[1] for entry in self._entries), (a.sha256 for a in self._attachments))
        sizes = ((revision, size(bytes.fromhex(revision))) for revision in hashes)
        return sum(n if n >= 0 else file.size if (file := self._files.get(revision)) else 0 for revision, n in sizes)

    def _remember_cuts(self) -> None:
        used = {entry[1] for entry in self._entries} | {attachment.sha256 for attachment in self._attachments}
        self._objects.remember_cuts(used)

    def _verify(self, packing: Packing) -> bool:
        """Whether all that this run wrote, and relied on, is in the vault after the commit.

        A prune that did not see our lock may have taken packs that no index named yet. They are sent again from the
        spool; what is not there is no longer named, so that the next attempt writes it again.
        """
        objects = self._objects
        told = objects.names.look()
        vanished = [pack_id for pack_id, size in packing.packs.items() if not self._is_there(pack_id, size, told=told)]
        lost = [pack_id for pack_id in vanished if not self._send_again(pack_id)]
        if lost:
            rows = objects.index.packs_by_name()
            left = [pack_id for pack_id in packing.published if pack_id not in lost]
            packs = [Pack(pack_id, b"", objects.index.packed_blobs(rows[pack_id])) for pack_id in left]
            objects.replace_index(packing.indexes, packs)
            return False
        if not objects.refresh_index(looked=told):
            objects.spool.tidy(objects.index.packs_by_name())
            return True
        self._forget()
        self._newest = newest(objects.refresh_snapshots(looked=told), self._host)
        return self._is_unchanged()

    def _is_there(self, pack_id: str, size: int, *, told: bool) -> bool:
        return (told and self._objects.names.was_seen(pack_name(pack_id))) or self._objects.has_pack(pack_id, size)

    def _send_again(self, pack_id: str) -> bool:
        data = self._objects.spool.get(pack_id)
        return data is not None and self._objects.put_pack(Pack(pack_id, data, [])) == len(data)


def newest(found: list[Snapshot], host: str) -> Snapshot | None:
    """The last snapshot of a host's own chain, or None."""
    own = [snapshot for snapshot in found if snapshot.host == host and not snapshot.foreign]
    return max(own, key=lambda snapshot: (snapshot.sequence, snapshot.time), default=None)


def _check(entries: list[Entry], attachments: list[VaultAttachment], tombstones: dict[str, bytes]) -> None:
    """Refuse what would make a tree that cannot be read. Raises WrongUse."""
    ids = {conversation for conversation, _, _ in entries}
    if len(ids) != len(entries) or len({a.sha256 for a in attachments}) != len(attachments):
        raise WrongUse("A conversation or attachment was given twice.")
    for conversation, revision, _ in entries:
        if not _ID.fullmatch(conversation) or not _HASH.fullmatch(revision):
            raise WrongUse("A conversation needs an id of hex digits and dashes, and a SHA-256 as revision.")
    if not all(_HASH.fullmatch(attachment.sha256) for attachment in attachments):
        raise WrongUse("An attachment is named by its SHA-256.")
    for name in tombstones:
        check_node_name(name)
