"""A group of commands that loads each one when it is called: the help of all costs nothing of any."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click


class LazyGroup(click.Group):
    """A group whose commands are named here, with a short help, and live in modules that are loaded on use.

    lazily: name → ("module:attribute", short help), in the order in which help lists them.
    """

    def __init__(self, *args: object, lazily: Mapping[str, tuple[str, str]] | None = None, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._lazily = dict(lazily or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazily)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._lazily:
            return None
        module, _, attribute = self._lazily[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = _nearest(args[0], list(self._lazily)) if args else ""
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near!r}?", error.ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in self._lazily.items()])


def _nearest(given: str, names: list[str]) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(given, names, 1)), "")
