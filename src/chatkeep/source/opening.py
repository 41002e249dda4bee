"""Finding the members in what was given: files as they are, folders walked, zips by their directory."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from chatkeep.errors import Damaged, NotFound, Problem, Refused, UnsafeSource
from chatkeep.source import names, records, zips
from chatkeep.source.limits import Limits, too_large, too_many
from chatkeep.source.member import Member
from chatkeep.source.streams import PartOfFile, SharedFile, stream

TOLD_ONE_BY_ONE = 20
SPOOL_IN_MEMORY = 16 << 20

_CUT = (
    "The zip is cut off or damaged at its end, so files are missing; those that could be found were read. "
    "Download the export again for the rest."
)
_BY_HAND = "Unpack the zip yourself and give the folder."


@dataclass(frozen=True, slots=True)
class Found:
    """digest is None when the listing of the members stands for the whole."""

    members: list[Member]
    problems: list[Problem]
    digest: Callable[[], str] | None


@dataclass(frozen=True, slots=True)
class _Zip:
    """A zip that is being looked into. called: in problems. below: what its names are put under."""

    file: SharedFile
    called: str
    below: str
    inside: bool = False
    seen: dict[str, records.Entry] = field(default_factory=dict)


class Opening:
    """Collects members, counts them against the limits and keeps zips open until close."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._members: list[Member] = []
        self._names = names.UniqueNames()
        self._tops = names.UniqueNames()
        self._problems: list[Problem] = []
        self._said: dict[str, list[str]] = {}
        self._zips_inside = 0
        self._bytes = 0
        self._open = ExitStack()

    def open(self, paths: list[Path]) -> Found:
        for path in (several := list(_once(paths))):
            self._add_given(path, several=len(several) > 1)
        alone = paths[0] if len(several) == 1 and paths[0].is_file() and not _is_zip(paths[0]) else None
        digest = partial(_file_digest, alone) if alone else None
        problems = [*self._problems, *self._grouped()]
        if problems and not self._members:
            raise Refused(f"Nothing can be read in what was given. {problems[0].where}: {problems[0].what}")
        return Found(self._members, problems, digest)

    def close(self) -> None:
        self._open.close()

    # -- what was given

    def _add_given(self, path: Path, *, several: bool) -> None:
        called = _text(path.name or path.resolve().name)
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                self._add_folder(path, called, below=self._top(called, several=several))
            elif not stat.S_ISREG(mode):
                raise UnsafeSource(f"{called} is neither a file nor a folder.", hint="Give a file, a folder or a zip.")
            elif _is_zip(path):
                self._add_given_zip(path, called, several=several)
            else:
                self._add_file(path, called, called)
        except FileNotFoundError as error:
            raise NotFound(f"{called} is not there.", hint="Check the path for a typing mistake.") from error
        except PermissionError as error:
            raise Refused(f"{called} may not be read.", hint="Check who may read it.") from error

    def _top(self, called: str, *, several: bool) -> str:
        return self._tops.take(called) + "/" if several else ""

    def _add_given_zip(self, path: Path, called: str, *, several: bool) -> None:
        try:
            self._add_zip(_Zip(self._shared(path), called, self._top(called, several=several)))
        except Damaged as error:
            if not several:
                raise
            self._problems.append(Problem(called, f"{error.what} {error.hint}".strip()))

    def _add_folder(self, root: Path, called: str, *, below: str) -> None:
        for path, relative in self._files_below(root, called):
            where = f"{called}: {relative}"
            member = self._add_file(path, below + relative, where)
            if member and relative.lower().endswith(".zip"):
                self._look_into(partial(self._shared, path), member)

    def _files_below(self, root: Path, called: str) -> Iterator[tuple[Path, str]]:
        """The files below a folder with their relative names. Links are not followed: they may lead anywhere."""
        waiting = [(root, "")]
        while waiting:
            folder, prefix = waiting.pop()
            try:
                entries = list(os.scandir(folder))
            except OSError:
                self._say("This folder cannot be read.", f"{called}: {prefix}")
                continue
            for entry in entries:
                relative = prefix + _text(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), f"{relative}/"))
                elif entry.is_file(follow_symlinks=False):
                    yield Path(entry.path), relative
                elif not (entry.is_symlink() and _leads_inside(Path(entry.path), root)):
                    self._say("Left out, because it is a link or a device, not a file.", f"{called}: {relative}")

    def _add_file(self, path: Path, name: str, where: str) -> Member | None:
        if names.is_noise(name):
            return None
        facts = path.stat()
        modified = datetime.fromtimestamp(facts.st_mtime, UTC)
        opener = partial(_opened, path, where)
        return self._add(Member(name, facts.st_size, modified, where, str(facts.st_mtime_ns), opener))

    def _add(self, member: Member) -> Member:
        member = member.called(self._names.take(member.name))
        self._members.append(member)
        self._bytes += max(member.size, 0)
        if len(self._members) > self._limits.entries:
            raise too_many("What was given", self._limits)
        if self._bytes > self._limits.inflated:
            raise too_large("What was given", self._limits)
        return member

    # -- zips

    def _shared(self, path: Path) -> SharedFile:
        shared = SharedFile(path.open("rb"))
        self._open.callback(shared.close)
        return shared

    def _add_zip(self, packed: _Zip) -> None:
        listing = zips.directory(packed.file, packed.called, self._limits)
        if listing.cut:
            self._problems.append(Problem(packed.called, _CUT))
        for entry in listing.entries:
            name = names.clean(entry.name)
            where = f"{packed.called}: {name or 'a file without a name'}"
            if reason := _unreadable(entry, name):
                self._say(reason, where)
            elif not names.is_noise(name):
                self._add_entry(packed, entry, name, where)

    def _add_entry(self, packed: _Zip, entry: records.Entry, name: str, where: str) -> None:
        twin = packed.seen.setdefault(name, entry)
        if twin is not entry:
            if entry.crc is not None and (twin.crc, twin.size) == (entry.crc, entry.size):
                return
            self._say("The zip holds different files of this name; all were kept.", where)
        if reason := names.objection(entry.name):
            self._say(f"It had {reason}, as no export has; it was read under a harmless name.", where)
        size = -1 if entry.size is None else entry.size
        mark = "" if entry.crc is None else f"{entry.crc:08x}"
        opener = partial(_opened_entry, packed.file, entry, where, self._limits)
        member = self._add(Member(packed.below + name, size, entry.modified, where, mark, opener))
        if name.lower().endswith(".zip") and not packed.inside:
            self._look_into(partial(self._zip_inside, packed.file, entry, member), member)

    def _look_into(self, opener: Callable[[], SharedFile], member: Member) -> None:
        """Add what a zip inside holds; it stays a member itself, because it may be an attachment of a message."""
        if self._zips_inside >= self._limits.nested:
            self._say("There are too many zips inside, so this one was not looked into.", member.where)
            return
        self._zips_inside += 1
        try:
            if zips.is_zip(member.head(4)):
                self._add_zip(_Zip(opener(), member.where, f"{member.name}/", inside=True))
        except (UnsafeSource, Damaged) as error:
            self._problems.append(Problem(member.where, f"This zip inside was not looked into. {error.what}"))

    def _zip_inside(self, file: SharedFile, entry: records.Entry, member: Member) -> SharedFile:
        """A zip inside a zip: where it lies if it was stored, else inflated, in memory while it is small."""
        stretch = zips.content(file, entry, member.where)
        if not stretch.deflated:
            return PartOfFile(file, start=stretch.start, size=stretch.end - stretch.start)
        spool = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=SPOOL_IN_MEMORY))  # noqa: SIM115
        self._open.callback(spool.close)
        with member.open() as packed:
            shutil.copyfileobj(packed, spool, 1 << 20)
        return SharedFile(spool)

    # -- what is to be told

    def _say(self, reason: str, where: str) -> None:
        self._said.setdefault(reason, []).append(where)

    def _grouped(self) -> Iterator[Problem]:
        """A problem for each place, but not a hundred thousand times the same."""
        for reason, places in self._said.items():
            for where in places[:TOLD_ONE_BY_ONE]:
                yield Problem(where, reason)
            if (more := len(places) - TOLD_ONE_BY_ONE) > 0:
                yield Problem(places[TOLD_ONE_BY_ONE], f"{reason} So it is with {more:,} files from this one on.")


def _unreadable(entry: records.Entry, name: str) -> str:
    """Why an entry is left out; empty when it is not."""
    if not name:
        return "Left out, because it has no name."
    if entry.special:
        return "Left out, because it is a link or a device, not a file."
    if entry.encrypted:
        return f"Left out, because it is protected with a password. {_BY_HAND}"
    if entry.method not in (records.STORED, records.DEFLATED):
        return f"Left out, because it is packed in a rare way (method {entry.method}). {_BY_HAND}"
    return ""


def _opened(path: Path, where: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"{where} is no longer there.") from error
    except PermissionError as error:
        raise Refused(f"{where} may not be read.", hint="Check who may read it.") from error


def _opened_entry(file: SharedFile, entry: records.Entry, where: str, limits: Limits) -> BinaryIO:
    return stream(zips.content(file, entry, where), limits)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return zips.is_zip(file.read(4))


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _leads_inside(link: Path, root: Path) -> bool:
    """Whether a link points at something that is read anyway."""
    try:
        return link.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False


def _once(paths: list[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        if (real := path.resolve()) not in seen:
            seen.add(real)
            yield path


def _text(name: str) -> str:
    """A file name as text that can be stored: bytes that are not UTF-8 are spelled out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
