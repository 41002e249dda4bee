"""What is taken away stays away, and what a deletion did not see does not."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from archive.talks import said, take, talk
from chatkeep.archive import Archive, tombstones
from chatkeep.archive.tombstones import DELETED, KEPT, REPLACED, UNDONE, Tombstone
from chatkeep.errors import Damaged, NotFound
from chatkeep.merge import merge, news, pieces, settle, version_names, without
from chatkeep.model import Conversation, Part, encode
from chatkeep.records import Loaded
from chatkeep.testing.strategies import conversations

_acts = st.tuples(
    st.tuples(st.integers(1, 3), st.sampled_from(["d1", "d2"])), st.sampled_from([DELETED, UNDONE, REPLACED, KEPT])
)
marks = st.builds(
    Tombstone,
    id=st.just("c"),
    pieces=st.dictionaries(st.sampled_from(["a", "b", "c"]), _acts, max_size=3),
    erased=st.sampled_from([False, False, False, True]),
).map(lambda mark: Tombstone("c", erased=True) if mark.erased else mark)


_few = settings(max_examples=50, deadline=None)


@_few
@given(marks, marks, marks)
def test_joining_is_commutative_associative_and_idempotent(a: Tombstone, b: Tombstone, c: Tombstone) -> None:
    join = tombstones.join
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == a


@_few
@given(marks)
def test_the_bytes_read_back(mark: Tombstone) -> None:
    data = tombstones.encode(mark)
    assert tombstones.decode(data, "c") == mark
    assert tombstones.encode(tombstones.decode(data, "c")) == data


@pytest.mark.parametrize("data", [b"", b"{}", b'{"id":"d"}', b'{"format":2,"id":"c"}', b"[1]", b'{"acts":7,"id":"c"}'])
def test_what_cannot_be_read_is_damaged(data: bytes) -> None:
    with pytest.raises(Damaged):
        tombstones.decode(data, "c")


@_few
@given(conversations(), conversations())
def test_taking_away_what_one_side_brought_leaves_none_of_it(a: Conversation, b: Conversation) -> None:
    left = without(merge(a, b), pieces(a))
    assert not pieces(left) & pieces(a)
    assert settle(left) == left
    assert left.user == merge(a, b).user


@_few
@given(conversations(), conversations())
def test_the_news_are_what_makes_the_known_the_whole(a: Conversation, b: Conversation) -> None:
    assert merge(a, news(b, a)).messages == merge(a, b).messages
    assert pieces(merge(a, news(b, a))) >= version_names(merge(a, b))


def test_a_version_that_is_new_beside_one_of_its_name_that_is_known_is_news() -> None:
    """One record, read twice: while it was being written, with an attachment, and later without."""
    whole = talk("garden", messages=[said("garden", 0, "peas")])
    (later,) = whole.messages
    file = Part(type="attachment", source_id="file-1", sha256="aa", size=3)
    first = replace(later, parts=(file,), status="unfinished")
    known = settle(replace(whole, messages=(first,)))
    both = settle(replace(whole, messages=(first, later)))
    assert len(both.messages[0].previous) == 1
    assert merge(known, news(both, known)) == both


@_few
@given(conversations())
def test_taking_nothing_or_strangers_away_changes_nothing(a: Conversation) -> None:
    assert without(a, set()) is a
    assert encode(without(a, {"title=0"})) == encode(a)
    assert not version_names(without(a, version_names(a)))


def test_a_deleted_conversation_stays_away_until_it_has_something_new(archive: Archive) -> None:
    garden = talk("garden", ["peas"])
    take(archive, garden)
    archive.delete([garden.id])
    with pytest.raises(NotFound):
        archive.load(garden.id)
    assert archive.search("peas").total == 0
    assert take(archive, garden).unchanged == 1
    assert archive.count() == 0
    receipt = take(archive, talk("garden", ["peas", "beans"]))
    assert (receipt.added, archive.count()) == (1, 1)
    assert "1 messages not seen" in receipt.problems[0].what
    assert [one.kind for one in archive.conflicts()] == ["returned"]
    archive.delete([garden.id])
    assert take(archive, talk("garden", ["peas", "beans"])).unchanged == 1
    assert archive.conflicts() == []


def test_a_restore_brings_back_what_was_deleted(archive: Archive) -> None:
    garden = talk("garden", ["peas"])
    take(archive, garden)
    archive.delete([garden.id])
    applied = archive.apply([garden])
    assert applied.added == 1
    assert archive.conflicts() == []
    archive.undo(applied.receipt)
    assert archive.count() == 0


def test_an_attachment_goes_with_the_last_conversation_that_needs_it(archive: Archive) -> None:
    kept = archive.keep(io.BytesIO(b"boat"))
    for name in ("sea", "lake"):
        part = Part(type="attachment", sha256=kept.sha256, name="p.png")
        with archive.take_in("export.zip", "d", "test/1") as intake:
            intake.take(Loaded(conversations=(talk(name, messages=(said(name, 0, "", parts=(part,)),)),)))
    assert archive.delete([talk("sea").id]) == 0
    assert archive.attachment(kept.sha256).read_bytes() == b"boat"
    assert archive.delete([talk("lake").id]) == 1
    assert list(archive.held()) == []


def test_erasing_leaves_the_id_alone(archive: Archive) -> None:
    garden = talk("garden", ["peas", "beans"], title="Secret plans")
    take(archive, garden, talk("sea", ["boats"]))
    archive.edit(garden.id, "labels", ["hush"])
    archive.erase([garden.id, talk("never seen").id])
    marked = dict(archive.tombstones())
    assert marked.keys() == {garden.id, talk("never seen").id}
    assert all(b"m" not in data.replace(id.encode(), b"").replace(b"format", b"") for id, data in marked.items())
    assert "erased" in take(archive, talk("garden", ["peas", "lentils"])).problems[0].what
    assert archive.apply([garden]).added == 0
    assert take(archive, talk("never seen", ["x"])).added == 0
    files = b"".join(path.read_bytes() for path in archive.folder.glob("archive.sqlite3*"))
    for text in (b"peas", b"beans", b"Secret", b"hush"):
        assert text not in files
    assert archive.search("boats").total == 1


def test_deleting_what_is_not_there_deletes_nothing(archive: Archive) -> None:
    take(archive, talk("garden", ["peas"]))
    with pytest.raises(NotFound):
        archive.delete([talk("garden").id, "ffffffff"])
    assert archive.count() == 1


def test_a_settled_conflict_must_be_there(archive: Archive) -> None:
    take(archive, talk("garden", ["peas"]))
    for message in ("", "m"):
        with pytest.raises(NotFound):
            archive.settle(talk("garden").id, message)
