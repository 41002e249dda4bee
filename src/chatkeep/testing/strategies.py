"""Hypothesis strategies for exact values and conversation documents, odd ones before all."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import strategies as st

from chatkeep import exact
from chatkeep.merge import CHOSEN, settle
from chatkeep.model import Conversation, Edit, Extra, Message, Part, Participant, Reaction, identify

TIMES = ("", "2023-08-15T21:12:00Z", "2023-08-15T21:12:00.5Z", "2024-02-29T00:00:00Z", "2024-02-29T00:00:01Z")
_odd_characters = st.sampled_from(["\x00", "\ud800", "\udfff", "\ufdd0", "$", '"', "\\", "é", "字", "😀", "\u2028"])


def source_texts() -> st.SearchStrategy[str]:
    """Strings as a source may hold them: with NUL, lone surrogates and our own mark."""
    return st.text(st.one_of(_odd_characters, st.characters()), max_size=12)


def texts() -> st.SearchStrategy[str]:
    """Strings as documents hold them, in the marked form."""
    return source_texts().map(exact.mark)


def source_json() -> st.SearchStrategy[str]:
    """JSON texts as no encoder of ours would write them: duplicate keys, long numbers, odd escapes and spaces."""
    numbers = st.one_of(
        st.integers(-5, 5).map(str),
        st.integers(min_value=2**53 - 2, max_value=2**70).map(str),
        st.sampled_from(["-0", "1.50", "-0.0", "1e400", "1E+2", "9007199254740993"]),
    )
    leaf = st.one_of(st.sampled_from(["null", "true", "false"]), numbers, source_texts().map(json.dumps))
    return st.recursive(leaf, lambda inner: st.one_of(_arrays(inner), _objects(inner)), max_leaves=12)


def _arrays(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, max_size=3).map(lambda items: "[" + " , ".join(items) + "]")


def _objects(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    key = st.one_of(st.sampled_from(['"a"', '"$a"', '"\\u0024number"', '"b"']), source_texts().map(json.dumps))
    pair = st.tuples(key, st.sampled_from([":", ": ", " :"]), inner).map("".join)
    return st.lists(pair, max_size=4).map(lambda pairs: "{" + ",".join(pairs) + "}")


def exact_values() -> st.SearchStrategy[Any]:
    """Values in the exact form, as documents hold them in `unknown`."""
    return source_json().map(lambda text: exact.decode(text.encode("utf-8", "surrogatepass")))


def parts() -> st.SearchStrategy[Part]:
    """Parts of messages: text, attachments with and without bytes, unknown blocks."""
    attachment = st.builds(
        Part,
        type=st.just("attachment"),
        source_id=st.sampled_from(["", "file-1", "file-2"]),
        name=st.sampled_from(["", "a.png"]),
        sha256=st.sampled_from(["", "aa", "bb"]),
        size=st.sampled_from([None, 3]),
    ).map(lambda part: msgspec.structs.replace(part, missing=not part.sha256))
    text = st.builds(Part, type=st.just("text"), text=texts())
    unknown = st.builds(Part, type=st.just("unknown"), kind=texts(), raw=exact_values())
    return st.one_of(text, attachment, unknown)


def messages() -> st.SearchStrategy[Message]:
    """Messages of few ids, importers and source records, so that two documents often know the same ones."""
    names = ["m1", "m2", "m3", "m4"]
    return st.builds(
        Message,
        id=st.sampled_from(names),
        parent=st.sampled_from(["", "", *names]),
        author=st.sampled_from(["", "p1"]),
        by=st.sampled_from(["x/1", "x/2", "x/10"]),
        raw=st.sampled_from(["r1", "r2", "r3"]),
        edited_at=st.sampled_from(TIMES),
        sent_at=st.sampled_from(TIMES),
        status=st.sampled_from(["", "in_progress", "unfinished"]),
        order=st.integers(0, 2),
        parts=st.lists(parts(), max_size=3).map(tuple),
        reactions=st.lists(st.builds(Reaction, sign=texts()), max_size=1).map(tuple),
        extra=st.one_of(st.none(), st.builds(Extra, st.just({"later": [1]}))),
    )


def _edits() -> st.SearchStrategy[dict[str, Edit]]:
    edit = st.builds(Edit, stamp=st.tuples(st.integers(1, 3), st.sampled_from(["d1", "d2"])), value=texts())
    chosen = st.builds(
        Edit, stamp=st.tuples(st.integers(1, 3), st.just("d1")), value=st.sampled_from(["r1", "r2", "r3"])
    )
    return st.one_of(
        st.dictionaries(st.sampled_from(["title", "starred"]), edit, max_size=2),
        st.dictionaries(st.sampled_from([CHOSEN + "m1", CHOSEN + "m2"]), chosen, max_size=1),
    )


def conversations() -> st.SearchStrategy[Conversation]:
    """Settled documents of one conversation, as devices and exports of different ages may know it."""
    people = st.builds(Participant, id=st.sampled_from(["p1", "p2"]), name=texts(), role=st.just("person"))
    return st.builds(
        Conversation,
        format=st.just(1),
        id=st.just(identify("strategies")),
        platform=st.sampled_from(["x", "y"]),
        title=st.one_of(st.just(""), texts()),
        project=st.sampled_from(["", "one", "two"]),
        updated_at=st.sampled_from(TIMES),
        shown_leaf=st.sampled_from(["", "m1", "m2"]),
        source_flags=st.sampled_from([{}, {"archived": True}]),
        unknown=st.dictionaries(st.sampled_from(["a", "b"]), exact_values(), max_size=1),
        participants=st.lists(people, max_size=2).map(tuple),
        messages=st.lists(messages(), max_size=5).map(tuple),
        user=_edits(),
    ).map(settle)
