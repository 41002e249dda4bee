#!/usr/bin/env python3
"""Write docs/cli.md: every command, its help as the program prints it, and its example.

    docs/generate.py            write the page
    docs/generate.py --check    say whether it is what it should be, and change nothing

An example is written by hand in docs/examples/<command>.md (spaces become hyphens) and comes below the help.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from chatkeep.cli import cli

DOCS = Path(__file__).parent
WIDTH = 88
HEAD = """# All commands

This page is generated from the commands themselves (`make fix`); the examples lie in `docs/examples/`.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 done with problems, 130 stopped with Ctrl-C. With
`--json` the answer is one JSON value on standard output, an error one JSON object on standard error, and progress is
silent.
"""


def reference(group: click.Group, examples: Path) -> str:
    """The page: the group's own help, then each command in the order the group lists them."""
    return "\n".join([HEAD, *(_section(context, examples) for context in contexts(group, "chatkeep"))])


def contexts(command: click.Command, name: str, *, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Every command that a person may type, as the context its help is printed in; hidden ones are left out."""
    sizes = {} if parent else {"terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **{**command.context_settings, **sizes})
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found and not found.hidden:
                yield from contexts(found, below, parent=context)


def example_of(path: str) -> str:
    """Where "chatkeep connections test" has its example: connections-test.md."""
    return f"{'-'.join(path.split()[1:]) or path}.md"


def _section(context: click.Context, examples: Path) -> str:
    text = click.unstyle(context.get_help()).rstrip()
    example = examples / example_of(context.command_path)
    below = f"\n{example.read_text(encoding='utf-8').strip()}\n" if example.exists() else ""
    return f"## {context.command_path}\n\n```text\n{text}\n```\n{below}"


def main() -> int:
    page = DOCS / "cli.md"
    text = reference(cli, DOCS / "examples")
    if "--check" not in sys.argv[1:]:
        page.write_text(text, encoding="utf-8")
    elif not page.exists() or page.read_text(encoding="utf-8") != text:
        print("docs/cli.md is not what the commands say. `make fix` writes it again.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
