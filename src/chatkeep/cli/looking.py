"""`chatkeep list`, `search` and `show`: finding and reading."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from chatkeep.cli import options

if TYPE_CHECKING:
    from chatkeep.archive import Found, Hit
    from chatkeep.selection import Selection


@click.command("list")
@options.selection
@click.option("--limit", type=click.IntRange(0), default=0, help="At most so many; 0 means all.")
@options.as_json
def list_command(chosen: Selection, limit: int, as_json: bool) -> None:
    """List conversations, newest first."""
    from chatkeep.cli import rooms
    from chatkeep.cli.output import count, say, table, when, write_json

    with rooms.archive() as archive:
        found = archive.listing(chosen, limit=limit or None)
        total = archive.count(chosen) if limit else len(found)
    if as_json:
        write_json(found)
        return
    if not found:
        say(
            "No conversations."
            if chosen != type(chosen)()
            else "No conversations yet. Start with: chatkeep import PATH"
        )
        return
    rows = [(one.id[:8], when(one.went_on_at), one.platform, f"{one.messages:,}", one.title or "-") for one in found]
    table(rows, head=("ID", "Last", "Platform", "Messages", "Title"), wide=4)
    shown = f"{len(found):,} of {count(total, 'conversation')}" if total > len(found) else count(total, "conversation")
    click.echo(shown, err=True)


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="QUERY")
@options.selection
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many hits.")
@options.as_json
def search(words: tuple[str, ...], chosen: Selection, limit: int, as_json: bool) -> None:
    """Find words in all conversations.

    All words must occur. "two words" is a phrase, -word leaves out; from:, platform:, before:, after:, in: and
    has:attachment narrow it down.
    """
    from chatkeep.cli import rooms
    from chatkeep.cli.output import write_json

    with rooms.archive() as archive:
        found = archive.search(" ".join(words), selection=chosen, limit=limit)
    if as_json:
        write_json(_as_values(found))
    else:
        _say_found(found)


def _as_values(found: Found) -> dict[str, object]:
    return {"total": found.total, "exact": found.exact, "hits": [_hit(hit) for hit in found.hits]}


def _hit(hit: Hit) -> dict[str, object]:
    return {
        "conversation": hit.conversation,
        "message": hit.message,
        "title": hit.title,
        "platform": hit.platform,
        "snippet": hit.snippet.text,
        "sent_at": hit.sent_at,
        "author": hit.author,
        "role": hit.role,
    }


def _say_found(found: Found) -> None:
    from chatkeep.cli.output import count, one_line, say, when

    for hit in found.hits:
        facts = [hit.conversation[:8], when(hit.sent_at), hit.platform, one_line(hit.title, 60) or "-"]
        say(click.style("  ".join(fact for fact in facts if fact), bold=True))
        author = f"{one_line(hit.author, 30)}: " if hit.author else ""
        say("  " + author + "".join(_styled(text, is_match) for text, is_match in hit.snippet.pieces))
    total = f"{'' if found.exact else 'at least '}{count(found.total, 'hit')}"
    click.echo(f"{len(found.hits):,} of {total}" if found.total > len(found.hits) else total, err=True)


def _styled(text: str, is_match: bool) -> str:
    from chatkeep.cli.output import printable

    shown = printable(" ".join(_kept_ends(text)))
    return click.style(shown, fg="yellow", bold=True) if is_match else shown


def _kept_ends(text: str) -> list[str]:
    """The words of a piece; the spaces at its ends stay, since the next piece goes on there."""
    words = text.split()
    if not words:
        return ["", ""] if text else []
    return [*([""] if text[0].isspace() else []), *words, *([""] if text[-1].isspace() else [])]


@click.command()
@click.argument("id", metavar="ID")
@click.option("--document", is_flag=True, help="Print the document, byte for byte as it is kept.")
@options.as_json
def show(id: str, document: bool, as_json: bool) -> None:
    """Show one conversation as text. The beginning of its id is enough."""
    from chatkeep.cli import rooms
    from chatkeep.cli.output import write_bytes

    with rooms.archive() as archive:
        if document:
            write_bytes(archive.document(archive.load(id).id))
        elif as_json:
            write_bytes(archive.document(archive.load(id).id) + b"\n")
        else:
            _say_conversation(archive.load(id))


def _say_conversation(conversation: object) -> None:
    from chatkeep import exporters
    from chatkeep.cli.output import printable
    from chatkeep.model import Conversation

    assert isinstance(conversation, Conversation)
    text = printable(exporters.preview(conversation, "txt", exporters.Customisation()))
    if sys.stdout.isatty():
        click.echo_via_pager(text)
    else:
        click.echo(text, nl=not text.endswith("\n"))
