"""Several threads and programs may use one archive at once."""

from __future__ import annotations

import gc
import io
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from archive.talks import said, take, take_one, talk
from chatkeep.archive import Archive
from chatkeep.model import Part
from chatkeep.records import Loaded


def test_readers_see_whole_conversations_while_an_import_runs(archive: Archive) -> None:
    take(archive, talk("talk 0", ["peas"]))
    stop = threading.Event()

    def read() -> int:
        seen = 0
        while not stop.is_set():
            for one in archive.listing(limit=5):
                assert archive.window(one.id).total == len(archive.load(one.id).messages) == one.messages
            total = archive.search("yes").total
            assert total >= seen
            seen = total
        return seen

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            take(archive, *(talk(f"talk {number}", ["word " * 500, "yes"]) for number in range(1, 2001)))
        finally:
            stop.set()
        assert all(reader.result() <= 2000 for reader in readers)
    assert archive.search("yes").total == 2000


def test_what_people_do_gets_in_between_the_batches_of_an_import(archive: Archive) -> None:
    take(archive, talk("garden", ["peas"]))
    with archive.take_in("export.zip", "d", "test/1") as intake:
        for number in range(1500):
            take_one(intake, talk(f"talk {number}", ["word " * 1000, "yes"]))
            if number == 700:
                editing = threading.Thread(target=archive.edit, args=(talk("garden").id, "starred", True))
                editing.start()
        editing.join(timeout=10)
        assert not editing.is_alive()
    assert archive.listed(talk("garden").id).starred
    assert archive.count() == 1501


def test_an_edit_during_an_import_of_the_same_conversation_is_not_lost(archive: Archive) -> None:
    take(archive, talk("garden", ["peas"]))
    with archive.take_in("export.zip", "d", "test/1") as intake:
        take_one(intake, talk("garden", ["peas", "beans"]))
        archive.edit(talk("garden").id, "title", "Mine")
    listed = archive.listed(talk("garden").id)
    assert (listed.title, listed.messages) == ("Mine", 2)


def test_two_imports_at_once_bring_everything_once(tmp_path: Path) -> None:
    talks = [talk(f"talk {number}", ["peas", "yes"]) for number in range(600)]
    with Archive.open(tmp_path) as one, Archive.open(tmp_path) as other, ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(take, one, *talks), pool.submit(take, other, *reversed(talks))]:
            assert done.result().added <= 600
        assert one.count() == 600
        assert one.search("yes").total == 600
        assert one.check() == []


def test_an_archive_serves_threads_that_come_and_go(archive: Archive) -> None:
    take(archive, talk("garden", ["peas"]))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: archive.search("peas").total, range(64))) == {1}
    archive.close()
    archive.close()
    assert archive.search("peas").total == 1


def test_connections_of_threads_that_have_ended_are_closed(archive: Archive) -> None:
    for _ in range(5):
        thread = threading.Thread(target=archive.count)
        thread.start()
        thread.join()
    assert len(archive._connections) <= 2


def test_an_archive_may_be_made_by_many_at_once(tmp_path: Path) -> None:
    def make(_: int) -> int:
        with Archive.open(tmp_path / "data") as archive:
            return archive.count()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(make, range(16))) == {0}


def test_an_attachment_brought_again_while_its_import_is_undone_stays(archive: Archive) -> None:
    def sea(name: str, sha256: str) -> Loaded:
        part = Part(type="attachment", sha256=sha256, name="boat.png")
        return Loaded(conversations=(talk(name, messages=(said(name, 0, "", parts=(part,)),)),))

    with archive.take_in("export.zip", "d", "test/1") as first:
        kept = first.keep(io.BytesIO(b"a boat"))
        first.take(sea("sea", kept.sha256))
    with archive.take_in("export.zip", "d", "test/1") as second:
        again = second.keep(io.BytesIO(b"a boat"))
        archive.undo(first.receipt.id)
        second.take(sea("lake", again.sha256))
    assert archive.attachment(kept.sha256).read_bytes() == b"a boat"
    assert list((archive.folder / "attachments" / "new").iterdir()) == []


def test_what_a_killed_program_left_waiting_is_swept_by_who_writes_a_day_later(tmp_path: Path) -> None:
    waiting = tmp_path / "attachments" / "new"
    waiting.mkdir(parents=True)
    for name, age in (("old", 100_000), ("fresh", 10)):
        (waiting / name).write_bytes(b"x")
        os.utime(waiting / name, (time.time() - age, time.time() - age))
    with Archive.open(tmp_path) as archive:
        take(archive, talk("garden", ["peas"]))
    assert [path.name for path in waiting.iterdir()] == ["fresh"]


def test_edits_of_one_conversation_by_several_lose_none(tmp_path: Path) -> None:
    garden = talk("garden", ["peas"])
    with Archive.open(tmp_path, device="a") as one, Archive.open(tmp_path, device="b") as other:
        take(one, garden)

        def edit(archive: Archive, field: str, values: list[object]) -> None:
            for value in values:
                archive.edit(garden.id, field, value)

        with ThreadPoolExecutor(3) as pool:
            for done in [
                pool.submit(edit, one, "title", [f"Title {number}" for number in range(20)]),
                pool.submit(edit, other, "labels", [[f"label {number}"] for number in range(20)]),
                pool.submit(edit, one, "starred", [True, False] * 9 + [True]),
            ]:
                done.result()
        listed = other.listed(garden.id)
        assert (listed.title, listed.labels, listed.starred) == ("Title 19", ["label 19"], True)
        assert one.search("title").total == 1
        assert one.check() == []


def test_imports_that_overlap_leave_the_interpreter_as_it_was(archive: Archive) -> None:
    before = gc.isenabled(), sys.getswitchinterval()
    first = archive.take_in("a.zip", "d", "test/1")
    second = archive.take_in("b.zip", "d", "test/1")
    first.__enter__()
    second.__enter__()
    assert not gc.isenabled()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert (gc.isenabled(), sys.getswitchinterval()) == before
