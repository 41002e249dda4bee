"""Large JSON and JSON Lines files are read element by element."""

from __future__ import annotations

import io
import json

import pytest

from chatkeep.elements import Element, elements
from chatkeep.errors import Problem


def split(data: bytes, **options: object) -> tuple[list[object], list[Problem]]:
    found = list(elements(io.BytesIO(data), where="a.json", **options))  # type: ignore[arg-type]
    values = [json.loads(each.raw) for each in found if isinstance(each, Element)]
    return values, [each for each in found if isinstance(each, Problem)]


@pytest.mark.parametrize("indent", [None, 2])
def test_every_element_of_a_list_is_given_in_order(indent: int | None) -> None:
    rows = [{"uuid": str(i), "name": "n", "in": [{"uuid": "x", "text": "}, {"}] * (i % 5)} for i in range(5000)]
    assert split(json.dumps(rows, indent=indent).encode()) == (rows, [])
