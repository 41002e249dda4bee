"""What an import leaves in the archive, and what its receipt says."""

from __future__ import annotations

import gc
import io
from pathlib import Path

import msgspec
import pytest

from archive.talks import digest, said, take, take_one, talk
from chatkeep.archive import Archive, writing
from chatkeep.archive import intake as intake_room
from chatkeep.errors import NotFound, Problem
from chatkeep.merge import merge
from chatkeep.model import Conversation, Message, Part, encode, revision
from chatkeep.records import Loaded


def test_what_was_taken_in_is_given_back_byte_for_byte(archive: Archive) -> None:
    conversation = talk("garden", ["When do I sow peas?", "In March."])
    take(archive, conversation)
    assert archive.document(conversation.id) == encode(conversation)
    assert archive.load(conversation.id) == conversation


def test_a_long_conversation_is_given_back_byte_for_byte(archive: Archive) -> None:
    conversation = talk("long", [f"{number} " + "lorem ipsum " * 200 for number in range(400)])
    take(archive, conversation)
    assert len(encode(conversation)) > 3 << 18
    assert archive.document(conversation.id) == encode(conversation)


def test_a_conversation_without_messages_is_kept_and_listed(archive: Archive) -> None:
    empty = talk("empty", title="")
    take(archive, empty)
    assert archive.document(empty.id) == encode(empty)
    assert [(one.title, one.messages) for one in archive.listing()] == [("", 0)]


def test_the_receipt_counts_conversations_and_messages_by_role(archive: Archive) -> None:
    receipt = take(archive, talk("garden", ["one", "two", "three"]), talk("sea", ["one"]))
    assert (receipt.added, receipt.updated, receipt.unchanged) == (2, 0, 0)
    assert (receipt.messages, receipt.by_role) == (4, {"assistant": 1, "person": 3})
    assert receipt.finished
    assert archive.receipts() == [receipt]


def test_taking_in_twice_adds_nothing(archive: Archive) -> None:
    garden = talk("garden", ["one", "two"])
    take(archive, garden)
    number = archive.number
    again = take(archive, garden)
    assert (again.added, again.updated, again.unchanged, again.messages) == (0, 0, 1, 2)
    assert archive.number == number


def test_a_longer_export_adds_what_is_new_and_keeps_the_rest(archive: Archive) -> None:
    take(archive, talk("garden", ["one", "two"]))
    receipt = take(archive, talk("garden", ["one", "two", "three"]))
    assert (receipt.added, receipt.updated) == (0, 1)
    assert len(archive.load(talk("garden").id).messages) == 3


def test_a_shorter_export_takes_nothing_away(archive: Archive) -> None:
    whole = talk("garden", ["one", "two", "three"])
    take(archive, whole)
    receipt = take(archive, talk("garden", ["one"]))
    assert (receipt.updated, receipt.unchanged) == (0, 1)
    assert archive.load(whole.id) == whole


def test_a_blanked_conversation_never_replaces_a_fuller_one(archive: Archive) -> None:
    whole = talk("garden", ["one", "two"])
    take(archive, whole)
    shell = talk("garden", messages=(said("garden", 0, ""), said("garden", 1, "")), title="")
    take(archive, shell)
    kept = archive.load(whole.id)
    assert kept == merge(whole, shell)
    assert [message.parts for message in kept.messages] == [message.parts for message in whole.messages]
    assert archive.search("two").total == 1


def test_a_known_record_need_not_be_loaded_and_is_counted_as_before(archive: Archive) -> None:
    picture = Part(type="attachment", missing=True, name="boat.png", source_id="file-1")
    garden = talk("garden", ["one", "two"], messages=(said("garden", 2, "", parts=(picture,)),))
    loaded = Loaded(
        conversations=(garden,), problems=(Problem("a", "b"),), unknown={"canvas": 2}, shells=1, notes=("Read it.",)
    )
    with archive.take_in("export.zip", "d", "test/1") as first:
        assert not first.knows(b"1234")
        first.take(loaded, digest=b"1234")
    with archive.take_in("export.zip", "d", "test/1") as second:
        assert second.knows(b"1234")
    before, after = msgspec.to_builtins(first.receipt), msgspec.to_builtins(second.receipt)
    assert {name for name in before if before[name] != after[name]} <= {"id", "at", "added", "unchanged"}
    assert (second.receipt.added, second.receipt.unchanged) == (0, 1)
    assert second.receipt.attachments == {"stored": 0, "missing": 1}


def test_a_record_twice_in_one_export_is_known_the_second_time(archive: Archive) -> None:
    with archive.take_in("export.zip", "d", "test/1") as intake:
        take_one(intake, talk("garden", ["one"]))
        assert intake.knows(digest(talk("garden", ["one"])))
    assert (intake.receipt.added, intake.receipt.unchanged) == (1, 1)


def test_a_better_importer_reads_a_record_again(archive: Archive) -> None:
    take(archive, talk("garden", ["one"]))
    with archive.take_in("export.zip", "d", "test/2") as intake:
        assert not intake.knows(digest(talk("garden", ["one"])))


def test_a_record_that_was_not_complete_is_read_again(archive: Archive) -> None:
    with archive.take_in("export.zip", "d", "test/1") as intake:
        intake.take(Loaded(conversations=(talk("garden", ["one"]),), complete=False), digest=b"1234")
    with archive.take_in("export.zip", "d", "test/1") as intake:
        assert not intake.knows(b"1234")


def test_one_that_was_not_complete_is_known_where_the_same_files_stand_beside_it(archive: Archive) -> None:
    loaded = Loaded(conversations=(talk("garden", ["one"]),), complete=False)
    with archive.take_in("export.zip", "d", "test/1") as intake:
        intake.take(loaded, digest=b"1234", digest_here=b"here")
    with archive.take_in("export.zip", "d", "test/1") as intake:
        assert not intake.knows(b"1234")
        assert not intake.knows(b"there")
        assert intake.knows(b"here")
    assert intake.receipt.unchanged == 1


def test_one_conversation_in_two_records_becomes_one(archive: Archive) -> None:
    receipt = take(archive, talk("garden", ["one"]), talk("garden", ["one", "two"]))
    assert (receipt.added, receipt.updated) == (1, 1)
    assert archive.load(talk("garden").id) == talk("garden", ["one", "two"])


def test_an_import_that_breaks_keeps_whole_records_and_says_so(archive: Archive) -> None:
    intake = archive.take_in("export.zip", "d", "test/1")
    intake.__enter__()
    take_one(intake, talk("garden", ["one", "two"]))
    intake.__exit__(RuntimeError, RuntimeError(), None)
    assert archive.count() == 1
    assert [receipt.finished for receipt in archive.receipts()] == [False]
    again = take(archive, talk("garden", ["one", "two"]), talk("sea", ["one"]))
    assert (again.added, again.unchanged) == (1, 1)


def test_attachments_are_kept_by_content_before_the_rows_that_name_them(archive: Archive) -> None:
    with archive.take_in("export.zip", "d", "test/1") as intake:
        kept = intake.keep(io.BytesIO(b"a picture"))
        assert intake.keep(io.BytesIO(b"a picture")) == kept
        part = Part(type="attachment", sha256=kept.sha256, name="boat.png", media_type="image/png", size=kept.size)
        intake.take(Loaded(conversations=(talk("sea", ["look"], messages=(said("sea", 1, "", parts=(part,)),)),)))
    assert kept.head == b"a picture"
    assert archive.attachment(kept.sha256).read_bytes() == b"a picture"
    info = archive.attachment_info(kept.sha256)
    assert (info.name, info.media_type, info.size) == ("boat.png", "image/png", 9)
    assert list(archive.held()) == [(kept.sha256, 9)]
    assert intake.receipt.attachments == {"stored": 1, "missing": 0}
    with pytest.raises(NotFound):
        archive.attachment("0" * 64)


def test_an_attachment_kept_by_itself_is_there_at_once(archive: Archive) -> None:
    kept = archive.keep(io.BytesIO(b"x" * 3_000_000))
    assert archive.attachment(kept.sha256).stat().st_size == kept.size == 3_000_000


def test_a_failed_import_leaves_no_files_behind(archive: Archive) -> None:
    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            raise OSError("the zip is cut off")

    with archive.take_in("export.zip", "d", "test/1") as intake, pytest.raises(OSError, match="cut off"):
        intake.keep(Broken())  # type: ignore[arg-type]
    assert [path for path in (archive.folder / "attachments").rglob("*") if path.is_file()] == []


def test_a_chat_without_ids_of_its_platform_is_recognised_when_it_comes_again(archive: Archive) -> None:
    lines = [f"This is what was said as number {number}, long enough to be told apart" for number in range(8)]

    def chat(id: str, first: int, last: int) -> object:
        messages = tuple(
            Message(
                id=f"{id}-{number}",
                author="anna" if number % 2 else "berta",
                local_time=f"2024-05-01T10:{number:02}:00",
                parts=(Part(type="text", text=lines[number]),),
                raw=f"{number}",
                by="whatsapp/1",
            )
            for number in range(first, last)
        )
        return talk("", id=id, platform="whatsapp", source_id="", title="Berta", messages=messages, updated_at="")

    take(archive, chat("first-id", 0, 6))  # type: ignore[arg-type]
    receipt = take(archive, chat("later-id", 2, 8))  # type: ignore[arg-type]
    assert (receipt.added, receipt.updated) == (0, 1)
    assert archive.count() == 1
    assert len(archive.load("first-id").messages) == 8
    assert archive.load("later-id").id == "first-id"
    assert take(archive, chat("later-id", 2, 8)).unchanged == 1  # type: ignore[arg-type]


def test_changes_are_numbered_and_tell_the_revision(archive: Archive) -> None:
    take(archive, talk("garden", ["one"]))
    before = archive.number
    take(archive, talk("sea", ["one"]), talk("garden", ["one", "two"]))
    changes = archive.changes_since(before)
    assert [change.id for change in changes] == [talk("sea").id, talk("garden").id]
    assert [change.number for change in changes] == [before + 1, before + 2]
    assert changes[1].revision == revision(archive.document(talk("garden").id))
    assert archive.changes_since(archive.number) == []


def test_entries_come_by_id_with_their_revisions(archive: Archive) -> None:
    take(archive, *(talk(f"talk {number}", ["one"]) for number in range(20)))
    entries = list(archive.entries())
    assert [entry.id for entry in entries] == sorted(entry.id for entry in entries)
    assert all(entry.revision == revision(archive.document(entry.id)) for entry in entries)


def test_counts_add_up(archive: Archive) -> None:
    take(archive, talk("garden", ["one", "two"]), talk("sea", ["one"]))
    size = sum(len(archive.document(entry.id)) for entry in archive.entries())
    kept = archive.keep(io.BytesIO(b"12345"))
    counts = archive.counts()
    assert (counts.conversations, counts.messages, counts.attachments) == (2, 3, 1)
    assert counts.bytes == size + kept.size


def test_two_archives_in_one_folder_know_nothing_of_each_other(tmp_path: Path) -> None:
    garden = talk("garden", ["peas and beans"])
    with Archive.open(tmp_path) as mine, Archive.open(tmp_path, archive_id="family") as ours:
        take(mine, garden)
        assert take(ours, garden).added == 1
        take(ours, talk("sea", ["beans overboard"]))
        assert (mine.count(), ours.count()) == (1, 2)
        assert (mine.search("beans").total, ours.search("beans").total) == (1, 2)
        assert len(mine.receipts()) == 1
        mine.edit(garden.id, "trashed", True)
        assert (mine.search("beans").total, ours.search("beans").total) == (0, 2)
        assert mine.check() == ours.check() == []


def test_many_conversations_are_taken_in_over_several_batches(archive: Archive) -> None:
    talks = [talk(f"talk {number}", [f"{'word ' * 300}{number}", "yes"]) for number in range(5000)]
    receipt = take(archive, *talks)
    assert receipt.added == archive.count() == 5000
    assert archive.search("yes").total == 5000
    assert take(archive, *talks[:100]).unchanged == 100


@pytest.mark.parametrize("size", [0, 1, 63, 64 << 10, (64 << 10) + 1, 3_000_000])
def test_attachments_of_every_size_are_kept_whole(archive: Archive, size: int) -> None:
    class Halting(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 1000) if (size or 0) > 0 else size)

    data = bytes(range(256)) * (size // 256 + 1)
    kept = archive.keep(Halting(data[:size]))
    assert (kept.size, kept.head) == (size, data[: min(size, 64)])
    assert archive.attachment(kept.sha256).read_bytes() == data[:size]


def test_many_small_attachments_are_kept_while_others_are_written(archive: Archive) -> None:
    with archive.take_in("export.zip", "d", "test/1") as intake:
        for number in range(1200):
            kept = intake.keep(io.BytesIO(b"%d " % number * 4000))
            part = Part(type="attachment", sha256=kept.sha256, name="p.png")
            name = f"talk {number}"
            message = said(name, 1, "look " * 1500, parts=(part, Part(type="text", text="look " * 1500)))
            intake.take(Loaded(conversations=(talk(name, messages=(message,)),)))
    held = dict(archive.held())
    assert len(held) == 1200
    assert {sha256 for one in archive.documents() for sha256 in _hashes(one)} == held.keys()
    assert all(archive.attachment(sha256).stat().st_size == size for sha256, size in held.items())


def _hashes(conversation: Conversation) -> set[str]:
    return {part.sha256 for message in conversation.messages for part in message.parts if part.sha256}


def test_a_record_that_comes_again_much_later_in_one_export_is_known_from_the_tables(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_room, "_RECENT", 2)
    monkeypatch.setattr(writing, "BATCH_DOCUMENTS", 1)
    names = [f"talk {number}" for number in range(12)]
    with archive.take_in("export.zip", "d", "test/1") as intake:
        for name in names:
            take_one(intake, talk(name, ["one"]))
        assert all(intake.knows(digest(talk(name, ["one"]))) for name in names)
        assert len(intake._digests) + len(intake._older_digests) <= 4
    assert (intake.receipt.added, intake.receipt.unchanged) == (12, 12)
    archive.undo(intake.receipt.id)
    assert archive.count() == 0


def test_conversations_leave_no_cycles_since_an_import_frees_none(archive: Archive) -> None:
    talks = [talk(f"talk {number}", ["one", "two"]) for number in range(60)]
    with archive.take_in("export.zip", "", "chatgpt/1") as intake:
        intake.take(Loaded(tuple(talks[:10])))
        gc.collect()
        for one in talks[10:]:
            intake.take(Loaded((one,)))
        left = gc.collect()
    assert left < len(talks[10:])
