from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.errors import Damaged
from chatkeep.vault.seal import OVERHEAD, MasterKey, Seal

KNOWN = (
    "0102030405060708090a0b0c0d0e0f10c1e647b3aba7099be5a4941d0329b620e8f658fa99d3f53d46428b3d241e3fbc0c2292f06a48b604cb"
)
KEY = MasterKey.from_bytes(bytes(range(64)))


def fixed(iv: bytes) -> Seal:
    return Seal(KEY, random=lambda count: iv * (count // 16))


def test_sealed_bytes_are_those_that_the_format_prescribes() -> None:
    """Computed once with other tools: openssl enc -aes-256-ctr, openssl enc -aes-128-ecb, openssl mac poly1305."""
    assert fixed(bytes(range(1, 17))).seal(b"What was said stays said.").hex() == KNOWN


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_what_was_sealed_comes_back(plains: list[bytes]) -> None:
    sealed = Seal(KEY).seal_many(plains)
    assert [Seal(KEY).unseal(one) for one in sealed] == plains
    assert [len(one) for one in sealed] == [len(plain) + OVERHEAD for plain in plains]


@given(st.binary(max_size=64), st.integers(min_value=0))
def test_a_single_flipped_bit_anywhere_is_damage(plain: bytes, bit: int) -> None:
    sealed = bytearray(Seal(KEY).seal(plain))
    bit %= len(sealed) * 8
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Damaged):
        Seal(KEY).unseal(bytes(sealed))


def test_bytes_that_were_cut_short_are_damage() -> None:
    sealed = Seal(KEY).seal(b"whole")
    for length in range(len(sealed)):
        with pytest.raises(Damaged):
            Seal(KEY).unseal(sealed[:length])


def test_equal_texts_are_sealed_differently() -> None:
    assert len(set(Seal(KEY).seal_many([b"same"] * 50))) == 50


def test_an_iv_of_zeros_is_never_used() -> None:
    drawn = [bytes(16), bytes(16), b"x" * 16]
    assert Seal(KEY, random=lambda count: drawn.pop(0)).seal(b"")[:16] == b"x" * 16


@pytest.mark.parametrize("part", [32, 47, 49, 62])
def test_another_key_for_the_tag_does_not_open_it(part: int) -> None:
    other = bytearray(KEY.to_bytes())
    other[part] ^= 4
    with pytest.raises(Damaged):
        Seal(MasterKey.from_bytes(bytes(other))).unseal(Seal(KEY).seal(b"text"))


def test_a_master_key_shows_nothing_of_itself() -> None:
    assert repr(KEY) == "MasterKey(…)"
    assert MasterKey.from_bytes(KEY.to_bytes()) == KEY
    with pytest.raises(Damaged):
        MasterKey.from_bytes(b"short")
