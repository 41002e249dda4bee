from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import exports

from chatkeep.cli import cli
from chatkeep.cli.ending import run
from chatkeep.vault import keys


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code in (0, 3), self.err
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "COST_N", 2**10)


@pytest.fixture
def chatkeep(home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process, with a data folder of its own."""

    def command(*arguments: object) -> Ended:
        capsys.readouterr()
        code = run(cli, [str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return command


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Two conversations, five messages, one picture."""
    return exports.two(tmp_path / "export.zip")


@pytest.fixture
def filled(chatkeep: Command, export: Path) -> Command:
    """The same command line, with that export imported."""
    assert chatkeep("import", export).code == 0
    return chatkeep


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "place"


@pytest.fixture
def backed_up(filled: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The same, with a folder connected and one backup in it."""
    monkeypatch.setenv("CHATKEEP_PASSPHRASE", "open sesame")
    assert filled("connect", "folder", place).code == 0
    assert filled("backup").code == 0
    return filled
