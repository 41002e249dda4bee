"""Conversations that a JSON file lists: a record for each, and what is told of one that cannot be read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

from chatkeep import exact
from chatkeep.elements import elements
from chatkeep.errors import Problem
from chatkeep.importers import Loaded, Record
from chatkeep.importers.fields import Json, is_doubled, record_of
from chatkeep.model import Conversation


@dataclass(slots=True)
class Built:
    """A settled document and what is to be told of it.

    unknown: blocks that were kept raw, counted by kind. is_shell: whether the platform has blanked it. is_complete:
    False when the export lacks what a later one may bring.
    """

    conversation: Conversation
    problems: list[Problem] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    is_shell: bool = False
    is_complete: bool = True


class NotAConversationError(ValueError):
    """What stands in the list is no conversation; the text tells a person so."""


Build = Callable[[Json, str], Built]
"""Makes the document of a record, which it takes apart; the text says where it stands. Raises NotAConversationError."""


def records(
    stream: BinaryIO, build: Build, *, by: str, where: str, called: str = "conversation", inside: str | None = None
) -> Iterator[Record | Problem]:
    """A record for each element of the list in a file, in order, and a problem for what is no element.

    by: the importer and its version, on which digests depend. where: the file in words. called: what an element is in
    words. inside: as `chatkeep.elements.elements` has it.
    """
    for element in elements(stream, where=where, inside=inside):
        if isinstance(element, Problem):
            yield element
            continue
        place = f"{where}, {called} {element.index + 1:,}"
        digest = hashlib.sha256(by.encode() + b"\0" + element.raw).digest()
        yield Record(place, digest, partial(load, element.raw, build, place))


def load(raw: bytes, build: Build, where: str) -> Loaded:
    """What one element holds: its conversation and what is to be told of it, or why it was left out."""
    try:
        value = exact.decode(raw)
    except ValueError as wrong:
        return _left_out(where, f"It cannot be read ({wrong}); it was left out.")
    record = record_of(value)
    if record is None:
        return _left_out(where, "It is not an object, so it is no conversation; it was left out.")
    problems = []
    if is_doubled(value):
        problems.append(Problem(where, "Fields stand in it twice; the last of each was read, and all were kept raw."))
        record["$object"] = value["$object"]
    try:
        built = build(record, where)
    except NotAConversationError as wrong:
        return Loaded(problems=[*problems, Problem(where, str(wrong))])
    return Loaded(
        (built.conversation,),
        problems + built.problems,
        dict(built.unknown),
        shells=int(built.is_shell),
        complete=built.is_complete,
    )


def _left_out(where: str, what: str) -> Loaded:
    return Loaded(problems=[Problem(where, what)])
