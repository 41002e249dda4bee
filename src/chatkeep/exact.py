"""JSON values as their source wrote them.

Fast decoders bend what they read: the last of two equal keys wins, a long integer or `1.10` becomes a float, half
a surrogate pair is refused. Here a source value becomes an *exact value*, made of `None`, `bool`, `int` within
±2^53, `str`, `list` and `dict` alone, from which the source can be told apart from every other source:

- another number is `{"$number": "<its source text>"}`;
- an object with duplicate keys is `{"$object": "<its source text>"}`;
- a key that begins with `$` gets one more `$` in front;
- in strings, NUL and half a surrogate pair are U+FDD0 and four hex digits, and U+FDD0 itself is written the same way.

`decode` is fast for ordinary input and takes an exact path for the rest; both give the same value, which is a law
in the tests. Described in docs/design/document.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from json.decoder import JSONArray, JSONObject  # type: ignore[attr-defined]
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import Any

import msgspec
import orjson

MARK = "\ufdd0"
MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 256
_SHALLOW = 64

_TO_MARK = re.compile("[\x00\ud800-\udfff\ufdd0]")
_FROM_MARK = re.compile(MARK + "([0-9A-F]{4})")


def mark(text: str) -> str:
    """The text in the form that every store and encoder takes: see the module's page on strings."""
    return _TO_MARK.sub(lambda found: f"{MARK}{ord(found[0]):04X}", text)


def unmark(text: str) -> str:
    """The text as the source had it; it may hold NUL and lone surrogates. The inverse of `mark`."""
    return _FROM_MARK.sub(lambda found: chr(int(found[1], 16)), text) if MARK in text else text


def readable(text: str) -> str:
    """The text for people's eyes: what cannot be shown is U+FFFD."""
    return _FROM_MARK.sub("\ufffd", text).replace(MARK, "\ufffd") if MARK in text else text


def number(text: str) -> int | dict[str, str]:
    """The exact value of a number's source text, "12" or "1.50" or "-0"."""
    if len(text) <= 17 and text.lstrip("-").isdigit() and text != "-0":
        value = int(text)
        if abs(value) <= MAX_INTEGER:
            return value
    return {"$number": text}


def as_float(value: Any) -> float | None:
    """The nearest float of an exact number that is finite; None for every other value."""
    if type(value) is int:
        return float(value)
    if type(value) is dict and len(value) == 1 and type(text := value.get("$number")) is str:
        try:
            nearest = float(text)
        except ValueError:
            return None
        return nearest if abs(nearest) < 1e308 else None
    return None


_FAST = msgspec.json.Decoder(float_hook=lambda text: {"$number": text})
# What the fast decoder passes on silently but an exact value writes otherwise: NUL, U+FDD0 and `$` behind an
# escape; an escaped quote or colon, which would deceive the count of keys below; the integer minus zero.
_ODD_ESCAPE = re.compile(rb"\\u(?:00(?:00|22|24|3[aA])|[fF][dD][dD]0)")
_MARKED = re.compile(rb'"\$')
_MINUS_ZERO = re.compile(rb"-0\s*(?:[,}\]]|\Z)")


def decode(raw: bytes) -> Any:
    """The exact value of one JSON text (UTF-8, no byte order mark).

    Bytes that are not UTF-8 become marked lone surrogates (U+DC80 to U+DCFF), so nothing is lost.
    Raises ValueError, with the offset [characters] in its text, when it is not JSON or is nested deeper than
    MAX_DEPTH.
    """
    if not _holds_marks(raw) and not _odd_escapes(raw) and not _MINUS_ZERO.search(raw):
        try:
            value = _FAST.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return decode_exactly(raw)
        if _is_faithful(raw, value):
            return value
    return decode_exactly(raw)


def _holds_marks(raw: bytes) -> bool:
    """Whether there is a text that begins with `$`, or U+FDD0; each cheap question spares a dear one.

    For two bytes an expression takes a third of the time that `in` takes; for one byte `in` takes a tenth of that.
    """
    return (b"$" in raw and _MARKED.search(raw) is not None) or (not raw.isascii() and b"\xef\xb7\x90" in raw)


def _odd_escapes(raw: bytes) -> bool:
    return b"\\" in raw and _ODD_ESCAPE.search(raw) is not None


def _is_faithful(raw: bytes, value: Any) -> bool:
    """Whether the fast decoder kept every key and integer: the value written again has as many colons.

    Those in texts are as many on both sides, so a key that was dropped is one too few.
    """
    try:
        again = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except (orjson.JSONEncodeError, RecursionError):
        return False
    numbers = again.count(b'"$number":')  # ours, not the source's
    return again.count(b":") - numbers == raw.count(b":")


def decode_exactly(raw: bytes) -> Any:
    """The same as `decode`, by the slow path alone."""
    text = raw.decode("utf-8", "surrogateescape")
    _refuse_depth(text)
    if text.count("[") + text.count("{") <= _SHALLOW:
        return _scan(text)
    # Three frames a level: deep values are read on a stack of their own, whatever the caller's has left.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as fresh:
        return fresh.submit(_scan, text).result()


def _scan(text: str) -> Any:
    scan = _Scanner().scan_once
    try:
        value, end = scan(text, _skip_space(text, 0))
    except StopIteration as stop:
        raise ValueError(f"not JSON at character {stop.value}") from None
    except json.JSONDecodeError as wrong:
        raise ValueError(f"{wrong.msg.removesuffix(' at')} at character {wrong.pos}") from None
    if _skip_space(text, end) != len(text):
        raise ValueError(f"more than one JSON value: the second begins at character {end}")
    return value


_SPACE = re.compile(r"[ \t\r\n]*")
_NESTING = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _refuse_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for found in _NESTING.finditer(text):
        if found[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH} at character {found.start()}")
        elif found[0] in "]}":
            depth -= 1


def _refuse_constant(name: str) -> Any:
    return {"$number": name}


class _Scanner:
    """The context that the standard library's scanner asks for its parts."""

    strict = False
    object_hook = None
    memo: dict[str, str]

    def __init__(self) -> None:
        self.memo = {}
        self.parse_float: Callable[[str], Any] = number
        self.parse_int: Callable[[str], Any] = number
        self.parse_constant = _refuse_constant
        self.parse_array = self._array
        self.object_pairs_hook = None
        self.parse_string = self._string
        self.scan_once = py_make_scanner(self)

    @staticmethod
    def _string(text: str, start: int, _strict: bool) -> tuple[str, int]:
        value, end = json.decoder.scanstring(text, start, False)  # type: ignore[attr-defined]
        return mark(value), end

    @staticmethod
    def _array(at: tuple[str, int], scan_once: Any) -> tuple[list[Any], int]:
        value, end = JSONArray(at, scan_once)
        return value, end

    @staticmethod
    def parse_object(
        at: tuple[str, int], strict: bool, scan_once: Any, _hook: Any, _pairs: Any, memo: Any = None
    ) -> tuple[dict[str, Any], int]:
        text, start = at
        pairs, end = JSONObject(at, strict, scan_once, None, list, memo)
        keys = [mark(key) for key, _ in pairs]
        if len(set(keys)) != len(keys):
            return {"$object": mark(text[start - 1 : end])}, end
        return {_key(key): value for key, (_, value) in zip(keys, pairs, strict=True)}, end


def _key(key: str) -> str:
    return "$" + key if key.startswith("$") else key


_CANONICAL = msgspec.json.Encoder(order="deterministic")


def encode(value: Any) -> bytes:
    """Canonical bytes of an exact value: keys by code point, shortest escapes, no insignificant space."""
    return _CANONICAL.encode(value)


def to_source(value: Any) -> str:
    """JSON text that means what the source meant: numbers, keys and characters as they were."""
    if type(value) is dict:
        if len(value) == 1:
            for kind in ("$number", "$object"):
                if type(text := value.get(kind)) is str:
                    return unmark(text)
        inner = (f"{json.dumps(_source_key(key))}:{to_source(item)}" for key, item in value.items())
        return "{" + ",".join(inner) + "}"
    if type(value) is list:
        return "[" + ",".join(to_source(item) for item in value) + "]"
    if type(value) is str:
        return json.dumps(unmark(value))
    return json.dumps(value)


def _source_key(key: str) -> str:
    key = unmark(key)
    return key[1:] if key.startswith("$$") else key
