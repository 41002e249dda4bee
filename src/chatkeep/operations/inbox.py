"""The inbox of a place: exports that somebody dropped there are fetched, imported, and laid aside in `Inbox/Done/`.

A file is taken when it has stopped to grow. It is fetched piece by piece into a spool on this machine, so that a large
one goes on after an interruption. What is no export stays where it is and is told once; so does what is cut off.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path, PurePosixPath

import msgspec

from chatkeep.archive import Archive
from chatkeep.errors import ChatkeepError, Damaged, NotFound, Problem, QuotaFull, Refused, UnknownFormat, UnsafeSource
from chatkeep.operations.importing import import_from
from chatkeep.operations.progress import Progress, Step, quiet
from chatkeep.operations.reports import ImportReport, InboxReport, Taken
from chatkeep.storage import Below, Counting, Storage, StoredObject, move

INBOX, DONE = "Inbox", "Done"
QUIET_S = 10.0
PIECE = 8 << 20
SPARE = 100 << 20
"""What must stay free on this machine [bytes]."""
_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp", ".filepart", ".!ut")


def take_in(
    archive: Archive,
    counting: Counting,
    *,
    spool: Path,
    progress: Progress = quiet,
    quiet_s: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> InboxReport:
    """Import what lies in `Inbox/` of a place, each thing with a receipt of its own, and move it to `Inbox/Done/`.

    A folder there is one export. spool: a folder of this machine for this place alone, where fetched pieces lie and
    where is remembered what was told. quiet_s: for how long a thing must not change before it is taken [s],
    QUIET_S if not given.
    Killed at any moment, the next run goes on; what was imported already adds nothing. Raises QuotaFull when this
    machine has no space left, and what the storage and the archive raise.
    """
    quiet_s = QUIET_S if quiet_s is None else quiet_s
    progress(Step("Looking into the inbox"))
    run = _Run(archive, Below(counting, INBOX), spool, progress, clock)
    found = run.look()
    run.remember()
    fresh = [item for item in found if not run.has_rested(item, quiet_s)]
    if fresh:
        _wait(quiet_s, progress, sleep)
        again = {item.key for item in run.look()}
        found = [item for item in found if item.key in again]
        run.waiting += [item.name for item in fresh if item.key not in again]
    for item in found:
        run.take(item)
    run.remember()
    return run.report(counting)


def _wait(seconds: float, progress: Progress, sleep: Callable[[float], None]) -> None:
    """Wait, and tell it, so that the wait can be cancelled."""
    for second in range(int(seconds)):
        progress(Step("Waiting whether files still grow", second, int(seconds), "seconds"))
        sleep(1.0)
    sleep(seconds - int(seconds))


class _Item(msgspec.Struct, frozen=True):
    """A file, or a folder with its files, as it was seen. key: another one when anything of it changes."""

    name: str
    objects: tuple[StoredObject, ...]

    @property
    def key(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self.objects)).hexdigest()[:24]

    @property
    def size(self) -> int:
        return sum(stored.size for stored in self.objects)

    @property
    def is_folder(self) -> bool:
        return "/" in self.objects[0].name


class _Memory(msgspec.Struct):
    """seen: item → when it was first seen so [s of the clock]. left: item that is no export → why."""

    seen: dict[str, float] = {}
    left: dict[str, str] = {}


class _Run:
    def __init__(
        self, archive: Archive, storage: Storage, spool: Path, progress: Progress, clock: Callable[[], float]
    ) -> None:
        self._archive, self._storage, self._spool = archive, storage, spool
        self._progress, self._clock = progress, clock
        self._file = spool / "memory.json"
        self._memory = self._remembered()
        self._names: set[str] = set()
        self._taken: list[Taken] = []
        self.waiting: list[str] = []
        self._left: list[str] = []
        self._problems: list[Problem] = []
        self._notes: list[str] = []

    def _remembered(self) -> _Memory:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_Memory)
        except (OSError, msgspec.DecodeError):  # then some things are told twice
            return _Memory()

    # -- looking

    def look(self) -> list[_Item]:
        """What may be taken: not what is laid aside, hidden, unfinished, or known to be no export."""
        listing = self._storage.listing()
        self._names = {stored.name for stored in listing}
        offered = [stored for stored in listing if not stored.name.startswith((f"{DONE}/", ".", "~", "README"))]
        items = [_Item(name, tuple(objects)) for name, objects in groupby(offered, lambda one: one.name.split("/")[0])]
        self._keep(items)
        self.waiting = [item.name for item in items if _is_unfinished(item)]
        self._left = [item.name for item in items if item.key in self._memory.left]
        return [item for item in items if item.name not in self.waiting and item.name not in self._left]

    def _keep(self, items: Iterable[_Item]) -> None:
        """Remember what is there, forget what is not, and free its space."""
        keys = {item.key for item in items}
        now = self._clock()
        self._memory.seen = {key: self._memory.seen.get(key, now) for key in sorted(keys)}
        self._memory.left = {key: why for key, why in self._memory.left.items() if key in keys}
        self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self._spool.iterdir():
            if path.is_dir() and path.name not in keys:
                shutil.rmtree(path, ignore_errors=True)

    def has_rested(self, item: _Item, quiet_s: float) -> bool:
        """Whether it has looked like this for long enough, as an earlier run saw it."""
        return self._clock() - self._memory.seen.get(item.key, self._clock()) >= quiet_s

    # -- taking

    def take(self, item: _Item) -> None:
        """Fetch, import and lay aside one thing, or say why not."""
        try:
            path = self._fetched(item)
            if path is None:
                self.waiting.append(item.name)
                return
            self._check(path, item)
            report = import_from(self._archive, [path], progress=self._progress)
        except (UnknownFormat, UnsafeSource, Damaged, Refused) as error:
            self._leave(item, error)
            return
        self._problems += [Problem(f"{INBOX}/{item.name}: {one.where}", one.what) for one in report.problems]
        self._note_taken(item, report, self._lay_aside(item))
        shutil.rmtree(self._spool / item.key, ignore_errors=True)

    def _check(self, path: Path, item: _Item) -> None:
        """Refuse a zip without its end: it was cut off, and would bring a part of the chats only."""
        if path.is_file() and path.stat().st_size > 4:
            with path.open("rb") as file:
                is_zip = file.read(4) == b"PK\x03\x04"
            if is_zip and not zipfile.is_zipfile(path):
                raise Damaged("This zip is cut off at its end.", hint="Upload it again, all of it.")

    def _leave(self, item: _Item, error: ChatkeepError) -> None:
        what = f"{error.what} {error.hint} It stays where it is.".replace("  ", " ")
        self._memory.left[item.key] = error.what
        self._left.append(item.name)
        self._problems.append(Problem(f"{INBOX}/{item.name}", what))
        shutil.rmtree(self._spool / item.key, ignore_errors=True)

    def _note_taken(self, item: _Item, report: ImportReport, moved: str) -> None:
        self._taken.append(
            Taken(
                name=item.name,
                added=report.added,
                updated=report.updated,
                unchanged=report.unchanged,
                messages=report.messages,
                receipt=report.receipt,
                moved=moved,
            )
        )

    # -- fetching

    def _fetched(self, item: _Item) -> Path | None:
        """The thing on this machine; None when it changed meanwhile."""
        here = self._spool / item.key
        here.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._check_space(item, here)
        before = 0
        for number, stored in enumerate(item.objects):
            if not self._fetch(stored, here / stored.name, here / f"{number}.part", before, item.size):
                return None
            before += stored.size
        return here / item.name

    def _check_space(self, item: _Item, here: Path) -> None:
        fetched = sum(path.stat().st_size for path in here.rglob("*") if path.is_file())
        free, need = shutil.disk_usage(here).free, item.size - fetched + SPARE
        if free < need:
            what = f"{INBOX}/{item.name} needs {need:,} bytes on this machine, and {free:,} are free."
            raise QuotaFull(what, hint="Free some space here; what was fetched is kept.")

    def _fetch(self, stored: StoredObject, target: Path, part: Path, before: int, total: int) -> bool:
        """Fetch one object, from where an earlier run ended. False when it is no longer what was seen."""
        if target.exists():
            return True
        with part.open("ab") as file:
            while file.tell() < stored.size:
                self._progress(Step("Fetching", before + file.tell(), total, "bytes"))
                with contextlib.suppress(NotFound):
                    piece = self._storage.get(stored.name, start=file.tell(), length=PIECE)
                    if file.write(piece):
                        file.flush()
                        os.fsync(file.fileno())
                        continue
                break
        if part.stat().st_size != stored.size or not self._is_still(stored):
            part.unlink()
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
        return True

    def _is_still(self, stored: StoredObject) -> bool:
        try:
            now = self._storage.stat(stored.name)
        except NotFound:
            return False
        return (now.size, now.modified) == (stored.size, stored.modified)

    # -- laying aside

    def _lay_aside(self, item: _Item) -> str:
        """Move a thing to the others that were taken; where it lies then."""
        name = next(name for name in _numbered(item.name) if not self._is_taken(f"{DONE}/{name}"))
        try:
            for stored in item.objects:
                new = f"{DONE}/{name}{stored.name.removeprefix(item.name)}"
                with contextlib.suppress(NotFound):  # somebody moved it meanwhile
                    move(self._storage, stored.name, new)
                    self._names.add(new)
        except Refused as error:
            self._memory.left[item.key] = "It was imported."
            why = f"was imported, but cannot be moved: {error.what} Delete it yourself."
            self._notes.append(f"{INBOX}/{item.name} {why}")
            return f"{INBOX}/{item.name}"
        return f"{INBOX}/{DONE}/{name}"

    def _is_taken(self, name: str) -> bool:
        return any(other == name or other.startswith(f"{name}/") for other in self._names)

    # -- the end

    def remember(self) -> None:
        """Keep what was told, for the next run."""
        beside = self._file.with_suffix(".new")
        beside.write_bytes(msgspec.json.encode(self._memory))
        beside.replace(self._file)

    def report(self, counting: Counting) -> InboxReport:
        return InboxReport(
            taken=self._taken,
            waiting=sorted(set(self.waiting)),
            left=sorted(set(self._left)),
            bytes_received=counting.received,
            requests=counting.requests,
            notes=self._notes,
            problems=self._problems,
        )


def _is_unfinished(item: _Item) -> bool:
    """Whether it says itself that it is still being written."""
    return not item.size or any(stored.name.lower().endswith(_UNFINISHED) for stored in item.objects)


def _numbered(name: str) -> Iterator[str]:
    """The name, then "name (2).zip", "name (3).zip" …"""
    path = PurePosixPath(name)
    yield name
    number = 2
    while True:
        yield f"{path.stem} ({number}){path.suffix}"
        number += 1
