#!/usr/bin/env python3
"""Write what is made from the program: docs/cli.md, every command with its help and example, and docs/api/openapi.json.

    docs/generate.py            write them
    docs/generate.py --check    say whether they are what they should be, and change nothing

An example is written by hand in docs/examples/<command>.md (spaces become hyphens) and comes below the help.
"""

from __future__ import annotations

import os
import sys
import tempfile
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


def description() -> str:
    """The OpenAPI document of the API. It takes an installation to load it, so one is made and thrown away."""
    from django.apps import apps

    if not apps.ready:
        with tempfile.TemporaryDirectory() as home:
            os.environ.update(CHATKEEP_HOME=home, DJANGO_SETTINGS_MODULE="chatkeep.web.configuration")
            import django

            django.setup()
    from chatkeep.api.described import openapi

    return openapi().decode()


def main() -> int:
    pages = {DOCS / "cli.md": reference(cli, DOCS / "examples"), DOCS / "api" / "openapi.json": description()}
    if "--check" not in sys.argv[1:]:
        for page, text in pages.items():
            page.parent.mkdir(exist_ok=True)
            page.write_text(text, encoding="utf-8")
        return 0
    old = [page for page, text in pages.items() if not page.exists() or page.read_text(encoding="utf-8") != text]
    for page in old:
        print(f"{page.relative_to(DOCS.parent)} is not what the program says. `make fix` writes it.", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
