"""An archive of a laptop, taken over by another one: all of it comes, once, and the counts are compared."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.talks import said, take, talk
from archives import on_laptop
from chatkeep import operations
from chatkeep.archive import Archive
from chatkeep.model import Part
from chatkeep.operations import Cancelled, Compared, Step


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Archive]:
    """Ten conversations: one edited, one trashed, one deleted, one undone, one with a picture."""
    with on_laptop(tmp_path / "laptop", device="laptop-1") as archive:
        take(archive, *(talk(f"talk {number}", ["peas", "beans"]) for number in range(8)))
        archive.undo(take(archive, talk("undone", ["weeds"])).id)
        kept = archive.keep(io.BytesIO(b"a boat"))
        picture = Part(type="attachment", sha256=kept.sha256, name="boat.png")
        take(archive, talk("sea", messages=(said("sea", 0, "look", parts=(picture,)),)))
        archive.edit(talk("talk 1").id, "title", "My garden")
        archive.edit(talk("talk 2").id, "trashed", True)
        archive.delete([talk("talk 3").id])
        yield archive


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Archive]:
    with Archive.open(tmp_path / "server", device="server-1") as archive:
        yield archive
        assert archive.check() == []


def test_all_of_it_comes_and_a_second_time_adds_nothing(laptop: Archive, home: Archive) -> None:
    report = operations.adopt(laptop, home)
    assert report.is_whole
    assert (report.added, report.conversations) == (8, Compared(given=8, here=8))
    assert (report.attachments, report.tombstones) == (Compared(given=1, here=1), Compared(given=2, here=2))
    assert dict(home.tombstones()) == dict(laptop.tombstones())
    assert {one.id: home.document(one.id) for one in home.entries()} == {
        one.id: laptop.document(one.id) for one in laptop.entries()
    }
    assert [path.read_bytes() for sha256, _ in home.held() if (path := home.attachment(sha256))] == [b"a boat"]
    assert home.search("garden").total == laptop.search("garden").total == 1
    assert home.search("peas").total == laptop.search("peas").total
    before = home.number
    again = operations.adopt(laptop, home)
    assert again.is_whole
    assert (again.added, again.updated) == (0, 0)
    assert [one for one in home.changes_since(before) if one.revision] == []


def test_what_was_there_before_is_joined_and_stays(laptop: Archive, home: Archive) -> None:
    take(home, talk("talk 0", ["peas", "beans", "lentils"]), talk("own", ["mine"]))
    report = operations.adopt(laptop, home)
    assert report.is_whole
    assert home.listed(talk("talk 0").id).messages == 3
    assert home.listed(talk("own").id).messages == 1


def test_cut_off_it_goes_on_where_it_was(laptop: Archive, home: Archive) -> None:
    def stop(step: Step) -> None:
        if step.unit == "conversations" and step.done == 4:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        operations.adopt(laptop, home, progress=stop)
    assert operations.adopt(laptop, home).is_whole
    assert home.count() == laptop.count()


def test_what_could_not_come_is_told_and_is_not_whole(laptop: Archive, home: Archive) -> None:
    ((sha256, _),) = laptop.held()
    laptop.attachment(sha256).write_bytes(b"another boat")
    report = operations.adopt(laptop, home)
    assert not report.is_whole
    assert report.attachments == Compared(given=1, here=0)
    assert [problem.where for problem in report.problems] == [f"attachments/{sha256[:2]}/{sha256}"]
