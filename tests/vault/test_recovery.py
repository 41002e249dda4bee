from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.vault.recovery import ALPHABET, MistypedKey, RecoveryKey, looks_like_recovery_key

KEY = RecoveryKey.generate(random.Random(5).choice)
PLACES = [i for i, letter in enumerate(str(KEY)) if letter != "-"]


def test_a_key_has_eight_groups_of_five_letters() -> None:
    groups = KEY.groups
    assert [len(group) for group in groups] == [5] * 8
    assert set("".join(groups)) <= set(ALPHABET)
    assert not set(ALPHABET) & set("IOU0123456789")


def test_this_text_is_a_key_for_ever() -> None:
    """Written down by the first version. Emergency kits are on paper: the checksum can never change."""
    text = "WNLKK-HKSTF-WZRXY-LJCKD-PXJHB-APENX-QAENX-GAVTE"
    assert str(RecoveryKey.parse(text)) == text


@given(st.randoms(use_true_random=False))
def test_what_people_make_of_it_is_still_the_key(chance: random.Random) -> None:
    key = RecoveryKey.generate(chance.choice)
    typed = ""
    for letter in str(key):
        between = chance.choice(["", " ", "-", "–", "\n", " \t", "\u00a0"])
        typed += between + (letter if letter == "-" else chance.choice([letter, letter.lower()]))
    assert RecoveryKey.parse(typed) == key
    assert str(RecoveryKey.parse("  " + str(key).replace("-", "").lower())) == str(key)


@given(st.sampled_from(PLACES), st.sampled_from(ALPHABET))
def test_one_wrong_letter_is_found_in_its_group(place: int, letter: str) -> None:
    text = str(KEY)
    if text[place] == letter:
        return
    with pytest.raises(MistypedKey) as raised:
        RecoveryKey.parse(text[:place] + letter + text[place + 1 :])
    assert raised.value.group == place // 6 + 1
    assert f"Group {place // 6 + 1}" in raised.value.what


@given(st.integers(0, 7), st.integers(0, 4), st.integers(0, 4))
def test_two_letters_in_the_wrong_order_are_found(group: int, a: int, b: int) -> None:
    letters = list(KEY.groups[group])
    letters[a], letters[b] = letters[b], letters[a]
    groups = [*KEY.groups[:group], "".join(letters), *KEY.groups[group + 1 :]]
    if groups == KEY.groups:
        assert RecoveryKey.parse("-".join(groups)) == KEY
        return
    with pytest.raises(MistypedKey) as raised:
        RecoveryKey.parse("-".join(groups))
    assert raised.value.group == group + 1


@given(st.integers(0, 7), st.integers(0, 7))
def test_swapped_groups_are_found(a: int, b: int) -> None:
    groups = KEY.groups
    groups[a], groups[b] = groups[b], groups[a]
    if a != b:
        with pytest.raises(MistypedKey) as raised:
            RecoveryKey.parse("-".join(groups))
        assert raised.value.group == min(a, b) + 1


@given(st.text(max_size=60))
def test_any_other_text_is_refused_and_never_quoted(text: str) -> None:
    with pytest.raises(MistypedKey) as raised:
        RecoveryKey.parse(text)
    assert len(text) < 8 or text not in str(raised.value)


def test_a_key_that_was_cut_off_says_how_many_letters_came() -> None:
    with pytest.raises(MistypedKey, match="38 letters") as raised:
        RecoveryKey.parse(str(KEY)[:-2])
    assert raised.value.group == 0


def test_a_key_shows_nothing_of_itself_by_accident() -> None:
    assert repr(KEY) == "RecoveryKey(…)"


def test_passphrases_are_not_taken_for_recovery_keys() -> None:
    assert looks_like_recovery_key(str(KEY))
    assert looks_like_recovery_key(str(KEY).lower().replace("-", " ")[:-1])
    for passphrase in ("correct horse battery staple", "hunter2", "", "x" * 20, "a b c d e f g h"):
        assert not looks_like_recovery_key(passphrase)
