"""The log of what was done: lines are added, each with the hash of the one before; nothing changes or removes one.

A line names people by their id alone. So the log can be kept when a person is erased, and tells nobody who it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import IntegrityError, transaction
from django.utils import timezone

from chatkeep.errors import WrongUse
from chatkeep.people.models import Audit

FIRST = "0" * 64
COMMAND_LINE = "the command line"


class Gap(msgspec.Struct, frozen=True):
    """A line that does not follow from the one before it. number: its place in the log, from 1."""

    number: int
    what: str


def note(actor: str, what: str, about: str = "", details: Mapping[str, Any] | None = None) -> Audit:
    """Add a line. It is kept if and only if the transaction around it is.

    actor: `User.mark`, or what is no person. what: a dotted code, "user.invited". Of several at the same moment each
    gets its place. Raises WrongUse for an e-mail address anywhere in it.
    """
    given = dict(details or {})
    if "@" in f"{actor}{about}{json.dumps(given)}":
        raise WrongUse("The log names people by their id, not by an address.")
    while True:
        line = Audit(at=_now(), actor=actor, what=what, about=about, details=given, before=_last())
        line.hash = _hash(line)
        try:
            with transaction.atomic():
                line.save(force_insert=True)
        except IntegrityError:  # somebody else's line came first
            continue
        return line


def lines(*, about: str = "") -> list[Audit]:
    """The log, the newest line first; about: only what somebody did or what was done to them."""
    found = Audit.objects.all()
    return list(found.filter(actor=about) | found.filter(about=about)) if about else list(found[:500])


def gaps() -> Iterator[Gap]:
    """Where the log was changed: a line that is not as it was written, or that does not follow the one before it.

    What was cut off at the end leaves no trace here; keep the hash of the last line elsewhere to notice that.
    """
    before = FIRST
    for number, line in enumerate(Audit.objects.order_by("id").iterator(), start=1):
        if line.before != before:
            yield Gap(number, "A line before this one is missing or was put elsewhere.")
        if line.hash != _hash(line):
            yield Gap(number, "This line is not as it was written.")
        before = line.hash


def _last() -> str:
    return Audit.objects.order_by("-id").values_list("hash", flat=True).first() or FIRST


def _now() -> datetime:
    """To the millisecond, which every database keeps."""
    now = timezone.now()
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _hash(line: Audit) -> str:
    at = line.at.astimezone(UTC).isoformat(timespec="milliseconds")
    said = [line.before, at, line.actor, line.what, line.about, line.details]
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
