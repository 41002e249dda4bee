"""Stock rclone against the fake, through the proxy: a second client that was written by others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.dropbox import RCLONE_RETURN
from fakes.given import Cloud

RCLONE = shutil.which("rclone")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(RCLONE is None, reason="rclone is not installed")]

_CONFIG = """[db]
type = dropbox
client_id = cid
client_secret = csec
token = {"access_token":"old","token_type":"bearer","refresh_token":"%s","expiry":"2020-01-01T00:00:00Z"}
"""

Run = Callable[..., str]


@pytest.fixture
def rclone(dropbox_fake: Cloud, tmp_path: Path) -> Run:
    """Runs rclone on the remote "db:", whose access token has run out."""
    config = tmp_path / "rclone.conf"
    config.write_text(_CONFIG % dropbox_fake.fake.issue().refresh)

    def run(*words: str) -> str:
        assert RCLONE
        command = [RCLONE, "--config", str(config), "--retries", "1", "--low-level-retries", "3", *words]
        environment = {**os.environ, **dropbox_fake.front.environment(), "HOME": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


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


def test_a_folder_is_copied_checked_listed_read_and_deleted(dropbox_fake: Cloud, rclone: Run, data: Path) -> None:
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
    assert RCLONE
    dropbox_fake.fake.consent.automatic = "allow"
    config = tmp_path / "rclone.conf"
    base = dropbox_fake.url
    command = [RCLONE, "--config", str(config), "config", "create", "mine", "dropbox", "client_id=cid"]
    command += ["client_secret=csec", "config_is_local=true", f"auth_url={base}/www.dropbox.com/oauth2/authorize"]
    command += [f"token_url={base}/api.dropboxapi.com/oauth2/token"]
    environment = {**os.environ, **dropbox_fake.front.environment(), "HOME": str(tmp_path), "BROWSER": "true"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as made:
        assert made.stdout
        said = ""
        for line in made.stdout:
            said += line
            if found := re.search(r"(http://127\.0\.0\.1:53682/auth\?state=\S+)", line):
                with urllib.request.urlopen(found[1]) as page:
                    assert page.status == 200
        assert made.wait(60) == 0, said
    assert '"refresh_token":"rt-' in config.read_text()
    assert RCLONE_RETURN in dropbox_fake.fake.redirects
