"""Stock rclone against the fake, through the proxy: a second client that was written by others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fakes.given import Cloud
from fakes.rclone import Rclone

pytestmark = pytest.mark.slow

_CONFIG = """[db]
type = dropbox
client_id = cid
client_secret = csec
token = {"access_token":"old","token_type":"bearer","refresh_token":"%s","expiry":"2020-01-01T00:00:00Z"}
"""


@pytest.fixture
def rclone(dropbox_fake: Cloud, tmp_path: Path) -> Rclone:
    """rclone with the remote "db:", whose access token has run out."""
    return Rclone(dropbox_fake, tmp_path, _CONFIG % dropbox_fake.fake.issue().refresh)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A few files: small, empty, of more than one piece, with a name that is not ASCII, and in folders."""
    folder = tmp_path / "data"
    for name, content in {
        "a.txt": b"hello",
        "empty": b"",
        "Grüße/an Ana.md": b"# Gr\xc3\xbc\xc3\x9fe",
        "sub/deep/large.bin": bytes(range(256)) * 4096 * 9,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_folder_is_copied_checked_listed_read_and_deleted(dropbox_fake: Cloud, rclone: Rclone, data: Path) -> None:
    rclone("copy", str(data), "db:ck/data", "--dropbox-chunk-size", "4M")
    assert "0 differences found" in rclone("check", str(data), "db:ck/data")
    listed = rclone("lsl", "db:ck/data")
    assert re.search(r"^\s*5 .* a\.txt$", listed, re.MULTILINE)
    assert "Grüße/an Ana.md" in listed
    assert rclone("cat", "db:ck/data/a.txt") == "hello"
    assert rclone("cat", "--offset", "1", "--count", "3", "db:ck/data/a.txt") == "ell"
    assert set(rclone("lsf", "-R", "--files-only", "db:").split("\n")[:-1]) == {
        path.removeprefix("/") for path in dropbox_fake.fake.files()
    }
    assert re.search(r"Total:\s+2 GiB", rclone("about", "db:"))
    rclone("deletefile", "db:ck/data/a.txt")
    rclone("moveto", "db:ck/data/empty", "db:ck/moved")
    assert set(dropbox_fake.fake.files()) == {"/ck/data/Grüße/an Ana.md", "/ck/data/sub/deep/large.bin", "/ck/moved"}
    rclone("purge", "db:ck")
    assert dropbox_fake.fake.files() == {}
    assert dropbox_fake.fake.consent.refreshes >= 1


def test_a_person_signs_in_through_rclone(dropbox_fake: Cloud, tmp_path: Path) -> None:
    dropbox_fake.fake.consent.automatic = "allow"
    rclone = Rclone(dropbox_fake, tmp_path)
    base = dropbox_fake.url
    rclone.sign_in(
        "mine",
        "dropbox",
        client_id="cid",
        client_secret="csec",
        auth_url=f"{base}/www.dropbox.com/oauth2/authorize",
        token_url=f"{base}/api.dropboxapi.com/oauth2/token",
    )
    assert '"refresh_token":"rt-' in rclone.config.read_text()
    assert re.search(r"Total:\s+2 GiB", rclone("about", "mine:"))
