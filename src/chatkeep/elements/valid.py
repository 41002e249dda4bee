"""Whether bytes are one JSON value, as leniently as the programs that write exports."""

from __future__ import annotations

import json

import msgspec

_skip = msgspec.json.Decoder(msgspec.Raw).decode
_lenient = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)


def is_json(raw: bytes) -> bool:
    """Whether Python's json would take it. Its depth must be known to be small.

    msgspec says no to NaN, to raw control characters and to halves of surrogate pairs; exports have them.
    """
    try:
        _skip(raw)
    except msgspec.DecodeError:
        return _is_lenient_json(raw)
    return True


def _is_lenient_json(raw: bytes) -> bool:
    try:
        # Latin-1 maps every byte to one letter, so that text that is not UTF-8 does not matter here.
        _lenient.decode(raw.decode("latin-1"))
    except ValueError:
        return False
    return True


def key_text(raw: bytes) -> str | None:
    """The text of a key, or None when it is not one."""
    try:
        key = json.loads(raw, strict=False)
    except ValueError:
        return None
    return key if isinstance(key, str) else None


def is_beginning(raw: bytes) -> bool:
    """Whether these bytes are how a JSON value begins, cut off before its end."""
    try:
        _skip(raw)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    return True
