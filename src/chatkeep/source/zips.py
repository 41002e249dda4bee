"""What a zip says it holds: its directory, or, when that was cut off, what its own members say.

Source: APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.9 (data descriptor), 4.3.12 (directory), 4.3.14 and
4.3.15 (ZIP64), 4.3.16 (end record), 4.4.4 (bit 11), 4.6.9 (Unicode path).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from chatkeep.errors import Damaged, UnsafeSource
from chatkeep.source.limits import Limits
from chatkeep.source.streams import PACKED_CHUNK, SharedFile, Stretch, too_dense

LOCAL = b"PK\x03\x04"
CENTRAL = b"PK\x01\x02"
END = b"PK\x05\x06"
END64 = b"PK\x06\x06"
LOCATOR64 = b"PK\x06\x07"
DESCRIPTOR = b"PK\x07\x08"

STORED, DEFLATED = 0, 8

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")

_ENCRYPTED, _DESCRIBED_LATER, _UTF8 = 1 << 0, 1 << 3, 1 << 11
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_DIRECTORY_MAX = 256 << 20
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a zip's directory. packed, size and crc are None where a cut-off zip does not say."""

    name: str
    method: int
    encrypted: bool
    link: bool
    modified: datetime | None
    packed: int | None
    size: int | None
    crc: int | None
    header: int
    room: int


@dataclass(frozen=True, slots=True)
class Directory:
    """entries: in the order of the zip. cut: the zip is cut off, and this is what could be found."""

    entries: list[Entry]
    cut: bool


def is_zip(head: bytes) -> bool:
    """Whether a file that starts like this is a zip (by its bytes, not by its name)."""
    return head.startswith((LOCAL, END))


def directory(file: SharedFile, where: str, limits: Limits) -> Directory:
    """What the zip holds. Raises UnsafeSource when it is built to harm, Damaged when nothing can be found in it."""
    end = _end_record(file, where)
    if end is None:
        found = list(_walked(file, where, limits))
        if not found:
            raise Damaged(f"{where} is cut off or damaged, and no file in it can be read.", hint=_DOWNLOAD)
        return Directory(found, cut=True)
    entries = _listed(file, end, where, limits)
    _refuse_overlap(entries, end.base + end.offset, where)
    _refuse_bomb(entries, file.size, where, limits)
    return Directory(entries, cut=False)


def content(file: SharedFile, entry: Entry, where: str) -> Stretch:
    """Where an entry's packed bytes lie. Raises Damaged when its own header is not there."""
    header = file.read_at(entry.header, _LOCAL.size)
    if len(header) < _LOCAL.size or not header.startswith(LOCAL):
        raise Damaged(f"{where} is not where its zip says.")
    *_, name_length, extra_length = _LOCAL.unpack(header)
    start = entry.header + _LOCAL.size + name_length + extra_length
    if entry.packed is not None and start + entry.packed > entry.room:
        raise UnsafeSource(f"{where} shares its bytes with another file, as a zip bomb does.", hint=_ORIGINAL)
    return Stretch(
        file,
        start=start,
        packed=entry.packed,
        size=entry.size,
        crc=entry.crc,
        deflated=entry.method == DEFLATED,
        where=where,
    )


_DOWNLOAD = "Download the export again; the download probably stopped early."
_ORIGINAL = "Give the export exactly as the platform made it."


# -- the directory at the end ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _End:
    count: int
    size: int
    offset: int
    base: int


def _end_record(file: SharedFile, where: str) -> _End | None:
    """The last record of the zip, or None when there is none that fits (the file is cut off)."""
    tail_at = max(0, file.size - _END.size - _FULL16)
    tail = file.read_at(tail_at, file.size - tail_at)
    at = tail.rfind(END)
    while at >= 0:
        if at + _END.size <= len(tail) and (end := _read_end(file, tail, at, tail_at, where)):
            return end
        at = tail.rfind(END, 0, at)
    return None


def _read_end(file: SharedFile, tail: bytes, at: int, tail_at: int, where: str) -> _End | None:
    _, disk, first_disk, _, count, size, offset, _ = _END.unpack_from(tail, at)
    position = tail_at + at
    if disk not in (0, _FULL16) or first_disk not in (0, _FULL16):
        raise Damaged(f"{where} is one part of a zip in several parts.", hint="Join the parts first.")
    if _FULL16 in (count, disk) or _FULL32 in (size, offset):
        wide = _read_end64(file, position)
        if wide is not None:
            count, size, offset, position = wide
    base = position - size - offset
    if base < 0 or (count and not file.read_at(base + offset, 4).startswith(CENTRAL)):
        return None
    return _End(count, size, offset, base)


def _read_end64(file: SharedFile, end_at: int) -> tuple[int, int, int, int] | None:
    locator = file.read_at(max(0, end_at - _LOCATOR64.size), _LOCATOR64.size)
    if len(locator) < _LOCATOR64.size or not locator.startswith(LOCATOR64):
        return None
    _, _, told_at, _ = _LOCATOR64.unpack(locator)
    for at in (end_at - _LOCATOR64.size - _END64.size, told_at):
        record = file.read_at(at, _END64.size) if 0 <= at < end_at else b""
        if len(record) == _END64.size and record.startswith(END64):
            *_, count, size, offset = _END64.unpack(record)
            return count, size, offset, at
    return None


def _listed(file: SharedFile, end: _End, where: str, limits: Limits) -> list[Entry]:
    if end.size > _DIRECTORY_MAX:
        raise too_many(where, limits)
    data = file.read_at(end.base + end.offset, end.size)
    entries: list[Entry] = []
    at = 0
    while at + _CENTRAL.size <= len(data) and data.startswith(CENTRAL, at):
        entry, at = _central(data, at, end.base)
        if not entry.name.endswith(("/", "\\")):
            entries.append(entry)
        if len(entries) > limits.entries:
            raise too_many(where, limits)
    return entries


def too_many(where: str, limits: Limits) -> UnsafeSource:
    return UnsafeSource(
        f"{where} holds more than {limits.entries:,} files.",
        hint="Give only the part that holds the conversations.",
    )


def _central(data: bytes, at: int, base: int) -> tuple[Entry, int]:
    (
        _,
        system,
        _,
        flags,
        method,
        clock,
        day,
        crc,
        packed,
        size,
        names,
        extras,
        comments,
        _,
        _,
        mode,
        header,
    ) = _CENTRAL.unpack_from(data, at)
    name_at = at + _CENTRAL.size
    raw_name = data[name_at : name_at + names]
    extra = _extra_fields(data[name_at + names : name_at + names + extras])
    size, packed, header = _widened(extra.get(_ZIP64, b""), size, packed, header)
    entry = Entry(
        name=_name(raw_name, flags, extra),
        method=method,
        encrypted=bool(flags & _ENCRYPTED),
        link=_is_special(system >> 8, mode >> 16),
        modified=_moment(day, clock),
        packed=packed,
        size=size,
        crc=crc,
        header=base + header,
        room=0,
    )
    return entry, name_at + names + extras + comments


def _extra_fields(data: bytes) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        kind, length = struct.unpack_from("<2H", data, at)
        fields.setdefault(kind, data[at + 4 : at + 4 + length])
        at += 4 + length
    return fields


def _widened(zip64: bytes, *values: int) -> list[int]:
    """The values, those that did not fit into 32 bits taken from the ZIP64 field, in order."""
    widened = []
    for value in values:
        if value == _FULL32 and len(zip64) >= 8:
            value, zip64 = int.from_bytes(zip64[:8], "little"), zip64[8:]
        widened.append(value)
    return widened


def _name(raw: bytes, flags: int, extra: dict[int, bytes]) -> str:
    """The name as people know it: many programs write UTF-8 and do not say so, so that is tried before cp437."""
    field = extra.get(_UNICODE_PATH, b"")
    if len(field) > 5 and field[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
        raw, flags = field[5:], flags | _UTF8
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace") if flags & _UTF8 else raw.decode("cp437")


def _is_special(made_on: int, mode: int) -> bool:
    """Whether a Unix entry is a link or a device rather than a file or folder (3: Unix, 19: macOS)."""
    return made_on in (3, 19) and (mode & 0o170000) not in (0, 0o100000, 0o040000)


def _moment(day: int, clock: int) -> datetime | None:
    """Wall-clock time of an entry; None for nonsense and for 1980-01-01, which programs write for "unknown"."""
    if (day, clock) == (0x21, 0):
        return None
    try:
        return datetime(  # noqa: DTZ001 - a zip does not know its zone
            (day >> 9) + 1980, day >> 5 & 15, day & 31, clock >> 11, clock >> 5 & 63, (clock & 31) * 2
        )
    except ValueError:
        return None


# -- entries that lie ------------------------------------------------------------------------------------------------


def _refuse_overlap(entries: list[Entry], directory_at: int, where: str) -> None:
    """Give each entry the room up to the next one; refuse the zip when one needs more than that (CVE-2024-0450)."""
    in_place = sorted(range(len(entries)), key=lambda i: entries[i].header)
    room = directory_at
    for i in reversed(in_place):
        entry = entries[i]
        if entry.header + _LOCAL.size + (entry.packed or 0) > room:
            raise UnsafeSource(f"The files in {where} overlap, as in a zip bomb.", hint=_ORIGINAL)
        entries[i] = _with_room(entry, room)
        room = entry.header


def _with_room(entry: Entry, room: int) -> Entry:
    fields = {name: getattr(entry, name) for name in Entry.__slots__}
    return Entry(**(fields | {"room": room}))


def _refuse_bomb(entries: list[Entry], packed: int, where: str, limits: Limits) -> None:
    total = 0
    for entry in entries:
        size = entry.size or 0
        total += size
        if size > limits.ratio_from and size > limits.ratio * (entry.packed or 0):
            raise too_dense(f"{where}: {entry.name}", limits)
    if total > limits.inflated:
        raise UnsafeSource(
            f"{where} holds {total:,} bytes, more than the {limits.inflated:,} allowed.",
            hint="Give only the part that holds the conversations, or raise the limit.",
        )
    if total > limits.ratio_from and total > limits.ratio * packed:
        raise too_dense(where, limits)


# -- a zip without its end -------------------------------------------------------------------------------------------


def _walked(file: SharedFile, where: str, limits: Limits) -> Iterator[Entry]:
    """The entries found by walking from one local header to the next."""
    at = _next_header(file, 0)
    count = 0
    while at is not None:
        entry, after = _local(file, at, where, limits)
        if entry is not None:
            yield entry
            count += 1
        if count > limits.entries:
            raise too_many(where, limits)
        at = _next_header(file, after)


def _next_header(file: SharedFile, at: int) -> int | None:
    """Where the next local header begins, at this place or later."""
    while at < file.size:
        piece = file.read_at(at, PACKED_CHUNK)
        found = piece.find(LOCAL)
        if found >= 0:
            return at + found
        at += max(len(piece) - len(LOCAL) + 1, 1)
    return None


def _local(file: SharedFile, at: int, where: str, limits: Limits) -> tuple[Entry | None, int]:
    """The entry at a local header, and where to look for the next one."""
    header = file.read_at(at, _LOCAL.size)
    if len(header) < _LOCAL.size:
        return None, file.size
    _, _, flags, method, clock, day, crc, packed, size, names, extras = _LOCAL.unpack(header)
    raw = file.read_at(at + _LOCAL.size, names + extras)
    if len(raw) < names + extras:
        return None, file.size
    extra = _extra_fields(raw[names:])
    size, packed = _widened(extra.get(_ZIP64, b""), size, packed)
    name = _name(raw[:names], flags, extra)
    start = at + _LOCAL.size + names + extras
    told: tuple[int | None, int | None, int | None] = (packed, size, crc)
    if flags & _DESCRIBED_LATER:
        told, after = _described_later(file, start, method, f"{where}: {name}", limits)
    else:
        after = start + packed
        if after > file.size:
            told = (None, None, None) if method == DEFLATED else (file.size - start, None, None)
    if name.endswith(("/", "\\")):
        return None, after
    entry = Entry(
        name=name,
        method=method,
        encrypted=bool(flags & _ENCRYPTED),
        link=False,
        modified=_moment(day, clock),
        packed=told[0],
        size=told[1],
        crc=told[2],
        header=at,
        room=file.size,
    )
    return entry, min(after, file.size)


def _described_later(
    file: SharedFile, start: int, method: int, where: str, limits: Limits
) -> tuple[tuple[int | None, int | None, int | None], int]:
    """Sizes and checksum of an entry that names them after its content, found by inflating it."""
    if method != DEFLATED:
        return (0, 0, None), start
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    at, size, crc = start, 0, 0
    while not inflate.eof:
        packed = inflate.unconsumed_tail or file.read_at(at, PACKED_CHUNK)
        at += 0 if inflate.unconsumed_tail else len(packed)
        if not packed:
            return (None, None, None), file.size
        try:
            piece = inflate.decompress(packed, 1 << 20)
        except zlib.error:
            return (None, None, None), start
        size, crc = size + len(piece), zlib.crc32(piece, crc)
        if size > limits.ratio_from and size > limits.ratio * (at - start):
            raise too_dense(where, limits)
    after = at - len(inflate.unused_data)
    return (after - start, size, _descriptor_crc(file, after, crc)), after


def _descriptor_crc(file: SharedFile, at: int, crc: int) -> int:
    """The checksum told after the content; what was counted when the zip ends before telling it."""
    told = file.read_at(at, 8)
    if told.startswith(DESCRIPTOR):
        told = told[4:]
    return int.from_bytes(told[:4], "little") if len(told) >= 4 else crc
