"""`chatkeep doctor --bundle`: a file for somebody who helps, which its owner has seen."""

from __future__ import annotations

import json
import stat
import zipfile
from io import StringIO
from pathlib import Path

import pytest
from tests.cli.conftest import Command


class Typed(StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        return True


def test_it_is_shown_before_it_is_written_and_is_what_was_shown(
    filled: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Typed("y\n"))
    out = tmp_path / "help.zip"
    told = filled("doctor", "--bundle", out)
    assert told.code == 0, told.err
    with zipfile.ZipFile(out) as made:
        assert made.namelist() == ["chatkeep.json"]
        text = made.read("chatkeep.json").decode()
    assert text in told.out
    assert json.loads(text)["archive"]["conversations"] == 2
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_whoever_says_no_has_no_file(filled: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Typed("n\n"))
    assert filled("doctor", "--bundle", tmp_path / "help.zip").code != 0
    assert not (tmp_path / "help.zip").exists()


def test_a_script_is_asked_nothing(filled: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO())
    told = filled("doctor", "--bundle", tmp_path / "help.zip")
    assert told.code == 0, told.err
    assert (tmp_path / "help.zip").exists()


def test_a_file_that_is_there_stays_as_it_is(filled: Command, tmp_path: Path) -> None:
    (tmp_path / "help.zip").write_text("mine")
    told = filled("doctor", "--bundle", tmp_path / "help.zip", "--json")
    assert told.code == 2
    assert "there already" in told.err
    assert (tmp_path / "help.zip").read_text() == "mine"


def test_no_word_of_a_chat_and_no_name_of_anybody_is_in_it(
    filled: Command, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATKEEP_KEY", "canary-key-that-is-long-enough-for-it")
    titles = [one["title"] for one in filled("list", "--json").json]
    assert titles
    out = tmp_path / "help.zip"
    assert filled("doctor", "--bundle", out, "--json").json == {"bundle": str(out)}
    with zipfile.ZipFile(out) as made:
        text = made.read("chatkeep.json").decode()
    assert not [secret for secret in (*titles, "canary", str(home)) if secret in text]
