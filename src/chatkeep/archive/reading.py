"""Reading a conversation, all of it or a page, without decoding what is not asked for."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

import msgspec

from chatkeep.archive import choosing
from chatkeep.archive.database import Database
from chatkeep.archive.rows import FRAME, GONE, unpack, unpack_frame
from chatkeep.archive.values import Place, Window
from chatkeep.errors import Damaged, NotFound
from chatkeep.model import Conversation, Message, Participant, decode

_AT_ONCE = 64
_MESSAGE = msgspec.json.Decoder(Message)


def document(db: Database, number: int) -> bytes:
    """The canonical bytes of a conversation. Raises NotFound when it is gone."""
    found = db.execute("SELECT frames, data FROM contents WHERE document = ?", (number,)).fetchone()
    if found is None:
        raise NotFound("The conversation is not in the archive any more")
    return unpack(*found)


def documents(db: Database, numbers: list[int]) -> Iterator[bytes]:
    """The canonical bytes of many conversations, in the order of their numbers here; without those that are gone.

    Short ones are read some at a time, which is quicker, and long ones by themselves.
    """
    for at in range(0, len(numbers), _AT_ONCE):
        some = numbers[at : at + _AT_ONCE]
        short = dict(
            db.execute(
                f"SELECT document, data FROM {db.numbers} CROSS JOIN contents "
                "WHERE document = value AND frames IS NULL",
                (db.many(some),),
            )
        )
        for number in some:
            packed = short.pop(number, None)
            with contextlib.suppress(NotFound):  # removed meanwhile
                yield unpack_frame(packed) if packed is not None else document(db, number)


def window(db: Database, number: int, *, leaf: str, start: int, count: int) -> Window:
    conversation = choosing.one_listed(db, number)
    shown, here = db.execute(
        "SELECT leaf, (SELECT count(*) FROM messages WHERE document = number AND shown IS NOT NULL) "
        "FROM documents WHERE number = ?",
        (number,),
    ).fetchone()
    start, count = max(0, start), max(0, count)
    if not leaf or leaf == shown:
        leaf, total = shown, here
        places = [
            place
            for (place,) in db.execute(
                "SELECT position FROM messages WHERE document = ? AND shown >= ? AND shown < ? ORDER BY shown",
                (number, start, start + count),
            )
        ]
    else:
        path = _path(db, number, leaf)
        total, places = len(path), path[start : start + count]
    messages = tuple(_messages(db, number, places))
    return Window(
        conversation=conversation,
        participants=_participants(db, number, messages),
        messages=messages,
        siblings=_siblings(db, number, places),
        leaf=leaf,
        start=start,
        total=total,
    )


def _path(db: Database, number: int, leaf: str) -> list[int]:
    """The positions from the root to a message. Raises NotFound."""
    parents: dict[int, int | None] = {}
    place: int | None = None
    for position, parent, id in db.execute(
        "SELECT position, parent, id FROM messages WHERE document = ? AND position >= 0", (number,)
    ):
        parents[position] = parent
        if id == leaf:
            place = position
    if place is None:
        raise NotFound("There is no such message in the conversation")
    if not any(parent is not None for parent in parents.values()):
        return sorted(parents)
    path: dict[int, None] = {}
    while place is not None and place != GONE and place not in path:
        path[place] = None
        place = parents[place]
    return list(reversed(path))


def place(db: Database, number: int, message: str) -> Place:
    """Where a message stands: on the path that is shown, else on the path through it to its newest end.

    Raises NotFound.
    """
    rows = db.execute(
        "SELECT position, parent, id, shown FROM messages WHERE document = ? AND position >= 0 ORDER BY position",
        (number,),
    ).fetchall()
    at = next((row for row in rows if row[2] == message), None)
    if at is None:
        raise NotFound("There is no such message in the conversation")
    if at[3] is not None:
        return Place(leaf="", position=at[3])
    newest = {parent: position for position, parent, _, _ in rows if parent is not None}
    end, passed = at[0], {at[0]}
    while (end_of := newest.get(end)) is not None and end_of not in passed:
        end = end_of
        passed.add(end)
    leaf = next(id for position, _, id, _ in rows if position == end)
    return Place(leaf=leaf, position=_path(db, number, leaf).index(at[0]))


def _participants(db: Database, number: int, messages: tuple[Message, ...]) -> tuple[Participant, ...]:
    found = db.execute(
        "SELECT id, name, role FROM takes_part JOIN people ON people.number = person WHERE document = ? ORDER BY id",
        (number,),
    )
    return tuple(Participant(id=id, name=name, role=role) for id, name, role in found)


def _siblings(db: Database, number: int, places: list[int]) -> list[list[str]]:
    """For each place, the ids of the messages with the same parent, if there are several."""
    if not places:
        return []
    marks = ",".join("?" * len(places))
    parents: dict[int, int | None] = dict(
        db.execute(
            f"SELECT position, parent FROM messages WHERE document = ? AND position IN ({marks})", (number, *places)
        )
    )
    wanted = {parent for parent in parents.values() if parent is not None}
    tree = (
        wanted
        or db.execute("SELECT 1 FROM messages WHERE document = ? AND parent IS NOT NULL LIMIT 1", (number,)).fetchone()
    )
    if not tree:
        return [[] for _ in places]
    groups: dict[int, list[str]] = {}
    for parent, id in db.execute(
        "SELECT parent, id FROM messages WHERE document = ? AND position >= 0 ORDER BY position", (number,)
    ):
        groups.setdefault(GONE if parent is None else parent, []).append(id)
    above = [GONE if (parent := parents[place]) is None else parent for place in places]
    return [group if len(group := groups.get(parent, [])) > 1 else [] for parent in above]


def _messages(db: Database, number: int, places: list[int]) -> Iterator[Message]:
    """The messages at some places of one document."""
    if not places:
        return
    pieces = _Pieces(db, number)
    spans = {
        place: (start, length)
        for place, start, length in db.execute(
            "SELECT position, start, length FROM messages WHERE document = ? "
            f"AND position IN ({','.join('?' * len(places))})",
            (number, *places),
        )
    }
    for place in places:
        try:
            yield _MESSAGE.decode(pieces.read(*spans[place]))
        except msgspec.ValidationError:
            # A field that this version does not know: the slow way keeps it.
            yield _whole(db, number).messages[place]
        except msgspec.DecodeError as wrong:
            raise Damaged("A document in the archive is damaged") from wrong


class _Pieces:
    """Parts of one document, unpacking only the frames they stand in."""

    def __init__(self, db: Database, number: int) -> None:
        self._db = db
        self._number = number
        frames = db.execute("SELECT frames FROM contents WHERE document = ?", (number,)).fetchone()
        if frames is None:
            raise NotFound("The conversation is not in the archive any more")
        self._lengths = struct.unpack(f"<{len(frames[0]) // 4}I", frames[0]) if frames[0] else None
        self._frames: dict[int, bytes] = {}

    def read(self, start: int, length: int) -> bytes:
        return b"".join(self._slices(start, length))

    def _slices(self, start: int, length: int) -> Iterator[bytes]:
        for frame in range(start // FRAME, (start + length - 1) // FRAME + 1):
            data = self._frame(frame)
            first = frame * FRAME if self._lengths else 0
            yield data[max(start - first, 0) : start + length - first]
            if not self._lengths:
                return

    def _frame(self, frame: int) -> bytes:
        if self._lengths is None:
            frame = 0
        if frame not in self._frames:
            self._frames[frame] = self._read(frame)
        return self._frames[frame]

    def _read(self, frame: int) -> bytes:
        if self._lengths is None:
            return document(self._db, self._number)
        return unpack_frame(self._db.piece(self._number, sum(self._lengths[:frame]), self._lengths[frame]))


def _whole(db: Database, number: int) -> Conversation:
    return decode(document(db, number))
