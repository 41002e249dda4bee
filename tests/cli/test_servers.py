"""`chatkeep connect webdav` and `connect s3`, against servers of others: from a password to a restore."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Command
from tests.providers.test_s3 import KEYS, moto, seaweedfs, service
from tests.providers.test_webdav import PASSWORD, USER, rclone_server

__all__ = ["moto", "rclone_server", "seaweedfs", "service"]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file with the password."""
    path = tmp_path / "secret"
    path.write_text(PASSWORD + "\n")
    return path


def test_a_webdav_server_keeps_and_gives_back(filled: Command, rclone_server: str, secret: Path) -> None:
    where = ["webdav", f"{rclone_server}/of the command line/Chatkeep", "--user", USER, "--secret-file", secret]
    made = filled("connect", *where, "--json").json
    assert made["provider"] == "webdav"
    assert filled("backup", "--json").json["verified"]
    assert filled("undo", "--yes").code == 0
    assert filled("restore", "--json").json["restored"] == 2
    assert filled("check", "--read-data", "--json").json["ok"]
    assert filled("connections", "test").code == 0
    told = filled("doctor", "--json")
    assert PASSWORD not in told.out + told.err


def test_a_wrong_password_is_said_and_nothing_is_connected(filled: Command, rclone_server: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not this one\n")
    told = filled("connect", "webdav", f"{rclone_server}/x", "--user", USER, "--secret-file", wrong)
    assert told.code == 1
    assert "not this one" not in told.out + told.err
    assert filled("connections", "--json").json == []


def test_a_bucket_keeps_and_gives_back(filled: Command, service: str, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text(KEYS["secret_key"])
    where = ["s3", service, "--bucket", "kept", "--access-key", KEYS["access_key"], "--secret-file", secret]
    made = filled("connect", *where, "--folder", "of the command line", "--json").json
    assert made["account"] == f"{service}/kept"
    report = filled("backup", "--json").json
    assert (report["verified"], report["problems"]) == (True, [])
    assert filled("backup", "--json").json["unchanged"]
    assert filled("restore", "--dry-run", "--json").json["expected"] == 2


def test_a_secret_is_kept_sealed(filled: Command, rclone_server: str, secret: Path, home: Path) -> None:
    where = ["webdav", f"{rclone_server}/sealed/Chatkeep", "--user", USER, "--secret-file", secret]
    assert filled("connect", *where).code == 0
    assert all(PASSWORD.encode() not in path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert PASSWORD not in filled("connections", "--json").out


def test_nobody_there_to_type_the_password_is_wrong_use(filled: Command) -> None:
    assert filled("connect", "webdav", "https://cloud.example/dav", "--user", "ana").code == 2
    assert filled("connect", "webdav", "https://cloud.example/dav").code == 2
