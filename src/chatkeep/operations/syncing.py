"""Sync: what other devices saved, merged into this archive; then a backup of the result. Two backups and a merge.

Nothing is compared but what is saved, so it works through any storage, for any number of devices, in any order. Only
tombstones delete. docs/design/sync.md says what is read, in which order things are written, and what that buys.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

from chatkeep import happenings
from chatkeep.archive import Archive, Joined
from chatkeep.archive.joining import Joining
from chatkeep.errors import ChatkeepError, Damaged, NotFound, Problem
from chatkeep.model import decode
from chatkeep.operations.backing_up import back_up
from chatkeep.operations.deleting import empty_trash
from chatkeep.operations.lineage import Followed, Lineage, NewHost
from chatkeep.operations.progress import Progress, Step, quiet
from chatkeep.operations.reports import DeleteReport, SyncReport
from chatkeep.operations.restoring import attachments_of, stream_of
from chatkeep.storage import Counting
from chatkeep.vault import Difference, Known, Nodes, Snapshot, Vault, VaultDocument

MOST_DELETED = 100
_SHARE = 5  # one of so many conversations may go without asking


def sync(
    archive: Archive,
    vault: Vault,
    *,
    host: str,
    counting: Counting,
    new_host: NewHost | None = None,
    accept_deletions: bool = False,
    deletions: bool = True,
    now: datetime | None = None,
    progress: Progress = quiet,
) -> SyncReport:
    """Merge what the other devices of a vault have into the archive, then save the archive there.

    host: this device. new_host: gives this machine a new name, when it turns out to be a copy of another one or to
    have been set back. counting: the storage of the vault, whose calls are reported. accept_deletions: also when
    others deleted more than a hundred conversations or a fifth of all; else these are left, and the report says so.
    deletions: False deletes nothing here, neither what others deleted nor what is old in the trash; that is told, and
    comes with a later sync.
    Stopped anywhere it can be run again: what was merged is kept, and cursors move with what they stand for.
    Raises what the storage raises; Busy when another program has the vault to itself.
    """
    progress(Step("Looking for what is new"))
    emptied = empty_trash(archive, now=now or datetime.now(UTC)) if deletions else DeleteReport()
    run = _Sync(archive, vault, host, progress, deletions=deletions)
    run.look(new_host)
    run.pull(most=_most(archive, accept_deletions))
    run.fetch_attachments()
    change = archive.number
    pushed = back_up(archive, vault, host=run.host, counting=counting, parents=run.parents, progress=progress)
    return SyncReport(
        pulled=run.pulled,
        merged=run.joined.added + run.joined.updated,
        conflicts=len(run.joined.conflicts) + len(run.joined.returned),
        deleted=len(run.joined.removed),
        pushed=pushed.new_documents,
        requests=counting.requests,
        snapshot=pushed.snapshot,
        unchanged=pushed.unchanged,
        conversations=pushed.conversations,
        devices=len(run.newest),
        attachments=run.attachments,
        held_back=len(run.joined.held_back) or run.left,
        emptied=emptied.conversations,
        host=run.host,
        backup=pushed,
        change=change,
        problems=[*emptied.problems, *run.problems, *pushed.problems],
    )


def _most(archive: Archive, accept: bool) -> int:
    """How many conversations others may remove here without a person being asked."""
    total = archive.counts().conversations
    return total if accept else max(1, min(MOST_DELETED, total // _SHARE))


class _Sync:
    """One run: what it saw in the vault, and what came of it."""

    def __init__(self, archive: Archive, vault: Vault, host: str, progress: Progress, *, deletions: bool) -> None:
        self.host = host
        self.left = 0
        self._deletions = deletions
        self.pulled = 0
        self.attachments = 0
        self.problems: list[Problem] = []
        self.joined = Joined()
        self.newest: dict[str, Snapshot] = {}
        self._archive = archive
        self._vault = vault
        self._progress = progress
        self._lineage = Lineage(archive, vault.id)
        self._found: dict[str, Difference] = {}
        self._damaged: set[str] = set()
        self._named: dict[str, set[str]] = {}

    @property
    def parents(self) -> list[Snapshot]:
        """What was merged."""
        return [] if self.joined.held_back or self.left else [self.newest[host] for host in self._found]

    # -- what there is

    def look(self, new_host: NewHost | None) -> None:
        """Find the newest snapshot of each device, and whether this one is who it thinks it is."""
        ours = [one for one in self._vault.snapshots() if not one.foreign]
        for snapshot in sorted(ours, key=lambda one: (one.sequence, one.time)):
            self.newest[snapshot.host] = snapshot
        if not self._lineage.is_ours(self.newest.get(self.host)) and new_host:
            self.host = new_host()
            self._archive.device = self.host
        own = self.newest.pop(self.host, None)
        self.problems += self._lineage.set_back(own, self.host)
        self.problems += self._lineage.trouble(ours, self.host)

    # -- pulling

    def pull(self, *, most: int) -> None:
        """Merge what is new in the newest snapshot of each other device."""
        change = self._archive.number
        revisions = {entry.id: entry.revision for entry in self._archive.entries()}
        marks = {id: hashlib.sha256(data).hexdigest() for id, data in self._archive.tombstones()}
        for host, snapshot in sorted(self.newest.items()):
            with self._noting(host):
                followed = self._lineage.followed(host)
                again = self._archive.marked_since(followed.change)
                if followed.merged != snapshot.identity or again:
                    known = Known(revisions=revisions, tombstones=marks, since=followed.merged, again=again)
                    self._found[host] = self._vault.difference(snapshot, known)
        if self._found:
            self._join(change, most)

    @contextlib.contextmanager
    def _noting(self, host: str) -> Iterator[None]:
        """A device whose snapshot is damaged is a problem, and all others are still merged."""
        try:
            yield
        except (Damaged, NotFound) as error:
            self.problems.append(Problem(f"device {host}", error.what))

    def _join(self, change: int, most: int) -> None:
        with self._archive.joining() as joining:
            for host, found in self._found.items():
                self.problems += found.problems
                self._damaged |= {host} if found.problems else set()
                self.left += 0 if self._deletions else len(found.tombstones)
                for item in self._fetched(host, found.tombstones if self._deletions else []):
                    joining.mark(item.id, item.data)
            for host, found in self._found.items():
                joining.host = host
                self._take(host, found, joining)
            self.joined = joining.finish(cursors={} if self.left else self._cursors(change), most=most)
        self.problems += self.joined.problems
        if self.joined.held_back:
            happenings.tell("delete_brake_total")
            self.problems.append(_held_back(len(self.joined.held_back)))
            return
        if self.left:
            self.problems.append(_SWITCHED_OFF)
            return
        for host in self._found.keys() - self._damaged:
            self._vault.remember_merged(self.newest[host], self._found[host])

    def _fetched(self, host: str, nodes: Nodes) -> Iterator[VaultDocument]:
        for item in self._vault.fetch(nodes) if nodes else ():
            if isinstance(item, Problem):
                self.problems.append(item)
                self._damaged.add(host)
            else:
                yield item

    def _take(self, host: str, found: Difference, joining: Joining) -> None:
        total = len(found.documents)
        for item in self._fetched(host, found.documents):
            self._progress(Step("Merging", self.pulled, total, "conversations"))
            self.pulled += 1
            try:
                conversation = decode(item.data)
                if conversation.id != item.id:
                    raise Damaged("The document is that of another conversation.")
            except ChatkeepError as error:
                self.problems.append(Problem(f"conversation {item.id}", error.what))
                self._damaged.add(host)
                continue
            self._named.setdefault(host, set()).update(attachments_of(conversation))
            joining.take(conversation)

    def _cursors(self, change: int) -> dict[str, str]:
        """What was merged in full; a device of which something could not be read is looked at again next time."""
        cursors: dict[str, str] = {}
        for host in self._found.keys() - self._damaged:
            snapshot, before = self.newest[host], self._lineage.followed(host)
            now = Followed(seen=snapshot.sequence, merged=snapshot.identity, change=change, told=before.told)
            cursors.update([self._lineage.cursor(host, now)])
        return cursors

    # -- attachments

    def fetch_attachments(self) -> None:
        """Bring the attachments of what came. One that cannot be had now stays in the vault and is named there."""
        named = {sha256 for sha256, _, held in self._archive.named() if not held}
        for host, wanted in self._named.items():
            for sha256 in sorted(wanted & named):
                self._progress(Step("Fetching", self.attachments, len(named), "attachments"))
                try:
                    self._archive.keep(stream_of(self._vault.attachment(self.newest[host], sha256)))
                    self.attachments += 1
                    named.discard(sha256)
                except NotFound:
                    continue
                except Damaged as error:
                    self.problems.append(Problem(f"attachment {sha256[:16]}", error.what))


_SWITCHED_OFF = Problem(
    "deletions",
    "Deleting by sync is switched off at the moment. What other devices deleted stays here until it is on again.",
)


def _held_back(number: int) -> Problem:
    what = (
        f"Other devices deleted {number:,} of the conversations that are here. So many at once were not deleted here. "
        "Look at what it is; then run: chatkeep sync --accept-deletions"
    )
    return Problem("deletions", what)
