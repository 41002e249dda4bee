"""Finding the members in what was given: files as they are, folders walked, zips by their directory."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from chatkeep.errors import Damaged, NotFound, Problem, Refused, UnsafeSource
from chatkeep.source import names, zips
from chatkeep.source.limits import Limits
from chatkeep.source.member import Member
from chatkeep.source.streams import SharedFile, stream

TOLD_ONE_BY_ONE = 20
SPOOL_IN_MEMORY = 16 << 20

_CUT = (
    "The zip is cut off, so files at its end are missing; what could be found was read. "
    "Download the export again for the rest."
)


@dataclass(frozen=True, slots=True)
class Found:
    """digest is None when the listing of the members stands for the whole."""

    members: list[Member]
    problems: list[Problem]
    digest: Callable[[], str] | None


class Opening:
    """Collects members, counts them against the limits and keeps zips open until close."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._members: dict[str, Member] = {}
        self._problems: list[Problem] = []
        self._left_out: dict[str, list[str]] = {}
        self._looked_into = 0
        self._bytes = 0
        self._open = ExitStack()

    def open(self, paths: list[Path]) -> Found:
        tops: set[str] = set()
        for path in _once(paths):
            top = names.unique(_text(path.name), tops) if len(paths) > 1 else ""
            tops.add(top)
            self._add_given(path, top)
        only = paths[0] if len(paths) == 1 and len(self._members) == 1 and paths[0].is_file() else None
        alone = only is not None and not _starts_as_zip(only)
        digest = partial(_file_digest, only) if only is not None and alone else None
        return Found(list(self._members.values()), [*self._problems, *self._told()], digest)

    def close(self) -> None:
        self._open.close()

    # -- what was given

    def _add_given(self, path: Path, top: str) -> None:
        try:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                self._add_folder(path, top)
            elif not stat.S_ISREG(mode):
                raise UnsafeSource(f"{_text(path.name)} is neither a file nor a folder.")
            elif _starts_as_zip(path):
                self._add_zip(self._shared(path), _text(path.name), below=_below(top), nested=0)
            else:
                self._add_file(path, top or _text(path.name), _text(path.name))
        except FileNotFoundError as error:
            raise NotFound(f"{_text(path.name)} is not there.", hint="Check the path.") from error
        except PermissionError as error:
            raise Refused(f"{_text(path.name)} may not be read.", hint="Check its permissions.") from error

    def _add_folder(self, root: Path, top: str) -> None:
        given = _text(root.name or root.resolve().name)
        for path, relative in self._files_below(root, given):
            where = f"{given}: {relative}"
            self._add_file(path, _below(top) + relative, where)
            if relative.lower().endswith(".zip") and _starts_as_zip(path):
                self._look_into(partial(self._shared, path), where, _below(top) + relative)

    def _files_below(self, root: Path, given: str) -> Iterator[tuple[Path, str]]:
        waiting = [(root, "")]
        while waiting:
            folder, prefix = waiting.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except PermissionError:
                self._leave_out(f"{given}: {prefix}", "This folder may not be read.")
                continue
            for entry in entries:
                relative = prefix + _text(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), f"{relative}/"))
                elif entry.is_file(follow_symlinks=False):
                    if not names.is_noise(relative):
                        yield Path(entry.path), relative
                elif not (entry.is_symlink() and _leads_inside(Path(entry.path), root)):
                    self._leave_out(f"{given}: {relative}", "A link or device was not followed.")

    def _add_file(self, path: Path, name: str, where: str) -> None:
        facts = path.stat()
        member = Member(
            name=names.unique(name, self._members),
            size=facts.st_size,
            modified=datetime.fromtimestamp(facts.st_mtime, UTC),
            where=where,
            mark=str(int(facts.st_mtime)),
            opener=partial(_opened, path, where),
        )
        self._add(member)

    def _add(self, member: Member) -> None:
        self._members[member.name] = member
        self._bytes += max(member.size, 0)
        if len(self._members) > self._limits.entries:
            raise zips.too_many("What was given", self._limits)
        if self._bytes > self._limits.inflated:
            raise UnsafeSource(
                f"What was given holds more than {self._limits.inflated:,} bytes.",
                hint="Give only the part that holds the conversations.",
            )

    # -- zips

    def _shared(self, path: Path) -> SharedFile:
        shared = SharedFile(path.open("rb"))
        self._open.callback(shared.close)
        return shared

    def _add_zip(self, file: SharedFile, given: str, *, below: str, nested: int) -> None:
        """Add what the zip holds. given: how it is called in problems. below: what its names are put under."""
        listing = zips.directory(file, given, self._limits)
        if listing.cut:
            self._problems.append(Problem(given, _CUT))
        seen: dict[str, zips.Entry] = {}
        for entry in listing.entries:
            where = f"{given}: {names.clean(entry.name) or entry.name}"
            if reason := _unreadable(entry):
                self._leave_out(where, reason)
            elif not names.is_noise(names.clean(entry.name)):
                self._add_entry(file, entry, where, below=below, seen=seen, nested=nested)

    def _add_entry(
        self,
        file: SharedFile,
        entry: zips.Entry,
        where: str,
        *,
        below: str,
        seen: dict[str, zips.Entry],
        nested: int,
    ) -> None:
        name = names.clean(entry.name)
        twin = seen.setdefault(name, entry)
        if twin is not entry:
            if entry.crc is not None and (twin.crc, twin.size) == (entry.crc, entry.size):
                return
            self._problems.append(Problem(where, "The zip holds two different files of this name; both were kept."))
        opener = partial(_opened_entry, file, entry, where, self._limits)
        member = Member(
            name=names.unique(below + name, self._members),
            size=-1 if entry.size is None else entry.size,
            modified=entry.modified,
            where=where,
            mark="" if entry.crc is None else f"{entry.crc:08x}",
            opener=opener,
        )
        self._add(member)
        if nested == 0 and name.lower().endswith(".zip") and member.size != 0:
            self._look_into(partial(self._unpacked, file, entry, where), where, member.name)

    def _look_into(self, opener: Callable[[], SharedFile], where: str, name: str) -> None:
        """Add what a zip inside holds; it stays a member itself, because it may be an attachment of a message."""
        if self._looked_into >= self._limits.nested:
            self._leave_out(where, "There are too many zips inside, so this one was not looked into.")
            return
        self._looked_into += 1
        try:
            file = opener()
            if zips.is_zip(file.read_at(0, 4)):
                self._add_zip(file, where, below=f"{name}/", nested=1)
        except (UnsafeSource, Damaged) as error:
            self._problems.append(Problem(where, f"This zip inside was not looked into. {error.what}"))

    def _unpacked(self, file: SharedFile, entry: zips.Entry, where: str) -> SharedFile:
        """A zip inside a zip as a file of its own, because it is read in any order: in memory when it is small."""
        spool = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=SPOOL_IN_MEMORY))  # noqa: SIM115
        self._open.callback(spool.close)
        with _opened_entry(file, entry, where, self._limits) as packed:
            shutil.copyfileobj(packed, spool, 1 << 20)
        return SharedFile(spool)

    # -- what was left out

    def _leave_out(self, where: str, reason: str) -> None:
        self._left_out.setdefault(reason, []).append(where)

    def _told(self) -> Iterator[Problem]:
        for reason, places in self._left_out.items():
            for where in places[:TOLD_ONE_BY_ONE]:
                yield Problem(where, reason)
            if (more := len(places) - TOLD_ONE_BY_ONE) > 0:
                yield Problem(
                    places[TOLD_ONE_BY_ONE],
                    f"{reason} The same is true of {more:,} files, this one included.",
                )


def _unreadable(entry: zips.Entry) -> str:
    """Why an entry is left out; empty when it is not."""
    if reason := names.objection(entry.name):
        return f"Left out, because it has {reason}."
    if entry.link:
        return "Left out, because it is a link or a device, not a file."
    if entry.encrypted:
        return "Left out, because it is protected with a password. Unpack the zip yourself and give the folder."
    if entry.method not in (zips.STORED, zips.DEFLATED):
        return f"Left out, because it is packed by method {entry.method}. Unpack the zip yourself and give the folder."
    return ""


def _opened(path: Path, where: str) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"{where} is no longer there.") from error
    except PermissionError as error:
        raise Refused(f"{where} may not be read.", hint="Check its permissions.") from error


def _opened_entry(file: SharedFile, entry: zips.Entry, where: str, limits: Limits) -> BinaryIO:
    return stream(zips.content(file, entry, where), limits)


def _starts_as_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return zips.is_zip(file.read(4))


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _leads_inside(link: Path, root: Path) -> bool:
    """Whether a link points at something that is read anyway."""
    return link.resolve().is_relative_to(root.resolve())


def _once(paths: list[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        if (real := path.resolve()) not in seen:
            seen.add(real)
            yield path


def _below(top: str) -> str:
    return f"{top}/" if top else ""


def _text(name: str) -> str:
    """A file name as text that can be stored: bytes that are not UTF-8 are spelled out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
