"""Pictures made by hand, each with something in it that is not the picture."""

from __future__ import annotations

import struct
import zlib

SECRET = b"GPS 38.7223 -9.1393 canary"


def png_part(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*, secret: bytes = SECRET) -> bytes:
    head = png_part(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    beside = png_part(b"tEXt", b"Comment\0" + secret) + png_part(b"eXIf", secret)
    body = png_part(b"IDAT", zlib.compress(b"\0\xff\0\0"))
    return b"\x89PNG\r\n\x1a\n" + head + beside + body + png_part(b"IEND", b"") + secret


def _segment(code: int, data: bytes) -> bytes:
    return bytes([0xFF, code]) + struct.pack(">H", len(data) + 2) + data


def jpeg(*, secret: bytes = SECRET) -> bytes:
    beside = _segment(0xE1, b"Exif\0\0" + secret) + _segment(0xFE, secret)
    parts = _segment(0xE0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0") + beside + _segment(0xDB, b"\0" + b"\x10" * 64)
    return b"\xff\xd8" + parts + _segment(0xDA, b"\x01\x01\0\0\x3f\0") + b"\x12\x34\xff\0\x56" + b"\xff\xd9" + secret


def webp(*, secret: bytes = SECRET) -> bytes:
    def part(name: bytes, data: bytes) -> bytes:
        return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    flags = bytes([0x0C, 0, 0, 0]) + b"\0" * 6
    parts = b"WEBP" + part(b"VP8X", flags) + part(b"VP8L", b"\x2f" + b"\0" * 10) + part(b"EXIF", secret)
    return b"RIFF" + struct.pack("<I", len(parts)) + parts + secret
