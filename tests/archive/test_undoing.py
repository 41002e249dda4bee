"""Undoing takes back what an operation brought, and nothing else."""

from __future__ import annotations

import io
import tempfile
from datetime import timedelta
from functools import reduce
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.talks import digest, said, take, take_one, talk
from chatkeep.archive import Archive, undoing
from chatkeep.errors import NotFound, WrongUse
from chatkeep.merge import merge
from chatkeep.model import Conversation, Part, encode
from chatkeep.records import Loaded
from chatkeep.testing.strategies import conversations


def test_what_an_import_added_goes(archive: Archive) -> None:
    receipt = take(archive, talk("garden", ["peas"]), talk("sea", ["boats"]))
    undone = archive.undo(receipt.id)
    assert (undone.removed, undone.restored) == (2, 0)
    assert archive.listing() == []
    assert archive.search("peas").total == 0
    assert archive.counts().messages == 0
    assert {change.revision for change in archive.changes_since(0)} == {""}


def test_what_an_import_updated_goes_back(archive: Archive) -> None:
    take(archive, talk("garden", ["peas"]))
    before = archive.document(talk("garden").id)
    receipt = take(archive, talk("garden", ["peas", "beans"]))
    assert archive.undo(receipt.id).restored == 1
    assert archive.document(talk("garden").id) == before
    assert archive.search("beans").total == 0


def test_what_people_did_since_stays(archive: Archive) -> None:
    take(archive, talk("garden", ["peas"]))
    receipt = take(archive, talk("garden", ["peas", "beans"]))
    archive.edit(talk("garden").id, "title", "My garden")
    archive.undo(receipt.id)
    assert archive.listed(talk("garden").id).title == "My garden"
    assert archive.listed(talk("garden").id).messages == 1


def test_what_later_imports_brought_stays(archive: Archive) -> None:
    first = take(archive, talk("garden", ["peas"]))
    second = take(archive, talk("garden", messages=(said("garden", 5, "beans"),)))
    take(archive, talk("garden", messages=(said("garden", 6, "lentils"),)))
    archive.undo(second.id)
    assert [archive.search(word).total for word in ("peas", "beans", "lentils")] == [1, 0, 1]
    archive.undo(first.id)
    assert [archive.search(word).total for word in ("peas", "beans", "lentils")] == [0, 0, 1]


def test_what_a_later_export_had_as_well_stays(archive: Archive) -> None:
    garden, sea = talk("garden", ["peas"]), talk("sea", ["boats"])
    first = take(archive, garden, sea)
    archive.edit(sea.id, "starred", True)
    with archive.take_in("later.zip", "d2", "test/1") as known:
        assert known.knows(digest(garden))
        take_one(known, sea)
    third = take(archive, garden)
    undone = archive.undo(first.id)
    assert (undone.removed, undone.restored, archive.count()) == (0, 0, 2)
    assert archive.undo(known.receipt.id).removed == 1
    assert archive.document(garden.id) == encode(garden)
    assert archive.undo(third.id).removed == 1


def test_a_repeated_import_does_not_shelter_what_another_one_brought(archive: Archive) -> None:
    garden = talk("garden", ["peas"])
    take(archive, garden)
    bad = take(archive, talk("garden", ["peas", "weeds"]))
    with archive.take_in("export.zip", "d", "test/1") as again:
        assert again.knows(digest(garden))
    assert archive.undo(bad.id).restored == 1
    assert archive.document(garden.id) == encode(garden)


def test_undoing_twice_changes_nothing_and_the_receipt_says_when(archive: Archive) -> None:
    receipt = take(archive, talk("garden", ["peas"]))
    archive.undo(receipt.id)
    assert archive.receipt(receipt.id).undone_at
    take(archive, talk("garden", ["peas"]))
    undone = archive.undo(receipt.id)
    assert (undone.removed, undone.restored) == (0, 0)
    assert archive.count() == 1


def test_an_undone_import_can_be_imported_again(archive: Archive) -> None:
    garden = talk("garden", ["peas"])
    archive.undo(take(archive, garden).id)
    with archive.take_in("export.zip", "d", "test/1") as intake:
        assert not intake.knows(b"garden")
    assert take(archive, garden).added == 1
    assert archive.document(garden.id) == encode(garden)


def test_attachments_that_nobody_needs_any_more_go(archive: Archive) -> None:
    def keep(name: str, content: bytes) -> tuple[str, str]:
        with archive.take_in("export.zip", "d", "test/1") as intake:
            kept = intake.keep(io.BytesIO(content))
            part = Part(type="attachment", sha256=kept.sha256, name="p.png")
            intake.take(Loaded(conversations=(talk(name, messages=(said(name, 0, "", parts=(part,)),)),)))
        return intake.receipt.id, kept.sha256

    _, shared = keep("sea", b"boat")
    receipt, _ = keep("lake", b"boat")
    other, alone = keep("river", b"fish")
    archive.undo(receipt)
    assert archive.undo(other).attachments == 1
    assert [sha256 for sha256, _ in archive.held()] == [shared]
    assert archive.attachment(shared).read_bytes() == b"boat"
    with pytest.raises(NotFound):
        archive.attachment(alone)


def test_a_restore_by_replacement_can_be_undone(archive: Archive) -> None:
    take(archive, talk("garden", ["peas", "beans"]))
    archive.edit(talk("garden").id, "title", "Mine")
    before = archive.load(talk("garden").id)
    applied = archive.apply([talk("garden", ["peas"], title="Old")], replace=True)
    assert (applied.added, applied.updated) == (0, 1)
    assert archive.listed(talk("garden").id).title == "Old"
    assert archive.load(talk("garden").id).messages == talk("garden", ["peas"]).messages
    archive.undo(applied.receipt)
    assert archive.listed(talk("garden").id).title == "Mine"
    assert msgspec.structs.replace(archive.load(talk("garden").id), user=before.user) == before


def test_a_merge_from_another_device_can_be_undone(archive: Archive) -> None:
    take(archive, talk("garden", ["peas"]))
    before = archive.document(talk("garden").id)
    applied = archive.apply([talk("garden", ["peas", "beans"]), talk("sea", ["boats"])], cursors={"host": "7"})
    assert (applied.added, applied.updated, applied.unchanged) == (1, 1, 0)
    assert archive.cursor("host") == "7"
    archive.undo(applied.receipt)
    assert archive.document(talk("garden").id) == before
    assert archive.count() == 1


def test_applying_what_is_there_leaves_no_receipt(archive: Archive) -> None:
    take(archive, talk("garden", ["peas"]))
    applied = archive.apply([talk("garden", ["peas"])])
    assert (applied.unchanged, applied.receipt) == (1, "")
    assert len(archive.receipts()) == 1


def test_an_unknown_receipt_cannot_be_undone(archive: Archive) -> None:
    for id in ("7", "seven", "", "٣"):
        with pytest.raises(NotFound):
            archive.undo(id)


def test_after_thirty_days_operations_take_no_room_and_cannot_be_undone(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = take(archive, talk("garden", ["peas"]))
    take(archive, talk("garden", ["peas", "beans"]))
    third = take(archive, talk("garden", ["peas", "beans", "lentils"]))
    monkeypatch.setattr(undoing, "too_old", lambda: undoing.now_text(timedelta(days=1)))
    take(archive, talk("sea", ["boats"]))
    left = "SELECT count(*) FROM contributions JOIN documents d ON d.number = document WHERE archive = ?"
    assert archive._db.execute(left, (archive._key,)).fetchone() == (0,)
    with pytest.raises(WrongUse):
        archive.undo(first.id)
    monkeypatch.undo()
    archive.undo(third.id)
    assert archive.listed(talk("garden").id).messages == 3


def test_what_holds_nothing_stays_until_the_last_import_of_it_is_undone(archive: Archive) -> None:
    nothing = Conversation(format=1, id=talk("sea").id, platform="x", source_id="s")
    first, second = take(archive, nothing, importer="test/1"), take(archive, nothing, importer="test/2")
    archive.undo(first.id)
    assert len(list(archive.documents())) == 1
    archive.undo(second.id)
    assert list(archive.documents()) == []


def test_a_shell_stays_when_the_import_that_filled_it_is_undone(archive: Archive) -> None:
    shell = Conversation(format=1, id=talk("sea").id, platform="x", source_id="s", title="Sea")
    take(archive, shell, importer="test/1")
    filled = take(archive, msgspec.structs.replace(talk("sea", ["boats"]), platform="x", source_id="s"))
    archive.undo(filled.id)
    assert [encode(one) for one in archive.documents()] == [encode(shell)]


def _brought(given: list[Conversation]) -> tuple[list[int], set[int]]:
    """Which imports brought something, and which found all that they had, and nothing else, there already."""
    brought, confirmed, total = [0], set(), given[0]
    for number, one in enumerate(given[1:], 1):
        joined = merge(total, one)
        if joined != total:
            brought.append(number)
        elif one == total:
            confirmed.add(number)
        total = joined
    return brought, confirmed


@settings(max_examples=100, deadline=None)
@given(given=st.lists(conversations(), min_size=1, max_size=4), data=st.data())
def test_what_is_left_is_the_merge_of_what_was_not_undone(given: list[Conversation], data: st.DataObject) -> None:
    given = [msgspec.structs.replace(one, source_id="s", user={}) for one in given]
    given += data.draw(st.lists(st.sampled_from(given), max_size=2))
    brought, confirmed = _brought(given)
    owners = {number: number for number in brought}
    with tempfile.TemporaryDirectory() as folder, Archive.open(Path(folder)) as archive:
        receipts = [take(archive, one, importer=f"test/{number}").id for number, one in enumerate(given)]
        for undone in data.draw(st.permutations(sorted(data.draw(st.sets(st.sampled_from(range(len(given)))))))):
            archive.undo(receipts[undone])
            confirmed.discard(undone)
            heir = min((number for number in confirmed if number > undone), default=None)
            owners = {number: heir if owner == undone else owner for number, owner in owners.items()}
        kept = [given[number] for number, owner in owners.items() if owner is not None]
        assert [encode(one) for one in archive.documents()] == ([encode(reduce(merge, kept))] if kept else [])
        assert archive.check() == []
