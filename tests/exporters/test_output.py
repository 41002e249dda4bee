"""Where an export goes, and what is there when it did not get to its end."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatkeep.errors import QuotaFull, Refused, WrongUse
from chatkeep.exporters import Folder, OneFile, Output, Stream, Zip, output


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("chats", Folder),
        ("chats/", Folder),
        ("chats.d", Folder),
        ("chats.zip", Zip),
        ("chats.ZIP", Zip),
        ("chats.md", OneFile),
        ("chats.html", OneFile),
        ("chats.json", OneFile),
        ("chats.txt", OneFile),
        ("chats.md/", Folder),
        ("-", Stream),
    ],
)
def test_a_path_says_what_is_meant(place: str, kind: type[Output], tmp_path: Path) -> None:
    there = place if place == "-" else f"{tmp_path}/{place}"
    assert type(output(there, stream=io.BytesIO())) is kind


def test_a_folder_that_is_there_is_a_folder_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "notes.md").mkdir()
    assert type(output(tmp_path / "notes.md", stream=io.BytesIO())) is Folder


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, QuotaFull), (errno.EDQUOT, QuotaFull), (errno.EACCES, Refused)]
)
@pytest.mark.parametrize("name", ["out", "out.zip", "out.md"])
def test_what_the_system_refuses_is_told_in_our_words(
    name: str, number: int, kind: type[Exception], tmp_path: Path
) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise OSError(number, os.strerror(number))

    with pytest.raises(kind), output(tmp_path / "there" / name) as out:
        out.write("a.md", pieces())
    assert [path for path in (tmp_path / "there").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["out.zip", "out.md", "out"])
def test_a_killed_export_leaves_nothing_under_a_final_name(name: str, tmp_path: Path) -> None:
    child = textwrap.dedent(
        """
        import os, sys
        from chatkeep.exporters import output
        def pieces():
            yield b"half" * 100_000
            os._exit(9)
        with output(sys.argv[1]) as out:
            out.write("a.md", pieces())
        """
    )
    done = subprocess.run([sys.executable, "-c", child, str(tmp_path / name)], check=False)
    assert done.returncode == 9
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(path.name.startswith(".") or path.parent.name.startswith(".") for path in left)
    assert left


def test_single_outputs_have_no_place_for_attachments(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    for out in (OneFile(tmp_path / "b.md"), Stream(io.BytesIO())):
        with pytest.raises(WrongUse), out:
            out.copy("a", tmp_path / "a")


class _Torn(io.FileIO):
    """A file on a disk that gives its beginning and no more."""

    def read(self, size: int | None = -1, /) -> bytes:  # type: ignore[override]
        if self.tell():
            raise OSError(errno.EIO, "Input/output error")
        return super().read(3)


def test_a_file_that_is_read_in_part_is_named_by_the_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torn = tmp_path / "torn.bin"
    torn.write_bytes(b"a" * 100)
    with output(tmp_path / "out") as out:
        monkeypatch.setattr(Path, "open", lambda path, *_, **__: _Torn(path))
        with pytest.raises(OSError, match="Input/output error") as raised:
            out.copy("attachments/torn.bin", torn)
        monkeypatch.undo()
        assert raised.value.filename == str(torn)
        out.write("a.md", [b"text"])
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["a.md"]


def test_large_pieces_are_written_whole(tmp_path: Path) -> None:
    data = os.urandom(1 << 20) * 3
    with output(tmp_path / "out") as out:
        assert out.write("deep/er/a.bin", iter([data, b"end"])) == len(data) + 3
    assert (tmp_path / "out" / "deep" / "er" / "a.bin").read_bytes() == data + b"end"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["deep"]


@pytest.mark.parametrize("name", ["out", "out.zip", "out.json"])
def test_the_next_export_to_a_place_removes_what_a_killed_one_left_there_a_day_ago(name: str, tmp_path: Path) -> None:
    def unfinished() -> list[Path]:
        with output(tmp_path / name, stream=io.BytesIO()) as out:
            out.write("a.json", [b"{}"])
            return list(tmp_path.rglob("*.chatkeep-????????"))

    (left,) = unfinished()
    own = left.with_name(f"{left.name[:-8]}of-my-own")
    own.write_text("a person's")
    if name == "out":
        left.mkdir()
        (left / "file").write_bytes(b"half")
    else:
        left.write_bytes(b"half")
    assert left in unfinished()  # it may still run
    for path in (left, own):
        os.utime(path, (1, 1))
    assert left not in unfinished()
    assert own.exists()


def test_a_folder_of_the_name_of_an_unfinished_export_keeps_what_is_not_ours(tmp_path: Path) -> None:
    odd = tmp_path / ".chatkeep-0123abcd"
    odd.mkdir()
    (odd / "letter.txt").write_text("mine")
    os.utime(odd, (1, 1))
    with Folder(tmp_path) as out:
        out.write("a.txt", [b"a"])
    assert (odd / "letter.txt").read_text() == "mine"
