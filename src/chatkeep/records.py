"""What passes between an importer and the archive that takes its records in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from chatkeep.errors import Problem
from chatkeep.model import Conversation


@dataclass(frozen=True, slots=True)
class Kept:
    """An attachment that was kept. sha256: hex; size [bytes]; head: its first bytes, at most 64, to tell its type."""

    sha256: str
    size: int
    head: bytes


Keep = Callable[[BinaryIO], Kept]
"""Keeps the bytes of an attachment, read to their end, and says what they are. Keeping twice keeps one."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one record of an export holds.

    conversations: settled (`chatkeep.merge.settle`); usually one.
    problems: what in it could not be read.
    unknown: blocks that no importer knows and that were kept raw, counted by kind.
    shells: how many of the conversations the platform has blanked; they are kept but never replace anything.
    complete: False when the export lacks something that a later one may bring (the bytes of an attachment), so that
    the record must be loaded again unless the very same files stand beside it.
    notes: what a person may want to know that is no problem, in sentences.
    """

    conversations: Sequence[Conversation] = ()
    problems: Sequence[Problem] = ()
    unknown: dict[str, int] = field(default_factory=dict)
    shells: int = 0
    complete: bool = True
    notes: Sequence[str] = ()
