"""A large JSON list is read element by element: exactly, in flat memory, and as far as it can be read."""

from __future__ import annotations

import codecs
import io
import json
import math
import random
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatkeep.elements import Element, array, elements, text, windows
from chatkeep.errors import Damaged, Problem, UnsafeSource


@pytest.fixture(params=["whole windows", "tiny windows"])
def _windows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with windows of some bytes, so that small files meet all their edges."""
    if request.param == "tiny windows":
        monkeypatch.setattr(windows, "WINDOW", 256)
        monkeypatch.setattr(windows, "SMALLEST_REACH", 32)
        monkeypatch.setattr(text, "PIECE", 7)
        monkeypatch.setattr(array, "NEIGHBOUR", 64)


class InPieces(io.RawIOBase):
    """A stream that gives at most so many bytes at a time, and then may fail."""

    def __init__(self, data: bytes, size: int, error: Exception | None = None) -> None:
        self._data, self._at, self._size, self._error = data, 0, size, error

    def read(self, n: int = -1) -> bytes:
        piece = self._data[self._at : self._at + min(n, self._size)]
        self._at += len(piece)
        if not piece and self._error:
            raise self._error
        return piece


def read(data: bytes, *, size: int = 1 << 30, inside: Any = None) -> tuple[list[Element], list[Problem]]:
    return sorted_out(elements(cast(BinaryIO, InPieces(data, size)), where="a.json", inside=inside))


def sorted_out(found: Iterator[Element | Problem]) -> tuple[list[Element], list[Problem]]:
    everything = list(found)
    return (
        [each for each in everything if isinstance(each, Element)],
        [each for each in everything if isinstance(each, Problem)],
    )


def values(found: list[Element]) -> list[Any]:
    return [json.loads(each.raw) for each in found]


def same(some: Any, others: Any) -> bool:
    return json.dumps(some) == json.dumps(others)


# -- any list, however it is written


_texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(['}, {"a": 1', '"}]', "\\", '\\"', '], {"b"', "{[", "}]", '{"a"', "\u2028", "\x00", "\ud800"]),
)
_scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), _texts)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(_texts, inner, max_size=4),
        st.builds(lambda a, b: [{"a": 1, "b": a}, {"a": 2, "b": b}], inner, inner),
    ),
    max_leaves=12,
)
_alike = st.builds(lambda a, b: {"a": a, "b": b, "c": [{"a": 1, "b": "x"}, {"a": b, "b": a}]}, _scalars, _values)
_lists = st.one_of(st.lists(_values, max_size=30), st.lists(_alike, max_size=30))
_spaces = st.text(" \n\r\t", max_size=3)


def written(value: Any, space: Iterator[str]) -> str:
    """The value as JSON with any spaces between its tokens."""
    if isinstance(value, dict):
        pairs = (f"{next(space)}{json.dumps(k)}{next(space)}:{written(v, space)}" for k, v in value.items())
        body = "{" + ",".join(pairs) + next(space) + "}"
    elif isinstance(value, list):
        body = "[" + ",".join(written(inner, space) for inner in value) + next(space) + "]"
    else:
        body = json.dumps(value)
    return next(space) + body + next(space)


def endless(spaces: list[str]) -> Iterator[str]:
    while True:
        yield from spaces or [""]


@pytest.mark.usefixtures("_windows")
@given(value=_lists, spaces=st.lists(_spaces, max_size=5), size=st.sampled_from([1, 2, 3, 50, 1 << 30]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_list_in_any_spacing_and_any_pieces_gives_its_elements(
    value: list[Any], spaces: list[str], size: int
) -> None:
    data = written(value, endless(spaces)).encode("utf-8", "surrogatepass")
    found, problems = read(data, size=size)
    assert problems == []
    assert same(values(found), value)
    assert [each.index for each in found] == list(range(len(value)))
    for each in found:
        assert data[each.offset : each.offset + len(each.raw)] == each.raw
        assert each.raw == each.raw.strip(b" \n\r\t")


@pytest.mark.usefixtures("_windows")
@given(value=_lists, spaces=st.lists(_spaces, max_size=3), share=st.floats(0, 1))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cut_off_list_gives_the_elements_before_the_cut(value: list[Any], spaces: list[str], share: float) -> None:
    data = written(value, endless(spaces)).encode("utf-8", "surrogatepass")
    whole, _ = read(data)
    cut = math.floor(share * data.rindex(b"]"))
    found, problems = read(data[:cut])
    complete = [each for each in whole if each.offset + len(each.raw) <= cut]
    if len(found) < len(complete):  # a number or word that ends at the cut may go on
        assert complete.pop().raw[-1:] not in (b"}", b"]", b'"')
    assert found == complete
    assert len(problems) == 1


@pytest.mark.usefixtures("_windows")
@given(data=st.binary(max_size=200))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_come_to_an_end(data: bytes) -> None:
    for start in (b"", b"[", b'[{"a":1},{"a":2},', b'{"a":', codecs.BOM_UTF16_BE + b"\0[", codecs.BOM_UTF32_BE):
        read(start + data, inside="a")


@pytest.mark.usefixtures("_windows")
def test_bytes_changed_in_one_element_cost_that_element_and_are_told() -> None:
    rows = [{"id": f"id{i}", "name": "n", "in": [{"id": "x", "text": "t"}] * 3, "n": i} for i in range(40)]
    data = json.dumps(rows).encode()
    whole, _ = read(data)
    rng = random.Random(8)
    for _ in range(1500):
        victim = whole[rng.randrange(1, len(whole))]
        at = victim.offset + rng.randrange(len(victim.raw))
        spoilt = bytearray(data)
        spoilt[at : at + 1] = rng.choice([b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\xff", b"", b"x"])
        found, problems = read(bytes(spoilt))
        kept = {each.raw for each in found}
        lost = [each.index for each in whole if each.raw not in kept]
        assert set(lost) <= {victim.index, victim.index + 1}, (victim.index, lost, bytes(spoilt[at - 20 : at + 20]))
        assert len(lost) <= 2
        assert all(_is_json(each.raw) for each in found)
        assert bool(problems) != _is_json(bytes(spoilt))


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw.decode("latin-1"), strict=False)
    except ValueError:
        return False
    return True


# -- what stands around the list


def test_a_list_inside_an_object_is_found_by_its_name() -> None:
    before, after = {"version": 1, "x": [{"a": "}"}], "conver": "{"}, {"more": {"conversations": [1]}, "z": "]"}
    rows = [{"id": i, "name": "[" * i} for i in range(200)]
    for wrapper in (before | {"conversations": rows} | after, {"conversations": rows}, {"conversations": rows} | after):
        found, problems = read(json.dumps(wrapper).encode(), size=100, inside="conversations")
        assert (values(found), problems) == (rows, [])


def test_several_names_lead_from_object_to_object() -> None:
    data = json.dumps({"about": "", "chats": {"about": "", "list": [1, {"list": [2]}], "x": 3}, "left": {}}).encode()
    assert values(read(data, inside=("chats", "list"))[0]) == [1, {"list": [2]}]
    assert read(data, inside=("chats", "list"))[1] == []


@pytest.mark.parametrize("wrapper", [{"other": [1]}, {"conversations": {"a": 1}}, {"conversations": 3}, {}])
def test_an_object_without_such_a_list_is_the_one_element(wrapper: dict[str, Any]) -> None:
    data = b" " + json.dumps(wrapper).encode() + b"\n"
    for inside in (None, "conversations", ("conversations", "list")):
        found, problems = read(data, size=3, inside=inside)
        assert (values(found), problems, found[0].offset) == ([wrapper], [], 1)


@pytest.mark.usefixtures("_windows")
@given(
    wrapper=st.dictionaries(_texts, _values, max_size=4), rows=_lists, at=st.integers(0, 4), spaces=st.lists(_spaces)
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_list_inside_any_object_is_found(
    wrapper: dict[str, Any], rows: list[Any], at: int, spaces: list[str]
) -> None:
    pairs = [pair for pair in wrapper.items() if pair[0] != "rows"]
    pairs.insert(at, ("rows", rows))
    data = written(dict(pairs), endless(spaces)).encode("utf-8", "surrogatepass")
    found, problems = read(data, inside="rows")
    assert problems == []
    assert same(values(found), rows)
    assert all(data[each.offset : each.offset + len(each.raw)] == each.raw for each in found)


def test_a_list_at_the_top_needs_no_name() -> None:
    assert values(read(b"[1, 2]", inside="conversations")[0]) == [1, 2]


def test_an_object_that_is_cut_off_is_told() -> None:
    found, problems = read(b'{"conversations": [{"a": 1}, {"b": 2}], "version"', inside="conversations")
    assert values(found) == [{"a": 1}, {"b": 2}]
    assert problems == [Problem("a.json, byte 49", "The file is cut off here. What came before was read.")]
    assert len(read(b'{"conversations": [{"a": 1}, {"b"', inside="conversations")[1]) == 2
    assert len(read(b'{"a": 1', inside=None)[1]) == 1


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        lambda text: text.encode("utf-32"),
    ],
)
def test_byte_order_marks_and_wide_encodings_are_taken_off(encode: Any) -> None:
    rows = [{"id": i, "text": "héé 😀 " * i} for i in range(50)]
    data = encode(json.dumps(rows, ensure_ascii=False))
    for size in (1, 3, 1 << 20):
        assert values(read(data, size=size)[0]) == rows


def test_halves_of_surrogate_pairs_do_not_cost_the_rest() -> None:
    rows = [{"id": i, "text": "\ud83d"} for i in range(3000)]
    found, problems = read(json.dumps(rows).encode())
    assert (values(found), problems) == (rows, [])
    wide = b"\xff\xfe" + '["\ud83d", 1]'.encode("utf-16-le", "surrogatepass")
    assert [each.raw for each in read(wide)[0]] == [b'"\xed\xa0\xbd"', b"1"]


def test_what_pythons_json_takes_is_taken() -> None:
    data = b'[{"a": NaN}, {"a": -Infinity}, {"a": "tab\there\x00"}, {"a": "\xff\xfe"}, {"a": 1e999}]'
    found, problems = read(data)
    assert (len(found), problems) == (5, [])
    assert found[3].raw == b'{"a": "\xff\xfe"}'


# -- what is wrong with it


@pytest.mark.parametrize(
    ("data", "expected", "told"),
    [
        (b"", [], ["The file is empty."]),
        (b" \n", [], ["The file is empty."]),
        (b"hello", [], ["neither a JSON list nor an object"]),
        (b"[1, 2] hello", [1, 2], ["neither a JSON list nor an object"]),
        (b"[1, 2][3]", [1, 2, 3], ["A second JSON value"]),
        (b'{"a": 1}\n{"a": 2}\n{"a": 3}', [{"a": 1}, {"a": 2}, {"a": 3}], ["A second JSON value"]),
        (b"[1, , 2]", [1, 2], ["An element is missing"]),
        (b"[1, 2, ]", [1, 2], []),
        (b'[{"a": 1} {"a": 2}]', [{"a": 1}, {"a": 2}], ["A comma is missing"]),
        (b"[1 2, 3]", [3], ["malformed"]),
        (b'[{"a": tru}, {"a": 2}]', [{"a": 2}], ["malformed"]),
        (b'[{"a": 1}, {"a": "x" "y"}, {"a": 3}]', [{"a": 1}, {"a": 3}], ["malformed"]),
        (b"[1, }, 2]", [1, 2], ["malformed"]),
        (b'["a", "b', ["a"], ["cut off here"]),
        (b'[{"a": 1}, {"a": [2', [{"a": 1}], ["cut off here"]),
        (b'[{"a": 1},', [{"a": 1}], ["cut off here"]),
        (b'[{"a": 1}', [{"a": 1}], ["cut off here"]),
        (b"[", [], ["cut off here"]),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_is_read(data: bytes, expected: list[Any], told: list[str]) -> None:
    for size in (1, 1 << 20):
        found, problems = read(data, size=size)
        assert values(found) == expected
        assert len(problems) == len(told)
        assert all(words in problem.what for words, problem in zip(told, problems, strict=True))


def test_a_problem_says_where_it_is() -> None:
    _, problems = read(b'[{"a": 1}, {"a": tru}, {"a": 3}]')
    assert problems == [Problem("a.json, element 1 at byte 11", "It is malformed and was left out.")]


def test_a_damaged_stream_gives_what_came_before_the_damage() -> None:
    rows = [{"id": i, "text": "x" * 100} for i in range(500)]
    data = json.dumps(rows).encode()
    broken = cast(BinaryIO, InPieces(data[:30_000], 1000, Damaged("a.zip: a.json is damaged.")))
    found, problems = sorted_out(elements(broken, where="a.json"))
    assert values(found) == rows[: len(found)]
    assert len(found) > 200
    assert [problem.what for problem in problems] == ["a.zip: a.json is damaged. What came before was read."]


def test_a_disk_that_fails_is_told_and_what_came_before_is_read() -> None:
    broken = cast(BinaryIO, InPieces(b"[1, 2, 3", 2, OSError(5, "Input/output error")))
    found, problems = sorted_out(elements(broken, where="a.json"))
    assert values(found) == [1, 2]
    assert ["The disk does not give" in problem.what for problem in problems] == [True]


def test_text_that_is_not_what_its_mark_promises_is_told() -> None:
    data = codecs.BOM_UTF32_LE + "[1, 2".encode("utf-32-le") + b"\xff\xff\xff\xff"
    found, problems = read(data, size=4)
    assert values(found) == [1]
    assert ["not the text" in problem.what for problem in problems] == [True]


def test_a_bomb_is_not_taken_for_damage() -> None:
    bomb = cast(BinaryIO, InPieces(b"[1, 2", 100, UnsafeSource("a.json grows")))
    with pytest.raises(UnsafeSource):
        list(elements(bomb, where="a.json"))


def test_a_file_with_too_much_wrong_in_it_is_given_up() -> None:
    start = time.process_time()
    found, problems = read(b'[{"a": 1}' + b", }" * 300_000)
    assert len(found) == 1
    assert len(problems) == array.MOST_PROBLEMS + 1
    assert "Too much is malformed" in problems[-1].what
    assert time.process_time() - start < 20


# -- how large and how deep


@pytest.mark.parametrize("depth", [1000, 10_000, 1_000_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_what_is_nested_too_deep_is_left_out_in_little_time_and_memory(depth: int, opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    deep = opening * depth + b"1" + closing * depth
    data = b'[{"a": 1}, {"a": 2}, ' + deep + b', {"a": 3}]'
    start = time.process_time()
    found, problems = read(data)
    assert time.process_time() - start < 5  # about a third of a second; ten times as much for slow machines
    assert values(found) == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert [problem.what for problem in problems] == ["It is nested more than 256 levels deep. It was left out."]
    tracemalloc.start()
    read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


def test_the_deepest_that_is_allowed_is_given() -> None:
    deep = b"[" * 255 + b"]" * 255
    assert len(read(b"[" + b"[" + deep + b"]" + b"]")[0]) == 1
    assert len(read(b"[" + b"[[" + deep + b"]]" + b"]")[0]) == 0


def test_elements_larger_than_windows_are_given_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": i, "name": "n", "text": "é}, {" * n} for i, n in enumerate([3, 700_000, 5, 300_000, 1, 900_000])]
    found, problems = read(json.dumps(rows).encode())
    assert (values(found), problems) == (rows, [])


def test_a_very_long_text_and_a_very_large_element_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "LARGEST_REACH", 1 << 20)
    monkeypatch.setattr(array, "LONGEST_STRING", 2 << 20)
    monkeypatch.setattr(array, "LARGEST_ELEMENT", 6 << 20)
    good = [{"id": 1, "t": "x" * 100}, {"id": 2, "t": "y" * 500_000}]
    bad = [{"id": 3, "t": "x" * (4 << 20)}, {"id": 4, "t": ["y" * 90] * 80_000}]
    found, problems = read(json.dumps([good[0], bad[0], good[1], bad[1], good[0]]).encode())
    assert values(found) == [good[0], good[1], good[0]]
    assert ["a text of more than 2 MiB" in problems[0].what, "larger than 6 MiB" in problems[1].what] == [True, True]
    assert [each.index for each in found] == [0, 2, 4]


class Repeated(io.RawIOBase):
    """A long JSON list that is made while it is read."""

    def __init__(self, row: bytes, times: int) -> None:
        self._row, self._left, self._rest = row, times, b"["

    def read(self, n: int = -1) -> bytes:
        while len(self._rest) < n and self._left:
            count = min(self._left, 1000)
            self._left -= count
            self._rest += (
                (self._row + b", ") * count if self._left else (self._row + b", ") * (count - 1) + self._row + b"]"
            )
        piece, self._rest = self._rest[:n], self._rest[n:]
        return piece


def test_memory_stays_flat_however_long_the_list_is() -> None:
    rng = random.Random(2)
    words = [rng.randbytes(3).hex() for _ in range(50)]
    inner = [{"uuid": "x", "text": " ".join(rng.choices(words, k=30))} for _ in range(5)]
    row = json.dumps({"uuid": "y", "name": "n", "chat_messages": inner}).encode()
    count = 0
    tracemalloc.start()
    for each in elements(cast(BinaryIO, Repeated(row, 60_000)), where="a.json"):
        count += isinstance(each, Element)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60_000
    assert peak < 16 << 20
