"""Exports that somebody dropped into the inbox of a place: fetched, imported, laid aside; and what is none stays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import exports

from chatkeep import operations
from chatkeep.archive import Archive
from chatkeep.errors import QuotaFull, Refused
from chatkeep.operations import Cancelled, InboxReport, Step, inbox
from chatkeep.providers.folder import Folder
from chatkeep.providers.memory import Memory
from chatkeep.storage import Around, Counting, Storage, StoredObject
from chatkeep.testing.faulty import Crash, Fault, FaultyStorage


@dataclass
class Desk:
    """A machine with an archive, a place with an inbox, and a clock that goes when somebody waits."""

    folder: Path
    archive: Archive
    storage: Storage = field(default_factory=Memory)
    now: float = 1000.0
    meanwhile: Any = None
    counting: Counting | None = None

    def take_in(self, through: Storage | None = None, **wanted: Any) -> InboxReport:
        self.counting = Counting(through or self.storage)
        return operations.take_in(
            self.archive,
            self.counting,
            spool=self.folder / "spool",
            sleep=self.sleep,
            clock=lambda: self.now,
            **wanted,
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.meanwhile:
            self.meanwhile()

    def drop(self, name: str, data: bytes) -> None:
        self.storage.put(f"Inbox/{name}", data)

    def names(self) -> list[str]:
        return [stored.name for stored in self.storage.listing()]


@pytest.fixture
def export(tmp_path: Path) -> bytes:
    return exports.two(tmp_path / "export.zip").read_bytes()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Archive.open(tmp_path / "home", device="laptop-1") as archive:
        yield Desk(tmp_path, archive)


def test_an_export_is_imported_with_a_receipt_and_laid_aside(desk: Desk, export: bytes) -> None:
    desk.drop("chats of 2024.zip", export)
    report = desk.take_in()
    (taken,) = report.taken
    assert (taken.name, taken.added, taken.messages) == ("chats of 2024.zip", 2, 5)
    assert taken.moved == "Inbox/Done/chats of 2024.zip"
    assert desk.names() == ["Inbox/Done/chats of 2024.zip"]
    assert (report.problems, report.waiting, report.left) == ([], [], [])
    assert desk.archive.receipt(taken.receipt).added == 2
    assert desk.archive.counts().conversations == 2


def test_an_empty_inbox_costs_one_request_and_no_wait(desk: Desk, export: bytes) -> None:
    desk.drop("Done/old.zip", export)
    desk.drop("README.txt", b"Drop exports here.")
    desk.drop(".DS_Store", b"x")
    report = desk.take_in()
    assert (report.taken, report.left, report.requests, desk.now) == ([], [], 1, 1000.0)


def test_what_lies_elsewhere_is_not_touched(desk: Desk, export: bytes) -> None:
    desk.storage.put("export.zip", export)
    desk.storage.put("Vault/config", b"sealed")
    assert desk.take_in().taken == []
    assert desk.names() == ["Vault/config", "export.zip"]


def test_a_folder_that_was_dropped_is_one_export(desk: Desk, export: bytes) -> None:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(export)) as packed:
        for name in packed.namelist():
            desk.drop(f"my export/{name}", packed.read(name))
    (taken,) = desk.take_in().taken
    assert (taken.name, taken.added) == ("my export", 2)
    assert all(name.startswith("Inbox/Done/my export/") for name in desk.names())
    assert desk.archive.counts().attachments == 1


def test_several_exports_have_a_receipt_each(desk: Desk, export: bytes, tmp_path: Path) -> None:
    desk.drop("a.zip", export)
    desk.drop("b.zip", exports.many(tmp_path / "many.zip", 3).read_bytes())
    report = desk.take_in()
    assert [(taken.name, taken.added) for taken in report.taken] == [("a.zip", 2), ("b.zip", 3)]
    assert len({taken.receipt for taken in report.taken}) == 2


def test_the_same_again_adds_nothing_and_lies_beside_the_first(desk: Desk, export: bytes) -> None:
    for _ in range(3):
        desk.drop("chats.zip", export)
        (taken,) = desk.take_in().taken
    assert (taken.added, taken.unchanged, taken.moved) == (0, 2, "Inbox/Done/chats (3).zip")
    assert desk.names() == ["Inbox/Done/chats (2).zip", "Inbox/Done/chats (3).zip", "Inbox/Done/chats.zip"]


# -- what still grows


def test_a_file_that_still_grows_waits_for_the_next_look(desk: Desk, export: bytes) -> None:
    desk.drop("chats.zip", export[:300])
    desk.meanwhile = lambda: desk.drop("chats.zip", export[: 300 + int(desk.now)])
    report = desk.take_in()
    assert (report.taken, report.waiting, report.problems) == ([], ["chats.zip"], [])
    desk.meanwhile = None
    desk.drop("chats.zip", export)
    assert [taken.added for taken in desk.take_in().taken] == [2]


def test_what_an_earlier_look_saw_the_same_is_taken_without_waiting(desk: Desk, export: bytes) -> None:
    desk.drop("chats.zip", export)

    def stop(step: Step) -> None:
        if step.stage == "Fetching":
            raise Cancelled("Stop.")

    with pytest.raises(Cancelled):
        desk.take_in(progress=stop)
    waited = desk.now
    desk.drop("more.zip", b"")
    report = desk.take_in()
    assert ([taken.name for taken in report.taken], report.waiting) == (["chats.zip"], ["more.zip"])
    assert desk.now == waited


def test_the_wait_can_be_cancelled(desk: Desk, export: bytes) -> None:
    desk.drop("chats.zip", export)

    def stop(step: Step) -> None:
        if step.stage.startswith("Waiting") and step.done == 3:
            raise Cancelled("Stop.")

    with pytest.raises(Cancelled):
        desk.take_in(progress=stop)
    assert desk.names() == ["Inbox/chats.zip"]


@pytest.mark.parametrize("name", ["chats.zip.crdownload", "chats.zip.part", ".chats.zip.swp", "~chats.zip"])
def test_what_says_itself_that_it_is_unfinished_waits_without_a_word(desk: Desk, export: bytes, name: str) -> None:
    desk.drop(name, export)
    report = desk.take_in()
    assert (report.taken, report.problems) == ([], [])
    assert desk.names() == [f"Inbox/{name}"]


def test_a_file_that_is_replaced_while_it_is_fetched_waits(desk: Desk, export: bytes) -> None:
    desk.drop("chats.zip", export)

    def replace(step: Step) -> None:
        if step.stage == "Fetching":
            desk.drop("chats.zip", export + b"more")

    report = desk.take_in(progress=replace)
    assert (report.taken, report.waiting, report.problems) == ([], ["chats.zip"], [])
    assert desk.archive.counts().conversations == 0


def test_a_file_that_goes_while_it_is_fetched_is_no_error(desk: Desk, export: bytes) -> None:
    desk.drop("chats.zip", export)
    report = desk.take_in(
        progress=lambda step: desk.storage.delete("Inbox/chats.zip") if step.stage == "Fetching" else None
    )
    assert (report.taken, report.problems) == ([], [])


# -- what is no export


def test_what_is_no_export_stays_and_is_told_once(desk: Desk, export: bytes) -> None:
    desk.drop("holiday.jpg", b"\xff\xd8\xff\xe0" + bytes(500))
    desk.drop("chats.zip", export)
    report = desk.take_in()
    assert (report.left, len(report.taken)) == (["holiday.jpg"], 1)
    (problem,) = report.problems
    assert problem.where == "Inbox/holiday.jpg"
    assert "JPEG" in problem.what
    again = desk.take_in()
    assert (again.left, again.problems, again.requests) == (["holiday.jpg"], [], 1)
    assert "Inbox/holiday.jpg" in desk.names()
    desk.drop("holiday.jpg", export)
    assert [taken.added for taken in desk.take_in().taken] == [0]


def test_a_zip_that_is_cut_off_is_told_once_and_taken_when_it_is_whole(desk: Desk, export: bytes) -> None:
    desk.drop("chats.zip", export[:-30])
    report = desk.take_in()
    assert "cut off" in report.problems[0].what
    assert desk.archive.counts().conversations == 0
    assert desk.take_in().problems == []
    desk.drop("chats.zip", export)
    assert desk.take_in().taken[0].added == 2


def test_when_it_is_forgotten_what_was_told_it_is_told_again(desk: Desk) -> None:
    desk.drop("holiday.jpg", b"\xff\xd8\xff\xe0" + bytes(500))
    assert len(desk.take_in().problems) == 1
    (desk.folder / "spool" / "memory.json").write_text("half a mem")
    assert len(desk.take_in().problems) == 1


def test_problems_inside_an_export_are_told_and_it_is_taken(desk: Desk, tmp_path: Path) -> None:
    one = exports.conversation(exports.CAKE, "Cake", ["Hm?"])
    desk.drop("chats.zip", exports.export(tmp_path / "x.zip", [one, {"id": "broken", "mapping": 7}]).read_bytes())
    report = desk.take_in()
    assert len(report.taken) == 1
    assert report.problems[0].where.startswith("Inbox/chats.zip: ")


class Unmovable(Around):
    """A place that moves nothing: the thing is larger than an object that can be put."""

    def _offers(self, verb: str) -> bool:
        return False

    def put(self, name: str, data: bytes) -> StoredObject:
        raise Refused("It is too large for that.")


def test_what_cannot_be_moved_is_imported_once_and_said(desk: Desk, export: bytes) -> None:
    desk.drop("chats.zip", export)
    report = desk.take_in(through=Unmovable(desk.storage))
    assert (report.taken[0].added, report.taken[0].moved, report.problems) == (2, "Inbox/chats.zip", [])
    assert "Delete it yourself" in report.notes[0]
    again = desk.take_in(through=Unmovable(desk.storage))
    assert (again.taken, again.notes) == ([], [])


# -- large ones, interruptions


def test_a_large_export_is_fetched_in_pieces_and_goes_on_where_it_was(
    desk: Desk, export: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "PIECE", 100)
    desk.storage = Folder(desk.folder / "place", new=True)  # moves without reading
    desk.drop("chats.zip", export)

    def stop(step: Step) -> None:
        if step.stage == "Fetching" and step.done >= 500:
            raise Cancelled("Stop.")

    with pytest.raises(Cancelled):
        desk.take_in(progress=stop)
    assert desk.counting is not None
    assert desk.counting.received == 500
    assert desk.take_in().taken[0].added == 2
    assert desk.counting.received == len(export) - 500
    assert [path.name for path in (desk.folder / "spool").iterdir()] == ["memory.json"]


def test_pieces_of_what_is_no_longer_there_are_thrown_away(
    desk: Desk, export: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "PIECE", 100)
    desk.drop("chats.zip", export)

    def stop(step: Step) -> None:
        if step.stage == "Fetching" and step.done >= 500:
            raise Cancelled("Stop.")

    with pytest.raises(Cancelled):
        desk.take_in(progress=stop)
    desk.storage.delete("Inbox/chats.zip")
    desk.take_in()
    assert [path.name for path in (desk.folder / "spool").iterdir()] == ["memory.json"]


def test_a_machine_without_space_says_how_much_is_needed(
    desk: Desk, export: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.drop("chats.zip", export)
    usage = shutil.disk_usage(desk.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(QuotaFull, match=r"1,000 are free"):
        desk.take_in()
    assert desk.names() == ["Inbox/chats.zip"]


@pytest.mark.parametrize("how", ["crash", "crash after"])
def test_killed_at_any_call_the_next_run_brings_everything_once(desk: Desk, export: bytes, how: Any) -> None:
    nth = kills = 0
    while True:
        nth += 1
        desk.storage = Memory()
        desk.drop("chats.zip", export)
        faulty = FaultyStorage(desk.storage, Fault("any", nth, how))
        try:
            desk.take_in(through=faulty)
        except Crash:
            kills += 1
        if len(faulty.calls) < nth:
            break
        report = desk.take_in()
        assert report.problems == []
        if "Inbox/chats.zip" in desk.names():  # it was moved, but not yet deleted
            desk.take_in()
        assert all(name.startswith("Inbox/Done/") for name in desk.names()), nth
        assert desk.archive.counts().conversations == 2
    assert kills >= 4


def test_the_inbox_of_a_folder_takes_files_as_programs_leave_them(desk: Desk, export: bytes) -> None:
    place = desk.folder / "place"
    desk.storage = Folder(place, new=True)
    (place / "Inbox").mkdir()
    (place / "Inbox" / "WhatsApp Chat – Zoë.zip").write_bytes(export)
    assert desk.take_in().taken[0].added == 2
    assert (place / "Inbox" / "Done" / "WhatsApp Chat – Zoë.zip").exists()
