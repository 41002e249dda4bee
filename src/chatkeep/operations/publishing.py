"""Readable copies of conversations at a place, one way: what is here is written there, and only what changed.

A file that a person added or edited is never written to and never removed: it is told from ours by its content. A copy
that was edited stays as it is, and the next version of its conversation stands beside it.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import msgspec

from chatkeep import exporters
from chatkeep.archive import Archive
from chatkeep.errors import NotFound, Problem, Refused
from chatkeep.exporters import Customisation, Exporter, attachments
from chatkeep.exporters.names import Names
from chatkeep.model import Conversation, Part, decode
from chatkeep.operations.progress import Progress, Step, quiet
from chatkeep.operations.published import FOLDER, Copy, Published, copies_of, others
from chatkeep.operations.reports import CopiesReport
from chatkeep.selection import Selection
from chatkeep.storage import MAX_OBJECT, Below, Counting, Storage, StoredObject, delete_many, put_many

CHATS = "Chats"
FEW_FILES, FEW_BYTES = 200, 16 << 20
"""What is put in one go, and may have to be put again after a crash."""


def publish(
    archive: Archive,
    counting: Counting,
    *,
    host: str,
    exporter: str,
    customisation: Customisation | None = None,
    progress: Progress = quiet,
) -> CopiesReport:
    """Bring the readable copies below `Chats/` up to date with the archive.

    Conversations in the trash and those that are gone lose their copies, as far as this device wrote them. Afterwards
    the place is listed and counts and sizes are compared. Stopped or killed, it goes on from there the next time.
    host: this device. exporter: "txt", "json", "markdown" or "html". counting: the storage of the connection.
    Raises WrongUse, QuotaFull, and what else the storage raises.
    """
    progress(Step("Looking for what is new"))
    trashed = {one.id for one in archive.listing(Selection(trashed=True))}
    wanted = {entry.id: entry.revision for entry in archive.entries() if entry.id not in trashed}
    run = _Run(archive, counting, host, exporters.find(exporter), customisation or Customisation(attachments="none"))
    return run.bring(wanted, progress)


def withdraw(archive: Archive, counting: Counting, *, host: str, progress: Progress = quiet) -> CopiesReport:
    """Remove the readable copies that this device wrote; what was edited or added stays."""
    progress(Step("Looking for our copies"))
    run = _Run(archive, counting, host, exporters.find("markdown"), Customisation(attachments="none"))
    report = run.bring({}, progress)
    run.published.forget()
    return report


def erase_copies(storage: Storage, ids: Sequence[str], *, host: str) -> list[Problem]:
    """Remove the readable copies of conversations, whichever device wrote them, and what is remembered of them here.

    What somebody edited is theirs: it stays, and is a problem, since it still says what was said. Other devices forget
    the names of the copies at their next publishing. Raises what the storage raises.
    """
    chats = Below(storage, CHATS)
    copies, beside = copies_of(chats, frozenset(ids))
    if not copies:
        return []
    there = {stored.name for stored in chats.listing()}
    edited = {name for name in copies.keys() & there if _sha256_of(chats, name) not in {*copies[name], ""}}
    delete_many(chats, sorted(((copies.keys() - edited) | beside) & there))
    Published(chats, host).erase({*copies, *beside}, frozenset(ids))
    return [
        Problem(f"{CHATS}/{name}", "Somebody edited this copy, so it was left. Delete it by hand.") for name in edited
    ]


def _sha256_of(storage: Storage, name: str) -> str:
    try:
        return hashlib.sha256(storage.get(name)).hexdigest()
    except NotFound:
        return ""


@dataclass(frozen=True)
class _Sheet:
    """A copy that is to be written. old: the name of the one whose place it takes, "" for none."""

    name: str
    data: bytes
    copy: Copy
    old: str = ""


class _Run:
    """One bringing up to date, with its counts. kept: files that somebody edited."""

    def __init__(
        self, archive: Archive, counting: Counting, host: str, exporter: Exporter, customisation: Customisation
    ) -> None:
        self._archive, self._counting, self._host = archive, counting, host
        self._exporter, self._customisation = exporter, replace(customisation, files="many")
        exporter.check(self._customisation)
        self._storage: Storage = Below(counting, CHATS)
        self._found = {stored.name: stored for stored in self._storage.listing()}
        self.published = Published(self._storage, host)
        self._names = Names(self._customisation, suffix=exporter.suffix)
        self._sheets: list[_Sheet] = []
        self._waiting: dict[str, bytes] = {}
        self._written = self._removed = self._unchanged = self._attached = 0
        self._kept: set[str] = set()
        self._problems: list[Problem] = []

    def bring(self, wanted: Mapping[str, str], progress: Progress) -> CopiesReport:
        """Write what changed, remove what is superfluous, and compare. wanted: conversation → revision."""
        due = self._due(wanted)
        for name, copy in self.published.copies.items():
            if copy.id in wanted and copy.id not in due:
                self._names.take(name)
        gone = self._write(due, progress)
        self._remove([name for name, copy in self.published.copies.items() if copy.id not in wanted])
        self._remove(self._unneeded_attachments())
        self.published.left_out = {id: of for id, of in self.published.left_out.items() if id in wanted}
        self.published.how = self._how
        self.published.writing.clear()
        self.published.save({})
        progress(Step("Verifying"))
        return self._report(len(wanted), verified=self._compare(wanted.keys() - gone))

    @property
    def _how(self) -> str:
        """The way copies are written, so that all are written again when it changes."""
        options = msgspec.json.encode(msgspec.to_builtins(self._customisation), order="sorted")
        return f"{self._exporter.name} {hashlib.sha256(options).hexdigest()[:16]}"

    def _due(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """The conversations whose copy is missing, old, or written otherwise, with the name of the old one."""
        names = {copy.id: name for name, copy in self.published.copies.items()}
        same_way = self.published.how == self._how
        due: dict[str, str] = {}
        for id, revision in wanted.items():
            name = names.get(id, "")
            copy, stored = self.published.copies.get(name), self._found.get(name)
            if copy and stored and same_way and copy.revision == revision:
                self._unchanged += 1
                self._kept |= {name} if stored.size != copy.size else set()
            elif not (same_way and self.published.left_out.get(id) == revision):
                due[id] = name
        return due

    # -- writing

    def _write(self, due: Mapping[str, str], progress: Progress) -> set[str]:
        """Write the copies of these; gives those that went meanwhile."""
        gone: set[str] = set()
        for done, (id, old) in enumerate(due.items()):
            progress(Step("Writing", done, len(due), "conversations"))
            try:
                self._take(id, old, self._archive.document(id))
            except NotFound:
                gone.add(id)
            self._put_when(len(self._waiting) >= FEW_FILES)
        self._put_when(True)
        return gone

    def _take(self, id: str, old: str, document: bytes) -> None:
        """Have one conversation written with the next batch, unless its file is there already or is too large."""
        conversation, revision = decode(document), hashlib.sha256(document).hexdigest()
        data, beside = self._rendered(conversation)
        if len(data) > MAX_OBJECT:
            self._leave_out(id, revision, len(data))
            return
        self.published.left_out.pop(id, None)
        sha256 = hashlib.sha256(data).hexdigest()
        if old and not self._is_ours(old, sha256):
            self._let_go(old)
            old = ""
        name, is_there = self._name(conversation, sha256)
        sheet = _Sheet(
            name, data, Copy(id, revision, sha256, len(data), attachments=beside), old if old != name else ""
        )
        if is_there:
            self._unchanged += 1
            self._remember(sheet, self._found[name])
        else:
            self._sheets.append(sheet)
            self._hold(name, data)

    def _name(self, conversation: Conversation, sha256: str) -> tuple[str, bool]:
        """A name that nobody else's file has, and whether a file of just that content has it."""
        while True:
            name = self._names.name(conversation)
            there = self._strange.get(_folded(name), name)
            if there not in self._found:
                return name, False
            if there == name and self._is_ours(name, sha256):
                return name, self._holds(name) == sha256

    def _hold(self, name: str, data: bytes) -> None:
        self._waiting[name] = data
        self._put_when(sum(map(len, self._waiting.values())) >= FEW_BYTES)

    def _put_when(self, enough: bool) -> None:
        """Put what waits, once it is enough. The names and hashes of copies are noted first."""
        if not enough or not self._waiting:
            return
        sheets, objects = self._sheets, self._waiting
        self._sheets, self._waiting = [], {}
        self.published.save({sheet.name: sheet.copy.sha256 for sheet in sheets})
        stored = {one.name: one for one in self._put(objects)}
        self._found |= stored
        for sheet in sheets:
            if sheet.name in stored:
                self._written += 1
                self._remember(sheet, stored[sheet.name])
        for name in (objects.keys() - {sheet.name for sheet in sheets}) & stored.keys():
            self._attached += 1
            self.published.attach(name, len(objects[name]))

    def _put(self, objects: dict[str, bytes]) -> list[StoredObject]:
        """Put all of them; where the place refuses, one by one, so that one name does not stop the others."""
        try:
            return put_many(self._storage, objects)
        except Refused:
            return list(self._put_one_by_one(objects))

    def _put_one_by_one(self, objects: dict[str, bytes]) -> Iterator[StoredObject]:
        refused: list[Refused] = []
        for name, data in objects.items():
            try:
                yield self._storage.put(name, data)
            except Refused as error:
                refused.append(error)
                self._problems.append(Problem(f"{CHATS}/{name}", f"The place does not take it. {error.hint}".strip()))
        if len(refused) == len(objects):  # it takes nothing at all
            raise refused[0]

    def _remember(self, sheet: _Sheet, stored: StoredObject) -> None:
        self.published.add(sheet.name, msgspec.structs.replace(sheet.copy, modified=stored.modified))
        if sheet.old:
            self._remove([sheet.old])

    def _leave_out(self, id: str, revision: str, size: int) -> None:
        self.published.left_out[id] = revision
        what = f"A copy of it would have {size:,} bytes, which is more than a place takes. Export it to a folder."
        self._problems.append(Problem(f"Conversation {id[:8]}", what))

    # -- attachments

    def _rendered(self, conversation: Conversation) -> tuple[bytes, tuple[str, ...]]:
        """The file of a conversation, and the names of the attachments that it leads to; they stand there before it."""
        up = "../" * self._customisation.name_pattern.strip("/").count("/")
        beside: dict[str, str] = {}
        if self._customisation.attachments == "copy":
            for part in attachments.of(conversation):
                if part.sha256 not in beside and (name := self._attached_as(part)):
                    beside[part.sha256] = name
        url = {sha256: up + name for sha256, name in beside.items()}.get
        data = exporters.rendered(conversation, self._exporter, self._customisation, url=url, up=up)
        return data, tuple(sorted(beside.values()))

    def _attached_as(self, part: Part) -> str:
        """The name of an attachment, which says what it holds; "" when it is not here or too large for a place."""
        name = self._exporter.attachment_name(part.sha256, part.media_type)
        try:
            info = self._archive.attachment_info(part.sha256)
            stored = self._found.get(name)
            if info.size > MAX_OBJECT:
                return ""
            if stored is None or stored.size != info.size:
                self._hold(name, info.path.read_bytes())
            elif name not in self.published.attachments:
                self.published.attach(name, info.size)
        except (NotFound, FileNotFoundError):
            return ""
        return name

    def _unneeded_attachments(self) -> list[str]:
        needed = {name for copy in self.published.copies.values() for name in copy.attachments}
        unneeded = [name for name in self.published.attachments if name not in needed]
        return [name for name in unneeded if name not in self._of_devices] if unneeded else []

    # -- what is ours

    @cached_property
    def _strange(self) -> dict[str, str]:
        """The files that we do not remember, by their names as a system that folds case would see them."""
        ours = self.published.copies.keys() | self.published.attachments.keys()
        return {_folded(name): name for name in self._found if name not in ours and not name.startswith(FOLDER)}

    def _is_ours(self, name: str, new: str) -> bool:
        """Whether a file is as a device wrote it, or gone: not edited. new: the hash of what it may be already."""
        if name not in self._found or self._is_untouched(name):
            return True
        sha256, copy = self._content(name), self.published.copies.get(name)
        mine = {copy.sha256 if copy else "", new, *self.published.writing.get(name, ())}
        return sha256 in mine - {""} or sha256 in self._of_devices.get(name, ())

    def _is_untouched(self, name: str) -> bool:
        """Whether size and time, where the place says one, are still those of what we wrote."""
        stored, copy = self._found[name], self.published.copies.get(name)
        return bool(copy and stored.modified and (stored.size, stored.modified) == (copy.size, copy.modified))

    def _holds(self, name: str) -> str:
        """The hash of what a file holds."""
        copy = self.published.copies.get(name)
        return copy.sha256 if copy and self._is_untouched(name) else self._content(name)

    def _content(self, name: str) -> str:
        try:
            return hashlib.sha256(self._storage.get(name)).hexdigest()
        except NotFound:
            return "gone"

    @cached_property
    def _of_devices(self) -> dict[str, set[str]]:
        return others(self._storage, self._host, iter(self._found))

    def _let_go(self, name: str) -> None:
        """A copy that somebody edited is theirs from now on."""
        self._kept.add(name)
        self.published.drop(name)

    def _remove(self, names: Iterable[str]) -> None:
        going = []
        for name in names:
            is_copy = name in self.published.copies
            if is_copy and not self._is_ours(name, ""):
                self._let_go(name)
                continue
            going.append(name)
            self._removed += is_copy and name in self._found
        delete_many(self._storage, [name for name in going if name in self._found])
        for name in going:
            self.published.drop(name)
            self._found.pop(name, None)

    # -- the end

    def _compare(self, wanted: Iterable[str]) -> bool:
        """Whether what lies there now is what should."""
        found = {stored.name: stored for stored in self._storage.listing()} if self._written else self._found
        copies = self.published.copies
        lost = [name for name, copy in copies.items() if not self._stands(name, copy, found)]
        self._problems += [Problem(f"{CHATS}/{name}", "It was written, but is not there. Try again.") for name in lost]
        return not lost and set(wanted) <= {copy.id for copy in copies.values()} | self.published.left_out.keys()

    def _stands(self, name: str, copy: Copy, found: Mapping[str, StoredObject]) -> bool:
        stored = found.get(name)
        if stored is None:  # a listing may be a little behind
            try:
                stored = self._storage.stat(name)
            except NotFound:
                return False
        return stored.size == copy.size or name in self._kept

    def _report(self, conversations: int, *, verified: bool) -> CopiesReport:
        return CopiesReport(
            conversations=conversations,
            written=self._written,
            removed=self._removed,
            unchanged=self._unchanged,
            kept=len(self._kept),
            left_out=len(self.published.left_out),
            attachments=self._attached,
            bytes_sent=self._counting.sent,
            requests=self._counting.requests,
            verified=verified and not self._problems,
            notes=[f"{CHATS}/{name} was edited and is left as it is." for name in sorted(self._kept)][:100],
            problems=self._problems,
        )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
