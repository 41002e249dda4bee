"""Conversations that are pushed, written together: who comes while others write is taken in the next transaction.

An answer is given once what it says is on disk. A disk syncs a few hundred times a second at best, so that one
transaction for each conversation would be the limit of what can be pushed; together, many share one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from chatkeep.api import house, reading
from chatkeep.archive import Archive
from chatkeep.errors import NotFound, Problem
from chatkeep.records import Loaded


class Became(msgspec.Struct, frozen=True):
    """What became of a conversation that was pushed.

    outcome: "added", "updated", "unchanged", or "gone": it was deleted or erased here, and stays away.
    wanted: hashes of attachments that it names and that are not here.
    """

    id: str
    outcome: str
    revision: str = ""
    wanted: list[str] = []


class Taken(msgspec.Struct, frozen=True):
    """What became of one item. receipt: by which all that came with it can be undone; "" when nothing was new."""

    conversations: list[Became]
    problems: list[Problem] = []
    receipt: str = ""


@dataclass(slots=True)
class _Sheet:
    """What one request brings. source: how the receipt names whom it came from."""

    source: str
    loaded: Sequence[Loaded]
    outcomes: list[list[tuple[str, str]]] = field(default_factory=list)
    revisions: Mapping[str, str] = field(default_factory=dict)
    receipt: str = ""
    error: BaseException | None = None
    is_done: bool = False


class _Desk:
    """Where the requests for one archive meet in this process."""

    def __init__(self) -> None:
        self.users = 0
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Sheet] = []

    def take(self, archive: Archive, sheet: _Sheet) -> None:
        """Write a sheet, with all that wait meanwhile. When it returns, it is on disk. Raises what writing raises."""
        with self._lock:
            self._waiting.append(sheet)
        with self._turn:
            if not sheet.is_done:
                with self._lock:
                    sheets, self._waiting = self._waiting, []
                for source in dict.fromkeys(one.source for one in sheets):
                    _write_all(archive, [one for one in sheets if one.source == source])
        if sheet.error is not None:
            raise sheet.error


_desks: dict[str, _Desk] = {}
_lock = threading.Lock()


def push(archive_id: str, source: str, loaded: Sequence[Loaded]) -> list[Taken]:
    """Merge what was pushed into the archive: what became of each. source: names who pushed, for the receipt."""
    archive = house.archive(archive_id)
    sheet = _Sheet(source, loaded)
    if any(one.conversations for one in loaded):
        with _desk(archive_id) as desk:
            desk.take(archive, sheet)
    else:
        sheet.outcomes = [[] for _ in loaded]
    ids = {id for outcomes in sheet.outcomes for _, id in outcomes}
    revisions = {id: sheet.revisions[id] for id in ids & sheet.revisions.keys()}
    if others := ids - revisions.keys():
        revisions |= archive.revisions(others)
    return [
        Taken(_became(archive, one, outcomes, revisions), list(one.problems), sheet.receipt)
        for one, outcomes in zip(loaded, sheet.outcomes, strict=True)
    ]


def _became(
    archive: Archive, loaded: Loaded, outcomes: list[tuple[str, str]], revisions: dict[str, str]
) -> list[Became]:
    return [
        Became(id, outcome if id in revisions else "gone", revisions.get(id, ""), _wanted(archive, conversation))
        for conversation, (outcome, id) in zip(loaded.conversations, outcomes, strict=True)
    ]


def _wanted(archive: Archive, conversation: object) -> list[str]:
    return [sha256 for sha256 in reading.attachments(conversation) if not _is_held(archive, sha256)]  # type: ignore[arg-type]


def _is_held(archive: Archive, sha256: str) -> bool:
    try:
        archive.attachment_info(sha256)
    except NotFound:
        return False
    return True


@contextlib.contextmanager
def _desk(archive_id: str) -> Iterator[_Desk]:
    """The desk of an archive, which is there as long as somebody stands at it."""
    with _lock:
        desk = _desks.setdefault(archive_id, _Desk())
        desk.users += 1
    try:
        yield desk
    finally:
        with _lock:
            desk.users -= 1
            if not desk.users:
                del _desks[archive_id]


def _write_all(archive: Archive, sheets: list[_Sheet]) -> None:
    """Write sheets of one source together; if that fails, each by itself, so that one spoils no other."""
    try:
        _write(archive, sheets)
    except Exception as error:
        if len(sheets) == 1:
            sheets[0].error, sheets[0].is_done = error, True
            return
        for sheet in sheets:
            _write_all(archive, [sheet])


def _write(archive: Archive, sheets: list[_Sheet]) -> None:
    expected = {one.id for sheet in sheets for loaded in sheet.loaded for one in loaded.conversations}
    with archive.take_in(sheets[0].source, "", "api/1", keep_empty=False, expected=expected) as intake:
        taken = [[intake.take(loaded) for loaded in sheet.loaded] for sheet in sheets]
    for sheet, outcomes in zip(sheets, taken, strict=True):
        sheet.outcomes = [list(one) for one in outcomes]
        sheet.revisions = intake.revisions
        sheet.receipt = intake.receipt.id
        sheet.is_done = True
