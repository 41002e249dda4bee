"""The questions every importer must answer alike, whatever platform it reads.

An importer's own test is a subclass that names the importer and where its samples are:

    class TestChatGPT(ImporterSuite):
        importer = CHATGPT
        samples = Path(__file__).parents[1] / "samples" / "chatgpt"
        SHARED = {"export-2024/conversations.json": (2, 21, 0)}

A sample is a folder with `input/` (the files as a person would give them), `expected.json` (see `reading.summary`)
and `about.md` (what it shows, and that it was written by hand). With APPROVE=1 in the environment the suite
writes each expected.json; then read it, because what stands there is what we promise.

SHARED: files and folders of a collection of real exports, where that is present: path → conversations, messages,
problems.
"""

from __future__ import annotations

import copy
import io
import json
import os
import random
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatkeep.importers import Importer, registry
from chatkeep.merge import settle
from chatkeep.model import Conversation, Message, Part, decode, encode
from chatkeep.source import Member, Source
from chatkeep.testing.reading import Reading, read, source_of, summary

CUTS = 150
EVERY_BYTE_UP_TO = 700
Path_ = tuple[str | int, ...]


class ImporterSuite:
    """Asked of every importer. Subclasses set the three class variables; the hooks below fit most of them.

    tells_cuts: whether a cut-off file can always be told from a whole one; not so for lines of text.
    """

    importer: ClassVar[Importer]
    samples: ClassVar[Path]
    SHARED: ClassVar[dict[str, tuple[int, int, int]]] = {}
    tells_cuts: ClassVar[bool] = True

    @classmethod
    def shared_samples(cls) -> Path:
        """Where real exports of this platform are, on machines that have some."""
        return cls.samples.parents[3] / "shared" / "samples" / cls.samples.name

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        suite = metafunc.cls
        if suite is None or not issubclass(suite, ImporterSuite) or not hasattr(suite, "samples"):
            return
        if "case" in metafunc.fixturenames:
            cases = sorted(path for path in suite.samples.iterdir() if (path / "input").is_dir())
            metafunc.parametrize("case", cases, ids=[path.name for path in cases])
        if "real" in metafunc.fixturenames:
            present = [name for name in suite.SHARED if (suite.shared_samples() / name).exists()]
            metafunc.parametrize("real", present or [None], ids=present or ["none are here"])

    # -- what is read

    def test_a_sample_gives_what_its_page_expects(self, case: Path) -> None:
        found = json.dumps(summary(self._read_folder(case)), ensure_ascii=False, indent=1, default=repr) + "\n"
        expected = case / "expected.json"
        if os.environ.get("APPROVE"):
            expected.write_text(found, encoding="utf-8")
        assert json.loads(found) == json.loads(expected.read_text(encoding="utf-8"))

    def test_a_sample_has_a_page_that_says_what_it_shows(self, case: Path) -> None:
        assert len((case / "about.md").read_text(encoding="utf-8").split()) > 5

    def test_every_conversation_of_a_sample_keeps_the_laws_of_documents(self, case: Path) -> None:
        check(self._read_folder(case), self.importer)

    def test_reading_twice_gives_equal_bytes(self, case: Path) -> None:
        first, again = self._read_folder(case), self._read_folder(case)
        assert documents(first) == documents(again)
        assert first.digests == again.digests

    def test_every_way_to_give_an_export_gives_equal_conversations(self, case: Path, tmp_path: Path) -> None:
        expected = documents(self._read_folder(case))
        for way, paths in ways(case / "input", tmp_path).items():
            with Source.open(paths) as source:
                assert documents(read(self.importer, source)) == expected, way

    def test_what_a_digest_stands_for_does_not_depend_on_the_way_it_was_given(self, case: Path, tmp_path: Path) -> None:
        expected = sorted(self._read_folder(case).digests)
        for way, paths in ways(case / "input", tmp_path).items():
            with Source.open(paths) as source:
                assert sorted(read(self.importer, source).digests) == expected, way

    def test_nobody_else_claims_a_sample(self, case: Path) -> None:
        with Source.open([case / "input"]) as source:
            assert [one.platform for one in registry.ALL if one.sniff(source)] == [self.importer.platform]

    def test_claims_name_members(self, case: Path) -> None:
        with Source.open([case / "input"]) as source:
            assert self.importer.sniff(source) <= set(source.members)

    # -- bad input

    def test_a_file_cut_off_anywhere_gives_what_is_whole_and_says_so(self, case: Path) -> None:
        files = self._files(case)
        whole = read(self.importer, source_of(files))
        for name in self._claimed(files):
            for size in cuts(len(files[name]), seed=name):
                shorter = files | {name: files[name][:size]}
                # A file of which too little is left is nobody's; detection tells that.
                if name in self.importer.sniff(source_of(shorter)):
                    cut = read(self.importer, source_of(shorter))
                    self.compare_cut(cut, whole, f"{name} cut to {size} bytes")

    def compare_cut(self, cut: Reading, whole: Reading, where: str) -> None:
        """Nothing in a cut-off export is wrong, and what is not there is told. The last message may be shorter."""
        check(cut, self.importer)
        wrong = unheard(cut, whole)
        assert not wrong, f"{where}: messages that the whole export does not hold: {wrong}"
        if self.tells_cuts and cut.messages < whole.messages:
            assert set(cut.problems) - set(whole.problems), f"{where}: messages are gone and no problem tells it"

    def test_wrong_values_anywhere_never_crash(self, case: Path) -> None:
        files = self._files(case)
        names = [name for name in self._claimed(files) if _is_text(files[name])]

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(name=st.sampled_from(names), seed=st.integers(0, 2**32), times=st.integers(1, 4))
        def spoiled(name: str, seed: int, times: int) -> None:
            changed = spoil(files[name], random.Random(seed), times=times)
            found = read_again(self.importer, files | {name: changed})
            if found is not None:
                check(found, self.importer)

        spoiled()

    def test_bytes_that_are_not_text_never_crash(self, case: Path) -> None:
        files = self._files(case)
        rng = random.Random(case.name)
        for name in self._claimed(files):
            for _ in range(20 if _is_text(files[name]) else 1):
                data = bytearray(files[name])
                for _ in range(rng.randint(1, 5)):
                    if data:
                        data[rng.randrange(len(data))] = rng.randrange(256)
                found = read_again(self.importer, files | {name: bytes(data)})
                if found is not None:
                    check(found, self.importer)

    def test_files_that_are_not_exports_are_not_claimed(self) -> None:
        for name, data in STRANGERS.items():
            assert not self.importer.sniff(source_of({name: data})), name

    # -- size

    @pytest.mark.slow
    def test_memory_does_not_grow_with_the_number_of_conversations(self) -> None:
        case = sorted(path for path in self.samples.iterdir() if (path / "input").is_dir())[0]
        small, large = (self._peak(self.many(case, times)) for times in (1, 3))
        assert large < 1.5 * small + (1 << 20)

    def many(self, case: Path, times: int) -> Source:
        """A source with the sample's conversations that many times 6 MiB, or that many times 200, made as it is read.

        The largest list of the sample grows; where there is none, all files are repeated.
        """
        files = self._files(case)
        lists = [name for name in self._claimed(files) if isinstance(value := _json(files[name]), list) and value]
        if not lists:
            copies = {f"copy {number}/{name}": data for number in range(200 * times) for name, data in files.items()}
            return source_of(copies)
        longest = max(lists, key=lambda name: len(files[name]))
        others = source_of({name: data for name, data in files.items() if name != longest})
        return Source("many", [*others, _growing(longest, json.loads(files[longest]), times * (6 << 20))])

    def _peak(self, source: Source) -> int:
        tracemalloc.start()
        try:
            for record in self.importer.read(source, Reading().keep):
                if not hasattr(record, "what"):
                    record.load()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # -- real exports, where there are some

    def test_real_exports_give_what_was_counted_by_eye(self, real: str | None) -> None:
        if real is None:
            return
        with Source.open([self.shared_samples() / real]) as source:
            found = read(self.importer, source)
        check(found, self.importer)
        assert (len(found.conversations), found.messages, len(found.problems)) == self.SHARED[real]

    # -- what the questions are asked with

    def _read_folder(self, case: Path) -> Reading:
        with Source.open([case / "input"]) as source:
            return read(self.importer, source)

    def _files(self, case: Path) -> dict[str, bytes]:
        with Source.open([case / "input"]) as source:
            return {member.name: member.read() for member in source}

    def _claimed(self, files: dict[str, bytes]) -> list[str]:
        return sorted(name for name in self.importer.sniff(source_of(files)) if len(files[name]) < 1 << 20)


# ------------------------------------------------------------------ laws


def check(found: Reading, importer: Importer) -> None:
    """What every conversation that any importer gives must be."""
    for conversation in found.conversations:
        assert conversation.platform == importer.platform
        assert decode(encode(conversation)) == conversation
        assert settle(conversation) == conversation
        _check_messages(conversation, importer)
    for problem in found.problems:
        assert problem.where
        assert problem.what


def _check_messages(conversation: Conversation, importer: Importer) -> None:
    ids = {message.id for message in conversation.messages}
    people = {one.id for one in conversation.participants}
    assert len(ids) == len(conversation.messages)
    assert conversation.shown_leaf in ids | {""}
    assert all(one.role in ("person", "assistant", "tool", "system") for one in conversation.participants)
    for message in conversation.messages:
        assert message.parent in ids | {""}
        assert message.author in people | {""}
        assert message.by == f"{importer.platform}/{importer.version}"
        _check_parts(message)
    assert not _in_cycles(conversation.messages)


def _check_parts(message: Message) -> None:
    parts = list(message.parts)
    for part in parts:
        parts += part.parts
        if part.type == "attachment":
            assert bool(part.sha256) != part.missing


def _in_cycles(messages: tuple[Message, ...]) -> bool:
    """Whether following parents ever comes back. Parents stand before children, so one pass tells it."""
    seen: set[str] = {""}
    for message in messages:
        if message.parent not in seen:
            return True
        seen.add(message.id)
    return False


def documents(found: Reading) -> list[bytes]:
    """The canonical bytes of all conversations, in the order of their ids."""
    return [encode(one) for one in sorted(found.conversations, key=lambda one: one.id)]


def unheard(cut: Reading, whole: Reading) -> list[str]:
    """Messages of a cut-off export, by id, that say what nobody says in the whole one."""
    said = {_said(message) for one in whole.conversations for message in one.messages}
    wrong = []
    for conversation in cut.conversations:
        for number, message in enumerate(conversation.messages, 1):
            is_last = number == len(conversation.messages)
            if _said(message) not in said and not (is_last and _begins(message, said)):
                wrong.append(message.id)
    return wrong


_Said = tuple[str, str, str]


def _said(message: Message) -> _Said:
    return (message.author, message.sent_at or message.local_time, repr([_words(part) for part in message.parts]))


def _words(part: Part) -> tuple[Any, ...]:
    """What a part says. Not its file, which may itself be cut off."""
    inner = tuple(_words(one) for one in part.parts)
    return (part.type, part.text, part.title, part.caption, part.transcript, part.name, part.url, inner)


def _begins(message: Message, said: set[_Said]) -> bool:
    texts = [part.text for part in message.parts if part.type == "text" and part.text.strip()]
    return all(any(repr(text)[1:-1] in parts for _, _, parts in said) for text in texts)


# ------------------------------------------------------------------ ways to give it, and ways to spoil it


def ways(folder: Path, scratch: Path) -> dict[str, list[Path]]:
    """The same files as a zip, a zip with a wrapping folder, a zip in a zip, one by one, and below more folders."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    flat, wrapped, nested = scratch / "flat.zip", scratch / "wrapped.zip", scratch / "nested.zip"
    _pack(flat, {path.relative_to(folder).as_posix(): path.read_bytes() for path in files})
    _pack(wrapped, {f"tmp/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in files})
    _pack(nested, {"export.zip": flat.read_bytes(), "__MACOSX/._export.zip": b"\0\5\26\7"})
    found = {"zip": [flat], "zip with a folder": [wrapped], "one by one": sorted(folder.iterdir())}
    if not any(path.suffix == ".zip" for path in files):  # one level of nesting is what sources look into
        found["zip in a zip"] = [nested]
    return found


def _pack(target: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)


def cuts(size: int, *, seed: str) -> list[int]:
    """Where to cut: everywhere in a small file, else at the ends and at some hundred places between."""
    if size <= EVERY_BYTE_UP_TO:
        return list(range(size))
    rng = random.Random(seed)
    return sorted({0, 1, 2, size - 1, size - 2, *rng.sample(range(size), CUTS)})


def read_again(importer: Importer, files: dict[str, bytes]) -> Reading | None:
    """What the importer makes of these files; None when it does not claim any."""
    source = source_of(files)
    return read(importer, source) if importer.sniff(source) else None


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode("utf-8-sig")
    except ValueError:
        return False


def spoil(data: bytes, rng: random.Random, *, times: int) -> bytes:
    """The file with wrong values at random places: JSON, lines of JSON, or else bytes."""
    value = _json(data)
    if value is not None:
        for _ in range(times):
            value = _spoiled(value, rng)
        return _dump(value)
    lines = data.split(b"\n")
    number = rng.randrange(len(lines))
    value = _json(lines[number])
    if isinstance(value, dict | list):
        lines[number] = _dump(_spoiled(value, rng))
    else:
        lines[number] = rng.choice([b"", lines[number] * 3, lines[number][::-1], b"\0", b"{", b"[1, 2", b"\xff\xfe"])
    return b"\n".join(lines)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        return None


def _dump(value: Any) -> bytes:
    # A depth that Python's own encoder does not reach is written by hand.
    return json.dumps(value).replace('"<deep>"', "[" * 400 + "]" * 400).encode()


_WRONG: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5e300,
    10**30,
    float("nan"),
    "",
    "x",
    "\ud800",
    "a\0b",
    "\ufdd0",
    "$number",
    [],
    [None],
    [[]],
    ["x", {}],
    {},
    {"": None},
    {"$number": "7"},
    {"parts": 1, "type": [], "text": {}},
    "<deep>",
)


def _spoiled(value: Any, rng: random.Random) -> Any:
    """The value with one place changed: a wrong value, one from elsewhere in it, a place doubled or gone."""
    places = list(_places(value))
    if not places:
        return copy.deepcopy(rng.choice(_WRONG))
    box, key = rng.choice(places)
    way = rng.random()
    if way < 0.5:
        box[key] = copy.deepcopy(rng.choice(_WRONG))
    elif way < 0.75:
        other, name = rng.choice(places)
        box[key] = copy.deepcopy(other[name])
    elif isinstance(box, list):
        box.insert(key, copy.deepcopy(box[key]))
    else:
        del box[key]
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    waiting = [value]
    while waiting:
        box = waiting.pop()
        keys = list(box) if isinstance(box, dict) else range(len(box)) if isinstance(box, list) else ()
        for key in keys:
            yield box, key
            waiting.append(box[key])


STRANGERS: dict[str, bytes] = {
    "holiday.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)),
    "empty.json": b"",
    "space.txt": b" \n\t ",
    "list.json": b"[]",
    "object.json": b"{}",
    "numbers.json": b"[1, 2, 3]",
    "people.json": b'[{"name": "Ana", "age": 30}, {"name": "Bo"}]',
    "conversations.json": b'[{"id": 1, "title": "Not a chat", "messages": []}]',
    "messages.json": b'{"messages": [{"text": "hello"}]}',
    "deep.json": b"[" * 100_000,
    "table.csv": b"date,text\n2024-01-01,hello\n",
    "lines.jsonl": b'{"a": 1}\n{"a": 2}\n',
    "notes.txt": b"Dear diary,\n\ntoday it rained: all day.\n- milk\n- bread\n",
    "page.html": b"<!doctype html><title>x</title><p>hello",
    "package.json": b'{"name": "x", "version": "1.0.0", "scripts": {"test": "pytest"}}',
    "garbage.bin": random.Random(1).randbytes(5000),
}


# ------------------------------------------------------------------ members that are made while they are read


def _growing(name: str, value: list[Any], size: int) -> Member:
    inside = b", ".join(json.dumps(item).encode() for item in value)

    def pieces() -> Iterator[bytes]:
        yield b"[" + inside
        for _ in range(size // len(inside)):
            yield b", " + inside
        yield b"]"

    return Member(name, -1, None, name, "", lambda: _Stream(pieces))  # type: ignore[arg-type,return-value]


class _Stream(io.RawIOBase):
    """A stream of pieces that are made when they are asked for."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._pieces = pieces()
        self._left = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._left) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._left += piece
        size = len(self._left) if size < 0 else size
        found, self._left = self._left[:size], self._left[size:]
        return found

    read1 = read
