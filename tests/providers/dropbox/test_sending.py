from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chatkeep.errors import QuotaFull, Refused, SlowDown, Unavailable
from chatkeep.providers.dropbox import Dropbox
from chatkeep.providers.dropbox.sending import CHUNK, SESSIONS_AT_ONCE
from chatkeep.providers.http import Gate
from chatkeep.providers.notes import MemoryNotes
from chatkeep.testing.storage_suite import sample
from fakes.dropbox import DropboxFake
from fakes.given import Cloud

from .conftest import Time

Opened = Callable[..., Dropbox]
LARGE = sample(CHUNK, of="large") * 3 + b"and an end"


def _calls(fake: DropboxFake) -> list[str]:
    """The routes that were called since the last time, without their common beginning."""
    made = [call.removeprefix("files/").removeprefix("upload_session/") for call in fake.calls]
    fake.calls.clear()
    return made


def _sent(cloud: Cloud) -> int:
    """Bytes of content that came since the last time."""
    size = sum(entry.sent for entry in cloud.journal.entries if entry.host.startswith("content"))
    cloud.journal.clear()
    return size


def test_a_small_object_is_one_request_and_a_large_one_as_many_as_its_pieces(
    storage: Dropbox, fake: DropboxFake
) -> None:
    _calls(fake)
    storage.put("a", b"x" * CHUNK)
    assert _calls(fake) == ["upload"]
    storage.put("b", LARGE)
    assert _calls(fake) == ["start", "append_v2", "append_v2", "finish"]
    assert fake.files()["/Chatkeep/b"] == LARGE


def test_what_was_changed_on_the_way_is_not_kept(storage: Dropbox, dropbox_fake: Cloud, fake: DropboxFake) -> None:
    dropbox_fake.faults.garble("content.dropboxapi.com", at=5, times=2)
    with pytest.raises(Unavailable, match="not what was sent"):
        storage.put("a", b"a few bytes")
    with pytest.raises(Unavailable, match="not what was sent"):
        storage.put("b", LARGE)
    assert fake.files() == {}
    storage.put("b", LARGE)
    assert storage.get("b") == LARGE


def test_an_upload_that_broke_off_goes_on_in_the_next_process(
    opened: Opened, storage: Dropbox, dropbox_fake: Cloud, fake: DropboxFake
) -> None:
    dropbox_fake.faults.cut("append_v2", after=CHUNK // 2, nth=2)
    with pytest.raises(Unavailable):
        storage.put("a", LARGE)
    assert "/Chatkeep/a" not in fake.files()
    _sent(dropbox_fake), _calls(fake)
    opened().put("a", LARGE)
    assert _sent(dropbox_fake) == len(LARGE) - 2 * CHUNK
    assert _calls(fake) == ["get_metadata", "append_v2", "append_v2", "finish"]
    assert fake.files() == {"/Chatkeep/a": LARGE}


def test_a_piece_whose_answer_was_lost_is_not_sent_again(
    opened: Opened, storage: Dropbox, dropbox_fake: Cloud, fake: DropboxFake
) -> None:
    dropbox_fake.faults.lose("append_v2", nth=2)
    with pytest.raises(Unavailable):
        storage.put("a", LARGE)
    _sent(dropbox_fake)
    storage.put("a", LARGE)
    assert _sent(dropbox_fake) == len(LARGE) - 3 * CHUNK
    assert fake.files() == {"/Chatkeep/a": LARGE}


def test_a_commit_whose_answer_was_lost_is_not_made_again(
    storage: Dropbox, dropbox_fake: Cloud, fake: DropboxFake, notes: MemoryNotes
) -> None:
    dropbox_fake.faults.lose("upload_session/finish$")
    with pytest.raises(Unavailable):
        storage.put("a", LARGE)
    _sent(dropbox_fake)
    storage.put("a", LARGE)
    assert _sent(dropbox_fake) == 0
    assert len(fake.account().tree.history["/chatkeep/a"]) == 1
    assert not [key for key in notes._kept if key.startswith("upload:")]


def test_other_bytes_for_the_same_name_are_another_upload(
    storage: Dropbox, dropbox_fake: Cloud, fake: DropboxFake
) -> None:
    dropbox_fake.faults.lose("append_v2")
    with pytest.raises(Unavailable):
        storage.put("a", LARGE)
    storage.put("a", LARGE[::-1])
    assert fake.files() == {"/Chatkeep/a": LARGE[::-1]}


@pytest.mark.parametrize("forgets", [True, False])
def test_an_upload_that_dropbox_forgot_is_begun_anew(
    storage: Dropbox, dropbox_fake: Cloud, fake: DropboxFake, *, forgets: bool
) -> None:
    dropbox_fake.faults.lose("append_v2")
    with pytest.raises(Unavailable):
        storage.put("a", LARGE)
    if forgets:
        fake.account().sessions.clear()
    else:
        now = fake.clock()
        fake.clock = lambda: now + 8 * 24 * 3600
        fake.consent.clock = lambda: now
    storage.put("a", LARGE)
    assert fake.files() == {"/Chatkeep/a": LARGE}


@pytest.mark.parametrize("route", ["append_v2", "finish"])
def test_a_session_that_is_lost_under_way_is_begun_anew(storage: Dropbox, fake: DropboxFake, route: str) -> None:
    def forget(called: str) -> None:
        if called.endswith(route):
            fake.before = lambda called: None
            fake.account().sessions.clear()

    fake.before = forget
    storage.put("a", LARGE)
    assert fake.files() == {"/Chatkeep/a": LARGE}


def test_sessions_that_are_always_lost_are_given_up(storage: Dropbox, fake: DropboxFake) -> None:
    fake.before = lambda called: fake.account().sessions.clear()
    with pytest.raises(Unavailable):
        storage.put("a", LARGE)


def test_a_session_that_never_gets_on_is_given_up(storage: Dropbox, dropbox_fake: Cloud) -> None:
    stuck = b'{"error_summary": "", "error": {".tag": "incorrect_offset", "correct_offset": 0}}'
    json = {"Content-Type": "application/json"}
    dropbox_fake.faults.fail("append_v2", 409, headers=json, body=stuck, times=1000)
    with pytest.raises(Unavailable):
        storage.put("a", LARGE)
    dropbox_fake.faults.clear()
    dropbox_fake.faults.fail("append_v2", 409, headers=json, body=b'{"error": {".tag": "other"}}')
    with pytest.raises(Unavailable):
        storage.put("a", LARGE)


@pytest.mark.parametrize("many", [1, 6])
def test_what_dropbox_keeps_otherwise_than_it_was_sent_is_taken_away(
    storage: Dropbox, fake: DropboxFake, many: int
) -> None:
    fake.spoils = True
    with pytest.raises(Unavailable, match="not what was sent"):
        storage.put_many({f"{i}": b"x" for i in range(many)})
    assert "/Chatkeep/0" not in fake.files()


_KILLED = """
import sys
from pathlib import Path
from chatkeep.providers.dropbox import DROPBOX, SIGN_IN
from chatkeep.providers import Access, Client, Endpoints, Gate, Means, Tokens
class Store:
    def load(self): return Tokens(sys.argv[2], "", 1e12, ())
class FileNotes:
    def get(self, key): return None
    def put(self, key, value): (Path(sys.argv[3]) / key).write_bytes(value)
    def drop(self, key): (Path(sys.argv[3]) / key).unlink()
endpoints = Endpoints(sys.argv[1])
access = Access(SIGN_IN, Client("cid"), Store(), endpoints)
storage = DROPBOX.open({}, False, Means(access, FileNotes(), endpoints, Gate()))
storage.put("a", Path(sys.argv[4]).read_bytes())
"""


def test_an_upload_goes_on_after_its_process_was_killed(
    opened: Opened, storage: Dropbox, dropbox_fake: Cloud, fake: DropboxFake, tmp_path: Path, notes: MemoryNotes
) -> None:
    kept = tmp_path / "notes"
    kept.mkdir()
    (tmp_path / "data").write_bytes(LARGE)
    dropbox_fake.faults.stall("append_v2", nth=2)
    words = [dropbox_fake.url, fake.issue().access, str(kept), str(tmp_path / "data")]
    environment = {**os.environ, "PYTHONPATH": "src"}
    with subprocess.Popen([sys.executable, "-c", _KILLED, *words], env=environment) as process:
        deadline = time.monotonic() + 60
        while dropbox_fake.journal.count("append_v2") < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    dropbox_fake.faults.clear()
    for note in kept.iterdir():
        notes.put(note.name, note.read_bytes())
    _sent(dropbox_fake)
    opened().put("a", LARGE)
    assert _sent(dropbox_fake) == len(LARGE) - 2 * CHUNK
    assert fake.files() == {"/Chatkeep/a": LARGE}


def test_a_commit_that_another_device_is_in_the_way_of_is_tried_again(
    storage: Dropbox, fake: DropboxFake, waited: Time
) -> None:
    fake.refuse_commits = 3
    storage.put("a", b"x")
    assert len(waited.slept) == 3
    assert 1.5 < sum(waited.slept) < 6
    fake.refuse_commits = 2
    storage.put("b", LARGE)
    assert fake.files() == {"/Chatkeep/a": b"x", "/Chatkeep/b": LARGE}


def test_it_gives_up_with_a_pause_when_others_write_all_the_time(storage: Dropbox, fake: DropboxFake) -> None:
    fake.refuse_commits = 100
    with pytest.raises(SlowDown) as raised:
        storage.put("a", b"x")
    assert raised.value.wait_s > 0
    assert fake.files() == {}


def test_many_small_objects_are_few_requests_and_one_commit(storage: Dropbox, fake: DropboxFake) -> None:
    objects = {f"Chats/{i % 7}/{i}": sample(i * 10, of=str(i)) for i in range(100)}
    storage.put_many({"first": b""})
    _calls(fake)
    told = storage.put_many(objects)
    assert [(one.name, one.size) for one in told] == [(name, len(data)) for name, data in objects.items()]
    assert _calls(fake) == ["start_batch", *["append_batch"] * 4, "finish_batch_v2"]
    assert fake.files() == {"/Chatkeep/first": b""} | {f"/Chatkeep/{name}": data for name, data in objects.items()}


def test_large_and_small_objects_are_committed_together(storage: Dropbox, fake: DropboxFake) -> None:
    objects = {"large/1": LARGE, "small/1": b"a", "large/2": LARGE[::-1], "empty": b"", "small/2": b"b"}
    _calls(fake)
    storage.put_many(objects)
    calls = _calls(fake)
    assert (calls[0], calls[-1]) == ("start_batch", "finish_batch_v2")
    assert sorted(calls[1:-1]) == ["append_batch"] + ["append_v2"] * 8
    assert fake.files() == {f"/Chatkeep/{name}": data for name, data in objects.items()}


def test_more_objects_than_one_commit_takes_are_two_commits(storage: Dropbox, fake: DropboxFake) -> None:
    objects = {f"{i}": b"" for i in range(SESSIONS_AT_ONCE + 5)}
    _calls(fake)
    assert len(storage.put_many(objects)) == len(objects)
    calls = _calls(fake)
    assert [call for call in calls if call != "append_batch"] == ["start_batch", "finish_batch_v2"] * 2
    assert len(calls) < len(objects) / 25


def test_only_those_that_a_commit_left_out_are_committed_again(storage: Dropbox, fake: DropboxFake) -> None:
    fake.refuse_commits = 2
    _calls(fake)
    storage.put_many({name: name.encode() for name in "abcde"})
    assert _calls(fake) == ["start_batch", "append_batch", "finish_batch_v2", "finish_batch_v2"]
    assert [len(fake.account().tree.history[f"/chatkeep/{name}"]) for name in "abcde"] == [1] * 5


def test_many_threads_and_handles_commit_one_after_the_other(
    opened: Opened, storage: Dropbox, fake: DropboxFake
) -> None:
    handles = [storage, opened(), opened()]
    sets = [{f"{n}/{name}": b"%d" % n for name in "abcd"} for n in range(9)]
    with ThreadPoolExecutor(9) as pool:
        list(pool.map(lambda n: handles[n % 3].put_many(sets[n]), range(9)))
    assert len(fake.files()) == 36
    assert fake.refused == 0


def test_pieces_that_came_are_not_sent_again_with_many_objects_either(
    opened: Opened, storage: Dropbox, dropbox_fake: Cloud, fake: DropboxFake
) -> None:
    objects = {"large": LARGE, **{name: name.encode() for name in "abcd"}}
    dropbox_fake.faults.lose("finish_batch_v2")
    with pytest.raises(Unavailable):
        storage.put_many(objects)
    _sent(dropbox_fake)
    opened().put_many(objects)
    assert _sent(dropbox_fake) == 4
    dropbox_fake.faults.cut("append_v2", after=100, nth=3)
    objects["large"] = LARGE[::-1]
    with pytest.raises(Unavailable):
        storage.put_many(objects)
    _sent(dropbox_fake)
    opened().put_many(objects)
    assert _sent(dropbox_fake) <= len(LARGE) - 2 * CHUNK + 4
    assert fake.files()["/Chatkeep/large"] == LARGE[::-1]


def test_objects_whose_sessions_are_lost_are_sent_one_by_one(storage: Dropbox, fake: DropboxFake) -> None:
    def forget() -> None:
        fake.during_commit = lambda: None
        fake.account().sessions.clear()

    fake.during_commit = forget
    objects = {"large": LARGE, **{name: name.encode() for name in "abcd"}}
    assert [one.name for one in storage.put_many(objects)] == list(objects)
    assert fake.files() == {f"/Chatkeep/{name}": data for name, data in objects.items()}


@pytest.mark.parametrize(
    "objects",
    [{"a": LARGE}, {"a": b"x" * CHUNK, "b": b"x"}, dict.fromkeys("abcde", b"x" * (CHUNK // 4))],
    ids=["one large", "one too many", "the last of many"],
)
def test_a_full_dropbox_keeps_whole_objects_only_and_goes_on_when_there_is_space(
    storage: Dropbox, fake: DropboxFake, objects: dict[str, bytes]
) -> None:
    fake.account().quota = CHUNK
    with pytest.raises(QuotaFull) as raised:
        storage.put_many(objects)
    assert "Free some space" in raised.value.hint
    expected = {f"/Chatkeep/{name}": data for name, data in objects.items()}
    assert fake.files().items() < expected.items()
    fake.account().quota = 10 * CHUNK
    storage.put_many(objects)
    assert fake.files() == expected


def test_a_file_in_the_place_of_a_folder_and_a_folder_in_that_of_a_file_are_refused(storage: Dropbox) -> None:
    storage.put("a/b", b"x")
    for name in ("a", "a/b/c"):
        with pytest.raises(Refused):
            storage.put(name, b"y")
        with pytest.raises(Refused):
            storage.put_many({name: b"y", "1": b"", "2": b"", "3": b""})


def test_a_pause_holds_every_handle_of_the_account(
    opened: Opened, storage: Dropbox, fake: DropboxFake, gate: Gate, waited: Time
) -> None:
    fake.throttle(1, retry_after=20)
    with pytest.raises(SlowDown) as raised:
        storage.put("a", b"x")
    assert raised.value.wait_s == 20
    opened().put("b", b"x")
    assert sum(waited.slept) == 20
    fake.throttle(1, retry_after=300, writes=True)
    with pytest.raises(SlowDown):
        storage.put_many(dict.fromkeys("abcd", b""))
    with pytest.raises(SlowDown) as raised:
        opened().get("b")
    assert raised.value.wait_s == 300
