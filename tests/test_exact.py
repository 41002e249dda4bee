"""Source JSON becomes exact values: nothing bent, nothing lost, fast path and slow path alike."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatkeep import exact
from chatkeep.testing.strategies import source_json, source_texts


@settings(max_examples=500)
@given(source_json())
def test_the_fast_path_and_the_slow_path_agree(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    assert exact.decode(raw) == exact.decode_exactly(raw)


@given(source_json())
def test_an_exact_value_is_storable_and_reads_back(text: str) -> None:
    data = exact.encode(exact.decode(text.encode("utf-8", "surrogatepass")))
    assert exact.encode(json.loads(data)) == data
    assert b"\\u0000" not in data.replace(rb"\\", b"")


@given(source_json())
def test_an_exact_value_means_what_its_source_meant(text: str) -> None:
    value = exact.decode_exactly(text.encode("utf-8"))
    assert _pairs(exact.to_source(value)) == _pairs(text)


def _pairs(text: str) -> Any:
    """What a reader that bends nothing sees: numbers as text, objects as sorted pairs."""
    return json.loads(
        text, parse_int=lambda n: ("number", n), parse_float=lambda n: ("number", n), object_pairs_hook=_sorted_object
    )


def _sorted_object(pairs: list[tuple[str, Any]]) -> Any:
    keys = [key for key, _ in pairs]
    return ("object", pairs if len(set(keys)) != len(keys) else sorted(pairs, key=lambda pair: pair[0]))


@given(source_texts())
def test_marked_text_goes_back_to_what_the_source_had(text: str) -> None:
    marked = exact.mark(text)
    marked.encode("utf-8")
    assert "\x00" not in marked
    assert exact.unmark(marked) == text


@given(source_texts(), source_texts())
def test_two_texts_are_never_marked_alike(one: str, other: str) -> None:
    assert (exact.mark(one) == exact.mark(other)) == (one == other)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"1.50", {"$number": "1.50"}),
        (b"-0", {"$number": "-0"}),
        (b"[-0 , -0.0]", [{"$number": "-0"}, {"$number": "-0.0"}]),
        (b"9007199254740991", 9007199254740991),
        (b"9007199254740992", {"$number": "9007199254740992"}),
        (b"12345678901234567890123", {"$number": "12345678901234567890123"}),
        (b"1e400", {"$number": "1e400"}),
        (b"NaN", {"$number": "NaN"}),
        (b'{"a":1,"a":2}', {"$object": '{"a":1,"a":2}'}),
        (b'{"a" : 1, "a" : 2}', {"$object": '{"a" : 1, "a" : 2}'}),
        (b'{"k":{"a":1,"a":1},"t":"\\u0022:"}', {"k": {"$object": '{"a":1,"a":1}'}, "t": '":'}),
        (b'{"$number":"1"}', {"$$number": "1"}),
        (b'{"\\u0024x":1}', {"$$x": 1}),
        (b'"\\ud800"', "\ufdd0D800"),
        (b'"\\u0000"', "\ufdd00000"),
        (b'"\xef\xb7\x90"', "\ufdd0FDD0"),
        (b'"\\uFDd0"', "\ufdd0FDD0"),
        (b'"\xff"', "\ufdd0DCFF"),
        (b'"\\ud83d\\ude00"', "😀"),
    ],
)
def test_what_fast_decoders_bend_is_kept(raw: bytes, value: Any) -> None:
    assert exact.decode(raw) == value


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a":}', b"[1,]", b"1 2", b'"', b"\xff", b"nul", b'{"a":1}}'])
def test_what_is_not_json_is_refused_with_its_place(raw: bytes) -> None:
    with pytest.raises(ValueError, match="character") as wrong:
        exact.decode(raw)
    assert " at at " not in str(wrong.value)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused_at_once(opening: bytes) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match="deeper than 256"):
        exact.decode(opening * 1_000_000)
    assert time.process_time() - began < 5


def test_nesting_up_to_the_limit_is_read_and_written_also_by_the_slow_path() -> None:
    text = "[" * 255 + '"\\u0000"' + "]" * 255
    value = exact.decode(text.encode())
    assert exact.encode(value) == ("[" * 255 + '"\ufdd00000"' + "]" * 255).encode()


def test_numbers_as_floats_are_finite_or_nothing() -> None:
    assert exact.as_float({"$number": "1.50"}) == 1.5
    assert exact.as_float(3) == 3.0
    for value in ({"$number": "1e400"}, {"$number": "NaN"}, {"$number": "x"}, True, None, "1"):
        assert exact.as_float(value) is None


@given(st.text())
def test_readable_text_holds_no_marks(text: str) -> None:
    shown = exact.readable(exact.mark(text))
    assert exact.MARK not in shown
    assert "\x00" not in shown
