"""Laws of rings: the same everywhere and for ever, each inside the next, and a percentage is that many people."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatkeep.errors import WrongUse
from chatkeep.rollout import rings
from chatkeep.rollout.rings import Person

NAMES = st.text(min_size=1, max_size=40)
PEOPLE = st.builds(Person, id=NAMES, cohorts=st.sampled_from([(), ("team",), ("invited",), ("team", "invited")]))
ALL_RINGS = ["off", "team", "invited", *(f"{n}%" for n in range(1, 101))]


@given(NAMES, PEOPLE, st.sampled_from(ALL_RINGS), st.sampled_from(ALL_RINGS))
def test_a_wider_ring_holds_everybody_of_a_narrower_one(flag: str, person: Person, one: str, other: str) -> None:
    narrow, wide = sorted((one, other), key=rings.width)
    assert rings.holds(narrow, flag, person) <= rings.holds(wide, flag, person)


@given(NAMES, PEOPLE)
def test_off_holds_nobody_and_everyone_holds_everybody(flag: str, person: Person) -> None:
    assert not rings.holds("off", flag, person)
    assert rings.holds("100%", flag, person)
    assert rings.holds("team", flag, person) == ("team" in person.cohorts)
    assert rings.holds("invited", flag, person) == bool(person.cohorts)


@given(NAMES, st.integers(1, 100), st.integers(0, 2**32))
def test_a_percentage_is_that_many_people(flag: str, percent: int, start: int) -> None:
    number = 2000
    inside = sum(rings.holds(f"{percent}%", flag, Person(f"{start + n:032x}")) for n in range(number))
    spread = (number * percent / 100 * (1 - percent / 100)) ** 0.5
    assert abs(inside - number * percent / 100) <= 6 * spread + 1


def test_other_people_are_first_for_another_flag() -> None:
    people = [Person(f"{n:032x}") for n in range(4000)]
    first = {one.id for one in people if rings.holds("5%", "inbox", one)}
    other = {one.id for one in people if rings.holds("5%", "tidying", one)}
    assert len(first & other) < len(first) / 4


@pytest.mark.parametrize("seed", ["0", "1", "12345"])
def test_every_process_gives_a_person_the_same_place_for_ever(seed: str) -> None:
    """The numbers stand here so that a change of the law, which would shuffle people, is noticed."""
    ask = "from chatkeep.rollout.rings import place; print([place('inbox', f'{n:032x}') for n in range(4)])"
    environment = os.environ | {"PYTHONHASHSEED": seed}
    told = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str([rings.place("inbox", f"{n:032x}") for n in range(4)]) == str(FOR_EVER)


FOR_EVER = [3627, 111, 5865, 149]


def test_the_way_outwards_and_back_has_the_same_stations() -> None:
    way = ["off"]
    while way[-1] != "100%":
        way.append(rings.outer(way[-1]))
    assert tuple(way) == rings.RINGS
    assert [rings.inner(ring) for ring in reversed(way)] == [*reversed(way[:-1]), "off"]
    assert (rings.inner("37%"), rings.outer("37%")) == ("25%", "100%")


def test_each_ring_is_watched_for_its_days() -> None:
    assert [rings.least_days(ring) for ring in rings.RINGS] == [0, 3, 7, 7, 7, 0]
    assert rings.least_days("37%") == 7


@pytest.mark.parametrize("wrong", ["", "0%", "101%", "5", "05%", "all", "5 %", "-1%", "5%\n"])
def test_what_is_no_ring_is_refused(wrong: str) -> None:
    with pytest.raises(WrongUse):
        rings.checked(wrong)
