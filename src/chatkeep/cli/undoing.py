"""`chatkeep trash` and `undo`: what is reversible, and how."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from chatkeep.cli import options


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--back", is_flag=True, help="Take them out of the trash again.")
@options.as_json
def trash(ids: tuple[str, ...], back: bool, as_json: bool) -> None:
    """Put conversations into the trash, or take them back out.

    "chatkeep list --trashed" shows what lies there. What has lain there for thirty days is deleted by the next sync.
    """
    from chatkeep import views
    from chatkeep.cli import rooms
    from chatkeep.cli.output import one_line, say, write_json

    with rooms.App().archive() as archive:
        found = [archive.load(id) for id in ids]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for conversation in found:
            archive.edit(conversation.id, "trashed", False if back else now)
    if as_json:
        write_json([{"id": one.id, "title": views.title(one), "trashed": not back} for one in found])
        return
    for conversation in found:
        title = one_line(views.title(conversation), 60) or conversation.id[:8]
        say(f"{title} is back from the trash." if back else f"{title} is in the trash.")
    if not back:
        say(f"Take back with: chatkeep trash --back {' '.join(one.id[:8] for one in found)}")


@click.command()
@click.argument("receipt", required=False, default="", metavar="[RECEIPT]")
@click.option("--list", "listed", is_flag=True, help="List what can be undone.")
@options.yes
@options.as_json
def undo(receipt: str, listed: bool, yes: bool, as_json: bool) -> None:
    """Undo an import or a restore: the last that brought something, or that of a receipt.

    What it added goes, what it updated goes back; what you did since stays.
    """
    from chatkeep.cli import rooms
    from chatkeep.cli.output import count, one_line, say, write_json
    from chatkeep.errors import NotFound

    if listed:
        with rooms.archive() as archive:
            _list(archive.receipts(), as_json=as_json)
        return
    with rooms.App().archive() as archive:
        open_ones = [one for one in archive.receipts() if not one.undone_at and (one.added or one.updated)]
        if not receipt and not open_ones:
            raise NotFound("There is nothing to undo.")
        meant = archive.receipt(receipt) if receipt else max(open_ones, key=lambda one: int(one.id))
        if not yes and not as_json and _can_ask():
            brought = f"{count(meant.added, 'conversation')} added, {meant.updated:,} updated"
            click.confirm(f"Undo {one_line(meant.source, 60)} ({brought})?", abort=True, err=True)
        undone = archive.undo(meant.id)
    if as_json:
        write_json({"receipt": meant.id, "source": meant.source, "undone": undone})
    else:
        say(f"Undone: {one_line(meant.source)}")
        say(f"  {count(undone.removed, 'conversation')} removed, {undone.restored:,} as before")


def _list(receipts: object, *, as_json: bool) -> None:
    from chatkeep.archive import Receipt
    from chatkeep.cli.output import say, table, when, write_json

    found = sorted((one for one in receipts if isinstance(one, Receipt)), key=lambda one: -int(one.id))  # type: ignore[attr-defined]
    if as_json:
        write_json(found)
    elif not found:
        say("Nothing was imported yet.")
    else:
        rows = [
            (one.id, when(one.at), f"{one.added:,}", f"{one.updated:,}", when(one.undone_at) or "-", one.source)
            for one in found
        ]
        table(rows, head=("Receipt", "At", "Added", "Updated", "Undone", "Source"), wide=5)


def _can_ask() -> bool:
    import sys

    return sys.stdin.isatty() and sys.stderr.isatty()
