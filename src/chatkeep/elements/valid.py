"""Whether bytes are JSON, as leniently as the programs that write exports."""

from __future__ import annotations

import json

import msgspec

LOOKED_AT = 64 << 20
_CUT_TOKEN = 12

_skip = msgspec.json.Decoder(msgspec.Raw).decode
_lenient = json.JSONDecoder(strict=False, parse_int=str, parse_float=str)


def is_json(raw: bytes | bytearray) -> bool:
    """Whether Python's json would take these bytes as one value. Its depth must be known to be small.

    msgspec says no to NaN, to raw control characters and to halves of surrogate pairs; exports have them. What is
    very large and has such things is taken unseen; who decodes it will know.
    """
    try:
        _skip(raw)
    except msgspec.DecodeError:
        return len(raw) > LOOKED_AT or _lenient_error(raw) is None
    return True


def is_beginning(raw: bytes | bytearray) -> bool:
    """Whether these bytes are how a JSON value begins, cut off before its end."""
    try:
        _skip(raw)
    except msgspec.DecodeError as error:
        if "truncated" in str(error) or len(raw) > LOOKED_AT:
            return True
        lenient = _lenient_error(raw)
        return lenient is None or lenient.pos > len(raw) - _CUT_TOKEN or lenient.msg.startswith("Unterminated")
    return True


def _lenient_error(raw: bytes | bytearray) -> json.JSONDecodeError | None:
    try:
        # Latin-1 maps every byte to one letter, so that text that is not UTF-8 does not matter here.
        _lenient.decode(raw.decode("latin-1"))
    except json.JSONDecodeError as error:
        return error
    return None


def key_text(raw: bytes) -> str | None:
    """The text of a key, or None when it is not one."""
    try:
        key = json.loads(raw, strict=False)
    except ValueError:
        return None
    return key if isinstance(key, str) else None
