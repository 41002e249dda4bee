"""The records a zip is made of.

Source: APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.9 (data descriptor), 4.3.12 (directory), 4.3.14 and
4.3.15 (ZIP64), 4.3.16 (end record), 4.4.4 (bit 11), 4.6.9 (Unicode path).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from datetime import datetime

LOCAL = b"PK\x03\x04"
CENTRAL = b"PK\x01\x02"
END = b"PK\x05\x06"
END64 = b"PK\x06\x06"
LOCATOR64 = b"PK\x06\x07"
DESCRIPTOR = b"PK\x07\x08"

LOCAL_RECORD = struct.Struct("<4s5H3L2H")
CENTRAL_RECORD = struct.Struct("<4s6H3L5H2L")
END_RECORD = struct.Struct("<4s4H2LH")
END64_RECORD = struct.Struct("<4sQ2H2L4Q")
LOCATOR64_RECORD = struct.Struct("<4sLQL")

FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF
STORED, DEFLATED = 0, 8
ENCRYPTED, DESCRIBED_LATER, UTF8 = 1 << 0, 1 << 3, 1 << 11

_ZIP64, _UNICODE_PATH = 0x0001, 0x7075
_UNIX, _MACOS = 3, 19
_UNKNOWN_TIME = (0x21, 0)


@dataclass(slots=True)
class Entry:
    """One file in a zip.

    special: a link or a device. packed, size, crc: None where a cut-off zip does not say.
    header: where its local header is. room: where the next thing in the zip begins.
    """

    name: str
    method: int
    encrypted: bool
    special: bool
    modified: datetime | None
    packed: int | None
    size: int | None
    crc: int | None
    header: int
    room: int

    @property
    def is_folder(self) -> bool:
        return self.name.endswith(("/", "\\"))


def central(data: bytes, at: int, base: int) -> tuple[Entry, int]:
    """The entry of a directory that begins at this place, and where the next begins. base: where the zip begins."""
    (_, system, _, flags, method, clock, day, crc, packed, size, names, extras, comments, _, _, mode, header) = (
        CENTRAL_RECORD.unpack_from(data, at)
    )
    name_at = at + CENTRAL_RECORD.size
    fields = extra_fields(data[name_at + names : name_at + names + extras])
    size, packed, header = widened(fields, size, packed, header)
    entry = Entry(
        name=name_of(data[name_at : name_at + names], flags, fields),
        method=method,
        encrypted=bool(flags & ENCRYPTED),
        special=_is_special(system >> 8, mode >> 16),
        modified=moment(day, clock),
        packed=packed,
        size=size,
        crc=crc,
        header=base + header,
        room=0,
    )
    return entry, name_at + names + extras + comments


def extra_fields(data: bytes) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        kind, length = struct.unpack_from("<2H", data, at)
        fields.setdefault(kind, data[at + 4 : at + 4 + length])
        at += 4 + length
    return fields


def widened(fields: dict[int, bytes], *values: int) -> list[int]:
    """The values, those that did not fit into 32 bits taken from the ZIP64 field, in order."""
    wide, found = fields.get(_ZIP64, b""), []
    for value in values:
        if value == FULL32 and len(wide) >= 8:
            value, wide = int.from_bytes(wide[:8], "little"), wide[8:]
        found.append(value)
    return found


def name_of(raw: bytes, flags: int, fields: dict[int, bytes]) -> str:
    """The name as people know it: many programs write UTF-8 and do not say so, so it is tried before cp437."""
    field = fields.get(_UNICODE_PATH, b"")
    if len(field) > 5 and field[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
        raw, flags = field[5:], flags | UTF8
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace") if flags & UTF8 else raw.decode("cp437")


def _is_special(system: int, mode: int) -> bool:
    return system in (_UNIX, _MACOS) and (mode & 0o170000) not in (0, 0o100000, 0o040000)


def moment(day: int, clock: int) -> datetime | None:
    """Wall-clock time of an entry; None for nonsense and for 1980-01-01, which programs write for "unknown"."""
    if (day, clock) == _UNKNOWN_TIME:
        return None
    date = ((day >> 9) + 1980, day >> 5 & 15, day & 31)
    try:
        return datetime(*date, clock >> 11, clock >> 5 & 63, (clock & 31) * 2)  # noqa: DTZ001 - a zip has no zone
    except ValueError:
        return None
