"""An archive taken over by another: a laptop's, by the one that its person has on a server."""

from __future__ import annotations

from chatkeep.archive import Archive, Receipt
from chatkeep.errors import ChatkeepError, Problem
from chatkeep.operations.progress import Progress, Step, quiet
from chatkeep.operations.reports import AdoptReport, Compared


def adopt(given: Archive, archive: Archive, *, progress: Progress = quiet) -> AdoptReport:
    """All that an archive holds, joined with what another one has: documents, attachments, and what was taken away.

    Nothing is taken from the archive that is given, and what people did there keeps its stamps. Repeating it adds
    nothing; cut off, it goes on where it was. Receipts come last, and only where there are none yet: undoing goes by
    their order (`archive.handing`).
    The counts are of what was given, and of how much of that the other archive has afterwards.
    """
    problems = _attachments(given, archive, progress)
    there = {entry.id: entry.revision for entry in archive.entries()}
    entries = list(given.entries())
    with archive.joining(host="adopted") as joining:
        for id, data in given.tombstones():
            joining.mark(id, data)
        for done, entry in enumerate(entries):
            if there.get(entry.id) != entry.revision:
                joining.take(given.load(entry.id))
            progress(Step("Taking over", done + 1, len(entries), "conversations"))
        joined = joining.finish(cursors={}, most=len(there))
    archive.take_receipts_of(given)
    return AdoptReport(
        added=joined.added,
        updated=joined.updated,
        conversations=_compared([entry.id for entry in entries], {entry.id for entry in archive.entries()}),
        messages=_messages(given, archive),
        attachments=_compared([one for one, _ in given.held()], {one for one, _ in archive.held()}),
        tombstones=_compared([id for id, _ in given.tombstones()], {id for id, _ in archive.tombstones()}),
        receipts=_compared([_of(receipt) for receipt in given.receipts()], {_of(one) for one in archive.receipts()}),
        problems=problems + joined.problems,
    )


def _of(receipt: Receipt) -> str:
    """What a receipt is known by in any archive: its number is another one in each."""
    return "\0".join((receipt.at, receipt.importer, receipt.digest, receipt.source))


def _attachments(given: Archive, archive: Archive, progress: Progress) -> list[Problem]:
    problems = []
    there = {sha256 for sha256, _ in archive.held()}
    missing = [sha256 for sha256, _ in given.held() if sha256 not in there]
    for done, sha256 in enumerate(missing):
        try:
            with given.attachment(sha256).open("rb") as stream:
                kept = archive.keep(stream)
        except (ChatkeepError, OSError):
            problems.append(Problem(f"attachments/{sha256[:2]}/{sha256}", "The file cannot be read."))
            continue
        if kept.sha256 != sha256:
            problems.append(Problem(f"attachments/{sha256[:2]}/{sha256}", "The file is not what its name says."))
        progress(Step("Copying", done + 1, len(missing), "attachments"))
    return problems


def _compared(given: list[str], here: set[str]) -> Compared:
    return Compared(given=len(given), here=sum(one in here for one in given))


def _messages(given: Archive, archive: Archive) -> Compared:
    """Messages of a conversation that is the same on both sides need not be looked at one by one."""
    there = {entry.id: entry.revision for entry in archive.entries()}
    all_of_it = here = 0
    for entry in given.entries():
        if there.get(entry.id) == entry.revision:
            count = given.listed(entry.id).messages
            all_of_it, here = all_of_it + count, here + count
            continue
        ids = {message.id for message in given.load(entry.id).messages}
        all_of_it += len(ids)
        if entry.id in there:
            here += len(ids & {message.id for message in archive.load(entry.id).messages})
    return Compared(given=all_of_it, here=here)
