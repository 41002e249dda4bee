"""Zips that are cut off, broken, odd or made to harm: refused with a reason, or read as far as they go."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from chatkeep.errors import ChatkeepError, Damaged, Refused, UnsafeSource
from chatkeep.source import Limits, Member, Source
from chatkeep.source.records import CENTRAL, END, LOCAL

MIB = 1 << 20


class Unseekable(io.BytesIO):
    """Makes zipfile write sizes after the content, as programs do that stream."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def zipped(
    files: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED, streamed: bool = False, comment: bytes = b""
) -> bytes:
    target = Unseekable() if streamed else io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as packed:
        packed.comment = comment
        for name, data in files.items():
            packed.writestr(name, data)
    return target.getvalue()


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def entry(
    name: bytes, packed: bytes, *, size: int, crc: int = 0, method: int = 8, flags: int = 0, mode: int = 0, at: int = 0
) -> tuple[bytes, bytes]:
    """A local header with its content, and its line of the directory."""
    common = struct.pack("<HHHHLLL", flags, method, 0, 0x21, crc, len(packed), size)
    local = LOCAL + struct.pack("<H", 20) + common + struct.pack("<HH", len(name), 0) + name + packed
    line = CENTRAL + struct.pack("<HH", 3 << 8, 20) + common
    line += struct.pack("<HHHHHLL", len(name), 0, 0, 0, 0, mode << 16, at) + name
    return local, line


def closed(body: bytes, lines: list[bytes]) -> bytes:
    directory = b"".join(lines)
    count = len(lines) & 0xFFFF
    return body + directory + END + struct.pack("<HHHHLLH", 0, 0, count, count, len(directory), len(body), 0)


def by_hand(*entries: tuple[bytes, bytes, dict[str, int]]) -> bytes:
    body, lines = b"", []
    for name, packed, facts in entries:
        local, line = entry(name, packed, at=len(body), **({"size": len(packed)} | facts))  # type: ignore[arg-type]
        body += local
        lines.append(line)
    return closed(body, lines)


def read_by_piece(member: Member, got: list[bytes]) -> None:
    """All there is, also when it ends in an error."""
    with member.open() as stream:
        got.extend(iter(lambda: stream.read1(MIB), b""))  # type: ignore[attr-defined]


Given = Callable[[bytes], Source]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    def open_it(data: bytes) -> Source:
        path = tmp_path / "export.zip"
        path.write_bytes(data)
        return Source.open([path])

    return open_it


# -- bombs


def test_a_bomb_is_refused_before_anything_is_inflated(given: Given) -> None:
    with pytest.raises(UnsafeSource, match=r"export\.zip: zeros grows to more than 200 times") as caught:
        given(zipped({"zeros": bytes(64 * MIB)}))
    assert "give the folder" in caught.value.hint


def test_a_small_file_may_be_very_regular(given: Given) -> None:
    with given(zipped({"zeros": bytes(10 * MIB)})) as source:
        assert source.members["zeros"].read() == bytes(10 * MIB)


def test_many_small_files_that_are_a_bomb_together_are_refused(given: Given) -> None:
    with pytest.raises(UnsafeSource, match=r"export\.zip grows"):
        given(zipped({f"{i}": bytes(2 * MIB) for i in range(20)}))


@pytest.mark.parametrize("told", [0, 5 * MIB])
def test_a_bomb_whose_headers_lie_gives_no_more_than_they_say(given: Given, told: int) -> None:
    with given(by_hand((b"a.json", deflated(bytes(64 * MIB)), {"size": told}))) as source:
        got: list[bytes] = []
        with pytest.raises(Damaged, match=f"more than the {told:,} bytes"):
            read_by_piece(source.members["a.json"], got)
        assert len(b"".join(got)) <= told


def test_a_bomb_in_a_cut_off_zip_is_seen_while_it_grows(given: Given) -> None:
    streamed, told = zipped({"a.json": bytes(64 * MIB)}, streamed=True), zipped({"a.json": bytes(64 * MIB)})
    with pytest.raises(UnsafeSource, match="grows to more than 200 times"):
        given(streamed[:-200])
    with given(told[: len(told) // 2]) as source, pytest.raises(UnsafeSource, match="grows to more than 200 times"):
        source.members["a.json"].read()


def test_entries_that_share_their_bytes_are_refused(given: Given) -> None:
    local, _ = entry(b"a", deflated(bytes(MIB)), size=MIB)
    lines = [entry(b"%d" % i, deflated(bytes(MIB)), size=MIB, at=0)[1] for i in range(100)]
    with pytest.raises(UnsafeSource, match="overlap"):
        given(closed(local, lines))


def test_an_entry_that_quotes_the_next_one_is_refused(given: Given) -> None:
    """Each file begins with a stored block that holds the next header, and goes on through its content."""
    inner, inner_line = entry(b"b", deflated(bytes(MIB)), size=MIB)
    quote = b"\x00" + struct.pack("<HH", len(inner[:31]), ~len(inner[:31]) & 0xFFFF)
    packed = quote + inner
    local, line = entry(b"a", packed, size=MIB + 31)
    inner_line = entry(b"b", inner[31:], size=MIB, at=len(local) - len(inner))[1]
    with pytest.raises(UnsafeSource, match="overlap"):
        given(closed(local, [line, inner_line]))


def test_an_overlap_that_only_a_longer_header_makes_is_refused_when_read(given: Given) -> None:
    packed = b"x" * 100
    facts = {"size": 100, "method": 0, "crc": zlib.crc32(packed)}
    local, line = entry(b"a", packed, **facts)
    longer = local[:28] + struct.pack("<H", 20) + local[30:]
    following, following_line = entry(b"b", packed, at=len(local), **facts)
    with given(closed(longer + following, [line, following_line])) as source:
        with pytest.raises(UnsafeSource, match="shares its bytes"):
            source.members["a"].read()
        assert source.members["b"].read() == packed


def test_a_bomb_inside_stays_closed_and_the_rest_is_read(given: Given) -> None:
    bomb = zipped({"zeros": bytes(64 * MIB)})
    with given(zipped({"bomb.zip": bomb, "a.json": b"[]"}, method=zipfile.ZIP_STORED)) as source:
        assert set(source.members) == {"bomb.zip", "a.json"}
        assert source.members["a.json"].read() == b"[]"
        assert "zip bomb" in source.problems[0].what


def test_a_directory_of_too_many_lines_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(dict.fromkeys([f"{i}/" for i in range(30)], b"")))
    with pytest.raises(UnsafeSource, match="more than 10 files"):
        Source.open([path], limits=Limits(entries=10))


# -- names


def bad_names() -> list[str]:
    ups = ["../" * n for n in range(1, 9)] + ["..\\" * n for n in range(1, 9)] + ["a/../../", "./../", "a\\..\\..\\"]
    tops = ["/", "//", "///", "\\", "\\\\", "\\\\server\\share\\", "\\\\?\\C:\\", "C:\\", "c:/", "Z:", "file:/"]
    ends = ["etc/passwd", "root/.ssh/authorized_keys", "a.json", "windows\\system32\\x.dll", "b\x07.json", "x\x1b[2J"]
    names = [start + end for start in [*ups, *tops, "/../", "C:..\\"] for end in ends]
    return names + [f"x/{n}{step}y" for n in range(150) for step in ("/../../../../", "\\..\\..\\..\\")]


def test_names_that_lead_outside_become_harmless_and_are_told(given: Given) -> None:
    names = bad_names()
    assert len(names) > 400
    files = {name: str(i).encode() for i, name in enumerate(names)}
    data = by_hand(
        *((name.encode(), content, {"method": 0, "crc": zlib.crc32(content)}) for name, content in files.items())
    )
    with given(data) as source:
        assert sorted(member.read() for member in source) == sorted(files.values())
        for name in source.members:
            assert not name.startswith("/")
            assert ".." not in name.split("/")
            assert "\\" not in name
            assert not any(ord(letter) < 32 for letter in name)
            assert name[1:2] != ":"
        told = " ".join(problem.what for problem in source.problems)
        for reason in ("absolute path", "drive letter", "leads outside", "control characters"):
            assert reason in told
        assert len(source.problems) < 100


def test_names_of_devices_and_streams_are_just_names(given: Given) -> None:
    names = ["con.pdf", "AUX", "a/nul.txt", "IMG:1.jpg", "note.txt:hidden", "COM1"]
    with given(zipped(dict.fromkeys(names, b"x"))) as source:
        assert set(source.members) == set(names)
        assert source.problems == []


def test_links_and_devices_in_a_zip_are_left_out(given: Given) -> None:
    data = by_hand(
        (b"link", b"/etc/passwd", {"method": 0, "mode": 0o120777}),
        (b"pipe", b"", {"method": 0, "mode": 0o010644}),
        (b"a.json", b"[]", {"method": 0, "mode": 0o100644, "crc": zlib.crc32(b"[]")}),
    )
    with given(data) as source:
        assert list(source.members) == ["a.json"]
        assert sorted(problem.where for problem in source.problems) == ["export.zip: link", "export.zip: pipe"]


def test_two_files_of_one_name_are_both_kept_and_one_file_twice_is_one(given: Given) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as packed:
            for data in (b"[1]", b"[2]", b"[1]", b"[3]"):
                packed.writestr("x/a.json", data)
    with given(target.getvalue()) as source:
        assert [member.read() for member in source.named("a.json")] == [b"[2]", b"[3]", b"[1]"]
        assert set(source.members) == {"x/a.json", "x/(2)/a.json", "x/(3)/a.json"}
        assert len(source.problems) == 2


def test_twenty_thousand_files_of_one_name_do_not_take_minutes(given: Given) -> None:
    local, _ = entry(b"a", b"", size=0, method=0)
    lines = [entry(b"a", b"", size=0, method=0, crc=i, at=len(local) * i)[1] for i in range(20_000)]
    with given(closed(local * 20_000, lines)) as source:
        assert len(source) == 20_000


def test_names_that_differ_only_by_case_are_two(given: Given) -> None:
    with given(zipped({"Chat.txt": b"1", "chat.txt": b"2"})) as source:
        assert {name: member.read() for name, member in source.members.items()} == {"Chat.txt": b"1", "chat.txt": b"2"}
        assert source.problems == []


def test_names_are_read_in_the_encoding_they_were_written_in(given: Given) -> None:
    field = b"\x01" + zlib.crc32(b"x").to_bytes(4, "little") + "日本.txt".encode()
    unicode_path = struct.pack("<HH", 0x7075, len(field)) + field
    local, line = entry(b"x", b"", size=0, method=0)
    line = line[:30] + struct.pack("<H", len(unicode_path)) + line[32:] + unicode_path
    with given(closed(local, [line])) as source:
        assert list(source.members) == ["日本.txt"]
    facts = {"method": 0}
    with given(by_hand(("schön.txt".encode(), b"", facts), ("schön.jpg".encode("cp437"), b"", facts))) as source:
        assert set(source.members) == {"schön.txt", "schön.jpg"}
    with given(by_hand((b"sch\x94n.txt", b"", {"method": 0, "flags": 1 << 11}))) as source:
        assert list(source.members) == ["sch\ufffdn.txt"]


# -- what cannot be read


def test_a_file_behind_a_password_is_left_out_and_told(given: Given) -> None:
    data = by_hand(
        (b"a.json", b"x" * 30, {"flags": 1, "size": 18}), (b"b.json", b"[]", {"method": 0, "crc": zlib.crc32(b"[]")})
    )
    with given(data) as source:
        assert list(source.members) == ["b.json"]
        assert "password" in source.problems[0].what


def test_a_rare_way_of_packing_is_told(given: Given) -> None:
    rare = zipped({"a.json": b"[]"}, method=zipfile.ZIP_BZIP2)
    with given(zipped({"rare.zip": rare, "b": b""}, method=zipfile.ZIP_STORED)) as source:
        assert set(source.members) == {"rare.zip", "b"}
        assert [problem.where for problem in source.problems] == ["export.zip: rare.zip: a.json"]
        assert "method 12" in source.problems[0].what


def test_a_zip_of_which_nothing_can_be_read_is_refused_with_the_reason(given: Given) -> None:
    with pytest.raises(Refused, match="password") as caught:
        given(by_hand((b"a.json", b"x" * 30, {"flags": 1, "size": 18})))
    assert "Unpack the zip yourself" in caught.value.what


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wrong_checksum_is_damage_told_at_the_end(given: Given, method: int) -> None:
    rng = random.Random(1)
    text = rng.randbytes(3 * MIB)
    data = bytearray(zipped({"a.json": text}, method=method))
    at = data.rfind(CENTRAL) + 16
    data[at] ^= 1
    with given(bytes(data)) as source:
        got: list[bytes] = []
        with pytest.raises(Damaged, match="checksum"):
            read_by_piece(source.members["a.json"], got)
        assert b"".join(got) == text
        assert source.members["a.json"].head(100) == text[:100]


def test_a_file_that_is_not_where_its_zip_says_is_damaged(given: Given) -> None:
    local, _ = entry(b"a", b"hello", size=5, method=0)
    line = entry(b"a", b"hello", size=5, method=0, at=3)[1]
    with given(closed(local + bytes(9), [line])) as source, pytest.raises(Damaged, match="not where its zip says"):
        source.members["a"].read()


def test_one_part_of_several_is_told(given: Given) -> None:
    data = bytearray(zipped({"a.json": b"[]"}))
    at = data.rfind(END) + 4
    data[at : at + 4] = struct.pack("<HH", 2, 0)
    with pytest.raises(Damaged, match="one part of a zip") as caught:
        given(bytes(data))
    assert "Join" in caught.value.hint


# -- odd but fine


def test_the_wide_form_of_zips_is_read(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    files = {f"{i}.bin": random.Random(i).randbytes(150 * i) for i in range(5)}
    for streamed in (False, True):
        data = zipped(files, streamed=streamed)
        assert b"PK\x06\x06" in data
        with given(data) as source:
            assert {name: member.read() for name, member in source.members.items()} == files


def test_a_comment_that_looks_like_an_end_is_a_comment(given: Given) -> None:
    for comment in (END + bytes(18), END, b"x" * 65_000 + END + bytes(18), zipped({"b": b"2"})[-40:]):
        with given(zipped({"a": b"1"}, comment=comment)) as source:
            assert list(source.members) == ["a"], comment[:30]


def test_an_empty_zip_has_no_members(given: Given) -> None:
    with given(zipped({})) as source:
        assert source.members == {}


# -- cut off


def files_to_cut() -> dict[str, bytes]:
    rng = random.Random(9)
    words = [rng.randbytes(4).hex() for _ in range(300)]
    text = " ".join(rng.choices(words, k=12_000)).encode()
    inner = zipped({"in.txt": b"inside"}, method=zipfile.ZIP_STORED)
    return {
        "user.json": b"{}",
        "conversations.json": text,
        "pic.png": rng.randbytes(9_000),
        "in.zip": inner,
        "z.txt": b"z",
    }


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_cut_off_zip_gives_all_that_is_before_the_cut(given: Given, method: int, streamed: bool) -> None:
    files = files_to_cut()
    whole = zipped(files, method=method, streamed=streamed)
    told_after = 16 if streamed and method == zipfile.ZIP_STORED else 0  # the end of a stored file is told behind it
    with zipfile.ZipFile(io.BytesIO(whole)) as packed:
        begins = {info.filename: info.header_offset for info in packed.infolist()}
        ends = {
            info.filename: info.header_offset + 30 + len(info.filename) + info.compress_size
            for info in packed.infolist()
        }
    for size in [*range(1024, len(whole), 1024), len(whole) - 1, len(whole) - 22]:
        with given(whole[:size]) as source:
            assert any("cut off" in problem.what for problem in source.problems), size
            for name, data in files.items():
                if ends[name] + told_after <= size:
                    assert source.members[name].read() == data, (name, size)
                elif begins[name] + 30 + len(name) <= size:
                    head = source.members[name].head(1 << 30)
                    assert data.startswith(head)
                    if method == zipfile.ZIP_STORED and not streamed:
                        assert len(head) == size - begins[name] - 30 - len(name)
                    with pytest.raises(Damaged, match="cut off"):
                        source.members[name].read()
                else:
                    assert name not in source.members


def test_a_zip_cut_off_within_its_first_header_is_damaged(given: Given) -> None:
    whole = zipped(files_to_cut())
    for size in range(4, 35):
        with pytest.raises(Damaged, match="no file in it can be read") as caught:
            given(whole[:size])
        assert "Download" in caught.value.hint


def test_a_broken_directory_is_replaced_by_what_the_files_say(given: Given) -> None:
    data = bytearray(zipped(files_to_cut()))
    second = data.find(CENTRAL, data.find(CENTRAL) + 1)
    data[second : second + 4] = b"XXXX"
    with given(bytes(data)) as source:
        assert {name for name in source.members if "/" not in name} == set(files_to_cut())
        assert source.problems


def test_one_broken_zip_of_several_does_not_cost_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(LOCAL + b"nothing")
    (tmp_path / "b.zip").write_bytes(zipped({"b.json": b"[]"}))
    with Source.open([tmp_path / "a.zip", tmp_path / "b.zip"]) as source:
        assert list(source.members) == ["b.zip/b.json"]
        assert source.problems[0].where == "a.zip"
    with pytest.raises(Damaged):
        Source.open([tmp_path / "a.zip"])


def test_bytes_changed_anywhere_give_an_error_of_ours_or_a_reading(given: Given) -> None:
    """With a control: unchanged, everything is read."""
    files = {"a.json": b'{"a": 1}' * 50, "b/c.txt": b"hello", "in.zip": zipped({"d": b"d" * 99})}
    rng = random.Random(4)
    zips = [zipped(files), zipped(files, streamed=True), zipped(files, method=zipfile.ZIP_STORED)]
    for round_ in range(900):
        data = bytearray(zips[round_ % 3])
        changes = 0 if round_ < 3 else rng.randint(1, 4)
        for _ in range(changes):
            at = rng.randrange(len(data))
            data[at : at + rng.choice([1, 1, 2, 4])] = rng.choice([b"\xff", b"\0", rng.randbytes(1), rng.randbytes(4)])
        read = set()
        try:
            with given(bytes(data)) as source:
                for member in source:
                    try:
                        member.read()
                        read.add(member.name)
                    except ChatkeepError:
                        continue
        except ChatkeepError:
            continue
        if not changes:
            assert read == {*files, "in.zip/d"}
