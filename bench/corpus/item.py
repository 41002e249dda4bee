"""One generated conversation, and the small things that all formats are made of."""

from __future__ import annotations

import json
import random
import struct
import zlib
from datetime import UTC, datetime
from typing import NamedTuple

EPOCH_FIRST = 1_669_900_000  # December 2022
EPOCH_LAST = 1_793_000_000  # October 2026


class Settings(NamedTuple):
    """What decides the bytes of a corpus, beside its size."""

    format: str
    layout: str
    seed: int
    tame: bool


class Asset(NamedTuple):
    """A picture of an export."""

    path: str  # its path in the export
    label: str  # the name that the person knows it by
    number: int  # what tiny_png makes it from


class Item(NamedTuple):
    """One generated conversation."""

    data: bytes
    name: str  # for formats with one file a conversation
    assets: list[Asset]


encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
encode_json_ascii = json.JSONEncoder(separators=(", ", ": ")).encode


def reseed(rng: random.Random, settings: Settings, *, index: int) -> None:
    """Make everything drawn from now on depend on the seed and the conversation's number alone."""
    rng.seed((settings.seed << 48) + index)


def uuid_of(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def some_moment(rng: random.Random) -> float:
    """Seconds since 1970, between the first day of ChatGPT and today."""
    return EPOCH_FIRST + rng.random() * (EPOCH_LAST - EPOCH_FIRST)


def iso(seconds: float, digits: int = 6) -> str:
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text[: 20 + digits] + "Z"


def seconds_of(stamp: str) -> float:
    """The time of an ISO stamp ending in Z, as an importer would read it."""
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def tiny_png(number: int) -> bytes:
    """A valid PNG picture that depends on the number."""
    rng = random.Random(number)
    width, height = rng.randint(2, 48), rng.randint(2, 48)
    color = bytes(rng.randrange(256) for _ in range(3))
    row = b"\0" + color * width
    noise = b"\0" + rng.randbytes(3 * width)
    raw = row * (height - 1) + noise
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, data) for kind, data in chunks)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
