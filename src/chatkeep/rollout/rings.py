"""Who has something: rings, each inside the next, from nobody to everybody. Pure.

A person is in a percentage by a hash of the flag and of the person. So it is the same on every device, in every
process and for ever, and other people are first for another flag.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from chatkeep.errors import WrongUse

OFF, TEAM, INVITED, EVERYONE = "off", "team", "invited", "100%"
RINGS = (OFF, TEAM, INVITED, "5%", "25%", EVERYONE)
"""The usual way outwards. Any whole percentage is a ring too."""
LEAST_DAYS = {TEAM: 3, INVITED: 7, "5%": 7, "25%": 7}
"""How long a ring is watched before the next [days]."""
_PERCENT = re.compile(r"([1-9][0-9]?|100)%")
_STEPS = 10_000


class Person(msgspec.Struct, frozen=True):
    """Somebody who may have something. id: never shown, only hashed. cohorts: "team", "invited", or none."""

    id: str
    cohorts: tuple[str, ...] = ()


def checked(ring: str) -> str:
    """The ring, if it is one. Raises WrongUse."""
    if ring not in RINGS and not _PERCENT.fullmatch(ring):
        raise WrongUse(f"{ring!r} is no ring.", hint="There are: off, team, invited, and 1% to 100%.")
    return ring


def width(ring: str) -> int:
    """How far out a ring is, so that rings can be compared; of two the wider holds all of the other."""
    return int(ring[:-1]) if ring.endswith("%") else (OFF, TEAM, INVITED).index(ring) - 2


def outer(ring: str) -> str:
    """The next ring on the usual way outwards; everyone stays everyone."""
    return next((one for one in RINGS if width(one) > width(ring)), EVERYONE)


def inner(ring: str) -> str:
    """The ring before on the usual way; off stays off."""
    return next((one for one in reversed(RINGS) if width(one) < width(ring)), OFF)


def least_days(ring: str) -> int:
    """How long to stay in a ring before the next [days]; a percentage of its own as long as the usual one below."""
    usual = [one for one in LEAST_DAYS if width(one) <= width(ring)]
    return LEAST_DAYS[usual[-1]] if usual and ring != EVERYONE else 0


def holds(ring: str, flag: str, person: Person) -> bool:
    """Whether a ring of a flag holds a person."""
    if ring == OFF:
        return False
    if TEAM in person.cohorts or ring == EVERYONE:
        return True
    if ring == TEAM:
        return False
    return INVITED in person.cohorts or (ring != INVITED and place(flag, person.id) < int(ring[:-1]) * _STEPS // 100)


def place(flag: str, person: str) -> int:
    """Where a person stands in the row of all, for one flag [0 to 9,999]. This never changes: people would notice."""
    digest = hashlib.sha256(f"{flag}\0{person}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * _STEPS >> 64
