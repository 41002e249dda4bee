"""Large JSON and JSON Lines files, element by element and line by line."""

from chatkeep.elements.array import Element, elements
from chatkeep.elements.jsonl import Line, lines

__all__ = ["Element", "Line", "elements", "lines"]
