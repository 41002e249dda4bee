"""Snapshots: an archive as it was at one moment. The last thing a run writes, and its commit.

The counts and the place in the chain of a host stand in tags ("conversations=12", "sequence=3"), because tags are
what restic itself keeps when it rewrites a snapshot. `paths` is a constant and the host the device's own, so that
restic groups our snapshots by device.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from chatkeep import __version__
from chatkeep.errors import Damaged

FOLDER = "snapshots/"
TAG = "chatkeep"
PATHS = ["/Chatkeep"]
_FRACTION = re.compile(r"(\.\d{6})\d+")
_COUNT = re.compile(r"([a-z_]+)=(\d+)", re.ASCII)
_MERGED = re.compile(r"merged=(.+)@(\d+)", re.ASCII)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """An archive as it was at one moment.

    id: name of the object now. original: its first name, if another tool renamed it; the identity is original or id.
    host: the device that made it; parent: the one before it on that host; sequence: its number there, from 1.
    merged: of each other host the number of its last snapshot that was merged into this one.
    counts: "conversations", "messages" … as they were saved. foreign: made by another program, not ours to load.
    """

    id: str
    time: datetime
    host: str
    tree: str
    parent: str = ""
    original: str = ""
    sequence: int = 0
    counts: Mapping[str, int] = {}
    merged: Mapping[str, int] = {}
    foreign: bool = False

    @property
    def identity(self) -> str:
        """What it is known by, also when another tool has renamed it."""
        return self.original or self.id


class SnapshotObject(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The content of a snapshot object, in restic's field names; the fields that we read or write."""

    time: str
    parent: str = ""
    tree: str
    paths: list[str] | None
    hostname: str = ""
    username: str = ""
    tags: list[str] | None = None
    original: str = ""
    program_version: str = ""
    summary: dict[str, Any] = {}


def to_object(snapshot: Snapshot, *, summary: Mapping[str, Any]) -> SnapshotObject:
    """The JSON value of a snapshot that is about to be written (its id is not known yet)."""
    numbers = {"sequence": snapshot.sequence, **snapshot.counts}
    return SnapshotObject(
        time=format_time(snapshot.time),
        parent=snapshot.parent,
        tree=snapshot.tree,
        paths=PATHS,
        hostname=snapshot.host,
        username=TAG,
        tags=[
            TAG,
            *(f"{name}={number}" for name, number in numbers.items()),
            *(f"merged={host}@{number}" for host, number in sorted(snapshot.merged.items())),
        ],
        program_version=f"chatkeep {__version__}",
        summary=dict(summary),
    )


def from_object(name: str, found: SnapshotObject) -> Snapshot:
    """A snapshot as it was read. Raises Damaged when its time or tree cannot be."""
    tags = found.tags or []
    counts = {match[1]: int(match[2]) for tag in tags if (match := _COUNT.fullmatch(tag))}
    if not re.fullmatch("[0-9a-f]{64}", found.tree):
        raise Damaged(f"The snapshot {name[:12]} names no tree.")
    return Snapshot(
        id=name,
        time=parse_time(found.time),
        host=found.hostname,
        tree=found.tree,
        parent=found.parent,
        original=found.original,
        sequence=counts.pop("sequence", 0),
        counts=counts,
        merged={match[1]: int(match[2]) for tag in tags if (match := _MERGED.fullmatch(tag))},
        foreign=found.paths != PATHS or (TAG not in tags and not found.program_version.startswith(TAG)),
    )


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with Z, the fraction without trailing zeros."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def parse_time(text: str) -> datetime:
    """A time as Go writes it, with up to nine digits and any offset. Raises Damaged."""
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    except ValueError as error:
        raise Damaged("A snapshot has no time.") from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
