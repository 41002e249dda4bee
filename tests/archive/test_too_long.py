"""Ids, hashes and times that are too long for an index: told as problems, on every database, and the rest is taken."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from archive.talks import said, talk
from chatkeep import operations
from chatkeep.archive import Archive
from chatkeep.model import LONGEST, Conversation, Message, Part, encode, too_long
from chatkeep.selection import Selection


def long(size: int, seed: int = 0) -> str:
    """A text of so many bytes that no database can make shorter."""
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=size))


def attached(sha256: str, *, inside: bool = False) -> Message:
    part = Part(type="attachment", source_id="f", sha256=sha256)
    outer = Part(type="tool_result", parts=(part,)) if inside else part
    return Message(id="m", by="test/1", raw="r", parts=(outer,))


def with_lengths(size: int) -> dict[str, Conversation]:
    """Conversations with one text of so many bytes each, by what is told of it."""
    return {
        "The id of the conversation": talk("a", ["hello"], id=long(size)),
        "The id of a message": talk("b", messages=[Message(id=long(size), by="test/1", raw="r")]),
        "The hash of an attachment": talk("c", messages=[attached(long(size), inside=True)]),
        "The time of a message": talk("d", messages=[Message(id="m", by="test/1", raw="r", sent_at=long(size))]),
        "A time of the conversation": talk("e", updated_at=long(size)),
    }


def export_of(path: Path, *conversations: Conversation) -> Path:
    """An export of Chatkeep's as a list of documents."""
    path.write_bytes(b"[" + b",".join(encode(one) for one in conversations) + b"]")
    return path


@pytest.mark.parametrize("what", with_lengths(1))
def test_what_is_too_long_is_a_problem_at_its_place_and_the_rest_is_imported(
    archive: Archive, tmp_path: Path, what: str
) -> None:
    first, last = talk("first", ["peas"]), talk("last", ["beans"])
    export = export_of(tmp_path / "chatkeep.json", first, with_lengths(5_000)[what], last)
    for added, unchanged in ((2, 0), (0, 2)):
        report = operations.import_from(archive, [export])
        assert (report.added, report.unchanged, report.messages) == (added, unchanged, 2)
        assert [(one.where, one.what) for one in report.problems] == [
            ("chatkeep.json, conversation 2", f"{what} has more than 1,000 bytes; the conversation was left out.")
        ]
    assert sorted(one.title for one in archive.listing(Selection(), limit=9)) == ["About first", "About last"]


def test_the_longest_are_taken_on_every_database(archive: Archive, tmp_path: Path) -> None:
    mine = talk(
        "all",
        messages=[
            Message(id=long(LONGEST, 1), by="test/1", raw="r", sent_at=long(LONGEST, 2)),
            attached(long(LONGEST)),
        ],
        id=long(LONGEST, 3),
    )
    export = export_of(tmp_path / "chatkeep.json", mine, *with_lengths(LONGEST).values())
    report = operations.import_from(archive, [export])
    assert (report.added, report.problems) == (6, [])
    other = talk("all", messages=[Message(id=long(LONGEST, 1), by="test/1", raw="s")], id=long(LONGEST, 3))
    with archive.joining(host="phone") as joining:
        joining.take(other)
        assert joining.finish(cursors={}, most=0).conflicts == [(mine.id, mine.messages[-1].id)]


def test_what_another_device_has_is_told_too(archive: Archive) -> None:
    with archive.joining(host="phone") as joining:
        joining.mark(long(5_000), b"{}")
        for conversation in with_lengths(5_000).values():
            joining.take(conversation)
        joining.take(talk("last", ["beans"]))
        joined = joining.finish(cursors={}, most=0)
    assert (joined.added, len(joined.problems)) == (1, 5)
    applied = archive.apply([*with_lengths(5_000).values(), talk("more", ["peas"])])
    assert applied.added == 1


def test_what_counts_are_bytes() -> None:
    assert too_long(talk("x", id="é" * 500)) == ""
    assert too_long(talk("x", id="é" * 501)) == "The id of the conversation"
    assert too_long(talk("x", messages=[said("x", 0, "hello" * 1000)])) == ""
