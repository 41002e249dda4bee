"""One conversation in the JSON of its platform, in memory: as from a file, whatever the order of its fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatkeep.errors import UnknownFormat, UnsafeSource, WrongUse
from chatkeep.importers import native
from chatkeep.importers.native import read_native
from chatkeep.importers.registry import ALL
from chatkeep.model import encode
from chatkeep.source import Limits, Source
from chatkeep.testing.reading import Reading, read

SAMPLES = Path(__file__).parents[1] / "samples"
# Of each platform a file of its samples that holds conversations, and how many of its first conversations to take.
FILES = {
    "chatgpt": "chatgpt/classic/input/conversations.json",
    "claude": "claude/export/input/conversations.json",
    "librechat": "librechat/records/input/conversations.json",
    "openwebui": "openwebui/all-chats/input/chat-export-1760000000000.json",
}
BY_PLATFORM = {one.platform: one for one in ALL}


def _values(platform: str) -> list[Any]:
    value = json.loads((SAMPLES / FILES[platform]).read_text(encoding="utf-8-sig"))
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("platform", sorted(FILES))
def test_a_conversation_by_itself_is_the_one_of_the_export(platform: str) -> None:
    with Source.open([SAMPLES / FILES[platform]]) as source:
        expected = {encode(one) for one in read(BY_PLATFORM[platform], source).conversations}
    for value in _values(platform):
        found = read_native(platform, json.dumps(value).encode())
        assert {encode(one) for one in found.conversations} <= expected
        assert len(found.conversations) == 1


@pytest.mark.parametrize("platform", sorted(FILES))
@pytest.mark.parametrize("reverse", [False, True])
def test_the_order_and_the_size_of_fields_do_not_matter(platform: str, reverse: bool) -> None:
    for value in _values(platform):
        expected = read_native(platform, json.dumps(value).encode()).conversations
        large = {"0 a new field of 40 kB": "x" * 40_000} | dict(sorted(value.items(), reverse=reverse))
        [found] = read_native(platform, json.dumps(large).encode()).conversations
        assert found.messages == expected[0].messages
        assert found.unknown["0 a new field of 40 kB"] == "x" * 40_000


@pytest.mark.parametrize("platform", sorted(FILES))
def test_another_platform_does_not_take_it(platform: str) -> None:
    value = json.dumps(_values(platform)[0]).encode()
    for other in sorted(FILES.keys() - {platform}):
        with pytest.raises(UnknownFormat):
            read_native(other, value)


@pytest.mark.parametrize("platform", sorted(FILES))
@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"null", b'{"a":', b"\xff\xfe", b"[" * 100_000, b'{"a":NaN}'])
def test_what_is_no_conversation_is_refused_in_words(platform: str, value: bytes) -> None:
    with pytest.raises(UnknownFormat, match="not a conversation as") as wrong:
        read_native(platform, value)
    assert wrong.value.hint


def test_a_conversation_cut_off_is_a_problem() -> None:
    value = json.dumps(_values("chatgpt")[0]).encode()
    found = read_native("chatgpt", value[: len(value) // 2])
    assert [problem for problem in found.problems if "cut off" in problem.what]


def test_an_unknown_platform_is_refused_with_those_that_are_known() -> None:
    for platform in ("", "chatkeep", "myspace"):
        with pytest.raises(WrongUse) as wrong:
            read_native(platform, b"{}")
        assert all(known in wrong.value.hint for known in native.platforms())


def test_more_than_the_limit_is_refused() -> None:
    with pytest.raises(UnsafeSource):
        read_native("chatgpt", b" " * (native.LIMITS.inflated + 1))


def test_attachments_that_lie_in_it_are_kept() -> None:
    kept = Reading()
    value = next(one for one in _values("claude") if "extracted_content" in json.dumps(one))
    found = read_native("claude", json.dumps(value).encode(), kept.keep)
    parts = [part for message in found.conversations[0].messages for part in message.parts if part.sha256]
    assert parts
    assert {part.sha256 for part in parts} <= kept.kept.keys()


def test_a_digest_stands_for_the_bytes_and_the_platform() -> None:
    assert native.digest("chatgpt", b"{}") == native.digest("chatgpt", b"{}")
    assert len({native.digest("chatgpt", b"{}"), native.digest("claude", b"{}"), native.digest("claude", b"[]")}) == 3


def test_a_source_of_bytes_has_one_member_under_a_harmless_name() -> None:
    with Source.of_bytes("../../etc/passwd", b"hello") as source:
        [member] = source
        assert (member.name, member.read(), source.label) == ("etc/passwd", b"hello", "etc/passwd")
        assert source.digest() == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    with pytest.raises(UnsafeSource):
        Source.of_bytes("a", b"hello", limits=Limits(inflated=4))
