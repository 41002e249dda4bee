"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for scripts.")
yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Read the passphrase or recovery key from the first line of this file.",
)
connection_name = click.argument("name", required=False, default="", metavar="[NAME]")

_SELECTION = (
    click.option("--id", "ids", multiple=True, metavar="ID", help="This conversation, or the beginning of its id."),
    click.option("--search", "query", default="", metavar="QUERY", help="Those that a search finds."),
    click.option("--platform", "platforms", multiple=True, help="From this platform, like chatgpt."),
    click.option("--project", "projects", multiple=True, help="Of this project."),
    click.option("--label", "labels", multiple=True, help="With this label."),
    click.option("--with", "people", multiple=True, metavar="PERSON", help="With this person in it."),
    click.option("--since", default="", metavar="DATE", help="That went on at this date or later."),
    click.option("--until", default="", metavar="DATE", help="That began at this date or before."),
    click.option("--trashed", is_flag=True, help="Those in the trash instead."),
)


def selection(command: F) -> F:
    """The options by which conversations are chosen; they arrive as one `Selection` named `chosen`."""
    from functools import wraps

    @wraps(command)
    def chosen(**given: Any) -> Any:
        from chatkeep.selection import Selection

        names = ("ids", "query", "platforms", "projects", "labels", "people", "since", "until", "trashed")
        return command(chosen=Selection(**{name: given.pop(name) for name in names}), **given)

    for option in reversed(_SELECTION):
        chosen = option(chosen)
    return chosen  # type: ignore[return-value]


def read_passphrase(path: Path | None, given: str) -> str:
    """The passphrase of a file, else the one of the environment. Raises WrongUse when the file has none."""
    if path is None:
        return given
    from chatkeep.errors import WrongUse

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"The passphrase file {path.name} cannot be read.") from error
    if not lines or not lines[0].strip():
        raise WrongUse(f"The passphrase file {path.name} is empty.")
    return lines[0]
