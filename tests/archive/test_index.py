"""Whatever is done to an archive, a search finds what is there and nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from archive.talks import PEOPLE, said, take, talk
from chatkeep import views
from chatkeep.archive import Archive
from chatkeep.model import Conversation
from chatkeep.selection import Selection

WORDS = ["peas", "beans", "字典", "сад"]
_texts = st.lists(st.sampled_from(WORDS), max_size=3).map(" and ".join)
_talks = st.builds(
    lambda name, texts, title, project, hidden: talk(
        name,
        texts,
        messages=[said(name, 9, hidden, hidden=True)] if hidden else [],
        title=title,
        project=project,
        platform="chatgpt" if name == "a" else "claude",
    ),
    st.sampled_from("abc"),
    st.lists(_texts, max_size=4),
    _texts,
    st.sampled_from(["", "Garden"]),
    st.sampled_from(["", "peas"]),
)
_steps = st.one_of(
    st.tuples(st.just("take"), _talks),
    st.tuples(st.just("replace"), _talks),
    st.tuples(st.just("trashed"), st.booleans()),
    st.tuples(st.just("title"), _texts),
    st.tuples(st.just("project"), st.sampled_from(["", "Sea"])),
    st.tuples(st.just("undo"), st.integers(0, 5)),
    st.tuples(st.just("reindex"), st.none()),
    st.tuples(st.just("join"), st.none()),
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(_steps, min_size=1, max_size=10))
def test_a_search_finds_what_is_there_and_nothing_else(steps: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder, Archive.open(Path(folder)) as archive:
        for name, value in steps:
            do(archive, name, value)
        there = list(archive.documents())
        for word in WORDS:
            assert archive.search(word).total == sum(count(one, word) for one in there)
            assert archive.search(f"{word} from:anna").total == sum(count(one, word, author="anna") for one in there)
            claude = [one for one in there if one.platform == "claude"]
            assert archive.search(f"{word} platform:claude").total == sum(count(one, word) for one in claude)
            sea = [one for one in there if views.edited(one, "project") == "Sea"]
            assert archive.search(f"{word} in:sea").total == sum(count(one, word) for one in sea)
            assert archive.count(Selection(query=word)) == sum(count(one, word) > 0 for one in there)
        assert archive.check() == []


def do(archive: Archive, name: str, value: object) -> None:
    ids = [entry.id for entry in archive.entries()]
    if name == "take":
        assert isinstance(value, Conversation)
        take(archive, value)
    elif name == "replace":
        assert isinstance(value, Conversation)
        archive.apply([value], replace=True)
    elif name == "undo" and (receipts := archive.receipts()):
        assert isinstance(value, int)
        archive.undo(receipts[value % len(receipts)].id)
    elif name == "reindex":
        archive.reindex()
    elif name == "join":
        while archive._db.index.join_some():
            pass
    elif ids and name in ("trashed", "title", "project"):
        archive.edit(ids[0], name, value)


def count(conversation: Conversation, word: str, *, author: str = "") -> int:
    """How many visible messages, and titles, have a word."""
    roles = {one.id: one.role for one in PEOPLE}
    messages = [
        message
        for message in conversation.messages
        if views.is_visible(message, roles[message.author]) and (not author or message.author == author)
    ]
    found = sum(word in views.plain_text(message).split() for message in messages)
    return found + (not author and word in views.title(conversation).split())
