"""The questions every export format must answer alike.

An exporter's own test is a subclass that names it and where its golden files are:

    class TestMarkdown(ExporterSuite):
        exporter = MARKDOWN
        golden = Path(__file__).parents[1] / "golden" / "markdown"

A golden file is what the exporter wrote of the museum (`chatkeep.testing.museum`), approved by eye. With APPROVE=1 in
the environment the suite writes them; then look at them, because what stands there is what we promise.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import stat
import tracemalloc
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from chatkeep import exact
from chatkeep.errors import Refused, WrongUse
from chatkeep.exporters import Customisation, Exported, Exporter, Folder, Output, Stream, export, output, preview
from chatkeep.model import FORMAT, Conversation, Message, Part, Participant, identify
from chatkeep.testing import museum
from chatkeep.testing.hostile import payloads

CASES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "everything": {
        "branches": "all",
        "zone": "Europe/Berlin",
        "thinking": True,
        "tool_calls": True,
        "hidden": True,
    },
    "as little as possible": {
        "times": "none",
        "names": "roles",
        "citations": False,
        "attachments": "none",
        "redact": ("whale", "Ada"),
        "name_pattern": "{title}",
    },
}
_LOSSLESS_CANNOT = ("names", "redact")


class ExporterSuite:
    """Asked of every exporter. Subclasses set the two class variables; `tidied`: what golden files need not show."""

    exporter: ClassVar[Exporter]
    golden: ClassVar[Path]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "case" in metafunc.fixturenames:
            metafunc.parametrize("case", list(CASES))

    def wish(self, case: str, **more: Any) -> Customisation:
        """A case as far as the format can fulfil it."""
        wishes = CASES[case] | more
        return Customisation(**{name: value for name, value in wishes.items() if self.can(name)})

    def can(self, name: str) -> bool:
        return not (self.exporter.lossless and name in _LOSSLESS_CANNOT)

    def tidied(self, text: str) -> str:
        return text

    # -- what is written

    def test_the_museum_is_written_as_approved(self, case: str, tmp_path: Path) -> None:
        self._export(tmp_path / "out", case=case, kept=tmp_path)
        self._compare(case, {path: self._text(data) for path, data in _tree(tmp_path / "out").items()})

    def test_the_museum_in_one_file_is_written_as_approved(self, case: str, tmp_path: Path) -> None:
        place = tmp_path / f"all{self.exporter.suffix}"
        self._export(place, case=case, kept=tmp_path)
        self._compare(f"{case}, one file", {place.name: self._text(place.read_bytes())})

    def test_what_was_written_is_counted(self, tmp_path: Path) -> None:
        done = self._export(tmp_path / "out", kept=tmp_path)
        files = _tree(tmp_path / "out")
        assert (done.files, done.bytes) == (len(files), sum(len(data) for data in files.values()))
        assert (done.conversations, done.messages, done.problems) == (2, 16, [])
        assert (done.attachments, done.missing, done.left_out) == (4, 0, 0)

    def test_writing_twice_gives_equal_bytes_also_over_what_was_there(self, tmp_path: Path) -> None:
        self._export(tmp_path / "out", kept=tmp_path)
        first = _tree(tmp_path / "out")
        (tmp_path / "out" / "mine.doc").write_bytes(b"keep me")
        self._export(tmp_path / "out", kept=tmp_path)
        assert _tree(tmp_path / "out") == first | {"mine.doc": b"keep me"}

    def test_a_zip_holds_the_same_as_a_folder(self, tmp_path: Path) -> None:
        self._export(tmp_path / "out", kept=tmp_path)
        self._export(tmp_path / "out.zip", kept=tmp_path)
        with zipfile.ZipFile(tmp_path / "out.zip") as packed:
            assert packed.testzip() is None
            assert {name: packed.read(name) for name in packed.namelist()} == _tree(tmp_path / "out")

    def test_a_stream_gets_the_same_as_one_file(self, tmp_path: Path) -> None:
        place = tmp_path / f"all{self.exporter.suffix}"
        done = self._export(place, kept=tmp_path)
        stream = io.BytesIO()
        assert self._export(output("-", stream=stream), kept=tmp_path) == done
        assert stream.getvalue() == place.read_bytes()
        assert done.files == 1

    def test_one_file_in_a_folder_or_a_zip_has_its_attachments_beside_it(self, tmp_path: Path) -> None:
        for place in (tmp_path / "out", tmp_path / "out.zip"):
            done = self._export(place, kept=tmp_path, files="one")
            assert (done.files, done.attachments, done.left_out, done.problems) == (5, 4, 0, [])
        written = _tree(tmp_path / "out")
        name = f"conversations{self.exporter.suffix}"
        assert {hashlib.sha256(data).hexdigest() for path, data in written.items() if path != name} == set(
            museum.ATTACHMENTS
        )
        with zipfile.ZipFile(tmp_path / "out.zip") as packed:
            assert {path: packed.read(path) for path in packed.namelist()} == written

    def test_nothing_is_written_of_nothing(self, tmp_path: Path) -> None:
        stream = io.BytesIO()
        done = self._export(Stream(stream), kept=tmp_path, conversations=iter(()))
        assert (done.conversations, done.messages, done.bytes) == (0, 0, len(stream.getvalue()))

    def test_a_preview_is_the_file_that_would_be_written(self, tmp_path: Path) -> None:
        self._export(tmp_path / "out", kept=tmp_path, conversations=iter([museum.group()]))
        texts = [data.decode() for path, data in _tree(tmp_path / "out").items() if path.endswith(self.exporter.suffix)]
        shown = preview(museum.group(), self.exporter, self.wish("as it comes"))
        assert any(self.tidied(shown).split()[-20:] == self.tidied(text).split()[-20:] for text in texts)

    def test_progress_is_told_after_each_conversation(self, tmp_path: Path) -> None:
        told: list[int] = []
        out = Stream(io.BytesIO())
        export(
            iter(museum.collection()),
            exporter=self.exporter,
            customisation=Customisation(),
            out=out,
            attachment=lambda _: None,
            progress=told.append,
        )
        assert told == [1, 2]

    # -- attachments

    def test_attachments_stand_beside_the_texts_byte_for_byte(self, tmp_path: Path) -> None:
        self._export(tmp_path / "out", kept=tmp_path)
        beside = {path: data for path, data in _tree(tmp_path / "out").items() if path.startswith("attachments/")}
        assert {hashlib.sha256(data).hexdigest() for data in beside.values()} == set(museum.ATTACHMENTS)
        assert all(
            path.startswith(f"attachments/{hashlib.sha256(data).hexdigest()[:2]}/") for path, data in beside.items()
        )

    def test_attachments_that_are_not_here_are_counted_and_the_rest_is_written(self, tmp_path: Path) -> None:
        files = museum.kept(tmp_path)
        gone, unreadable, *_ = files
        files[gone] = tmp_path / "nowhere"
        del files[unreadable]
        done = self._export(tmp_path / "out", kept=files)
        assert (done.conversations, done.attachments, done.missing, done.problems) == (2, 2, 2, [])

    def test_an_attachment_that_cannot_be_read_is_a_problem_and_the_rest_is_written(self, tmp_path: Path) -> None:
        files = museum.kept(tmp_path)
        bad = next(iter(files))
        files[bad] = tmp_path  # reading a folder fails, for whomever
        done = self._export(tmp_path / "out", kept=files)
        assert [bad[:12] in problem.where for problem in done.problems] == [True]
        assert (done.conversations, done.attachments) == (2, 3)

    # -- hostile texts and names

    def test_hostile_texts_are_written_and_do_no_harm(self, tmp_path: Path) -> None:
        conversations = [_saying(number, one.text, one.markup) for number, one in enumerate(payloads())]
        done = self._export(tmp_path / "out", kept={}, conversations=iter(conversations))
        assert done.conversations == len(conversations)
        for path, data in _tree(tmp_path / "out").items():
            self.check_harmless(path, data.decode())

    def check_harmless(self, path: str, text: str) -> None:
        """A file holds nothing that harms who opens it with the programs it is for."""
        assert not any(ord(sign) < 32 and sign not in "\t\n\r" for sign in text)

    def test_a_thousand_hostile_names_give_a_thousand_files_inside(self, tmp_path: Path) -> None:
        for pattern, titles in (
            ("{title}", hostile_names(1000)),
            ("{platform}/{year}/{date} {title} [{id}]", hostile_names(100)),
            ("{title}/{project}/{full_id}", hostile_names(100)),
        ):
            place = tmp_path / "there" / f"out {len(pattern)}"
            self._export(place, kept={}, conversations=map(_titled, range(1000), titles), name_pattern=pattern)
            found = [path for path in _tree(place) if path != "index.html"]
            assert len(found) == len(titles)
            assert len({unicodedata.normalize("NFKC", path).casefold() for path in found}) == len(titles)
            assert [path for path in found if wrong_name(path)] == []
        assert [path.name for path in tmp_path.iterdir()] == ["there"]

    # -- size, and what happens when it fails

    @pytest.mark.slow
    def test_memory_does_not_grow_with_the_number_of_conversations(self) -> None:
        small, large = (self._peak(count) for count in (50, 500))
        assert large < small + (1 << 20)

    def _peak(self, count: int) -> int:
        many = (_saying(number, "A word or two. " * 400, "markdown") for number in range(count))
        tracemalloc.start()
        try:
            self._export(Stream(_Nowhere()), kept={}, conversations=many)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("name", ["out", "out.zip", "all"])
    def test_a_failure_in_the_middle_leaves_only_whole_files(self, name: str, tmp_path: Path) -> None:
        place = tmp_path / "there" / (name if name != "all" else f"all{self.exporter.suffix}")
        whole = tmp_path / "whole"
        self._export(whole, kept={}, conversations=_many(20))
        with pytest.raises(_BrokenOffError):
            self._export(place, kept={}, conversations=_broken(20, after=11))
        left = _tree(tmp_path / "there")
        if name == "out":
            assert len(left) == 11
            assert {path.removeprefix("out/"): data for path, data in left.items()}.items() <= _tree(whole).items()
        else:
            assert left == {}

    @pytest.mark.parametrize("name", ["out.zip", "all"])
    def test_a_failure_keeps_what_was_there_before(self, name: str, tmp_path: Path) -> None:
        place = tmp_path / (name if name != "all" else f"all{self.exporter.suffix}")
        self._export(place, kept={}, conversations=_many(2))
        before = place.read_bytes()
        with pytest.raises(_BrokenOffError):
            self._export(place, kept={}, conversations=_broken(20, after=11))
        assert place.read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == [place.name]

    def test_a_place_that_may_not_be_written_is_refused(self, tmp_path: Path) -> None:
        closed = tmp_path / "closed"
        closed.mkdir()
        closed.chmod(stat.S_IRUSR | stat.S_IXUSR)
        if os.access(closed, os.W_OK):  # whoever may write everywhere cannot be refused
            shutil.rmtree(closed)
            return
        with pytest.raises(Refused):
            self._export(closed / "out.zip", kept=tmp_path)

    def test_a_file_is_no_folder_and_a_folder_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("mine")
        with pytest.raises(WrongUse):
            self._export(Folder(tmp_path / "file"), kept=tmp_path)
        assert (tmp_path / "file").read_text() == "mine"

    # -- what the questions are asked with

    def _export(
        self,
        place: Path | Output,
        *,
        kept: Path | dict[str, Path],
        case: str = "as it comes",
        conversations: Iterator[Conversation] | None = None,
        **more: Any,
    ) -> Exported:
        files = kept if isinstance(kept, dict) else museum.kept(_made(kept / "kept"))
        return export(
            iter(museum.collection()) if conversations is None else conversations,
            exporter=self.exporter,
            customisation=self.wish(case, **more),
            out=output(place) if isinstance(place, Path) else place,
            attachment=files.get,
        )

    def _text(self, data: bytes) -> str:
        try:
            return self.tidied(data.decode())
        except UnicodeDecodeError:
            return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}\n"

    def _compare(self, case: str, written: dict[str, str]) -> None:
        folder = self.golden / case
        if os.environ.get("APPROVE"):
            shutil.rmtree(folder, ignore_errors=True)
            for path, text in written.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text, encoding="utf-8", newline="")
        approved = {path: data.decode() for path, data in _tree(folder).items()}
        assert written.keys() == approved.keys()
        for path, text in written.items():
            assert text == approved[path], path


class _BrokenOffError(Exception):
    pass


class _Nowhere(io.BytesIO):
    def write(self, data: Any) -> int:
        return len(data)


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ------------------------------------------------------------------ conversations


def _saying(number: int, text: str, markup: str) -> Conversation:
    person = Participant(id="p", role="person", name=exact.mark(text[:40]))
    part = Part(type="text", text=exact.mark(text), markup=markup)
    message = Message(id=identify("message", str(number)), author="p", sent_at="2024-01-02T03:04:05Z", parts=(part,))
    return msgspec.structs.replace(_titled(number, text[:80]), participants=(person,), messages=(message,))


def _titled(number: int, title: str) -> Conversation:
    return Conversation(
        format=FORMAT,
        id=identify("conversation", str(number)),
        platform="chatgpt",
        project=exact.mark(title),
        title=exact.mark(title),
        created_at="2024-01-02T03:04:05Z",
    )


def _many(count: int) -> Iterator[Conversation]:
    for number in range(count):
        yield _saying(number, f"Message {number}. " * 50, "markdown")


def _broken(count: int, *, after: int) -> Iterator[Conversation]:
    for number, conversation in enumerate(_many(count)):
        if number == after:
            raise _BrokenOffError
        yield conversation


# ------------------------------------------------------------------ names

_STEMS = (
    *(
        "CON",
        "con.txt",
        "NUL",
        "aux",
        "COM1",
        "lpt9.md",
        "..",
        ".",
        "...",
        "",
        " ",
        "~",
        ".hidden",
        "-rf",
        "a/b",
        "a\\b",
    ),
    *(
        "../../etc/passwd",
        "C:\\Windows",
        "a:b",
        'say "hi"',
        "what?",
        "a*b",
        "<b>",
        "a|b",
        "tab\tnew\nline",
        "nul\x00byte",
    ),
    *(
        "ends with dot.",
        "ends with space ",
        "index.html",
        "attachments",
        "é",
        "e\u0301",
        "ﬁ",
        "fi",
        "FI",
        "ß",
        "SS",
        "ss",
    ),
    *(
        "\u202egnp.exe",
        "\u200b",
        "\u2028",
        "\ud800",
        "\ufffe",
        "İ",
        "i̇",
        "K",
        "k",
        "Å",
        "Å",
        "😀" * 90,
        "字" * 200,
        "x" * 400,
    ),
    *(
        "a\u0300" * 200,
        "👩‍👧‍👦" * 60,
        "{title}",
        "{id}",
        "%00",
        "$(rm)",
        "`x`",
        "a\r\nSet-Cookie: b=c",
        "\\\\server\\share",
        "[x]",
    ),
)


def hostile_names(count: int) -> list[str]:
    """Titles that make trouble as file names: reserved, too long, leading outside, alike but for case or form."""
    rng = random.Random("names")
    names = list(_STEMS)
    while len(names) < count:
        one = rng.choice(_STEMS) + rng.choice(("", " ", ".", "/", "\u0301", "A")) + rng.choice(_STEMS)
        names.append(rng.choice((str.upper, str.lower, str))(one))
    return names[:count]


_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}


def wrong_name(path: str) -> bool:
    """Whether some file system, or some reader, would stumble over a path."""
    return any(_is_wrong(step) for step in path.split("/")) or len(path.encode()) > 1024


def _is_wrong(step: str) -> bool:
    return (
        not step
        or len(step.encode()) > 255
        or step.startswith((".", " "))
        or step.endswith((".", " "))
        or step.partition(".")[0].strip().casefold() in _RESERVED
        or any(sign in '<>:"\\|?*' for sign in step)
        or any(unicodedata.category(sign)[0] == "C" and sign not in "\u200c\u200d" for sign in step)
    )


def documents(data: bytes) -> list[Any]:
    """The documents of a JSON file."""
    value = json.loads(data)
    return value if isinstance(value, list) else [value]
