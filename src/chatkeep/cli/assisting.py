"""`chatkeep mcp`: conversations for assistants, to read and nothing else."""

from __future__ import annotations

import click


@click.command()
@click.option("--http", "over_http", is_flag=True, help="Answer over HTTP, to those who bring a token.")
@click.option("--host", default="127.0.0.1", show_default=True, help="With --http: listen on this address.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8766, show_default=True, help="With --http; 0 takes a free one."
)
@click.option("--allow-host", "names", multiple=True, metavar="NAME", help="With --http: a further name it answers to.")
@click.option("--json", "as_json", is_flag=True, hidden=True, help="Accepted; there is no result.")
def mcp(over_http: bool, host: str, port: int, names: tuple[str, ...], as_json: bool) -> None:
    """Let an assistant search and read the archive (Model Context Protocol).

    Without --http the assistant starts this command itself and talks to it over standard input and output. Nothing
    can be changed through it.
    """
    if over_http:
        _over_http(host, port, names)
        return
    from chatkeep.cli import rooms
    from chatkeep.errors import WrongUse

    if rooms.settings().is_server:
        raise WrongUse(
            "A server has many archives, so this needs to know whose is meant.",
            hint="Use chatkeep mcp --http, to which each person brings a token.",
        )
    with rooms.archive() as archive:
        from chatkeep.mcp.server import serve_here

        serve_here(archive)


def _over_http(host: str, port: int, names: tuple[str, ...]) -> None:
    from contextlib import closing

    from chatkeep.cli import rooms
    from chatkeep.errors import Unavailable, WrongUse
    from chatkeep.settings import LOOPBACK

    app = rooms.App()
    public = app.settings.public_host
    if host not in ("127.0.0.1", "localhost", "::1") and not (public or names):
        raise WrongUse(
            "Under which name others reach this server is not known.",
            hint="Give it with --allow-host NAME, and let a proxy with TLS stand before it.",
        )
    from chatkeep.api.elsewhere import admitted
    from chatkeep.jobs.means import means_of
    from chatkeep.mcp import guarded

    more = [*names, *([public] if public else []), *(set(app.settings.allowed_hosts) - set(LOOPBACK))]
    with closing(means_of(app.settings)) as means:
        try:
            listener = guarded.listening(host, port)
        except OSError as error:
            raise Unavailable(
                f"Port {port} of {host} cannot be used.", hint="Choose another with --port; 0 takes a free one."
            ) from error
        with listener:
            bound = listener.getsockname()[1]
            served = guarded.app(admitted, means.archive_of, hosts=guarded.names_of(host, bound, more))
            click.echo(
                f"Answering at http://{f'[{host}]' if ':' in host else host}:{bound}{guarded.PATH}. Ctrl-C ends it."
            )
            guarded.serve(served, listener)
