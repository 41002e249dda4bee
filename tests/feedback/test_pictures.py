"""Screenshots: three kinds, known by their bytes, without what lies beside the picture."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.feedback.pictures_for_tests import SECRET, jpeg, png, webp

from chatkeep.errors import WrongUse
from chatkeep.feedback import pictures

MADE = {"image/png": png, "image/jpeg": jpeg, "image/webp": webp}


@pytest.mark.parametrize("kind", MADE)
def test_a_picture_is_kept_without_place_time_and_device(kind: str) -> None:
    given_ = MADE[kind]()
    assert SECRET in given_
    found, kept = pictures.cleaned(given_)
    assert found == kind
    assert SECRET not in kept
    assert pictures.cleaned(kept) == (kind, kept)


@pytest.mark.parametrize("kind", MADE)
def test_the_picture_itself_stays_byte_for_byte(kind: str) -> None:
    marks = {"image/png": b"IDAT", "image/jpeg": b"\x12\x34\xff\0\x56\xff\xd9", "image/webp": b"VP8L"}
    assert marks[kind] in pictures.cleaned(MADE[kind]())[1]


@pytest.mark.parametrize("kind", MADE)
def test_a_picture_that_was_cut_off_anywhere_is_refused_or_whole(kind: str) -> None:
    whole = MADE[kind](secret=b"")
    for length in range(len(whole)):
        try:
            found, kept = pictures.cleaned(whole[:length])
        except WrongUse:
            continue
        assert (found, pictures.cleaned(kept)[1]) == (kind, kept)


@given(st.binary(max_size=400), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x20\0\0\0WEBP"]))
def test_anything_else_is_refused_in_words(data: bytes, head: bytes) -> None:
    try:
        kept = pictures.cleaned(head + data)[1]
    except WrongUse:
        return
    assert len(kept) <= len(head + data)


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a" + b"\0" * 50,
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
        b"<html><script>1</script>",
        b"%PDF-1.7",
        b"BM" + b"\0" * 60,
    ],
)
def test_other_kinds_are_refused_whatever_they_are_called(data: bytes) -> None:
    with pytest.raises(WrongUse, match="no picture that can be sent"):
        pictures.cleaned(data)


def test_a_large_picture_is_refused() -> None:
    with pytest.raises(WrongUse, match="2 MB"):
        pictures.cleaned(png() + bytes(pictures.LARGEST))
