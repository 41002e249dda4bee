"""Stock rclone against the fake: a client that others wrote, which knows sessions, hashes and paths of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatkeep.providers.onedrive import ONEDRIVE, SIGN_IN
from fakes.given import Cloud, means
from fakes.microsoft import MicrosoftFake
from fakes.rclone import Rclone
from fakes.server import Front

pytestmark = pytest.mark.slow

FILES = {
    "a b.txt": b"hello",
    "empty": b"",
    "Grüße/#1 %41.md": b"# Hello",
    "sub/deep/large.bin": bytes(range(256)) * 4096 * 12 + b"odd end",
}


@pytest.fixture(params=["personal", "business"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    fake = MicrosoftFake(kind=request.param)
    with Front([fake]) as front:
        yield Cloud(front, fake)


@pytest.fixture
def rclone(cloud: Cloud, tmp_path: Path) -> Rclone:
    """With a remote "od:" whose access token has run out. rclone asks for more than the app's folder."""
    issued = cloud.fake.consent.issue("alice", scopes=("Files.ReadWrite", "offline_access"), client="web")
    token = {
        "access_token": "old",
        "token_type": "Bearer",
        "refresh_token": issued.refresh,
        "expiry": "2020-01-01T00:00:00Z",
    }
    drive = cloud.fake.drive()
    text = f"[od]\ntype = onedrive\nclient_id = web\nclient_secret = csec\ntoken = {json.dumps(token)}\n"
    return Rclone(cloud, tmp_path, f"{text}drive_id = {drive.id}\ndrive_type = {drive.kind}\n")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "data"


def test_files_are_copied_compared_by_hash_listed_read_moved_and_deleted(
    cloud: Cloud, rclone: Rclone, data: Path
) -> None:
    rclone("copy", str(data), "od:ck/data", "--onedrive-chunk-size", "5M")
    assert cloud.fake.files() == {f"ck/data/{name}": content for name, content in FILES.items()}
    said = rclone("check", str(data), "od:ck/data")
    assert "0 differences found" in said
    assert "could not be checked" not in said  # by hash: SHA1 on personal drives, quickXorHash on business ones
    (data / "a b.txt").write_bytes(b"jello")
    with pytest.raises(AssertionError, match="1 differences found"):
        rclone("check", str(data), "od:ck/data")
    assert re.search(r"^\s*5 .* a b\.txt$", rclone("lsl", "od:ck/data"), re.MULTILINE)
    assert rclone("cat", "od:ck/data/a b.txt") == "hello"
    assert rclone("cat", "--offset", "1", "--count", "3", "od:ck/data/a b.txt") == "ell"
    assert re.search(r"Total:\s+5 GiB", rclone("about", "od:"))
    rclone("moveto", "od:ck/data/a b.txt", "od:ck/other/c.txt")
    rclone("deletefile", "od:ck/data/empty")
    rclone("purge", "od:ck/data/sub")
    assert set(cloud.fake.files()) == {"ck/other/c.txt", "ck/data/Grüße/#1 %41.md"}
    assert cloud.fake.sessions.open == {}
    assert cloud.fake.consent.refreshes == 1
    assert "EwB4" in rclone.config.read_text()  # the rotated tokens were taken


def test_its_pages_and_its_overlaps_end_well(cloud: Cloud, rclone: Rclone, data: Path) -> None:
    cloud.fake.page = 1
    cloud.faults.lose(r"^PUT \S+/up/", nth=2)  # the fragment arrived, and rclone sends it again
    rclone("copy", str(data / "sub"), "od:ck/data/sub", "--onedrive-chunk-size", "5M")
    rclone("copy", str(data), "od:ck/data")
    assert 416 in [entry.status for entry in cloud.journal.entries]
    assert cloud.fake.files() == {f"ck/data/{name}": content for name, content in FILES.items()}
    assert "0 differences found" in rclone("check", str(data), "od:ck/data")


def test_a_person_signs_in_through_rclone(cloud: Cloud, tmp_path: Path) -> None:
    cloud.fake.consent.automatic = "allow"
    rclone = Rclone(cloud, tmp_path)
    rclone.sign_in(
        "mine",
        "onedrive",
        client_id="web",
        client_secret="csec",
        config_type="onedrive",
        config_driveid=cloud.fake.drive().id,
        config_drive_ok="true",
    )
    assert "refresh_token" in rclone.config.read_text()
    assert rclone("lsf", "mine:") == ""


def test_it_reads_what_we_wrote_and_we_read_what_it_wrote(cloud: Cloud, rclone: Rclone, data: Path) -> None:
    storage = ONEDRIVE.open({}, True, means(cloud, SIGN_IN))
    for name, content in FILES.items():
        storage.put(name, content)
    place = "od:Apps/Chatkeep/Chatkeep"
    assert "0 differences found" in rclone("check", str(data), place)
    rclone("copy", str(data), f"{place}/Inbox")
    assert {one.name: storage.get(one.name) for one in storage.listing("Inbox/")} == {
        f"Inbox/{name}": content for name, content in FILES.items()
    }
    storage.close()
