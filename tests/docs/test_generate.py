"""docs/cli.md is made from the commands, so it cannot say what they do not do."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

from docs import generate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Keep apples."""


@cli.command()
@click.option("--ripe", is_flag=True, help="Only ripe ones.")
def pick(ripe: bool) -> None:
    """Pick apples."""


@cli.group()
def basket() -> None:
    """What lies in the basket."""


@basket.command()
def empty() -> None:
    """Empty it."""


@cli.command(hidden=True)
def secret() -> None:
    """Nobody types this."""


def test_every_command_has_its_help_and_hidden_ones_are_left_out(tmp_path: Path) -> None:
    page = generate.reference(cli, tmp_path)
    heads = [line for line in page.splitlines() if line.startswith("## ")]
    assert heads == ["## chatkeep", "## chatkeep basket", "## chatkeep basket empty", "## chatkeep pick"]
    assert "Usage: chatkeep pick [OPTIONS]" in page
    assert "--ripe      Only ripe ones." in page
    assert "-h, --help" in page


def test_an_example_stands_below_the_help_of_its_command(tmp_path: Path) -> None:
    (tmp_path / "basket-empty.md").write_text("It is empty then.\n", encoding="utf-8")
    page = generate.reference(cli, tmp_path)
    assert page.index("Usage: chatkeep basket empty") < page.index("It is empty then.") < page.index("## chatkeep pick")


def test_a_page_that_says_something_else_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 1
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    assert generate.main() == 0
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    assert generate.main() == 0
    page = tmp_path / "cli.md"
    page.write_text(page.read_text(encoding="utf-8") + "and more\n", encoding="utf-8")
    assert generate.main() == 1
