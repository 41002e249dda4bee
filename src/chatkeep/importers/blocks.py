"""The blocks of which assistants make a message: objects that name their type, each read by what knows that type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from chatkeep.importers import Keep
from chatkeep.importers.fields import Json
from chatkeep.model import Part


@dataclass(slots=True)
class Saying:
    """One message while its parts are made. unknown: where blocks that nobody knows are counted by kind."""

    keep: Keep
    unknown: Counter[str]


S = TypeVar("S", bound=Saying)


def read_block(block: Any, saying: S, by_type: Mapping[str, Callable[[Json, S], list[Part] | None]]) -> list[Part]:
    """The parts of a block as the function for its type reads it.

    Kept raw where there is no function for it, or that one finds nothing it knows and gives None.
    """
    kind = block.get("type") if type(block) is dict else None
    read = by_type.get(kind) if type(kind) is str else None
    found = read(block, saying) if read else None
    return [unknown_part(block, kind, saying)] if found is None else found


def unknown_part(block: Any, kind: Any, saying: Saying) -> Part:
    """A block of a kind that nobody knows, kept raw and counted."""
    name = kind if type(kind) is str and kind else "block"
    saying.unknown[name] += 1
    text = block.get("text") if type(block) is dict else None
    return Part(type="unknown", kind=name, raw=block, text=text if type(text) is str else "")
