"""The questions every storage must answer alike, whatever it is made of.

A storage's own test is a subclass with a fixture `storage` that gives a fresh, empty one, and `second`,
another handle to the same place:

    class TestMemory(StorageSuite):
        @pytest.fixture
        def storage(self):
            return Memory()

        @pytest.fixture
        def second(self, storage):
            return Memory(storage)
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest

from chatkeep.errors import NotFound, Refused, WrongUse
from chatkeep.storage import MAX_OBJECT, Changes, Storage, changes, delete_many, link, move, put_many

NONE: frozenset[str] = frozenset()


def sample(size: int, *, of: str = "sample") -> bytes:
    """Bytes of this size that look random and are always the same."""
    return hashlib.shake_256(of.encode()).digest(size)


class StorageSuite:
    """Asked of every storage.

    boundaries: the sizes [bytes] around which this one might do something else.
    feeds: whether it tells what changed since a cursor.
    """

    boundaries: ClassVar[tuple[int, ...]] = (1, 4096, 65536, 256 * 1024)
    many: ClassVar[int] = 130
    feeds: ClassVar[bool] = False
    odd_names: ClassVar[tuple[str, ...]] = (
        "with space",
        "Großmutter/Fotos ❤️.txt",
        "naïve e\u0301",
        "a+b&c=d%41#e?f",
        "trailing dot.",
        "trailing space ",
        " leading",
        "'quoted' \"twice\"",
        "con",
        "x" * 255,
        "-rf",
        "~",
        "..three",
        "*.json",
        "a:b",
        "日本語/ファイル",
    )
    outside: ClassVar[tuple[str, ...]] = (
        "",
        "/",
        "..",
        "../outside",
        "a/../../outside",
        "a/./b",
        "/etc/passwd",
        "a//b",
        "a/",
        "C:\\outside",
        "..\\outside",
        "nul\x00byte",
        "new\nline",
        "half \ud800",
        "x" * 256,
    )

    @pytest.fixture
    def second(self, storage: Storage) -> Storage:
        return storage

    def test_it_starts_empty(self, storage: Storage) -> None:
        assert storage.listing() == []
        assert storage.listing("any/") == []

    def test_what_was_put_comes_back_for_every_size(self, storage: Storage) -> None:
        for size in sorted({0, *(b + d for b in self.boundaries for d in (-1, 0, 1))}):
            data = sample(size)
            stored = storage.put(f"size/{size}", data)
            assert (stored.name, stored.size) == (f"size/{size}", size)
            assert storage.get(f"size/{size}") == data
            assert storage.stat(f"size/{size}").size == size

    def test_the_largest_object_is_taken_and_a_larger_one_refused(self, storage: Storage) -> None:
        data = bytes(MAX_OBJECT)
        storage.put("largest", data)
        assert storage.stat("largest").size == MAX_OBJECT
        with pytest.raises(Refused):
            storage.put("larger", data + b"x")
        assert [stored.name for stored in storage.listing()] == ["largest"]

    def test_ranges_are_read_also_past_the_end(self, storage: Storage) -> None:
        data = sample(1000)
        storage.put("ranges", data)
        for start, length in [
            (0, 10),
            (990, 10),
            (990, 11),
            (999, 1),
            (1000, 1),
            (2000, 5),
            (5, 0),
            (0, None),
        ]:
            expected = data[start:] if length is None else data[start : start + length]
            assert storage.get("ranges", start=start, length=length) == expected
        assert storage.get("ranges", start=400) == data[400:]

    def test_a_range_before_the_beginning_is_wrong_use(self, storage: Storage) -> None:
        storage.put("a", b"abc")
        with pytest.raises(WrongUse):
            storage.get("a", start=-1)
        with pytest.raises(WrongUse):
            storage.get("a", length=-1)

    def test_what_is_not_there_is_not_found_everywhere_alike(self, storage: Storage) -> None:
        storage.put("folder/file", b"x")
        for name in ("missing", "folder", "folder/missing", "folder/file/below"):
            with pytest.raises(NotFound):
                storage.get(name)
            with pytest.raises(NotFound):
                storage.stat(name)
            with pytest.raises(NotFound):
                storage.get(name, start=1, length=1)

    def test_a_put_replaces_the_whole_object(self, storage: Storage) -> None:
        storage.put("a", b"a long first version")
        storage.put("a", b"short")
        assert storage.get("a") == b"short"
        assert [(stored.name, stored.size) for stored in storage.listing()] == [("a", 5)]

    def test_listing_gives_every_object_once_with_its_size_in_order(self, storage: Storage) -> None:
        names = [f"{'abc'[i % 3]}/{i:03d}" for i in range(self.many)]
        for i, name in enumerate(names):
            storage.put(name, b"x" * (i % 7))
        listed = storage.listing()
        assert [stored.name for stored in listed] == sorted(names)
        assert {stored.name: stored.size for stored in listed} == {n: i % 7 for i, n in enumerate(names)}

    def test_a_prefix_is_any_beginning_of_a_name(self, storage: Storage) -> None:
        for name in ("data/ab/1", "data/ab/2", "data/abc", "data/b", "index/1"):
            storage.put(name, b"x")
        assert [s.name for s in storage.listing("data/")] == ["data/ab/1", "data/ab/2", "data/abc", "data/b"]
        assert [s.name for s in storage.listing("data/ab")] == ["data/ab/1", "data/ab/2", "data/abc"]
        assert [s.name for s in storage.listing("data/ab/")] == ["data/ab/1", "data/ab/2"]
        assert [s.name for s in storage.listing("in")] == ["index/1"]
        assert storage.listing("nothing") == storage.listing("data/ab/1/") == []

    @staticmethod
    def _refuses(storage: Storage, name: str) -> bool:
        try:
            storage.put(name, b"odd")
        except Refused:
            return True
        return False

    def test_odd_names_are_kept_exactly_or_refused(self, storage: Storage) -> None:
        kept = [name for name in self.odd_names if not self._refuses(storage, name)]
        assert sorted(stored.name for stored in storage.listing()) == sorted(kept)
        for name in kept:
            assert storage.get(name) == b"odd"

    def test_a_name_that_leads_out_or_means_nothing_is_refused_by_every_verb(self, storage: Storage) -> None:
        for name in self.outside:
            with pytest.raises(Refused):
                storage.put(name, b"x")
            with pytest.raises(Refused):
                storage.get(name)
            with pytest.raises(Refused):
                storage.stat(name)
            with pytest.raises(Refused):
                storage.delete(name)
        assert storage.listing() == []

    def test_names_that_differ_in_case_are_two_unless_declared(self, storage: Storage) -> None:
        storage.put("case", b"small")
        if storage.traits.folds_case:
            assert storage.get("CASE") == b"small"
        else:
            storage.put("CASE", b"LARGE")
            assert (storage.get("case"), storage.get("CASE")) == (b"small", b"LARGE")

    def test_many_threads_on_one_name_leave_one_whole_version(self, storage: Storage) -> None:
        versions = [sample(20_000 + i, of=str(i)) for i in range(8)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda data: storage.put("contended", data), versions * 4))
            seen = list(pool.map(lambda _: storage.get("contended"), range(16)))
        assert all(data in versions for data in seen)
        assert len(storage.listing()) == 1

    def test_readers_see_whole_versions_while_one_writes(self, storage: Storage) -> None:
        versions = [b"%d" % i * (50_000 + 7_919 * (i % 3)) for i in range(10)]  # a length of another version is seen
        storage.put("busy", versions[0])
        with ThreadPoolExecutor(4) as pool:
            writing = pool.submit(lambda: [storage.put("busy", data) for data in versions[1:]])
            seen = [storage.get("busy") for _ in range(40)]
            writing.result()
        assert [(len(data), set(data)) for data in seen if data not in versions] == []

    def test_a_second_handle_shows_the_same(self, storage: Storage, second: Storage) -> None:
        storage.put("shared", b"from the first")
        assert second.get("shared") == b"from the first"
        second.delete("shared")
        with pytest.raises(NotFound):
            storage.get("shared")

    def test_deleting_removes_and_deleting_again_is_quiet(self, storage: Storage) -> None:
        storage.put("a/b", b"x")
        storage.delete("a/b")
        storage.delete("a/b")
        storage.delete("never/was")
        assert storage.listing() == []
        storage.put("a/b", b"again")
        assert storage.get("a/b") == b"again"

    def test_many_objects_are_put_at_once_and_given_back_in_their_order(self, storage: Storage) -> None:
        storage.put("b/1", b"old")
        objects = {name: sample(i * 7, of=name) for i, name in enumerate(("b/1", "a/2", "c", "b/3", "a/1"))}
        stored = put_many(storage, objects)
        assert [(one.name, one.size) for one in stored] == [(name, len(data)) for name, data in objects.items()]
        assert {one.name: storage.get(one.name) for one in storage.listing()} == objects
        assert put_many(storage, {}) == []
        with pytest.raises(Refused):
            put_many(storage, {"a/1": b"x", "../outside": b"x"})

    def test_many_objects_are_deleted_at_once_and_missing_ones_are_quiet(self, storage: Storage) -> None:
        put_many(storage, {f"{folder}/{i}": b"x" for folder in "ab" for i in range(5)})
        delete_many(storage, [f"a/{i}" for i in range(7)] + ["never/was", "b/0", "b/0"])
        assert [one.name for one in storage.listing()] == ["b/1", "b/2", "b/3", "b/4"]
        delete_many(storage, [])

    def test_an_object_is_moved_and_what_had_its_new_name_is_replaced(self, storage: Storage) -> None:
        put_many(storage, {"inbox/a": b"first", "inbox/b": b"second", "done/b": b"of long ago"})
        move(storage, "inbox/a", "done/deep/a")
        move(storage, "inbox/b", "done/b")
        move(storage, "done/b", "done/b")
        assert {one.name: storage.get(one.name) for one in storage.listing()} == {
            "done/deep/a": b"first",
            "done/b": b"second",
        }

    def test_what_is_not_there_cannot_be_moved_and_nothing_is_moved_out(self, storage: Storage) -> None:
        storage.put("a", b"x")
        with pytest.raises(NotFound):
            move(storage, "b", "c")
        with pytest.raises(Refused):
            move(storage, "a", "../a")
        assert [one.name for one in storage.listing()] == ["a"]

    def test_a_file_of_this_machine_may_get_a_second_name_that_stays(self, storage: Storage, tmp_path: Path) -> None:
        data = sample(1000)
        storage.put("a/b", data)
        second = tmp_path / "second"
        assert not link(storage, "a/c", second)
        assert not second.exists()
        linked = link(storage, "a/b", second)
        storage.delete("a/b")
        assert second.exists() == linked
        assert not linked or second.read_bytes() == data
        assert storage.listing() == []

    def _begun(self, storage: Storage, cursor: str = "") -> Changes:
        told = changes(storage, cursor)
        assert told is not None
        return told

    def test_it_tells_what_changed_if_it_says_so(self, storage: Storage, second: Storage) -> None:
        storage.put("before", b"x")
        begun = changes(storage)
        assert (begun is not None) == self.feeds
        if begun is None:
            return
        assert begun == Changes(NONE, NONE, begun.cursor, complete=False)
        nothing = self._begun(storage, begun.cursor)
        assert nothing == Changes(NONE, NONE, nothing.cursor, complete=True)
        second.put("a/new", b"x")
        storage.put("before", b"replaced")
        storage.put("passing", b"x")
        storage.delete("passing")
        told = self._begun(storage, nothing.cursor)
        assert told.complete
        assert told.changed == frozenset({"a/new", "before"})
        assert told.gone <= {"passing"}
        storage.delete("a/new")
        move(storage, "before", "after")
        told = self._begun(storage, told.cursor)
        assert told == Changes(frozenset({"after"}), frozenset({"a/new", "before"}), told.cursor, complete=True)
        assert not self._begun(storage, told.cursor).changed

    def test_a_cursor_that_is_not_known_begins_anew(self, storage: Storage) -> None:
        if self.feeds:
            anew = self._begun(storage, "of another place:7")
            storage.put("a", b"x")
            assert not anew.complete
            assert self._begun(storage, anew.cursor).changed == frozenset({"a"})
        else:
            assert changes(storage, "of another place:7") is None

    def test_closing_twice_is_quiet(self, storage: Storage) -> None:
        storage.close()
        storage.close()
