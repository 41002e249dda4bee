"""Every command has an example, and every example is what the command prints."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from chatkeep.cli import cli
from docs import examples, generate


def test_every_command_has_an_example() -> None:
    paths = [c.command_path for c in generate.contexts(cli, "chatkeep") if not isinstance(c.command, click.Group)]
    assert "chatkeep import" in paths
    assert [path for path in paths if not (examples.PAGES / generate.example_of(path)).exists()] == []


def test_every_example_belongs_to_a_command() -> None:
    names = {generate.example_of(context.command_path) for context in generate.contexts(cli, "chatkeep")}
    assert {page.name for page in examples.PAGES.glob("*.md")} - names == set()


def test_pages_with_commands_are_told_in_the_story() -> None:
    told = {
        page.stem for page in examples.PAGES.glob("*.md") if examples.BLOCK.search(page.read_text(encoding="utf-8"))
    }
    assert told == set(examples.STORY)


@pytest.mark.slow
def test_examples_say_what_the_commands_print_today(tmp_path: Path) -> None:
    today = examples.pages_today(tmp_path)
    assert {page.name: text for page, text in today.items()} == {
        page.name: page.read_text(encoding="utf-8") for page in today
    }


def test_what_differs_from_run_to_run_is_no_difference() -> None:
    old = "snapshot 377037d9 of 2026-11-22 21:46, 9.5 kB\nlaptop-47690d97   here\n"
    new = "snapshot b0ee568f of 2027-01-02 03:04, 10.1 kB\nlaptop-00000000 here\n"
    assert examples.alike(old) == examples.alike(new)
    assert examples.alike(old) != examples.alike(old.replace("here", "gone"))
