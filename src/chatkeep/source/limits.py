"""How much a source may hold before it is refused, and why each figure is what it is: docs/design/source.md."""

from __future__ import annotations

import msgspec

from chatkeep.errors import UnsafeSource

MIB = 1 << 20
GIB = 1 << 30


class Limits(msgspec.Struct, frozen=True):
    """What protects this machine from a source that was made to harm it, or that is not an export at all.

    entries: files in all that is given, folders not counted.
    ratio: how many bytes one packed byte may become, counted on the bytes really inflated.
    ratio_from: bytes before the ratio is looked at; small files may be very regular.
    inflated: bytes that all members together may hold.
    nested: zips inside that are looked into; a zip inside one of those stays closed.
    """

    entries: int = 100_000
    ratio: int = 200
    ratio_from: int = 10 * MIB
    inflated: int = 200 * GIB
    nested: int = 100

    def is_too_dense(self, inflated: int, packed: int) -> bool:
        """Whether so many bytes [inflated] from so few [packed] are a zip bomb."""
        return inflated > self.ratio_from and inflated > self.ratio * packed


def too_dense(where: str, limits: Limits) -> UnsafeSource:
    return UnsafeSource(
        f"{where} grows to more than {limits.ratio} times its packed size, as a zip bomb does.",
        hint="If you trust it, unpack it yourself and give the folder.",
    )


def too_many(where: str, limits: Limits) -> UnsafeSource:
    return UnsafeSource(
        f"{where} holds more than {limits.entries:,} files.",
        hint="Give only the part that holds the conversations.",
    )


def too_large(where: str, limits: Limits) -> UnsafeSource:
    return UnsafeSource(
        f"{where} holds more than {limits.inflated:,} bytes.",
        hint="Give only the part that holds the conversations.",
    )
