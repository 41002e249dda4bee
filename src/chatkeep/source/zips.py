"""What a zip holds, as its directory says, and whether that can be true."""

from __future__ import annotations

from dataclasses import dataclass

from chatkeep.errors import Damaged, UnsafeSource
from chatkeep.source import records, salvage
from chatkeep.source.limits import Limits, too_dense, too_large, too_many
from chatkeep.source.records import Entry
from chatkeep.source.streams import SharedFile, Stretch

DIRECTORY_MAX = 256 << 20

_DOWNLOAD = "Download the export again; the download probably stopped early."
_ORIGINAL = "Give the export exactly as the platform made it."


@dataclass(frozen=True, slots=True)
class Directory:
    """entries: the files, without folders. cut: the zip is cut off, and this is what could be found."""

    entries: list[Entry]
    cut: bool


@dataclass(frozen=True, slots=True)
class _End:
    """What the end record says: how many entries, where their directory is and how long. base: where the zip begins."""

    count: int
    size: int
    offset: int
    base: int


def is_zip(head: bytes) -> bool:
    """Whether a file that starts like this is a zip (by its bytes, not by its name)."""
    return head.startswith((records.LOCAL, records.END))


def directory(file: SharedFile, where: str, limits: Limits) -> Directory:
    """What the zip holds. Raises UnsafeSource when it is built to harm, Damaged when nothing can be found in it."""
    end = _end_record(file, where)
    entries = _listed(file, end, where, limits) if end else None
    if end is None or entries is None:
        found = [entry for entry in salvage.walk(file, where, limits) if not entry.is_folder]
        if not found:
            raise Damaged(f"{where} is cut off or damaged, and no file in it can be read.", hint=_DOWNLOAD)
        return Directory(found, cut=True)
    _refuse_overlap(entries, end.base + end.offset, where)
    files = [entry for entry in entries if not entry.is_folder]
    _refuse_bomb(files, file.size, where, limits)
    return Directory(files, cut=False)


def content(file: SharedFile, entry: Entry, where: str) -> Stretch:
    """Where an entry's packed bytes lie.

    Raises Damaged when its own header is not there, UnsafeSource when its bytes belong to another entry as well.
    """
    header = file.read_at(entry.header, records.LOCAL_RECORD.size)
    if len(header) < records.LOCAL_RECORD.size or not header.startswith(records.LOCAL):
        raise Damaged(f"{where} is not where its zip says.")
    *_, names, extras = records.LOCAL_RECORD.unpack(header)
    start = entry.header + len(header) + names + extras
    if entry.packed is not None and start + entry.packed > entry.room:
        raise UnsafeSource(f"{where} shares its bytes with another file, as in a zip bomb.", hint=_ORIGINAL)
    deflated = entry.method == records.DEFLATED
    return Stretch(
        file, start=start, packed=entry.packed, size=entry.size, crc=entry.crc, deflated=deflated, where=where
    )


def _end_record(file: SharedFile, where: str) -> _End | None:
    """The last end record that makes sense, or None when the file is cut off."""
    tail_at = max(0, file.size - records.END_RECORD.size - records.FULL16)
    tail = file.read_at(tail_at, file.size - tail_at)
    at = len(tail)
    while (at := tail.rfind(records.END, 0, at)) >= 0:
        if at + records.END_RECORD.size <= len(tail) and (end := _read_end(file, tail[at:], tail_at + at, where)):
            return end
    return None


def _read_end(file: SharedFile, record: bytes, position: int, where: str) -> _End | None:
    _, disk, first_disk, _, count, size, offset, _ = records.END_RECORD.unpack_from(record)
    if records.FULL16 in (count, disk) or records.FULL32 in (size, offset):
        disk, first_disk, count, size, offset, position = _read_end64(file, position) or (
            (disk, first_disk, count, size, offset, position)
        )
    if disk or first_disk:
        raise Damaged(f"{where} is one part of a zip in several parts.", hint="Join the parts to one zip first.")
    base = position - size - offset
    if base < 0 or (count and not file.read_at(base + offset, 4).startswith(records.CENTRAL)):
        return None
    if base > 0 and is_zip(file.read_at(0, 4)):
        return None  # the end of a zip that is stored inside this one, whose own end is cut off
    return _End(count, size, offset, base)


def _read_end64(file: SharedFile, end_at: int) -> tuple[int, int, int, int, int, int] | None:
    locator_at = end_at - records.LOCATOR64_RECORD.size
    locator = file.read_at(locator_at, records.LOCATOR64_RECORD.size) if locator_at >= 0 else b""
    if not locator.startswith(records.LOCATOR64):
        return None
    _, _, told_at, _ = records.LOCATOR64_RECORD.unpack(locator)
    for at in (locator_at - records.END64_RECORD.size, told_at):
        record = file.read_at(at, records.END64_RECORD.size) if 0 <= at < end_at else b""
        if len(record) == records.END64_RECORD.size and record.startswith(records.END64):
            _, _, _, _, disk, first_disk, _, count, size, offset = records.END64_RECORD.unpack(record)
            return disk, first_disk, count, size, offset, at
    return None


def _listed(file: SharedFile, end: _End, where: str, limits: Limits) -> list[Entry] | None:
    """The entries of the directory, folders too; None when it holds fewer than the end record says."""
    if end.size > DIRECTORY_MAX:
        raise too_many(where, limits)
    data = file.read_at(end.base + end.offset, end.size)
    entries: list[Entry] = []
    at = files = 0
    while at + records.CENTRAL_RECORD.size <= len(data) and data.startswith(records.CENTRAL, at):
        entry, at = records.central(data, at, end.base)
        entries.append(entry)
        files += not entry.is_folder
        if files > limits.entries or len(entries) > 2 * limits.entries:
            raise too_many(where, limits)
    # Some programs count to 65,535 and start over.
    return entries if len(entries) & records.FULL16 == end.count & records.FULL16 else None


def _refuse_overlap(entries: list[Entry], directory_at: int, where: str) -> None:
    """Give each entry the room up to the next one; refuse the zip when one needs more than that (CVE-2024-0450)."""
    room = directory_at
    for entry in sorted(entries, key=lambda entry: entry.header, reverse=True):
        if entry.header + records.LOCAL_RECORD.size + (entry.packed or 0) > room:
            raise UnsafeSource(f"The files in {where} overlap, as in a zip bomb.", hint=_ORIGINAL)
        entry.room, room = room, entry.header


def _refuse_bomb(entries: list[Entry], packed: int, where: str, limits: Limits) -> None:
    """Refuse what already the headers admit; what they deny is seen while inflating."""
    for entry in entries:
        if limits.is_too_dense(entry.size or 0, entry.packed or 0):
            raise too_dense(f"{where}: {entry.name}", limits)
    total = sum(entry.size or 0 for entry in entries)
    if total > limits.inflated:
        raise too_large(where, limits)
    if limits.is_too_dense(total, packed):
        raise too_dense(where, limits)
