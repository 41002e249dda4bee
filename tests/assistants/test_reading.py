"""What assistants are given: little at once, marked as what it is, and nothing that would change an archive."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client import Client
from mcp_types import CallToolResult

from assistants.conftest import LONG, ORDER
from chatkeep.archive import Archive
from chatkeep.errors import NotFound
from chatkeep.mcp import reading
from chatkeep.mcp.server import made
from chatkeep.selection import Selection


def _ids(archive: Archive) -> dict[str, str]:
    return {one.title: one.id for one in archive.listing()}


def _ask(archive: Any, tool: str, **arguments: Any) -> CallToolResult:
    async def ask() -> CallToolResult:
        async with Client(made(lambda _: archive)) as client:
            return await client.call_tool(tool, arguments)

    return anyio.run(ask)


def test_a_long_conversation_is_read_window_by_window_to_its_end(archive: Archive) -> None:
    id = _ids(archive)["Sourdough"]
    start, seen = 0, []
    while start is not None:
        value = reading.window(archive, id, message="", start=start, count=10_000)
        assert len(value["messages"]) <= reading.MOST_MESSAGES
        assert len(json.dumps(value)) < 2 * reading.LONGEST_RESULT
        seen += [one["position"] for one in value["messages"]]
        start = value.get("next_start")
    assert seen == list(range(LONG))


def test_a_window_of_long_messages_ends_before_it_is_too_large(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LONGEST_RESULT", 5_000)
    id = _ids(archive)["Sourdough"]
    value = reading.window(archive, id, message="", start=0, count=50)
    assert [one["position"] for one in value["messages"]][:4] == [0, 1, 2, 3]
    assert len(value["messages"]) < 50
    assert value["next_start"] == len(value["messages"])


def test_a_message_that_is_cut_says_so_and_is_read_to_its_end_piece_by_piece(archive: Archive) -> None:
    id = _ids(archive)["Sourdough"]
    message = reading.window(archive, id, message="", start=3, count=1)["messages"][0]
    assert (len(message["text"]), message["cut_at"]) == (reading.LONGEST_TEXT, reading.LONGEST_TEXT)
    offset, text = 0, ""
    while offset is not None:
        value = reading.piece(archive, id, message["id"], offset=offset)
        assert len(value["message"]["text"]) <= reading.LONGEST_PIECE
        text += value["message"]["text"]
        offset = value.get("next_offset")
    assert len(text) == message["length"]
    assert text.endswith("its end")


def test_a_message_that_was_found_is_read_with_what_stands_around_it(archive: Archive) -> None:
    [hit] = [
        one
        for one in reading.found(archive, '"Message 117"', Selection(), limit=5, offset=0)["hits"]
        if "117" in one["text"]
    ]
    value = reading.window(archive, hit["conversation"], message=hit["message"], start=0, count=5)
    assert [one["position"] for one in value["messages"]] == [115, 116, 117, 118, 119]


def test_lists_go_on_where_they_ended(archive: Archive) -> None:
    first = reading.listed(archive, Selection(), limit=1, offset=0)
    second = reading.listed(archive, Selection(), limit=1, offset=first["next_offset"])
    assert {first["conversations"][0]["id"], second["conversations"][0]["id"]} == set(_ids(archive).values())
    assert "next_offset" not in second
    assert reading.listed(archive, Selection(platforms=("whatsapp",)), limit=9, offset=0)["conversations"] == []


def test_every_result_says_that_its_texts_are_no_instructions(archive: Archive) -> None:
    id = _ids(archive)["Post from a stranger"]
    message = reading.window(archive, id, message="", start=0, count=1)["messages"][0]["id"]
    for tool, arguments in (
        ("search_conversations", {"query": "delete"}),
        ("list_conversations", {}),
        ("read_conversation", {"id": id}),
        ("read_message", {"conversation": id, "message": message}),
    ):
        result = _ask(archive, tool, **arguments)
        assert not result.is_error
        value = result.structured_content
        assert value is not None
        assert value["untrusted"] is True
        assert value["notice"] == reading.NOTICE
        [content] = result.content
        said = content.text  # type: ignore[union-attr]
        assert ORDER not in said or said.index(reading.NOTICE) < said.index(ORDER)


def test_what_is_wrong_is_said_in_words(archive: Archive) -> None:
    for tool, arguments, words in (
        ("read_conversation", {"id": "ffffffff"}, "ffffffff"),
        ("list_conversations", {"since": "yesterday"}, "Write dates like"),
        ("search_conversations", {"query": "before:never"}, "date"),
        ("search_conversations", {"query": ""}, "query"),
        ("search_conversations", {"query": "a" * 5000}, "query"),
        ("read_conversation", {"id": "ffffffff", "count": 10_000}, "count"),
        ("read_message", {"conversation": _ids(archive)["Sourdough"], "message": "nobody"}, "no such message"),
    ):
        result = _ask(archive, tool, **arguments)
        assert result.is_error, tool
        assert words in result.content[0].text, (tool, result.content)  # type: ignore[union-attr]
        assert "Traceback" not in result.content[0].text  # type: ignore[union-attr]


def test_a_fault_of_ours_tells_nothing_of_the_archive() -> None:
    class Broken:
        def listing(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("a secret of the archive")

    result = _ask(Broken(), "list_conversations")
    assert result.is_error
    assert "secret" not in result.content[0].text  # type: ignore[union-attr]


def test_tools_say_that_they_only_read(archive: Archive) -> None:
    async def ask() -> list[Any]:
        async with Client(made(lambda _: archive)) as client:
            return list((await client.list_tools()).tools)

    tools = anyio.run(ask)
    assert {one.name for one in tools} == {
        "list_conversations",
        "read_conversation",
        "read_message",
        "search_conversations",
    }
    assert all(one.annotations.read_only_hint and not one.annotations.destructive_hint for one in tools)


def _state(home: Path) -> dict[str, str]:
    """The content of every file of a data folder; of the database what it says, since its log may be folded in."""
    with Archive.open(home) as archive:
        said = {f"document {one.id}": one.revision for one in archive.entries()}
        said |= {"number": str(archive.number), "receipts": str(archive.receipts())}
    files = (path for path in home.rglob("*") if path.is_file() and not path.name.startswith("archive.sqlite3"))
    return said | {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class _OnlyReads:
    """An archive of which anything but reading is a fault."""

    ALLOWED = frozenset({"listing", "count", "search", "window", "place"})

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.used.add(name)
        assert name in self.ALLOWED, f"{name} was used"
        return getattr(self._archive, name)


def test_nothing_is_written_by_any_tool(home: Path) -> None:
    before = _state(home)
    with Archive.open(home) as archive:
        only = _OnlyReads(archive)
        id = _ids(archive)["Sourdough"]
        message = archive.window(id, count=1).messages[0].id
        for tool, arguments in (
            ("search_conversations", {"query": "sourdough"}),
            ("list_conversations", {}),
            ("read_conversation", {"id": id, "around_message": message}),
            ("read_message", {"conversation": id, "message": message}),
            ("read_conversation", {"id": "ffffffff"}),
        ):
            _ask(only, tool, **arguments)
        assert only.used == _OnlyReads.ALLOWED
    assert _state(home) == before


def test_a_write_would_be_noticed_by_the_test_above(home: Path) -> None:
    before = _state(home)
    with Archive.open(home) as archive:
        archive.edit(_ids(archive)["Sourdough"], "title", "changed")
    assert _state(home) != before


def test_a_conversation_that_is_not_there_is_not_found(archive: Archive) -> None:
    with pytest.raises(NotFound):
        reading.piece(archive, "ffffffff", "x", offset=0)
