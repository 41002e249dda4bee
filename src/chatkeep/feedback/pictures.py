"""Screenshots: known by their bytes and not by their name, and without what they say beside the picture. Pure.

A file from a camera or a phone may hold the place, the time and the device. Only the parts that make up the picture are
copied; what follows the end of the picture is not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from chatkeep.errors import WrongUse

LARGEST = 2 * 1024 * 1024
PNG, JPEG, WEBP = "image/png", "image/jpeg", "image/webp"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PARTS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"pHYs")
_JPEG_DROPPED = frozenset({*range(0xE1, 0xF0), 0xFE}) - {0xE2, 0xEE}  # all but JFIF, colour profile, colour transform
_WEBP_DROPPED = (b"EXIF", b"XMP ")
_ENDINGS = {PNG: "png", JPEG: "jpg", WEBP: "webp"}


def cleaned(data: bytes) -> tuple[str, bytes]:
    """What kind of picture it is, and the picture alone. Raises WrongUse when it is too large or none that is taken."""
    if len(data) > LARGEST:
        raise WrongUse("The picture is larger than 2 MB.", hint="Cut out the part that matters, or send none.")
    try:
        if data.startswith(_PNG):
            return PNG, _PNG + b"".join(_png(data))
        if data.startswith(b"\xff\xd8\xff"):
            return JPEG, b"\xff\xd8" + b"".join(_jpeg(data))
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            parts = b"WEBP" + b"".join(_webp(data))
            return WEBP, b"RIFF" + struct.pack("<I", len(parts)) + parts
    except (struct.error, ValueError, IndexError) as error:
        raise WrongUse("The picture is damaged.", hint="Take it again, or send none.") from error
    raise WrongUse("This is no picture that can be sent.", hint="PNG, JPEG and WebP can.")


def ending(kind: str) -> str:
    """How the name of a file of this kind ends."""
    return _ENDINGS[kind]


def _png(data: bytes) -> Iterator[bytes]:
    at = len(_PNG)
    names: list[bytes] = []
    while not names or names[-1] != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        whole = data[at : at + 12 + length]
        if len(whole) < 12 + length:
            raise ValueError("cut off")
        if name in _PNG_PARTS:
            yield whole
        names.append(name)
        at += 12 + length
    if names[0] != b"IHDR" or b"IDAT" not in names:
        raise ValueError("no picture in it")


def _jpeg(data: bytes) -> Iterator[bytes]:
    at = 2
    while True:
        mark, code = data[at], data[at + 1]
        if mark != 0xFF or code in (0x00, 0xD8, 0xD9):
            raise ValueError("no picture in it")
        if code == 0xFF:  # filling
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if length < 2 or at + 2 + length > len(data):
            raise ValueError("cut off")
        if code not in _JPEG_DROPPED:
            yield data[at : at + 2 + length]
        at += 2 + length
        if code == 0xDA:  # the picture itself, up to its end
            yield data[at : data.rindex(b"\xff\xd9") + 2]
            return


def _webp(data: bytes) -> Iterator[bytes]:
    at, end = 12, min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    names: list[bytes] = []
    while at < end:
        name, length = struct.unpack_from("<4sI", data, at)
        whole = data[at : at + 8 + length + length % 2]
        if len(whole) < 8 + length:
            raise ValueError("cut off")
        if name == b"VP8X":  # says which parts there are: the two that are dropped are not
            whole = whole[:8] + bytes([whole[8] & ~0x0C]) + whole[9:]
        if name not in _WEBP_DROPPED:
            yield whole
        names.append(name)
        at += 8 + length + length % 2
    if not {b"VP8 ", b"VP8L", b"ANMF"} & set(names):
        raise ValueError("no picture in it")
