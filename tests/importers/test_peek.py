"""A first look at members costs the same memory, however many there are."""

from __future__ import annotations

import tracemalloc

from chatkeep.importers import peek
from chatkeep.testing.reading import source_of


def test_looking_at_thousands_of_members_does_not_keep_their_beginnings() -> None:
    source = source_of({f"{n}.txt": b"x" * peek.HEAD for n in range(3 * peek.REMEMBERED)})
    tracemalloc.start()
    for member in source:
        assert len(peek.head(source, member)) == peek.HEAD
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1.5 * peek.REMEMBERED * peek.HEAD


def test_a_member_is_read_once_by_those_who_look_in_turn() -> None:
    source = source_of({"one.txt": b"x"})
    (member,) = source
    assert peek.head(source, member) is peek.head(source, member)
