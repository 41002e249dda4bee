"""A program that is killed leaves whole conversations, and the next import completes what it began."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from archive.talks import take, take_one, talk
from archives import about_files
from chatkeep.archive import Archive, index
from chatkeep.archive.files import Files
from chatkeep.errors import QuotaFull
from chatkeep.model import Conversation, encode
from chatkeep.records import Loaded
from postgres import SERVER

MANY = 3000


def talks() -> list[Conversation]:
    return [talk(f"talk {number}", [f"word{number} " + "and more " * 60, "yes"]) for number in range(MANY)]


def import_them(folder: Path) -> None:
    """What the subprocess does: it says a line when it begins, and is killed at some moment after that."""
    with Archive.open(folder) as archive, archive.take_in("export.zip", "d", "test/1") as intake:
        given = talks()
        print("begun", flush=True)  # noqa: T201
        for conversation in given:
            take_one(intake, conversation)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_killed_import_leaves_whole_records_and_the_next_one_completes_it(
    tmp_path: Path, seed: int, request: pytest.FixtureRequest
) -> None:
    where = f"archives.on_server({request.getfixturevalue('database')!r})" if SERVER else "contextlib.nullcontext()"
    program = (
        "import archives, contextlib; from pathlib import Path; from archive.test_crashing import import_them\n"
        f"with {where}: import_them(Path({str(tmp_path)!r}))"
    )
    roots = os.pathsep.join(["src", "tests"])
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": roots}
    ) as running:
        assert running.stdout
        assert running.stdout.readline() == b"begun\n"
        time.sleep(random.Random(seed).uniform(0.05, 1.2))
        running.send_signal(signal.SIGKILL)

    expected = {conversation.id: encode(conversation) for conversation in talks()}
    with Archive.open(tmp_path) as archive:
        assert archive.check() == []
        there = {entry.id: archive.document(entry.id) for entry in archive.entries()}
        assert there.items() <= expected.items()
        assert archive.search("yes").total == len(there)
        before = len(there)
        assert archive.receipts()[0].added == before
        receipt = take(archive, *talks())
        assert (receipt.added, receipt.unchanged) == (MANY - before, before)
        assert {entry.id: archive.document(entry.id) for entry in archive.entries()} == expected
        assert archive.check() == []


def test_a_failed_write_takes_back_all_of_its_transaction(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        take(archive, talk("garden", ["peas"]))
        intake = archive.take_in("export.zip", "d", "test/1")
        intake.__enter__()
        take_one(intake, talk("sea", ["boats"]))
        intake._writer.execute("INSERT INTO documents (number) VALUES (1)", ())
        with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)):
            intake.__exit__(None, None, None)
        assert archive.count() == 1
        assert archive.check() == []
        assert take(archive, talk("sea", ["boats"])).added == 1


@about_files
def test_when_the_index_fails_nobody_else_may_write_before_the_files_are_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, refused = threading.Event(), []
    settle = Files.settle

    def fail(*_: object) -> None:
        failing.set()
        raise sqlite3.IntegrityError("the index is broken")

    def settle_slowly(self: Files) -> list[tuple[str, int]]:
        failing.wait()
        with contextlib.closing(sqlite3.connect(tmp_path / "archive.sqlite3", timeout=0)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as wrong:
                refused.append(str(wrong))
        return settle(self)

    with Archive.open(tmp_path) as archive:
        monkeypatch.setattr(index.Fts5, "put_in", fail)
        monkeypatch.setattr(Files, "settle", settle_slowly)
        with pytest.raises(sqlite3.IntegrityError):
            take(archive, *(talk(f"sea {number}", ["boats"]) for number in range(100)))
        assert refused == ["database is locked"]
        assert archive.count() == 0


def test_an_operation_cut_off_before_anything_was_written_can_be_listed_and_undone(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        take(archive, talk("garden", ["peas"]))
        intake = archive.take_in("export.zip", "d", "test/1")
        intake.__enter__()
        take_one(intake, talk("sea", ["boats"]))
        intake._writer.failed = True
        intake.__exit__(None, None, None)
        cut_off, before = archive.receipts()
        assert (cut_off.finished, before.finished) == (False, True)
        assert archive.receipt(cut_off.id).id == cut_off.id
        archive.undo(cut_off.id)
        assert archive.count() == 1


@about_files
def test_a_full_disk_is_told_and_nothing_half_is_kept(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        take(archive, talk("garden", ["peas"]))
        intake = archive.take_in("export.zip", "d", "test/1")
        intake.__enter__()
        pages = intake._writer.db.execute("PRAGMA page_count").fetchone()[0]
        intake._writer.db.execute(f"PRAGMA max_page_count={pages + 20}")
        talks = [talk(f"talk {number}", [f"{number} " + "and more " * 300]) for number in range(3000)]
        with pytest.raises(QuotaFull) as full:
            intake.take(Loaded(conversations=[*talks, talk("talk 0", ["once more"])]))
        intake.__exit__(QuotaFull, full.value, None)
        assert archive.count() == 1
        assert not archive.receipts()[0].finished
        assert archive.receipts()[0].added == 0
        assert archive.check() == []
        assert take(archive, talk("sea", ["boats"])).added == 1


@about_files
def test_many_small_changes_leave_few_pieces_of_the_index(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        take(archive, *(talk(f"talk {number}", ["peas"]) for number in range(50)))
        for number in range(60):
            archive.edit(talk(f"talk {number % 50}").id, "title", f"Title {number}")
        assert index.Fts5(archive._db).segments() < 20
        assert archive.search("title").total == 50
        assert archive.check() == []
