from __future__ import annotations

import pytest

from chatkeep.providers.onedrive.quickxor import quick_xor
from fakes.microsoft import drive

VALUES = [
    (b"", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    (b"a", "YQAAAAAAAAAAAAAAAQAAAAAAAAA="),
    (b"hello world", "aCgDG9jwBhDc4Q1yawMZAAAAAAA="),
    (bytes(range(256)) * 3, "rxAOGe1RimTF/e+k/m0O5nnSZT8="),
    (bytes(range(256)) * 16, "QkGEfSisZcA7k+FCh6xr2dbCayY="),
    (b"a" * 4_194_305, "eMQjHvGIRzziGcxgBzPYwQxmMIM="),
    (bytes(8_388_608), "AAAAAAAAAAAAAAAAAACAAAAAAAA="),
]


@pytest.mark.parametrize(("data", "expected"), VALUES, ids=[str(len(data)) for data, _ in VALUES])
def test_it_agrees_with_independent_programs(data: bytes, expected: str) -> None:
    assert quick_xor(data) == expected
    assert drive.quick_xor(data) == expected  # the fake's own, made in another way


def test_every_byte_and_its_place_count() -> None:
    data = bytes(range(251)) * 500
    changed = {quick_xor(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]) for i in (0, 1, 159, 41_037, len(data) - 1)}
    assert len(changed | {quick_xor(data)}) == 6
    assert quick_xor(data + b"\0") != quick_xor(data)
