"""Exports into the archive: every record is taken, known already, or told as a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from chatkeep import happenings
from chatkeep.archive import Archive
from chatkeep.archive import Receipt as ArchiveReceipt
from chatkeep.archive.intake import Intake
from chatkeep.errors import Problem
from chatkeep.importers import Importer
from chatkeep.importers.detect import detect
from chatkeep.operations.progress import Progress, Step, quiet
from chatkeep.operations.reports import Attachments, Given, ImportReport
from chatkeep.source import Member, Source


def import_from(archive: Archive, paths: Sequence[Path], *, progress: Progress = quiet) -> ImportReport:
    """Bring exports into the archive: files, folders, zips, in any order, as one import with one receipt.

    Importing the same again adds nothing; a newer export updates. An import that is stopped, or killed, leaves whole
    conversations, and importing again goes on from there. It can be undone by its receipt.
    Raises UnknownFormat when nothing in the paths is an export that we know, and what `Source.open` and the archive
    raise (NotFound, UnsafeSource, QuotaFull …).
    """
    progress(Step("Opening"))
    with ExitStack() as stack:
        detected = detect(paths)
        for _, source in detected:
            stack.callback(source.close)
        given = _given(paths, detected)
        label, digest = detected[0][1].label, detected[0][1].digest()
        names = ", ".join(dict.fromkeys(f"{importer.platform}/{importer.version}" for importer, _ in detected))
        with archive.take_in(label, digest, names) as intake:
            for problem in _once(problem for _, source in detected for problem in source.problems):
                intake.report(problem)
            for importer, source in detected:
                _read(importer, source, intake, progress)
    progress(Step("Done"))
    return _report(intake.receipt, given)


def _read(importer: Importer, source: Source, intake: Intake, progress: Progress) -> None:
    counter = _Counter()
    counted = counter.around(source)
    taken = 0
    for item in importer.read(counted, intake.keep):
        progress(Step("Reading", min(counter.read, counter.total), counter.total, "bytes", f"{taken:,} conversations"))
        if isinstance(item, Problem):
            intake.report(item)
            happenings.tell("import_items_total", importer=importer.platform, result="problem")
        elif intake.knows(item.digest) or intake.knows(item.digest_here):
            taken += 1
            happenings.tell("import_items_total", importer=importer.platform, result="known")
        else:
            loaded = item.load()
            intake.take(loaded, digest=item.digest, digest_here=item.digest_here, where=item.where)
            taken += len(loaded.conversations)
            happenings.tell("import_items_total", len(loaded.conversations), importer=importer.platform, result="taken")
    progress(Step("Saving", counter.total, counter.total, "bytes", f"{taken:,} conversations"))


class _Counter:
    """Counts the bytes that are read of a source, for the progress."""

    def __init__(self) -> None:
        self.read = 0
        self.total = 0

    def around(self, source: Source) -> Source:
        """The same source, counted. It lives as long as the one it was made of."""
        self.total = sum(max(member.size, 0) for member in source)
        return Source(source.label, [self._member(member) for member in source])

    def _member(self, member: Member) -> Member:
        return replace(member, opener=lambda: cast(BinaryIO, _Counted(member.opener(), self)))


_OTHER_READS = frozenset({"read1", "readline"})  # which not every stream has


class _Counted:
    """A stream that counts what is read of it."""

    def __init__(self, inner: BinaryIO, counter: _Counter) -> None:
        self._inner = inner
        self._counter = counter

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(size)
        self._counter.read += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        count: int = self._inner.readinto(buffer)  # type: ignore[attr-defined]
        self._counter.read += count
        return count

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._counting(found) if name in _OTHER_READS else found

    def _counting(self, read: Callable[..., bytes]) -> Callable[..., bytes]:
        def counting(*size: int) -> bytes:
            data = read(*size)
            self._counter.read += len(data)
            return data

        return counting

    def __iter__(self) -> Iterator[bytes]:
        for line in self._inner:
            self._counter.read += len(line)
            yield line

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, *_: object) -> None:
        self._inner.close()


def _once(problems: Iterator[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))


def _given(paths: Sequence[Path], detected: Sequence[tuple[Importer, Source]]) -> list[Given]:
    """Each path with the platform whose importer claims something of it; one path may hold exports of several."""
    if len(detected) == 1 or len(paths) == 1:
        platforms = dict.fromkeys(importer.platform for importer, _ in detected)
        return [Given(path=str(path), platform=platform) for path in paths for platform in platforms]
    found = []
    for importer, source in detected:
        tops = {name.partition("/")[0] for name in importer.sniff(source)}
        found += [Given(path=str(path), platform=importer.platform) for path in paths if path.name in tops]
    return found


def _report(receipt: ArchiveReceipt, given: list[Given]) -> ImportReport:
    return ImportReport(
        added=receipt.added,
        updated=receipt.updated,
        unchanged=receipt.unchanged,
        messages=receipt.messages,
        attachments=Attachments(
            stored=receipt.attachments.get("stored", 0), missing=receipt.attachments.get("missing", 0)
        ),
        unknown=receipt.unknown,
        problems=list(receipt.problems),
        source=given,
        receipt=receipt.id,
        by_role=receipt.by_role,
        shells=receipt.shells,
        notes=list(receipt.notes),
    )
