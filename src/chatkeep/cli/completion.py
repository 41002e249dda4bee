"""`chatkeep completion`: completion of commands and options in the shell."""

from __future__ import annotations

import click

_SHELLS = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "~/.config/fish/completions/chatkeep.fish"}


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, for scripts.")
def completion(shell: str, as_json: bool) -> None:
    """Print the script that completes chatkeep's commands in a shell.

    For bash: chatkeep completion bash >> ~/.bashrc
    """
    from click.shell_completion import get_completion_class

    from chatkeep.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(cli, {}, "chatkeep", "_CHATKEEP_COMPLETE").source()
    if as_json:
        from chatkeep.cli.output import write_json

        write_json({"shell": shell, "file": _SHELLS[shell], "script": script})
    else:
        click.echo(script)
