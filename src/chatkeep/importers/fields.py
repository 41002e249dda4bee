"""Taking what is understood out of a source record, so that what is left is what we do not know and keep.

Every function here leaves a value of a wrong type where it is.
"""

from __future__ import annotations

import json
from typing import Any

from chatkeep import exact

Json = dict[str, Any]


def take_text(record: Json, name: str) -> str:
    """The text under a name, taken out; "" when there is none. A null goes without a trace."""
    value = record.get(name)
    if type(value) is str or (value is None and name in record):
        del record[name]
    return value if type(value) is str else ""


def take_list(record: Json, name: str) -> list[Any]:
    """The list under a name, taken out; [] when there is none. A null goes without a trace."""
    value = record.get(name)
    if type(value) is list or (value is None and name in record):
        del record[name]
    return value if type(value) is list else []


def take_whole(record: Json, name: str) -> int | None:
    """The whole number under a name that is not negative, taken out; None when there is none."""
    value = record.get(name)
    if type(value) is int and value >= 0:
        del record[name]
        return value
    if value is None:
        record.pop(name, None)
    return None


def record_of(value: Any) -> Json | None:
    """The value if it is an object; of an object with two equal keys what the last of each says; else None."""
    if type(value) is not dict:
        return None
    return opened(value) if is_doubled(value) else value


def is_doubled(value: Any) -> bool:
    """Whether an exact value is an object with two equal keys, which `exact` keeps as text."""
    return type(value) is dict and len(value) == 1 and type(value.get("$object")) is str


def opened(value: Json) -> Json | None:
    """What the last of each equal key says, in an object with two equal keys."""
    try:
        plain = json.loads(exact.unmark(value["$object"]), strict=False)
        found = exact.decode(json.dumps(plain).encode())
    except (ValueError, RecursionError):
        return None
    return found if type(found) is dict else None
