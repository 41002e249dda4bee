"""Exact values (`chatkeep.exact`) laid out for people to read."""

from __future__ import annotations

import json
from typing import Any

from chatkeep import exact

MAX_LENGTH = 100_000


def pretty(value: Any) -> str:
    """JSON with an indent of two; a text by itself as it is. Cut off, and said so, when it is very long."""
    if isinstance(value, str):
        return exact.readable(value)
    text = exact.readable("".join(_lines(value, "\n")))
    return text if len(text) <= MAX_LENGTH else text[:MAX_LENGTH] + "\n… (shortened)"


def _lines(value: Any, margin: str) -> list[str]:
    if isinstance(value, dict) and value and not _is_marked(value):
        items = [
            [json.dumps(key, ensure_ascii=False), ": ", *_lines(item, margin + "  ")] for key, item in value.items()
        ]
        return _enclosed("{", items, "}", margin)
    if isinstance(value, list) and value:
        return _enclosed("[", [_lines(item, margin + "  ") for item in value], "]", margin)
    if isinstance(value, str):
        return [json.dumps(value, ensure_ascii=False)]
    return [exact.to_source(value)]


def _is_marked(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)) in ("$number", "$object")


def _enclosed(opening: str, items: list[list[str]], closing: str, margin: str) -> list[str]:
    written = [opening]
    for at, item in enumerate(items):
        written += ["," if at else "", margin, "  ", *item]
    return [*written, margin, closing]
