from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chatkeep.errors import NotFound, QuotaFull, Refused, Unavailable
from chatkeep.providers.folder import PARTIAL, SWEEP_AFTER_S, Folder
from chatkeep.storage import move, watch
from chatkeep.testing.storage_suite import StorageSuite


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


class TestFolder(StorageSuite):
    @pytest.fixture
    def storage(self, place: Path) -> Folder:
        return Folder(place, new=True)

    @pytest.fixture
    def second(self, storage: Folder, place: Path) -> Folder:
        return Folder(place)


def test_an_object_is_a_file_of_the_same_name_that_only_its_owner_reads(place: Path) -> None:
    Folder(place, new=True).put("Vault/data/ab/abcd", b"sealed")
    assert (place / "Vault/data/ab/abcd").read_bytes() == b"sealed"
    assert (place / "Vault/data/ab/abcd").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_has_gone_is_never_taken_for_an_empty_one(place: Path) -> None:
    with pytest.raises(Unavailable) as raised:
        Folder(place)
    assert "Plug in" in raised.value.hint
    storage = Folder(place, new=True)
    place.rename(place.with_name("unplugged"))
    with pytest.raises(Unavailable):
        storage.listing()
    with pytest.raises(Unavailable):
        storage.put("a", b"x")
    assert not place.exists()


def test_a_put_finds_its_way_after_somebody_removed_a_sub_folder(place: Path) -> None:
    storage = Folder(place, new=True)
    storage.put("a/b/c", b"1")
    (place / "a/b/c").unlink()
    (place / "a/b").rmdir()
    storage.put("a/b/c", b"2")
    assert storage.get("a/b/c") == b"2"


def test_links_that_lead_out_are_not_followed(place: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"not ours")
    storage = Folder(place, new=True)
    (place / "way_out").symlink_to(outside)
    (place / "file").symlink_to(outside / "secret")
    for call in (storage.get, storage.stat, storage.delete, lambda name: storage.put(name, b"x")):
        with pytest.raises(Refused):
            call("way_out/secret")
    with pytest.raises(Refused):
        storage.listing("way_out/")
    with pytest.raises((Refused, NotFound, Unavailable)):
        storage.get("file")
    assert storage.listing() == []
    assert (outside / "secret").read_bytes() == b"not ours"


def test_replacing_a_link_replaces_the_link_and_not_what_it_leads_to(place: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"not ours")
    storage = Folder(place, new=True)
    (place / "file").symlink_to(tmp_path / "secret")
    storage.put("file", b"ours")
    assert (tmp_path / "secret").read_bytes() == b"not ours"
    assert storage.get("file") == b"ours"


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOSPC, QuotaFull), (errno.EROFS, Refused), (errno.EACCES, Refused), (errno.EIO, Unavailable)],
)
def test_a_put_that_fails_leaves_the_old_object_and_no_litter(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    storage = Folder(place, new=True)
    storage.put("a", b"old")

    def fail(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(expected):
        storage.put("a", b"new")
    assert storage.get("a") == b"old"
    assert list((place / PARTIAL).iterdir()) == []


_KILLED = """
import os, sys
from pathlib import Path
from chatkeep.providers.folder import Folder
steps, at = [], int(sys.argv[2])
def dying(real):
    def call(*args, **kwargs):
        steps.append(real)
        if len(steps) == at:
            os._exit(9)
        return real(*args, **kwargs)
    return call
storage = Folder(Path(sys.argv[1]))
os.fsync, Path.replace, os.open = dying(os.fsync), dying(Path.replace), dying(os.open)
storage.put("new/object", b"new" * 1000)
storage.put("old", b"newer" * 1000)
"""


def test_a_process_killed_at_any_step_of_a_put_leaves_whole_objects_only(place: Path) -> None:
    outcomes = set()
    for step in range(1, 100):
        storage = Folder(place, new=True)
        storage.put("old", b"old")
        storage.delete("new/object")
        command = [sys.executable, "-c", _KILLED, str(place), str(step)]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": "src"}, check=False)
        seen = {stored.name: storage.get(stored.name) for stored in storage.listing()}
        assert seen.pop("old") in (b"old", b"newer" * 1000)
        assert seen in ({}, {"new/object": b"new" * 1000})
        outcomes.add(done.returncode)
        if done.returncode == 0:
            break
    assert outcomes == {0, 9}


def test_old_leftovers_are_swept_and_young_ones_left_alone(place: Path) -> None:
    storage = Folder(place, new=True)
    storage.put("a", b"x")
    old, young = place / PARTIAL / "old", place / PARTIAL / "young"
    for left in (old, young):
        left.write_bytes(b"half")
    long_ago = old.stat().st_mtime - SWEEP_AFTER_S - 60
    os.utime(old, (long_ago, long_ago))
    assert [stored.name for stored in Folder(place).listing()] == ["a"]
    assert (old.exists(), young.exists()) == (False, True)


def test_unfinished_files_cannot_be_reached_by_name(place: Path) -> None:
    storage = Folder(place, new=True)
    with pytest.raises(Refused):
        storage.put(f"{PARTIAL}/x", b"")
    with pytest.raises(Refused):
        storage.listing(f"{PARTIAL}/")


def test_a_file_of_any_size_is_moved_without_being_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Folder(place, new=True)
    (place / "Inbox").mkdir()
    with (place / "Inbox/export.zip").open("wb") as file:
        file.truncate(40 * 1024**3)
    move(storage, "Inbox/export.zip", "Done/export.zip")
    assert [(one.name, one.size) for one in storage.listing()] == [("Done/export.zip", 40 * 1024**3)]
    with pytest.raises(Refused):
        move(storage, "Done/export.zip", "Inbox")


_WATCHING = """
import sys, time
from pathlib import Path
from chatkeep.providers.folder import Folder
from chatkeep.storage import Below, Counting, watch
storage = Counting(Below(Folder(Path(sys.argv[1])), "Vault"))
watch(storage, "locks/it's mine $(touch x)")
storage.put("locks/it's mine $(touch x)", b"x")
print("ready", flush=True)
time.sleep(60)
"""


def test_a_watched_object_goes_when_its_process_is_killed_and_no_other_does(place: Path) -> None:
    storage = Folder(place, new=True)
    storage.put("Vault/locks/another", b"x")
    command = [sys.executable, "-c", _WATCHING, str(place)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": "src"}, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        assert len(storage.listing()) == 2
        process.kill()
    deadline = time.monotonic() + 10
    while len(storage.listing()) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [stored.name for stored in storage.listing()] == ["Vault/locks/another"]


def test_a_watch_that_is_ended_removes_its_object_and_ending_it_twice_is_quiet(place: Path) -> None:
    storage = Folder(place, new=True)
    ended = watch(storage, "a")
    storage.put("a", b"x")
    ended()
    ended()
    assert storage.listing() == []
