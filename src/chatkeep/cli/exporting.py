"""`chatkeep export`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from chatkeep.cli import options
from chatkeep.cli.ending import DONE, PROBLEMS

if TYPE_CHECKING:
    from chatkeep.operations import ExportReport
    from chatkeep.selection import Selection

FORMATS = ("txt", "json", "markdown", "html")


@click.command()
@click.option("--format", "-f", "exporter", type=click.Choice(FORMATS), required=True, help="What to write.")
@click.option("--out", "-o", required=True, metavar="PATH", help='A folder, a .zip, one file, or "-".')
@options.selection
@click.option("--branches", type=click.Choice(["shown", "all"]), default="shown", help="The path shown, or all.")
@click.option("--times", type=click.Choice(["none", "date", "full"]), default="full", help="How much of times.")
@click.option("--zone", default="UTC", metavar="ZONE", help="Time zone of times, like Europe/Berlin.")
@click.option("--names", type=click.Choice(["as-is", "roles"]), default="as-is", help="Names, or Person 1, Assistant.")
@click.option("--rename", multiple=True, metavar="NAME=OTHER", help="Write another name for somebody.")
@click.option("--thinking/--no-thinking", default=False, help="With what assistants thought.")
@click.option("--tool-calls/--no-tool-calls", default=False, help="With calls of tools and their results.")
@click.option("--citations/--no-citations", default=True, help="With the sources that were cited.")
@click.option("--hidden/--no-hidden", default=False, help="Also what the platform does not show.")
@click.option("--attachments", type=click.Choice(["copy", "link", "none"]), default="copy", help="What of files.")
@click.option("--one-file", is_flag=True, help="All conversations in one file.")
@click.option("--name-pattern", default="", metavar="PATTERN", help='Paths of files, like "{platform}/{date} {title}".')
@click.option("--redact", multiple=True, metavar="WORD", help="Black out this word.")
@click.option("--redact-pattern", "redact_patterns", multiple=True, metavar="REGEX", help="Black out what fits this.")
@options.as_json
def export(exporter: str, out: str, chosen: Selection, one_file: bool, as_json: bool, **given: Any) -> int:
    """Write conversations as files to read or to keep.

    json loses nothing: importing it again gives the same archive. txt, markdown and html are for reading, and you
    choose what they show. Without a selection everything is written.
    """
    from chatkeep.cli import progress, rooms
    from chatkeep.operations.exporting import export_to

    customisation = _customisation(given, one_file)
    with rooms.archive() as archive, progress.shown(as_json=as_json) as told:
        stream = _stdout() if out == "-" else None
        report = export_to(
            archive, chosen, exporter=exporter, customisation=customisation, out=out, stream=stream, progress=told
        )
    _tell(report, out, as_json=as_json)
    return PROBLEMS if report.problems else DONE


def _customisation(given: dict[str, Any], one_file: bool) -> Any:
    from chatkeep.exporters import Customisation

    names = [pair.partition("=") for pair in given.pop("rename")]
    if any(not sign for _, sign, _ in names):
        raise click.UsageError("--rename is written NAME=OTHER.")
    if not given["name_pattern"]:
        del given["name_pattern"]
    own_names = {name: other for name, _, other in names}
    return Customisation(own_names=own_names, files="one" if one_file else "many", **given)


class _Shown:
    """A terminal as a stream of bytes, with what could steer it shown as what it is."""

    def write(self, data: bytes) -> int:
        from chatkeep.cli.output import printable

        sys.stdout.write(printable(data.decode("utf-8", "replace")))
        return len(data)

    def flush(self) -> None:
        sys.stdout.flush()


def _stdout() -> BinaryIO:
    return _Shown() if sys.stdout.isatty() else sys.stdout.buffer  # type: ignore[return-value]


def _tell(report: ExportReport, out: str, *, as_json: bool) -> None:
    """The report; on standard error when standard output has the export itself."""
    import msgspec

    from chatkeep.cli.output import count, say_problems, size, write_json

    if as_json and out != "-":
        write_json(report)
        return
    if as_json:
        click.echo(msgspec.json.encode(report), err=True)
        return
    written = f"{count(report.conversations, 'conversation')}, {count(report.messages, 'message')}"
    click.echo(f"{written} in {count(report.files, 'file')} ({size(report.bytes)})", err=out == "-")
    if report.missing_attachments:
        click.echo(f"  {count(report.missing_attachments, 'attachment')} not here: the export lacked them", err=True)
    if report.left_out:
        click.echo(f"  {count(report.left_out, 'attachment')} left out: a folder or a zip has room for them", err=True)
    if report.problems:
        click.echo(f"  {count(len(report.problems), 'problem')}:", err=True)
        say_problems(report.problems)
