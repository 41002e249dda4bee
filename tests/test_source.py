"""A file, a folder or a zip is seen as named members, whatever it is wrapped in."""

from __future__ import annotations

import hashlib
import io
import os
import random
import threading
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatkeep.errors import NotFound, Problem, Refused, UnsafeSource
from chatkeep.source import Limits, Source


def pack(path: Path, files: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return path


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def contents(source: Source) -> dict[str, bytes]:
    return {name: member.read() for name, member in source.members.items()}


FILES = {"conversations.json": b"[1, 2]", "tmp/user.json": b"{}", "tmp/a/photo.png": bytes(range(256)) * 9}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_and_a_folder_of_the_same_files_have_the_same_members(tmp_path: Path, method: int) -> None:
    given = pack(tmp_path / "export.zip", FILES, method=method), lay(tmp_path / "export", FILES)
    with Source.open([given[0]]) as packed, Source.open([given[1]]) as folder:
        assert contents(packed) == contents(folder) == FILES
        assert packed.problems == folder.problems == []
        assert packed.label == "export.zip"
        assert folder.label == "export"


def test_a_file_is_a_source_with_one_member(tmp_path: Path) -> None:
    (tmp_path / "chat.txt").write_bytes(b"hello")
    with Source.open([tmp_path / "chat.txt"]) as source:
        member = source.members["chat.txt"]
        assert (member.base, member.size, member.where, member.read()) == ("chat.txt", 5, "chat.txt", b"hello")
        assert member.modified is not None
        assert member.modified.tzinfo is UTC


def test_a_zip_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    pack(tmp_path / "export", FILES)
    (tmp_path / "fake.zip").write_bytes(b"hello")
    with Source.open([tmp_path / "export"]) as packed, Source.open([tmp_path / "fake.zip"]) as fake:
        assert set(packed.members) == set(FILES)
        assert list(fake.members) == ["fake.zip"]


def test_several_paths_are_one_source_with_a_folder_for_each(tmp_path: Path) -> None:
    first = pack(tmp_path / "one.zip", {"conversations.json": b"[1]"})
    second = lay(tmp_path / "two", {"conversations.json": b"[2]"})
    third = lay(tmp_path / "files", {"chat.txt": b"3"}) / "chat.txt"
    fourth = lay(tmp_path / "more", {"chat.txt": b"4"}) / "chat.txt"
    with Source.open([first, second, third, fourth]) as source:
        assert contents(source) == {
            "one.zip/conversations.json": b"[1]",
            "two/conversations.json": b"[2]",
            "chat.txt": b"3",
            "(2)/chat.txt": b"4",
        }
        assert source.label == "one.zip, two, chat.txt, chat.txt"
        assert source.members["one.zip/conversations.json"].where == "one.zip: conversations.json"


def test_the_same_path_twice_counts_once(tmp_path: Path) -> None:
    path = pack(tmp_path / "one.zip", {"a.json": b"[1]"})
    with Source.open([path, tmp_path / "." / "one.zip"]) as source:
        assert list(source.members) == ["a.json"]


def test_members_are_in_the_order_in_which_people_count(tmp_path: Path) -> None:
    names = ["b/message_1.json", "b/message_2.json", "b/message_10.json", "B/message_010.json", "a/z.json", "a2.txt"]
    names += ["b/message_" + "9" * 5000]
    shuffled = random.Random(1).sample(names, len(names))
    with Source.open([pack(tmp_path / "a.zip", dict.fromkeys(shuffled, b""))]) as source:
        order = list(source.members)
    ones = [name for name in order if name.startswith("b/")]
    assert ones == ["b/message_1.json", "b/message_2.json", "b/message_10.json", "b/message_" + "9" * 5000]
    assert order.index("a/z.json") < order.index("a2.txt") < order.index("b/message_1.json")


def test_what_systems_leave_behind_is_no_member(tmp_path: Path) -> None:
    noise = {"__MACOSX/a/._b.json": b"x", "a/._c.json": b"x", ".DS_Store": b"x", "a/Thumbs.db": b"x", "a/b.json": b"y"}
    with Source.open([pack(tmp_path / "a.zip", noise)]) as packed, Source.open([lay(tmp_path / "a", noise)]) as folder:
        assert list(packed.members) == list(folder.members) == ["a/b.json"]
        assert packed.problems == folder.problems == []


def test_a_zip_inside_is_a_member_and_what_it_holds_are_members_below_it(tmp_path: Path) -> None:
    inner = pack(tmp_path / "inner.zip", {"chats/a.json": b"[1]"}).read_bytes()
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        outer = pack(tmp_path / f"outer{method}.zip", {"x/inner.ZIP": inner}, method=method)
        with Source.open([outer]) as source:
            assert contents(source) == {"x/inner.ZIP": inner, "x/inner.ZIP/chats/a.json": b"[1]"}
    with Source.open([lay(tmp_path / "folder", {"inner.zip": inner})]) as source:
        assert contents(source) == {"inner.zip": inner, "inner.zip/chats/a.json": b"[1]"}
        assert source.members["inner.zip/chats/a.json"].where == "folder: inner.zip: chats/a.json"


def test_a_zip_two_levels_down_stays_closed(tmp_path: Path) -> None:
    inner = pack(tmp_path / "a.zip", {"a.json": b"[1]"}).read_bytes()
    middle = pack(tmp_path / "b.zip", {"a.zip": inner}).read_bytes()
    with Source.open([pack(tmp_path / "c.zip", {"b.zip": middle})]) as source:
        assert list(source.members) == ["b.zip", "b.zip/a.zip"]


def test_a_broken_zip_inside_is_a_problem_and_no_more(tmp_path: Path) -> None:
    files = {"inner.zip": b"PK\x03\x04 and nothing else", "a.json": b"[]"}
    with Source.open([pack(tmp_path / "outer.zip", files)]) as source:
        assert set(source.members) == set(files)
        assert [problem.where for problem in source.problems] == ["outer.zip: inner.zip"]


def test_so_many_zips_inside_are_looked_into_and_no_more(tmp_path: Path) -> None:
    inner = pack(tmp_path / "i.zip", {"a.json": b"[1]"}).read_bytes()
    outer = pack(tmp_path / "outer.zip", {f"{i}.zip": inner for i in range(5)})
    with Source.open([outer], limits=Limits(nested=3)) as source:
        assert len(source) == 5 + 3
        assert len(source.problems) == 2


def test_members_are_found_by_their_base_name(tmp_path: Path) -> None:
    names = ["conversations-1.json", "x/conversations-000.json", "conversations.json.index", "y/user.json", "user.json"]
    with Source.open([pack(tmp_path / "a.zip", dict.fromkeys(names, b"{}"))]) as source:
        assert [member.name for member in source.find(r"conversations-\d+\.json")] == [names[0], names[1]]
        assert [member.name for member in source.named("user.json")] == ["user.json", "y/user.json"]
        assert source.named("nothing.json") == []


def test_a_subset_reads_from_the_same_zip_and_joining_brings_sources_together(tmp_path: Path) -> None:
    one = Source.open([pack(tmp_path / "one.zip", {"a.json": b"1", "b.json": b"2"})])
    two = Source.open([pack(tmp_path / "two.zip", {"a.json": b"3"})])
    assert contents(one.subset(["b.json", "gone.json"])) == {"b.json": b"2"}
    with Source.joined([one, two]) as joined:
        assert contents(joined) == {"a.json": b"1", "b.json": b"2", "(2)/a.json": b"3"}
        member = joined.members["a.json"]
    with pytest.raises(ValueError, match="closed"):
        member.read()
    joined.close()


def test_the_digest_tells_sources_apart_and_equal_ones_not(tmp_path: Path) -> None:
    zips = [
        pack(tmp_path / "1.zip", FILES),
        pack(tmp_path / "2.zip", FILES),
        pack(tmp_path / "3.zip", FILES | {"x": b""}),
    ]
    digests = []
    for path in zips:
        with Source.open([path]) as source:
            digests.append(source.digest())
    assert digests[0] == digests[1] != digests[2]
    (tmp_path / "a.json").write_bytes(b"[1]")
    with Source.open([tmp_path / "a.json"]) as file, Source.open([lay(tmp_path / "f", FILES)]) as folder:
        assert file.digest() == hashlib.sha256(b"[1]").hexdigest()
        assert folder.digest() == folder.digest() != file.digest()


def test_the_head_of_a_member_is_its_beginning(tmp_path: Path) -> None:
    data = random.Random(3).randbytes(3_000_000)
    with Source.open([pack(tmp_path / "a.zip", {"a": data})]) as source:
        member = source.members["a"]
        assert member.head(10) == data[:10]
        assert member.head(2_000_000) == data[:2_000_000]
        assert member.head(9_000_000) == data


def test_reading_more_than_asked_for_is_refused(tmp_path: Path) -> None:
    with Source.open([pack(tmp_path / "a.zip", {"a": b"12345"})]) as source:
        assert source.members["a"].read(5) == b"12345"
        with pytest.raises(UnsafeSource, match="larger than the 4 bytes"):
            source.members["a"].read(4)


def test_members_are_read_in_several_threads_at_once(tmp_path: Path) -> None:
    rng = random.Random(5)
    files = {f"{i}.bin": rng.randbytes(400_000) + bytes(400_000) for i in range(4)}
    found: dict[str, bytes] = {}
    with Source.open([pack(tmp_path / "a.zip", files)]) as source:

        def read(name: str) -> None:
            with source.members[name].open() as stream:
                found[name] = b"".join(iter(lambda: stream.read(10_000), b""))

        threads = [threading.Thread(target=read, args=[name]) for name in files]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == files


def test_a_stream_is_fit_for_text(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip", {"a.txt": "één\ntwee\n".encode()})
    with Source.open([path]) as source, io.TextIOWrapper(source.members["a.txt"].open(), "utf-8") as text:
        assert list(text) == ["één\n", "twee\n"]


def test_times_in_zips_have_no_zone_and_the_dummy_time_is_unknown(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(zipfile.ZipInfo("a", (2024, 2, 29, 23, 59, 58)), b"")
        packed.writestr(zipfile.ZipInfo("b"), b"")
    with Source.open([tmp_path / "a.zip"]) as source:
        assert source.members["a"].modified == datetime(2024, 2, 29, 23, 59, 58)  # noqa: DTZ001
        assert source.members["b"].modified is None


def test_a_path_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.zip is not there"):
        Source.open([tmp_path / "gone.zip"])
    with pytest.raises(NotFound):
        Source.open([])


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_may_not_be_read_is_refused_or_told(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lay(tmp_path / "f", {"closed/a.json": b"1", "b.json": b"2"})

    def scandir(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError
        return real(path)

    def opened(path: Path, *args: object, **kwargs: object) -> object:
        raise PermissionError

    real = os.scandir
    if kind == "folder":
        monkeypatch.setattr(os, "scandir", scandir)
        with Source.open([folder]) as source:
            assert list(source.members) == ["b.json"]
            assert source.problems == [Problem("f: closed/", "This folder cannot be read.")]
    else:
        monkeypatch.setattr(Path, "open", opened)
        with pytest.raises(Refused, match=r"b\.json may not be read"):
            Source.open([folder / "b.json"])


def test_links_in_a_folder_are_not_followed_and_those_that_lead_outside_are_told(tmp_path: Path) -> None:
    folder = lay(tmp_path / "f", {"a.json": b"1", "sub/b.json": b"2"})
    lay(tmp_path / "secret", {"key": b"k"})
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "key").symlink_to(tmp_path / "secret" / "key")
    (folder / "again").symlink_to(folder / "sub")
    (folder / "round").symlink_to(folder / "round")
    with Source.open([folder]) as source:
        assert contents(source) == {"a.json": b"1", "sub/b.json": b"2"}
        assert {"f: out", "f: key"} <= {problem.where for problem in source.problems}


def test_a_link_that_was_given_is_followed(tmp_path: Path) -> None:
    lay(tmp_path / "f", {"a.json": b"1"})
    (tmp_path / "link").symlink_to(tmp_path / "f")
    with Source.open([tmp_path / "link"]) as source:
        assert contents(source) == {"a.json": b"1"}


def test_a_pipe_is_no_source(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnsafeSource, match="neither a file nor a folder"):
        Source.open([tmp_path / "pipe"])
    (tmp_path / "a.json").write_bytes(b"1")
    with Source.open([tmp_path]) as source:
        assert list(source.members) == ["a.json"]
        assert len(source.problems) == 1


def test_file_names_that_are_not_text_are_spelled_out(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    with open(os.path.join(os.fsencode(folder), b"caf\xe9.json"), "wb") as file:  # noqa: PTH118, PTH123
        file.write(b"1")
    with Source.open([folder]) as source:
        assert contents(source) == {"caf\\xe9.json": b"1"}
        assert source.digest()


@pytest.mark.parametrize("what", ["folder", "zip"])
def test_too_many_files_are_refused(tmp_path: Path, what: str) -> None:
    files = {f"{i}.json": b"" for i in range(6)}
    given = lay(tmp_path / "f", files) if what == "folder" else pack(tmp_path / "f.zip", files)
    with Source.open([given], limits=Limits(entries=6)) as source:
        assert len(source) == 6
    with pytest.raises(UnsafeSource, match="more than 5 files"):
        Source.open([given], limits=Limits(entries=5))


@pytest.mark.parametrize("what", ["folder", "zip"])
def test_too_many_bytes_are_refused(tmp_path: Path, what: str) -> None:
    files = {"a": bytes(60), "b": bytes(50)}
    given = lay(tmp_path / "f", files) if what == "folder" else pack(tmp_path / "f.zip", files)
    with Source.open([given], limits=Limits(inflated=110)) as source:
        assert len(source) == 2
    with pytest.raises(UnsafeSource, match="more than 109 bytes"):
        Source.open([given], limits=Limits(inflated=109))
