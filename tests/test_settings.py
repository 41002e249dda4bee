"""What can be set from outside, and what a wrong value says."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatkeep.errors import WrongUse
from chatkeep.settings import Settings, _zone


def test_without_anything_set_there_are_good_defaults() -> None:
    found = Settings.from_environment({})
    assert found.home.is_absolute()
    assert found.home.name == "chatkeep"
    assert (found.host, found.port, found.passphrase, found.key) == ("127.0.0.1", 8765, "", "")
    assert set(found.allowed_hosts) == {"127.0.0.1", "localhost", "[::1]"}
    assert found.device


def test_everything_can_be_set() -> None:
    found = Settings.from_environment(
        {
            "CHATKEEP_HOME": "~/chats",
            "CHATKEEP_PASSPHRASE": "open sesame",
            "CHATKEEP_KEY": "k",
            "CHATKEEP_HOST": "0.0.0.0",
            "CHATKEEP_PORT": "0",
            "CHATKEEP_ALLOWED_HOSTS": "chats.example, home.example",
            "CHATKEEP_LOG_LEVEL": "DEBUG",
            "CHATKEEP_DEVICE": " studio ",
        }
    )
    assert found.home == Path.home() / "chats"
    assert (found.passphrase, found.key, found.port) == ("open sesame", "k", 0)
    assert found.allowed_hosts[-2:] == ("chats.example", "home.example")
    assert (found.log_level, found.device) == ("debug", "studio")


@pytest.mark.parametrize("port", ["x", "-1", "65536", "8765 "])
def test_a_wrong_port_is_said_so(port: str) -> None:
    with pytest.raises(WrongUse, match="CHATKEEP_PORT"):
        Settings.from_environment({"CHATKEEP_PORT": port})


def test_a_wrong_log_level_is_said_so() -> None:
    with pytest.raises(WrongUse, match="debug, info"):
        Settings.from_environment({"CHATKEEP_LOG_LEVEL": "loud"})


def test_an_operator_gives_the_apps_that_sign_in_pages_show() -> None:
    found = Settings.from_environment(
        {
            "CHATKEEP_GOOGLE_DRIVE_CLIENT_ID": " 12.apps.example ",
            "CHATKEEP_GOOGLE_DRIVE_CLIENT_SECRET": "hush",
            "CHATKEEP_DROPBOX_CLIENT_ID": "k1",
            "CHATKEEP_ONEDRIVE_CLIENT_ID": "",
        }
    )
    assert found.clients == {"google-drive": ("12.apps.example", "hush"), "dropbox": ("k1", "")}
    assert "hush" not in repr(found)


@pytest.mark.parametrize("base", ["http://127.0.0.1:9000", "http://localhost:9000/", "https://clouds.example", ""])
def test_trial_clouds_are_on_this_machine_or_safe_on_the_way(base: str) -> None:
    assert Settings.from_environment({"CHATKEEP_CLOUD_BASE": base}).cloud_base == base.rstrip("/")


@pytest.mark.parametrize("base", ["http://clouds.example", "http://127.0.0.1.evil.example", "ftp://127.0.0.1", "x"])
def test_trial_clouds_elsewhere_are_refused(base: str) -> None:
    with pytest.raises(WrongUse, match="CHATKEEP_CLOUD_BASE"):
        Settings.from_environment({"CHATKEEP_CLOUD_BASE": base})


def test_the_time_zone_is_that_of_the_machine(tmp_path: Path) -> None:
    link = tmp_path / "localtime"
    assert _zone("Europe/Berlin", link=link) == "Europe/Berlin"
    assert _zone("", link=link) == "UTC"
    link.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    assert _zone("", link=link) == "Asia/Tokyo"
    assert _zone("nowhere/at all", link=link) == "Asia/Tokyo"
    assert Settings.from_environment({"TZ": ":America/New_York"}).zone == "America/New_York"


def test_no_secret_is_shown() -> None:
    found = Settings.from_environment({"CHATKEEP_PASSPHRASE": "open sesame", "CHATKEEP_KEY": "very secret"})
    assert "sesame" not in repr(found)
    assert "very secret" not in repr(found)


def test_a_setting_may_lie_in_a_file_so_that_a_secret_is_not_in_the_environment(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("from a file, with a space \n")
    assert Settings.from_environment({"CHATKEEP_KEY_FILE": str(secret)}).key == "from a file, with a space "
    assert Settings.from_environment({"CHATKEEP_KEY_FILE": "", "CHATKEEP_KEY": "k"}).key == "k"


def test_a_setting_that_is_given_twice_or_whose_file_is_missing_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="both"):
        Settings.from_environment({"CHATKEEP_KEY": "k", "CHATKEEP_KEY_FILE": str(tmp_path)})
    with pytest.raises(WrongUse, match="CHATKEEP_KEY_FILE"):
        Settings.from_environment({"CHATKEEP_KEY_FILE": str(tmp_path / "missing")})


SERVER = {
    "DATABASE_URL": "postgresql://chatkeep@db.example/chatkeep",
    "CHATKEEP_KEY": "a3nRf0-secret-of-a-server-7Qx_kLmZ9",
    "CHATKEEP_PUBLIC_URL": "https://chats.example/",
}


def test_a_database_makes_a_server() -> None:
    found = Settings.from_environment({**SERVER, "CHATKEEP_TRUSTED_PROXY": "1", "CHATKEEP_WEB_PROCESSES": "4"})
    assert (found.is_server, found.is_https, found.trusted_proxy, found.web_processes) == (True, True, True, 4)
    assert (found.public_url, found.public_host) == ("https://chats.example", "chats.example")
    assert not Settings.from_environment({}).is_server


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHATKEEP_KEY", ""),
        ("CHATKEEP_KEY", "short-but-various-1234567890"),
        ("CHATKEEP_KEY", "change-me-change-me-change-me-change-me"),
        ("CHATKEEP_KEY", "0" * 64),
        ("CHATKEEP_PUBLIC_URL", ""),
        ("CHATKEEP_PUBLIC_URL", "http://chats.example"),
        ("CHATKEEP_PUBLIC_URL", "https://chats.example/below"),
        ("DATABASE_URL", "mysql://chatkeep@db.example/chatkeep"),
        ("CHATKEEP_TRUSTED_PROXY", "yes"),
        ("CHATKEEP_WEB_PROCESSES", "0"),
        ("CHATKEEP_WEB_PROCESSES", "many"),
    ],
)
def test_a_server_does_not_start_with_what_is_unsafe_or_wrong(name: str, value: str) -> None:
    with pytest.raises(WrongUse, match=name):
        Settings.from_environment({**SERVER, name: value})


def test_on_this_machine_a_server_may_be_tried_without_https() -> None:
    found = Settings.from_environment({**SERVER, "CHATKEEP_PUBLIC_URL": "http://127.0.0.1:8765"})
    assert (found.is_https, found.public_host) == (False, "127.0.0.1")


def test_no_secret_of_a_server_is_shown() -> None:
    shown = repr(Settings.from_environment({**SERVER, "DATABASE_URL": "postgresql://u:hush@db.example/x"}))
    assert "hush" not in shown
    assert SERVER["CHATKEEP_KEY"] not in shown
