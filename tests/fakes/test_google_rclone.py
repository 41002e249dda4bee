"""Stock rclone against the fake: it finds its way by names, lists many folders at once, and posts its chunks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chatkeep.providers.google_drive import SIGN_IN, GoogleDrive
from chatkeep.testing.storage_suite import sample
from fakes.given import Cloud, means
from fakes.rclone import Rclone

pytestmark = pytest.mark.slow

FILES = {
    "a b.txt": b"hello",
    "empty": b"",
    "it's/Grüße #1 %41.md": b"# Hello",
    "sub/deep/large.bin": bytes(range(256)) * 4096 * 9 + b"odd end",
}


@pytest.fixture
def rclone(google_fake: Cloud, tmp_path: Path) -> Rclone:
    """With a remote "gd:" whose access token has run out."""
    token = {
        "access_token": "old",
        "token_type": "Bearer",
        "refresh_token": google_fake.fake.issue().refresh,
        "expiry": "2020-01-01T00:00:00Z",
    }
    text = "[gd]\ntype = drive\nclient_id = cid\nclient_secret = csec\nscope = drive.file\n"
    return Rclone(google_fake, tmp_path, f"{text}token = {json.dumps(token)}\n")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_is_copied_checked_listed_read_and_deleted(google_fake: Cloud, rclone: Rclone, data: Path) -> None:
    rclone("copy", str(data), "gd:ck/data", "--drive-chunk-size", "4M", "--drive-upload-cutoff", "4M")
    assert google_fake.journal.count("upload_id=") == 3
    assert "0 differences found" in rclone("check", str(data), "gd:ck/data")
    listed = rclone("lsl", "gd:ck/data")
    assert re.search(r"^\s*5 .* a b\.txt$", listed, re.MULTILINE)
    assert rclone("cat", "gd:ck/data/it's/Grüße #1 %41.md") == "# Hello"
    assert rclone("cat", "--offset", "1", "--count", "3", "gd:ck/data/a b.txt") == "ell"
    assert re.search(r"Total:\s+15 GiB", rclone("about", "gd:"))
    rclone("deletefile", "gd:ck/data/a b.txt")
    left = rclone("lsf", "-R", "--files-only", "--fast-list", "gd:")
    assert set(left.splitlines()) == {f"ck/data/{name}" for name in FILES if name != "a b.txt"}
    assert google_fake.fake.consent.refreshes >= 1


def test_a_chunk_of_which_a_part_was_kept_is_no_end_of_the_world(
    google_fake: Cloud, rclone: Rclone, data: Path
) -> None:
    google_fake.faults.fail("POST .*upload_id=", 503, nth=2)
    rclone("copy", str(data), "gd:ck", "--drive-chunk-size", "4M", "--drive-upload-cutoff", "4M")
    assert "0 differences found" in rclone("check", str(data), "gd:ck")


def test_a_person_signs_in_through_rclone(google_fake: Cloud, tmp_path: Path) -> None:
    google_fake.fake.consent.automatic = "allow"
    rclone = Rclone(google_fake, tmp_path)
    rclone.sign_in(
        "mine",
        "drive",
        client_id="cid",
        client_secret="csec",
        scope="drive.file",
        config_change_team_drive="false",
        auth_url=f"{google_fake.url}/accounts.google.com/o/oauth2/auth",
        token_url=f"{google_fake.url}/oauth2.googleapis.com/token",
    )
    assert '"refresh_token":"1//' in rclone.config.read_text()
    rclone("touch", "mine:made by rclone")
    assert google_fake.fake.users["alice"].path("made by rclone")


def test_both_see_the_same_files(google_fake: Cloud, rclone: Rclone, data: Path) -> None:
    """rclone with the same client id reads what we wrote, and we what it wrote."""
    storage = GoogleDrive(means(google_fake, SIGN_IN), new=True)
    objects = {f"Vault/data/{i:02x}/{i}": sample(i * 1000) for i in range(5)} | {"Vault/big": sample(6_000_000)}
    storage.put_many(objects)
    rclone("copy", "gd:Chatkeep/Vault", str(data / "back"))
    assert {name: (data / "back" / name.removeprefix("Vault/")).read_bytes() for name in objects} == objects
    rclone("copyto", str(data / "a b.txt"), "gd:Chatkeep/Inbox/a b.txt")
    rclone("deletefile", "gd:Chatkeep/Vault/big")
    assert storage.get("Inbox/a b.txt") == b"hello"
    assert [one.name for one in storage.listing("Vault/b")] == []
    storage.close()


def test_our_first_copy_makes_fewer_requests_than_rclone_for_the_same_objects(
    google_fake: Cloud, rclone: Rclone, tmp_path: Path
) -> None:
    objects = {f"data/{i % 8:02x}/{i}": sample(200_000, of=str(i)) for i in range(40)}
    for name, content in objects.items():
        (tmp_path / "same" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "same" / name).write_bytes(content)
    with google_fake.journal.counted() as theirs:
        rclone("copy", str(tmp_path / "same"), "gd:same")
    storage = GoogleDrive(means(google_fake, SIGN_IN), new=True)
    storage.put_many(objects)
    storage.close()
    assert storage.requests <= 40 + 8
    assert storage.requests < len(theirs) * 0.7
