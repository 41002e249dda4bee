"""What can still be found in a zip whose directory is missing, because a download stopped early.

Every file in a zip has a header of its own before it. These are walked, as far as they go.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from chatkeep.source import records
from chatkeep.source.limits import Limits, too_dense, too_many
from chatkeep.source.records import Entry
from chatkeep.source.streams import SharedFile

STEP = 1 << 17
INFLATED_AT_ONCE = 1 << 20
IN_VAIN = 1 << 30
DESCRIPTOR_SIZE = 16


@dataclass(frozen=True, slots=True)
class _Measured:
    """A content whose header does not say how long it is. All None when its end was not found."""

    packed: int | None
    size: int | None
    crc: int | None
    after: int


def walk(file: SharedFile, where: str, limits: Limits) -> Iterator[Entry]:
    """The entries in the order of the file; the last may be cut off, then its size and checksum are None.

    A content without a length in its header is inflated once to find its end. Raises UnsafeSource on a bomb.
    """
    at, count, in_vain = _next_header(file, 0), 0, 0
    while at is not None and in_vain < IN_VAIN:
        entry, after, wasted = _entry(file, at, where, limits)
        if entry:
            yield entry
            count += 1
        if count > 2 * limits.entries:
            raise too_many(where, limits)
        in_vain += wasted
        at = _next_header(file, after)


def _next_header(file: SharedFile, at: int) -> int | None:
    """Where the next local header begins, here or later."""
    while at < file.size:
        piece = file.read_at(at, STEP)
        found = piece.find(records.LOCAL)
        if found >= 0:
            return at + found
        at += max(len(piece) - len(records.LOCAL) + 1, 1)
    return None


def _entry(file: SharedFile, at: int, where: str, limits: Limits) -> tuple[Entry | None, int, int]:
    """The entry at a local header, where to look for the next, and how many bytes were inflated in vain."""
    header = file.read_at(at, records.LOCAL_RECORD.size)
    if len(header) < records.LOCAL_RECORD.size:
        return None, file.size, 0
    _, _, flags, method, clock, day, crc, packed, size, names, extras = records.LOCAL_RECORD.unpack(header)
    raw = file.read_at(at + len(header), names + extras)
    if len(raw) < names + extras:
        return None, file.size, 0
    fields = records.extra_fields(raw[names:])
    size, packed = records.widened(fields, size, packed)
    name = records.name_of(raw[:names], flags, fields)
    start = at + len(header) + names + extras
    in_vain = 0
    if flags & records.DESCRIBED_LATER:
        measured = _inflated if method == records.DEFLATED else _searched
        found, in_vain = measured(file, start, f"{where}: {name}", limits)
    elif start + packed > file.size:
        found = _Measured(None, None, None, file.size)
    else:
        found = _Measured(packed, size, crc, start + packed)
    entry = Entry(
        name=name,
        method=method,
        encrypted=bool(flags & records.ENCRYPTED),
        special=False,
        modified=records.moment(day, clock),
        packed=found.packed,
        size=found.size,
        crc=found.crc,
        header=at,
        room=file.size,
    )
    return entry, found.after, in_vain


def _inflated(file: SharedFile, start: int, where: str, limits: Limits) -> tuple[_Measured, int]:
    """The extent of a deflated content, which knows its end, and how many bytes were inflated in vain."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    at, size, crc = start, 0, 0
    while not inflate.eof:
        packed = inflate.unconsumed_tail
        if not packed:
            packed = file.read_at(at, STEP)
            at += len(packed)
        if not packed:
            return _Measured(None, None, None, file.size), 0
        try:
            piece = inflate.decompress(packed, INFLATED_AT_ONCE)
        except zlib.error:
            return _Measured(None, None, None, start), size + STEP
        size, crc = size + len(piece), zlib.crc32(piece, crc)
        if limits.is_too_dense(size, at - start):
            raise too_dense(where, limits)
    after = at - len(inflate.unused_data)
    return _Measured(after - start, size, _told_crc(file, after, crc), after), 0


def _searched(file: SharedFile, start: int, where: str, limits: Limits) -> tuple[_Measured, int]:
    """The extent of a stored content: up to the descriptor that tells just this length."""
    at = start
    while len(piece := file.read_at(at, STEP)) >= DESCRIPTOR_SIZE:
        found = piece.find(records.DESCRIPTOR)
        if found < 0:
            at += len(piece) - len(records.DESCRIPTOR) + 1
            continue
        at += found
        told = file.read_at(at, DESCRIPTOR_SIZE)
        if (size := at - start) in (int.from_bytes(told[8:12], "little"), int.from_bytes(told[8:16], "little")):
            return _Measured(size, size, int.from_bytes(told[4:8], "little"), at), 0
        at += len(records.DESCRIPTOR)
    return _Measured(None, None, None, file.size), 0


def _told_crc(file: SharedFile, at: int, crc: int) -> int:
    """The checksum told after a content, or what was counted when the file ends before it."""
    told = file.read_at(at, 8).removeprefix(records.DESCRIPTOR)
    return int.from_bytes(told[:4], "little") if len(told) >= 4 else crc
