"""Sessions: what is sent once is not sent again, and what was begun is ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.providers.onedrive.conftest import Clock, Opening

from chatkeep.errors import Damaged, QuotaFull, Refused, SlowDown, Unavailable
from chatkeep.providers import Gate, MemoryNotes
from chatkeep.providers.onedrive.uploads import ABANDONED_S, FRAGMENT
from chatkeep.storage import Retrying
from chatkeep.testing.storage_suite import sample
from fakes.given import Cloud

SENDING = r"^PUT fake\.up"
LARGE = sample(2 * FRAGMENT + 5)
PLACE = "Apps/Chatkeep/Chatkeep"


def pieces(cloud: Cloud) -> list[int]:
    return [entry.sent for entry in cloud.journal.entries if "/up/" in entry.path and entry.method == "PUT"]


def test_an_object_of_one_fragment_costs_one_request_and_a_larger_one_a_session(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    with cloud.journal.counted() as small:
        storage.put("data/ab/small", LARGE[:FRAGMENT])
    with cloud.journal.counted() as large:
        storage.put("data/ab/large", LARGE)
    assert len(small) == 1
    assert [line.split()[0] for line in large] == ["POST", "PUT", "PUT", "PUT"]
    assert pieces(cloud) == [FRAGMENT, FRAGMENT, 5]
    assert cloud.fake.files()[f"{PLACE}/data/ab/large"] == LARGE


def test_our_sign_in_is_never_shown_to_an_upload_or_download_address(cloud: Cloud, opening: Opening) -> None:
    cloud.fake.auth_on_upload = "refuse"
    storage = opening(cloud)
    storage.put("large", LARGE)
    assert storage.get("large") == LARGE
    assert storage.get("large", start=7, length=9) == LARGE[7:16]


@pytest.mark.parametrize("style", ["open", "closed"])
@pytest.mark.parametrize(("fault", "nth"), [("cut", 1), ("cut", 2), ("cut", 3), ("lose", 1), ("lose", 2)])
def test_another_process_goes_on_where_one_was_killed(
    cloud: Cloud, opening: Opening, style: str, fault: str, nth: int
) -> None:
    cloud.fake.sessions.range_style = style
    notes = MemoryNotes()
    how: dict[str, Any] = {"after": 3} if fault == "cut" else {}
    getattr(cloud.faults, fault)(SENDING, nth=nth, **how)
    with pytest.raises(Unavailable):
        opening(cloud, notes=notes).put("large", LARGE)
    assert opening(cloud, new=False).listing() == []  # nothing is to be seen of it
    opening(cloud, new=False, notes=notes).put("large", LARGE)
    assert cloud.fake.files() == {f"{PLACE}/large": LARGE}
    sent = sum(pieces(cloud))
    assert sent == len(LARGE) + (3 if fault == "cut" else 0), "what had arrived is not sent again"
    assert cloud.fake.sessions.begun == 1
    assert cloud.fake.sessions.open == {}
    assert [notes.get(key) for key in ("uploads",)] == [None]


_SENDING = """
import sys
from pathlib import Path
from chatkeep.providers import Endpoints, Gate, Means
from chatkeep.providers.onedrive import ONEDRIVE
from chatkeep.testing.storage_suite import sample
from tests.providers.onedrive.test_uploads import FileNotes, LARGE

class Access:
    requests = 0
    def token(self, refused=""):
        return sys.argv[2]

means = Means(Access(), FileNotes(Path(sys.argv[3])), Endpoints(sys.argv[1]), Gate())
ONEDRIVE.open({}, True, means).put("large", LARGE)
"""


class FileNotes:
    """Notes in a folder, for two processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> bytes | None:
        path = self.folder / key.replace("/", "_")
        return path.read_bytes() if path.exists() else None

    def put(self, key: str, value: bytes) -> None:
        (self.folder / key.replace("/", "_")).write_bytes(value)

    def drop(self, key: str) -> None:
        (self.folder / key.replace("/", "_")).unlink(missing_ok=True)


def test_after_a_kill_in_the_middle_of_a_fragment_only_the_rest_is_sent(
    cloud: Cloud, opening: Opening, tmp_path: Path
) -> None:
    stalled = cloud.faults.stall(SENDING, nth=2)
    command = [sys.executable, "-c", _SENDING, cloud.url, cloud.tokens().access, str(tmp_path)]
    paths = os.pathsep.join(["src", "tests", "."])
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}) as process:
        while stalled.seen < 2:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    opening(cloud, new=False, notes=FileNotes(tmp_path)).put("large", LARGE)
    assert cloud.fake.files() == {f"{PLACE}/large": LARGE}
    assert cloud.fake.sessions.begun == 1
    arrived = [entry.sent for entry in cloud.journal.entries if "/up/" in entry.path and entry.status in (201, 202)]
    assert arrived == [FRAGMENT, FRAGMENT, 5]


def test_a_retry_in_the_same_process_goes_on_too(cloud: Cloud, opening: Opening) -> None:
    cloud.faults.lose(SENDING, nth=2)
    Retrying(opening(cloud), sleep=lambda _: None).put("large", LARGE)
    assert pieces(cloud) == [FRAGMENT, FRAGMENT, 5]
    assert cloud.fake.files() == {f"{PLACE}/large": LARGE}


def test_other_bytes_under_the_name_begin_anew_and_end_the_session_before(cloud: Cloud, opening: Opening) -> None:
    notes = MemoryNotes()
    cloud.faults.cut(SENDING, nth=2, after=0)
    with pytest.raises(Unavailable):
        opening(cloud, notes=notes).put("large", LARGE)
    other = sample(len(LARGE), of="other")
    opening(cloud, notes=notes, new=False).put("large", other)
    assert cloud.journal.count(r"^DELETE .*/up/session-1") == 1
    assert cloud.fake.files() == {f"{PLACE}/large": other}
    assert cloud.fake.sessions.open == {}


def test_a_session_that_is_gone_is_begun_again(cloud: Cloud, opening: Opening) -> None:
    notes = MemoryNotes()
    cloud.faults.cut(SENDING, nth=2, after=0)
    with pytest.raises(Unavailable):
        opening(cloud, notes=notes).put("large", LARGE)
    cloud.fake.sessions.open.clear()
    opening(cloud, notes=notes, new=False).put("large", LARGE)
    assert cloud.fake.files() == {f"{PLACE}/large": LARGE}


def test_a_session_that_goes_in_the_middle_is_begun_again_once(cloud: Cloud, opening: Opening) -> None:
    cloud.faults.fail(SENDING, 404, nth=2)
    opening(cloud).put("large", LARGE)
    assert cloud.fake.sessions.begun == 2
    cloud.faults.fail(SENDING, 404, times=9)
    with pytest.raises(Unavailable, match="dropped the upload twice"):
        opening(cloud, new=False).put("another", LARGE)
    assert list(cloud.fake.files()) == [f"{PLACE}/large"]


def test_what_arrived_although_the_answer_was_lost_is_not_sent_again(cloud: Cloud, opening: Opening) -> None:
    notes = MemoryNotes()
    cloud.faults.lose(SENDING, nth=3)
    with pytest.raises(Unavailable):
        opening(cloud, notes=notes).put("large", LARGE)
    with cloud.journal.counted() as lines:
        assert opening(cloud, notes=notes, new=False).put("large", LARGE).size == len(LARGE)
    assert not [line for line in lines if line.startswith(("PUT", "POST"))]


def test_a_session_nobody_came_back_to_is_cancelled_a_day_later(cloud: Cloud, opening: Opening) -> None:
    notes = MemoryNotes()
    cloud.faults.cut(SENDING, nth=2, after=0)
    storage = opening(cloud, notes=notes)
    clock = Clock()
    storage._uploads._clock = clock
    with pytest.raises(Unavailable):
        storage.put("large", LARGE)
    storage.put("soon", LARGE)
    assert list(cloud.fake.sessions.open) == ["session-1"]
    clock.now += ABANDONED_S + 1
    storage.put("later", LARGE)
    assert cloud.fake.sessions.open == {}
    assert notes.get("uploads") is None


def test_an_upload_that_is_refused_leaves_no_session(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    cloud.faults.fail(SENDING, 507, body=b'{"error":{"code":"quotaLimitReached"}}', nth=2)
    with pytest.raises(QuotaFull):
        storage.put("large", LARGE)
    assert cloud.fake.sessions.open == {}


def test_a_full_drive_is_known_before_a_byte_is_sent(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    cloud.fake.drive().total = len(LARGE) - 1
    with pytest.raises(QuotaFull) as raised:
        storage.put("large", LARGE)
    assert "recycle bin" in raised.value.hint
    assert pieces(cloud) == []
    storage.put("small", LARGE[:FRAGMENT])
    cloud.fake.drive().total = FRAGMENT + 10
    with pytest.raises(QuotaFull):
        storage.put("second", LARGE[:11])
    assert list(cloud.fake.files()) == [f"{PLACE}/small"]


def test_on_business_a_session_of_somebody_else_does_not_stop_us(business: Cloud, opening: Opening) -> None:
    notes = MemoryNotes()
    business.faults.cut(r"^PUT contoso", nth=2, after=0)
    with pytest.raises(Unavailable):
        opening(business, notes=notes).put("large", LARGE)
    opening(business, new=False).put("large", LARGE)  # another device, which knows nothing of that session
    assert business.fake.files() == {f"{PLACE}/large": LARGE}


def test_a_pause_that_is_asked_for_while_sending_holds_all_requests(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud, gate=Gate(clock=lambda: 0.0, patience_s=10))
    cloud.faults.fail(SENDING, 429, headers={"Retry-After": "17"}, nth=2)
    with pytest.raises(SlowDown) as raised:
        storage.put("large", LARGE)
    assert raised.value.wait_s == 17
    with cloud.journal.counted() as lines, pytest.raises(SlowDown):
        storage.listing()
    assert lines == []


def test_a_server_that_asks_for_the_same_bytes_for_ever_is_not_followed(cloud: Cloud, opening: Opening) -> None:
    body = b'{"nextExpectedRanges":["0-"]}'
    cloud.faults.fail(SENDING, 202, headers={"Content-Type": "application/json"}, body=body, times=99)
    with pytest.raises(Unavailable, match="does not take what it asks for"):
        opening(cloud).put("large", LARGE)


@pytest.mark.parametrize("size", [5, FRAGMENT + 5], ids=["at once", "by session"])
def test_what_arrives_changed_is_removed_and_said(cloud: Cloud, opening: Opening, size: int) -> None:
    storage = opening(cloud)
    cloud.faults.garble("^PUT ", at=3)
    with pytest.raises(Damaged):
        storage.put("data", LARGE[:size])
    assert cloud.fake.files() == {}
    storage.put("data", LARGE[:size])
    assert storage.get("data") == LARGE[:size]


@pytest.mark.parametrize("size", [5, FRAGMENT + 5], ids=["at once", "by session"])
def test_on_business_the_one_hash_there_is_finds_it_too(business: Cloud, opening: Opening, size: int) -> None:
    storage = opening(business)
    business.faults.garble("^PUT ", at=3)
    with pytest.raises(Damaged):
        storage.put("data", LARGE[:size])
    assert business.fake.files() == {}


@pytest.mark.parametrize("delay", [2.0, 60.0], ids=["short", "long"])
def test_a_hash_that_comes_late_is_waited_for_and_then_the_object_is_read_back(
    opening: Opening, cloud: Cloud, delay: float
) -> None:
    clock = Clock()
    cloud.fake.clock, cloud.fake.hash_delay = clock, delay
    storage = opening(cloud)
    storage._sleep = clock.sleep
    with cloud.journal.counted("/content") as lines:
        storage.put("late", b"bytes")
    read_back = [line for line in lines if line.startswith("GET")]
    assert bool(read_back) == (delay > 7)
    cloud.faults.garble("^PUT ", at=0)
    with pytest.raises(Damaged):
        storage.put("late", b"others")
    assert cloud.fake.files() == {}


@pytest.mark.parametrize("moment", ["_sleep", "_new_address"], ids=["waiting for a hash", "reading back"])
def test_what_somebody_else_put_there_meanwhile_is_never_removed(
    cloud: Cloud, opening: Opening, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    cloud.fake.clock, cloud.fake.hash_delay = Clock(), 3600.0
    storage = opening(cloud)
    monkeypatch.setattr(storage, "_sleep", lambda seconds: None)
    going_on = getattr(storage, moment)

    def raced(*given: Any) -> Any:
        cloud.fake.write(f"{PLACE}/raced", b"theirs")
        return going_on(*given)

    monkeypatch.setattr(storage, moment, raced)
    storage.put("raced", b"ours")
    assert cloud.fake.files() == {f"{PLACE}/raced": b"theirs"}


def test_where_one_request_takes_less_than_is_documented_a_session_is_used(cloud: Cloud, opening: Opening) -> None:
    cloud.faults.fail("^PUT graph", 413, headers={"Content-Type": "text/html"}, body=b"Request Entity Too Large")
    opening(cloud).put("small", LARGE[:5_000_000])
    assert cloud.fake.sessions.begun == 1
    assert cloud.fake.files() == {f"{PLACE}/small": LARGE[:5_000_000]}


def test_a_name_that_a_folder_has_is_refused(cloud: Cloud, opening: Opening) -> None:
    storage = opening(cloud)
    storage.put("folder/a", b"x")
    with pytest.raises(Refused, match="folder"):
        storage.put("folder", b"x")
    with pytest.raises((Refused, Unavailable)):
        storage.put("folder/a/b", b"x")
    assert [one.name for one in storage.listing()] == ["folder/a"]
