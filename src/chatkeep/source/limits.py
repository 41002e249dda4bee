"""How much a source may hold before it is refused, and why each figure is what it is: docs/design/source.md."""

from __future__ import annotations

import msgspec

MIB = 1 << 20
GIB = 1 << 30


class Limits(msgspec.Struct, frozen=True):
    """What protects this machine from a source that was made to harm it, or that is not an export at all.

    entries: files in all that is given, folders not counted.
    ratio: how many bytes one packed byte may become, counted on the bytes really inflated.
    ratio_from: bytes of one member before its ratio is looked at; small members may be very regular.
    inflated: bytes that all members together may hold.
    nested: zips inside zips that are looked into; a zip inside one of those stays closed.
    """

    entries: int = 100_000
    ratio: int = 200
    ratio_from: int = 10 * MIB
    inflated: int = 200 * GIB
    nested: int = 100
