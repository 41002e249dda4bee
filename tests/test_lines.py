"""JSON Lines are read line by line, also when they are long, odd or cut off."""

from __future__ import annotations

import io
import tracemalloc
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.elements import Line, lines, text
from chatkeep.errors import Damaged, Problem


class InPieces(io.RawIOBase):
    def __init__(self, data: bytes, size: int, error: Exception | None = None) -> None:
        self._data, self._at, self._size, self._error = data, 0, size, error

    def read(self, n: int = -1) -> bytes:
        piece = self._data[self._at : self._at + min(n, self._size)]
        self._at += len(piece)
        if not piece and self._error:
            raise self._error
        return piece


def read(data: bytes, *, size: int = 1 << 30, error: Exception | None = None) -> list[Line | Problem]:
    return list(lines(cast(BinaryIO, InPieces(data, size, error)), where="a.jsonl"))


@given(data=st.lists(st.sampled_from([b"", b"{}", b"abc", b" ", b"\r", b"\n", b"\r\n", b"\xff"]), max_size=30))
def test_any_lines_in_any_pieces_are_the_lines(data: list[bytes]) -> None:
    whole = b"".join(data)
    expected = []
    offset = 0
    for number, line in enumerate(whole.split(b"\n"), 1):
        raw = line.removesuffix(b"\r")
        if raw.strip():
            expected.append(Line(number, offset, raw, number <= whole.count(b"\n")))
        offset += len(line) + 1
    for size in (1, 2, 1 << 20):
        assert read(whole, size=size) == expected


def test_marks_and_wide_encodings_are_taken_off() -> None:
    expected = [Line(1, 0, "{é}".encode()), Line(2, 5, b"{}", complete=False)]
    for encoding in ("utf-16", "utf-32"):
        assert read("{é}\n{}".encode(encoding), size=1) == expected
    assert [line.raw for line in read(b"\xef\xbb\xbf{}\n1") if isinstance(line, Line)] == [b"{}", b"1"]


def test_a_line_that_is_too_long_is_a_problem_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatkeep.elements.jsonl.LONGEST_LINE", 100)
    monkeypatch.setattr("chatkeep.elements.jsonl.READ", 30)
    monkeypatch.setattr(text, "PIECE", 7)
    data = b"a" * 100 + b"\n" + b"b" * 101 + b"\n" + b"c" * 500 + b"\r\nd\n" + b"e" * 300
    found = read(data)
    assert [each.raw[:1] if isinstance(each, Line) else each.where for each in found] == [
        b"a",
        "a.jsonl, line 2 at byte 101",
        "a.jsonl, line 3 at byte 203",
        b"d",
        "a.jsonl, line 5 at byte 707",
    ]


def test_damage_is_told_after_the_lines_before_it() -> None:
    found = read(b"1\n2\n3", size=2, error=Damaged("a.zip: a.jsonl is damaged."))
    assert [line.raw for line in found[:3] if isinstance(line, Line)] == [b"1", b"2", b"3"]
    assert found[2] == Line(3, 4, b"3", complete=False)
    assert found[3:] == [Problem("a.jsonl, line 3", "a.zip: a.jsonl is damaged. What came before was read.")]


def test_memory_does_not_grow_with_the_file() -> None:
    class Endless(io.RawIOBase):
        left = 60

        def read(self, n: int = -1) -> bytes:
            self.left -= 1
            return (b"x" * 999 + b"\n") * 200 if self.left > 0 else b""

    tracemalloc.start()
    count = sum(1 for _ in lines(cast(BinaryIO, Endless()), where="a"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 59 * 200
    assert peak < 9 << 20
