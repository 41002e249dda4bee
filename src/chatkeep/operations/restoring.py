"""Conversations back from a vault: looked at and built beside the archive first, applied as one undoable operation."""

from __future__ import annotations

import contextlib
import io
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from chatkeep import views
from chatkeep.archive import Archive
from chatkeep.errors import ChatkeepError, Damaged, NotFound, Problem, WrongUse
from chatkeep.merge import merge
from chatkeep.model import Conversation, Message, Part, decode, encode, revision
from chatkeep.operations.progress import Cancelled, Progress, Step, quiet
from chatkeep.operations.reports import Change, RestoreReport
from chatkeep.selection import moment
from chatkeep.vault import Snapshot, Vault, VaultDocument
from chatkeep.vault.snapshot import format_time

_LENGTH = struct.Struct(">I")
_WHOLE_ID = 36
_AT_ONCE = 200
_BATCH_BYTES = 1024 * 1024


def restore(
    archive: Archive,
    vault: Vault,
    *,
    beside: Path,
    snapshot: str = "",
    as_of: str = "",
    conversations: Sequence[str] = (),
    replace: bool = False,
    dry_run: bool = False,
    progress: Progress = quiet,
) -> RestoreReport:
    """Bring back everything, or chosen conversations, as they were in a snapshot.

    snapshot: its id or the beginning of it; as_of: the newest one not after that date or time; else the newest.
    conversations: ids, or beginnings of ids; none means all.
    By merge (the default) nothing that is here is lost. With `replace` each conversation becomes exactly what the
    snapshot has; conversations that the snapshot does not have are not touched.
    dry_run: only says what would change.

    All documents are fetched and verified into a file in the folder `beside` before the archive is touched. Then one
    operation applies them, which can be undone by its receipt. What is damaged becomes a problem and all else comes.
    Raises NotFound when there is no such snapshot or conversation, and what the storage raises; nothing changed then.
    """
    progress(Step("Looking for the snapshot"))
    chosen = choose(vault, snapshot=snapshot, as_of=as_of)
    wanted = sorted({meant(one, vault, chosen) for one in conversations}) if conversations else None
    with _Beside(beside) as documents, _Beside(beside) as revisions:
        plan = _Plan(archive, vault, chosen, documents, revisions, replace=replace)
        plan.gather(wanted, progress)
        if dry_run:
            return plan.report(dry_run=True)
        plan.fetch_attachments(progress)
        plan.apply(progress)
        plan.verify()
        progress(Step("Done"))
        return plan.report(dry_run=False)


def unread(vault: Vault) -> list[Problem]:
    """A problem for each snapshot that is there and cannot be read: it may be newer than the one that was chosen."""
    what = "It is there and cannot be read, so nobody knows how new it is. The others were looked at without it."
    return [Problem(f"snapshot {one[:8]}", what) for one in vault.unread()]


_WITHOUT = "Look what is damaged with: chatkeep check. If this machine has the conversations, back up again."


def choose(vault: Vault, *, snapshot: str = "", as_of: str = "") -> Snapshot:
    """The snapshot that is meant. Raises NotFound, and WrongUse when the beginning of an id means several."""
    found = sorted((one for one in vault.snapshots() if not one.foreign), key=lambda one: one.time)
    if snapshot and any(one.startswith(snapshot) for one in vault.unread()):
        raise Damaged(f"The snapshot {snapshot[:8]} is there and cannot be read.", hint=_WITHOUT)
    if not found and vault.unread():
        raise Damaged("There are backups in this vault, and none can be read.", hint=_WITHOUT)
    if not found:
        raise NotFound("There is no backup in this vault yet.", hint="Make one with: chatkeep backup")
    if snapshot:
        meant = [one for one in found if one.id.startswith(snapshot) or one.original.startswith(snapshot)]
        if len(meant) > 1:
            raise WrongUse(f"{len(meant)} snapshots begin with {snapshot!r}.", hint="Give more of the id.")
        if not meant:
            raise NotFound(f"No snapshot is called {snapshot!r}.", hint="See them with: chatkeep snapshots")
        return meant[0]
    if as_of:
        latest = moment(as_of, after=True)
        found = [one for one in found if format_time(one.time) < latest]
        if not found:
            raise NotFound(f"There was no backup yet on {as_of}.", hint="See them with: chatkeep snapshots")
    return found[-1]


def meant(given: str, vault: Vault, snapshot: Snapshot) -> str:
    """The full id of a conversation of the snapshot, by its beginning."""
    found = [given] if len(given) == _WHOLE_ID else vault.conversations(snapshot, prefix=given)
    if len(found) > 1 and given not in found:
        raise WrongUse(f"{len(found)} conversations begin with {given!r}.", hint="Give more of the id.")
    if not found:
        raise _absent(given)
    return given if given in found else found[0]


def _absent(given: str) -> NotFound:
    hint = "Another snapshot may have it (chatkeep snapshots); chatkeep restore --dry-run lists what one would bring."
    return NotFound(f"The snapshot has no conversation {given!r}.", hint=hint)


class _Beside:
    """Bytes in a temporary file, one record after the other: what is too much to be kept in memory."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = cast(BinaryIO, tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> _Beside:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, data: bytes) -> None:
        self._file.write(_LENGTH.pack(len(data)) + data)

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        while length := self._file.read(_LENGTH.size):
            yield self._file.read(_LENGTH.unpack(length)[0])


class _Plan:
    """What a restore found, what it will do, and what came of it.

    documents: filled with those to be applied. revisions: with the id of each conversation that was asked for, a space
    and the revision that it shall have.
    """

    def __init__(
        self,
        archive: Archive,
        vault: Vault,
        snapshot: Snapshot,
        documents: _Beside,
        revisions: _Beside,
        *,
        replace: bool,
    ) -> None:
        self._archive = archive
        self._vault = vault
        self._snapshot = snapshot
        self._documents = documents
        self._revisions = revisions
        self._replace = replace
        self._problems: list[Problem] = []
        self._changes: list[Change] = []
        self._met = 0
        self._untrash: set[str] = set()
        self._attachments: set[str] = set()
        self._kept = 0
        self._messages = 0
        self._expected = 0
        self._restored = 0
        self._receipt = ""
        self._unread = unread(vault)

    # -- before the archive is touched

    def gather(self, wanted: Sequence[str] | None, progress: Progress) -> None:
        """Fetch and verify the documents, and find out what each would change. wanted: ids; None means all."""
        self._expected = self._promised() if wanted is None else len(wanted)
        done = 0
        for batch in _batches(self._vault.load(self._snapshot, ids=wanted)):
            here = self._archive.revisions(found.id for found in batch if isinstance(found, VaultDocument))
            for found in batch:
                progress(Step("Fetching", done, self._expected, "conversations"))
                done += 1
                if isinstance(found, Problem):
                    self._problems.append(found)
                else:
                    self._meet(found, here.get(found.id))
        progress(Step("Fetching", done, self._expected, "conversations"))
        if self._met < self._expected and not self._problems:
            what = f"{self._expected:,} conversations were expected, and {self._met:,} came."
            self._problems.append(Problem(f"snapshot {self._snapshot.id[:8]}", what))

    def _promised(self) -> int:
        """How many conversations the snapshot says it has."""
        try:
            return self._vault.manifest(self._snapshot).counts["conversations"]
        except (NotFound, Damaged, KeyError):
            return self._snapshot.counts.get("conversations", 0)

    def _meet(self, found: VaultDocument, here: str | None) -> None:
        """Look what a document would change. here: the revision of the conversation in the archive."""
        try:
            old = decode(found.data)
            if old.id != found.id:
                raise Damaged("The document is that of another conversation.")
        except ChatkeepError as error:
            self._problems.append(Problem(f"conversation {found.id}", error.what))
            return
        self._attachments |= attachments_of(old)
        if here == revision(found.data):
            self._shall(old.id, here)
            self._messages += len(old.messages)
            return
        present = self._archive.load(old.id) if here else None
        shall = old if present is None or self._replace else merge(present, old)
        self._shall(old.id, _observed(old) if self._replace else revision(encode(shall)))
        self._messages += len(shall.messages)
        if present is not None and views.is_trashed(present) and not views.is_trashed(old):
            self._untrash.add(old.id)
        if present != shall or old.id in self._untrash:
            self._changes.append(_change(present, shall))
            self._documents.add(encode(old))

    def _shall(self, id: str, revision: str) -> None:
        self._met += 1
        self._revisions.add(f"{id} {revision}".encode())

    # -- applying

    def fetch_attachments(self, progress: Progress) -> None:
        """Bring the attachments that are not here. They are named by content, so that nothing is replaced."""
        absent = sorted(self._attachments - {sha256 for sha256, _ in self._archive.held()})
        for number, sha256 in enumerate(absent):
            progress(Step("Fetching", number, len(absent), "attachments"))
            try:
                self._archive.keep(stream_of(self._vault.attachment(self._snapshot, sha256)))
                self._kept += 1
            except (NotFound, Damaged) as error:
                self._problems.append(Problem(f"attachment {sha256[:16]}", error.what))

    def apply(self, progress: Progress) -> None:
        """One operation for all documents. What lay in the trash is taken out, since it was asked for."""
        if not self._changes:
            return
        source = f"restore of snapshot {self._snapshot.id[:8]} of {format_time(self._snapshot.time)[:16]}"
        progress(Step("Applying", 0, len(self._changes), "conversations"))
        told = self._told(progress)
        applied = self._archive.apply(told, replace=self._replace, untrash=self._untrash, source=source)
        self._receipt = applied.receipt

    def _told(self, progress: Progress) -> Iterator[Conversation]:
        """The documents to apply. From the first one on it is too late to stop: the rest takes less than undoing it."""
        for number, data in enumerate(self._documents):
            with contextlib.suppress(Cancelled):
                progress(Step("Applying", number, len(self._changes), "conversations"))
            yield decode(data)

    def verify(self) -> None:
        """Compare what the archive holds now with what it shall hold."""
        replaced = {change.id for change in self._changes} if self._replace else set()
        waiting = iter(self._revisions)
        while some := list(islice(waiting, _AT_ONCE)):
            wanted = dict(record.decode().split(" ") for record in some)
            here = self._archive.revisions(wanted)
            for id, shall in wanted.items():
                found = here.get(id)
                if found and id in replaced:
                    found = _observed(self._archive.load(id))
                if found and (found == shall or id in self._untrash):
                    self._restored += 1
                else:
                    self._problems.append(Problem(f"conversation {id}", "It is not here as it should be now."))

    def report(self, *, dry_run: bool) -> RestoreReport:
        return RestoreReport(
            snapshot=self._snapshot.id,
            time=format_time(self._snapshot.time),
            dry_run=dry_run,
            expected=self._expected,
            restored=self._restored,
            changed=len(self._changes),
            messages=self._messages,
            attachments=self._kept,
            conversations=self._changes,
            receipt=self._receipt,
            problems=[*self._unread, *self._problems],
        )


def _batches(found: Iterable[VaultDocument | Problem]) -> Iterator[list[VaultDocument | Problem]]:
    """What came, a few together, so that the archive is asked once for all of them."""
    batch: list[VaultDocument | Problem] = []
    size = 0
    for one in found:
        batch.append(one)
        size += len(one.data) if isinstance(one, VaultDocument) else 0
        if size >= _BATCH_BYTES or len(batch) >= _AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _observed(conversation: Conversation) -> str:
    """The revision that it would have without what people did: that is set anew by a replacement."""
    return revision(encode(msgspec.structs.replace(conversation, user={})))


def _change(present: Conversation | None, shall: Conversation) -> Change:
    before = {message.id: message for message in present.messages} if present else {}
    after = {message.id: message for message in shall.messages}
    return Change(
        id=shall.id,
        title=views.title(shall),
        new=present is None,
        added=len(after.keys() - before.keys()),
        changed=sum(1 for id in after.keys() & before.keys() if after[id] != before[id]),
        removed=len(before.keys() - after.keys()),
    )


def attachments_of(conversation: Conversation) -> set[str]:
    """The hashes of all attachments that a document names, also in other versions of messages."""
    return {sha256 for message in conversation.messages for sha256 in _of_message(message)}


# Not functions within the one above: those that name themselves are cycles, which a restore of many frees at its end.
def _of_message(message: Message) -> Iterator[str]:
    yield from _of_parts(message.parts)
    for version in message.previous:
        yield from _of_message(version)


def _of_parts(parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        if part.sha256:
            yield part.sha256
        yield from _of_parts(part.parts)


class _Pieces(io.RawIOBase):
    """A stream over pieces that come one by one."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        into = memoryview(cast(bytearray, buffer)).cast("B")
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(into), len(self._rest))
        into[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def stream_of(pieces: Iterator[bytes]) -> BinaryIO:
    """A stream to read of pieces that come one by one."""
    return io.BufferedReader(_Pieces(pieces))
