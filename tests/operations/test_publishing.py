"""Readable copies: one way, only what changed, and nothing of anybody else's is touched."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import exports

from chatkeep import operations
from chatkeep.archive import Archive
from chatkeep.errors import Refused, VaultTooNew, WrongUse
from chatkeep.exporters import Customisation
from chatkeep.operations import Cancelled, CopiesReport, Step, publishing
from chatkeep.providers.folder import Folder
from chatkeep.providers.memory import Memory
from chatkeep.storage import Around, Below, Counting, Storage, StoredObject
from chatkeep.testing.faulty import Crash, Fault, FaultyStorage

WITH_PICTURES = Customisation(attachments="copy")


@dataclass
class Desk:
    """A machine and a place to which it writes copies."""

    archive: Archive
    storage: Storage = field(default_factory=Memory)
    host: str = "laptop-1"

    def publish(self, exporter: str = "markdown", through: Storage | None = None, **wanted: Any) -> CopiesReport:
        counting = Counting(through or self.storage)
        return operations.publish(self.archive, counting, host=self.host, exporter=exporter, **wanted)

    @property
    def chats(self) -> Below:
        return Below(self.storage, "Chats")

    def files(self) -> dict[str, str]:
        """Name and text of all copies; the memory of devices left out."""
        names = [stored.name for stored in self.chats.listing() if not stored.name.startswith(".chatkeep/")]
        return {name: self.chats.get(name).decode("utf-8", "replace") for name in names}

    def name_of(self, title: str) -> str:
        (name,) = [name for name in self.files() if title in name]
        return name


def _archive(folder: Path, export: Path) -> Archive:
    archive = Archive.open(folder, device=folder.name)
    operations.import_from(archive, [export])
    return archive


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Two conversations, and an empty place."""
    with _archive(tmp_path / "one", exports.two(tmp_path / "export.zip")) as archive:
        yield Desk(archive)


def id_of(desk: Desk, title: str) -> str:
    (found,) = [one.id for one in desk.archive.listing() if one.title == title]
    return found


# -- what is written


def test_every_conversation_has_a_copy_by_platform_year_date_and_title(desk: Desk) -> None:
    report = desk.publish()
    assert (report.conversations, report.written, report.unchanged, report.verified) == (2, 2, 0, True)
    names = sorted(desk.files())
    assert [name.rpartition(" [")[0] for name in names] == [
        "ChatGPT/2023/2023-11-14 A birthday cake",
        "ChatGPT/2024/2024-03-09 Boats",
    ]
    assert "How long does the cake bake?" in desk.files()[names[0]]


@pytest.mark.parametrize(("exporter", "suffix"), [("txt", ".txt"), ("json", ".json"), ("html", ".html")])
def test_copies_are_written_in_the_format_that_was_chosen(desk: Desk, exporter: str, suffix: str) -> None:
    assert desk.publish(exporter).written == 2
    assert {name[name.rindex(".") :] for name in desk.files()} == {suffix}
    assert "Boats" in desk.name_of("Boats")


def test_a_format_that_is_none_is_refused_before_anything_is_written(desk: Desk) -> None:
    with pytest.raises(WrongUse):
        desk.publish("docx")
    assert desk.storage.listing() == []


def test_publishing_again_writes_nothing(desk: Desk) -> None:
    desk.publish()
    report = desk.publish()
    assert (report.written, report.unchanged, report.bytes_sent, report.verified) == (0, 2, 0, True)
    assert report.requests <= 3


def test_only_what_changed_is_written_and_remembered_with_few_bytes(tmp_path: Path) -> None:
    with _archive(tmp_path / "one", exports.many(tmp_path / "many.zip", 300)) as archive:
        desk = Desk(archive)
        assert desk.publish().written == 300
        archive.edit(archive.listing(limit=1)[0].id, "title", "Renamed")
        report = desk.publish()
        assert (report.written, report.removed, report.unchanged) == (1, 1, 299)
        assert report.bytes_sent < 3000
        assert report.requests < 12
        assert len(desk.files()) == 300


def test_a_star_that_a_copy_does_not_show_writes_no_copy(desk: Desk) -> None:
    desk.publish()
    desk.archive.edit(id_of(desk, "Boats"), "starred", True)
    assert desk.publish().written == 0
    assert desk.publish().requests <= 3


def test_a_new_title_moves_the_copy(desk: Desk) -> None:
    desk.publish()
    desk.archive.edit(id_of(desk, "Boats"), "title", "Ships: 3/4 *new* 🚢 שלום")
    report = desk.publish()
    assert (report.written, report.removed) == (1, 1)
    assert len(desk.files()) == 2
    assert "Ships- 3-4 -new- 🚢 שלום" in desk.name_of("Ships")


def test_what_goes_to_the_trash_loses_its_copy_and_comes_back_with_it(desk: Desk) -> None:
    desk.publish()
    desk.archive.edit(id_of(desk, "Boats"), "trashed", "2024-05-01T00:00:00Z")
    assert desk.publish().removed == 1
    assert len(desk.files()) == 1
    desk.archive.edit(
        next(one.id for one in desk.archive.entries() if one.id not in str(desk.archive.listing())), "trashed", None
    )
    assert desk.publish().written == 1
    assert len(desk.files()) == 2


def test_an_import_that_is_undone_takes_its_copies_along(desk: Desk) -> None:
    desk.publish()
    desk.archive.undo(desk.archive.receipts()[0].id)
    report = desk.publish()
    assert (report.conversations, report.removed, report.verified) == (0, 2, True)
    assert desk.files() == {}


def test_another_format_takes_the_place_of_the_first(desk: Desk) -> None:
    desk.publish("markdown")
    report = desk.publish("html")
    assert (report.written, report.removed) == (2, 2)
    assert all(name.endswith(".html") for name in desk.files())


def test_titles_that_are_alike_and_long_ones_have_names_of_their_own(tmp_path: Path) -> None:
    titles = ["Same", "same", "SAME", "x" * 400, "X" * 400, "", "..", "con", "\u202egnp.exe", "👨‍👩‍👧‍👦" * 60]
    said = [exports.conversation(f"5e1f0f6a-0000-4000-8000-{n:012}", title, ["Hm?"]) for n, title in enumerate(titles)]
    with _archive(tmp_path / "one", exports.export(tmp_path / "alike.zip", said)) as archive:
        desk = Desk(archive)
        assert desk.publish().verified
        names = list(desk.files())
        assert len({name.casefold() for name in names}) == len(titles)
        assert all(len(part.encode()) <= 255 for name in names for part in name.split("/"))
        assert desk.publish().written == 0


# -- what is not ours


def test_files_that_people_add_or_edit_are_never_touched(desk: Desk) -> None:
    desk.publish()
    edited = desk.name_of("Boats")
    desk.chats.put(edited, b"my own words")
    desk.chats.put("ChatGPT/2024/notes.md", b"mine")
    desk.chats.put("Recipes.txt", b"mine too")
    report = desk.publish()
    assert (report.written, report.removed, report.kept) == (0, 0, 1)
    desk.archive.edit(id_of(desk, "Boats"), "title", "Ships")
    report = desk.publish()
    assert (report.written, report.removed, report.kept, report.verified) == (1, 0, 1, True)
    assert report.problems == []
    files = desk.files()
    assert files[edited] == "my own words"
    assert {files["ChatGPT/2024/notes.md"], files["Recipes.txt"]} == {"mine", "mine too"}
    assert "Ships" in desk.name_of("Ships")


def test_an_edited_copy_keeps_its_name_and_the_next_version_gets_another(desk: Desk) -> None:
    desk.publish()
    edited = desk.name_of("Boats")
    size = len(desk.chats.get(edited))
    desk.chats.put(edited, b"?" * size)  # so that the size says nothing
    desk.archive.edit(id_of(desk, "Boats"), "labels", ["sea"])
    desk.publish()
    files = desk.files()
    assert files.pop(edited) == "?" * size
    assert sum("Boats" in name for name in files) == 1
    assert desk.publish().written == 0


def test_an_edited_copy_survives_the_trash_and_the_end_of_all_copies(desk: Desk) -> None:
    desk.publish()
    edited = desk.name_of("Boats")
    desk.chats.put(edited, b"my own words")
    report = operations.withdraw(desk.archive, Counting(desk.storage), host=desk.host)
    assert (report.removed, report.kept) == (1, 1)
    assert desk.files() == {edited: "my own words"}
    assert len(desk.storage.listing()) == 1


@pytest.mark.parametrize("named", [str, str.upper, str.lower])
def test_a_file_of_somebody_under_a_name_that_we_would_take_is_not_replaced(desk: Desk, named: Any) -> None:
    desk.publish()
    name = desk.name_of("Boats")
    for stored in desk.storage.listing():
        desk.storage.delete(stored.name)
    desk.chats.put(named(name), b"mine")
    assert desk.publish().written == 2
    assert desk.files()[named(name)] == "mine"
    assert len({name.casefold() for name in desk.files()}) == 3


def test_a_copy_that_somebody_deleted_is_written_again(desk: Desk) -> None:
    desk.publish()
    desk.chats.delete(desk.name_of("Boats"))
    assert desk.publish().written == 1
    assert len(desk.files()) == 2


def test_nothing_outside_the_folder_is_touched(desk: Desk) -> None:
    desk.storage.put("Vault/config", b"sealed")
    desk.storage.put("README.txt", b"read me")
    desk.publish()
    operations.withdraw(desk.archive, Counting(desk.storage), host=desk.host)
    assert [stored.name for stored in desk.storage.listing()] == ["README.txt", "Vault/config"]


# -- when the memory is lost, and with two devices


@pytest.mark.parametrize("damage", [None, b"", b"no gzip", gzip.compress(b"no json", mtime=0)])
def test_without_its_memory_it_finds_its_copies_by_what_they_hold(desk: Desk, damage: bytes | None) -> None:
    desk.publish()
    before = desk.files()
    for stored in desk.chats.listing(".chatkeep/"):
        desk.chats.delete(stored.name)
        if damage is not None:
            desk.chats.put(stored.name, damage)
    report = desk.publish()
    assert (report.written, report.unchanged, report.removed, report.verified) == (0, 2, 0, True)
    assert desk.files() == before
    desk.archive.edit(id_of(desk, "Boats"), "title", "Ships")
    assert desk.publish().removed == 1


def test_a_memory_that_a_later_version_wrote_is_left_alone(desk: Desk) -> None:
    desk.publish()
    for stored in desk.chats.listing(".chatkeep/"):
        desk.chats.put(stored.name, gzip.compress(b'{"version":2}', mtime=0))
    with pytest.raises(VaultTooNew):
        desk.publish()


def test_two_devices_write_each_copy_once_and_neither_removes_what_the_other_has(desk: Desk, tmp_path: Path) -> None:
    with _archive(tmp_path / "two", exports.many(tmp_path / "more.zip", 3)) as archive:
        other = Desk(archive, desk.storage, "laptop-2")
        desk.publish()
        assert other.publish().written == 3
        assert desk.publish().removed == 0
        assert len(desk.files()) == 5
        for mine, theirs in ((desk.archive, archive), (archive, desk.archive)):
            mine.apply([theirs.load(entry.id) for entry in theirs.entries()])
        assert [desk.publish().written, other.publish().written] == [0, 0]
        archive.edit(id_of(other, "Boats"), "title", "Ships")
        assert other.publish().written == 1
        desk.archive.apply([archive.load(id_of(other, "Ships"))])
        report = desk.publish()
        assert (report.written, report.kept, report.verified) == (0, 0, True)
        assert len(desk.files()) == 5


# -- attachments


def test_attachments_lie_beside_once_and_go_with_the_last_that_names_them(desk: Desk) -> None:
    report = desk.publish(customisation=WITH_PICTURES)
    assert report.attachments == 1
    (picture,) = [name for name in desk.files() if name.startswith("attachments/")]
    assert desk.chats.get(picture) == exports.PICTURE
    assert f"../../{picture}" in desk.files()[desk.name_of("birthday cake")]
    assert desk.publish(customisation=WITH_PICTURES).attachments == 0
    desk.archive.edit(id_of(desk, "A birthday cake"), "trashed", "2024-05-01T00:00:00Z")
    desk.publish(customisation=WITH_PICTURES)
    assert [name for name in desk.files() if name.startswith("attachments/")] == []


def test_without_attachments_none_are_sent(desk: Desk) -> None:
    assert desk.publish().attachments == 0
    assert not [name for name in desk.files() if name.startswith("attachments/")]


# -- what no place takes


def test_a_copy_that_is_too_large_is_told_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "MAX_OBJECT", 400)
    report = desk.publish("json")
    assert report.left_out > 0
    assert len(report.problems) == report.left_out
    again = desk.publish("json")
    assert (again.problems, again.left_out, again.written) == ([], report.left_out, 0)
    monkeypatch.undo()
    for title in ("Boats", "A birthday cake"):
        desk.archive.edit(id_of(desk, title), "labels", ["sea"])
    assert desk.publish("json").left_out == 0
    assert len(desk.files()) == 2


class Choosy(Around):
    """A place that does not take some names."""

    def put(self, name: str, data: bytes) -> StoredObject:
        if "Boats" in name:
            raise Refused("No boats.", hint="Rename it.")
        return super().put(name, data)


def test_a_name_that_the_place_refuses_is_told_and_stops_nothing(desk: Desk) -> None:
    report = desk.publish(through=Choosy(desk.storage))
    assert (report.written, len(report.problems), report.verified) == (1, 1, False)
    assert "Rename it." in report.problems[0].what


def test_a_place_that_takes_nothing_is_an_error(desk: Desk) -> None:
    from chatkeep.storage import ReadOnly

    with pytest.raises(Refused):
        desk.publish(through=ReadOnly(desk.storage))


# -- stopped and killed


def test_stopped_it_goes_on_where_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "FEW_FILES", 1)

    def stop(step: Step) -> None:
        if step.done:
            raise Cancelled("It was asked to stop.")

    with pytest.raises(Cancelled):
        desk.publish(progress=stop)
    assert len(desk.files()) == 1
    report = desk.publish()
    assert (report.written, report.unchanged, report.kept) == (1, 1, 0)


@pytest.mark.parametrize("how", ["crash", "crash after"])
def test_killed_at_any_call_the_next_run_takes_nothing_of_ours_for_somebody_elses(
    tmp_path: Path, how: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first publishing, then one with a change, killed at every call; the conversation changes again after it."""
    monkeypatch.setattr(publishing, "FEW_FILES", 2)
    with _archive(tmp_path / "one", exports.many(tmp_path / "many.zip", 3)) as archive:
        kills = 0
        for begun in (False, True):
            nth = 0
            while True:
                nth += 1
                desk = Desk(archive)
                if begun:
                    desk.publish()
                    for one in archive.listing():
                        archive.edit(one.id, "title", f"Chat {nth} {one.id[-3:]}" if one.id[-1] == "0" else None)
                        archive.edit(one.id, "labels", [f"a{nth}"])
                faulty = FaultyStorage(desk.storage, Fault("any", nth, how))
                try:
                    desk.publish(through=faulty)
                except Crash:
                    kills += 1
                if len(faulty.calls) < nth:
                    break
                for one in archive.listing():
                    archive.edit(one.id, "labels", [f"b{nth}"])
                report = desk.publish()
                assert (report.kept, report.verified, report.problems) == (0, True, []), (begun, nth)
                assert len(desk.files()) == 3, (begun, nth, sorted(desk.files()))
                assert desk.publish().written == 0
        assert kills > 15


def test_copies_in_a_folder_are_ordinary_files(desk: Desk, tmp_path: Path) -> None:
    desk.storage = Folder(tmp_path / "place", new=True)
    desk.publish(customisation=WITH_PICTURES)
    found = [path for path in (tmp_path / "place" / "Chats").rglob("*.md") if path.is_file()]
    assert len(found) == 2
    assert desk.publish(customisation=WITH_PICTURES).written == 0


def _memory(desk: Desk) -> str:
    return "".join(
        gzip.decompress(desk.chats.get(stored.name)).decode()
        for stored in desk.chats.listing(".chatkeep/")
        if stored.name.startswith(f".chatkeep/{desk.host}.")
    )


def test_an_erased_conversation_leaves_no_copy_no_attachment_and_no_name(desk: Desk) -> None:
    desk.publish(customisation=WITH_PICTURES)
    name = desk.name_of("cake")
    id = next(one.id for one in desk.archive.listing() if "cake" in one.title)
    assert "cake" in _memory(desk)
    assert [file for file in desk.files() if file.startswith("attachments/")]
    assert operations.erase_copies(desk.storage, [id], host=desk.host) == []
    assert name not in desk.files()
    assert [file for file in desk.files() if file.startswith("attachments/")] == []
    assert "cake" not in _memory(desk)
    assert len(desk.files()) == 1
    assert operations.erase_copies(desk.storage, [id], host=desk.host) == []


def test_the_copy_of_an_erased_conversation_that_another_device_wrote_goes_too(desk: Desk) -> None:
    desk.publish()
    id = next(one.id for one in desk.archive.listing() if "cake" in one.title)
    assert operations.erase_copies(desk.storage, [id], host="phone-2") == []
    assert [name for name in desk.files() if "cake" in name] == []
    assert len(desk.files()) == 1


def test_an_edited_copy_of_an_erased_conversation_stays_and_is_told(desk: Desk) -> None:
    desk.publish()
    name = desk.name_of("cake")
    desk.chats.put(name, b"# My own words")
    id = next(one.id for one in desk.archive.listing() if "cake" in one.title)
    problems = operations.erase_copies(desk.storage, [id], host=desk.host)
    assert [problem.where for problem in problems] == [f"Chats/{name}"]
    assert desk.files()[name] == "# My own words"
