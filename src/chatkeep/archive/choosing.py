"""From a selection to conditions of SQL, and the lists that follow from them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from chatkeep.archive.database import Database, Key
from chatkeep.archive.values import Facets, Listed
from chatkeep.errors import NotFound, WrongUse
from chatkeep.selection import Selection

_COLUMNS = (
    "id, title, platform, created_at, updated_at, messages, revision, project, labels, starred, archived, trashed, "
    "preview, attachments, last_at"
)
_SHORTEST_PREFIX = 4
_WHOLE = 36
ALL = 1 << 62


class Conditions:
    """Conditions that hold together, with the values for their question marks."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.values: list[object] = []

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, condition: str, *values: object) -> None:
        self._parts.append(condition)
        self.values += values

    def sql(self) -> str:
        return " AND ".join(f"({part})" for part in self._parts) or "TRUE"

    def select(self, db: Database, archive: Key, selection: Selection) -> None:
        """Adds what a selection says of a conversation (d), except its query and whether it is in the trash."""
        if selection.ids:
            ids = [resolve(db, archive, id)[1] for id in selection.ids]
            self.add(f"d.id IN (SELECT value FROM {db.texts})", db.many(ids))
        for column in ("platform", "project"):
            if values := getattr(selection, column + "s"):
                self.add(f"d.{column} IN (SELECT value FROM {db.texts})", db.many(values))
        if selection.labels:
            self.add(
                f"EXISTS (SELECT 1 FROM {db.labels} l WHERE l.value IN (SELECT value FROM {db.texts}))",
                db.many(selection.labels),
            )
        if selection.people:
            numbers = [number for name in selection.people for number in people_like(db, archive, name)]
            self.add(
                "EXISTS (SELECT 1 FROM takes_part WHERE document = d.number "
                f"AND person IN (SELECT value FROM {db.numbers}))",
                db.many(numbers),
            )
        if selection.begins:
            self.add("d.last_at >= ?", selection.begins)
        if selection.ends:
            self.add("d.first_at < ? AND d.first_at != ''", selection.ends)


def resolve(db: Database, archive: Key, id: str) -> tuple[int, str]:
    """Number and id of the conversation with an id, an alias, or the beginning of one. Raises NotFound, WrongUse."""
    found = db.execute("SELECT number, id FROM documents WHERE archive = ? AND id = ?", (archive, id)).fetchone()
    if found is None:
        found = db.execute(
            "SELECT number, documents.id FROM aliases JOIN documents USING (archive) "
            "WHERE archive = ? AND alias = ? AND documents.id = aliases.id",
            (archive, id),
        ).fetchone()
    if found is None and len(id) >= _SHORTEST_PREFIX:
        several = db.execute(
            "SELECT number, id FROM documents WHERE archive = ? AND id >= ? AND id < ? LIMIT 2",
            (archive, id, id + "\U0010ffff"),
        ).fetchall()
        if len(several) > 1:
            raise WrongUse(f"Several conversations have ids that begin with {id}", hint="Give more of the id.")
        found = several[0] if several else None
    if found is None:
        hint = (
            f"Lists show the ids; their first {_SHORTEST_PREFIX} signs or more are enough." if len(id) < _WHOLE else ""
        )
        raise NotFound(f"There is no conversation {id} in the archive", hint=hint)
    return int(found[0]), str(found[1])


def people_like(db: Database, archive: Key, name: str) -> list[int]:
    """The numbers of participants whose id, role or name is this, or whose name has a word that begins with it."""
    wanted = name.casefold().strip()
    found = []
    for number, id, known, role in db.execute(
        "SELECT number, id, name, role FROM people WHERE archive = ?", (archive,)
    ):
        folded = known.casefold()
        if wanted in (id.casefold(), role) or folded.startswith(wanted) or f" {wanted}" in folded:
            found.append(number)
    return found


def listed(row: tuple[object, ...]) -> Listed:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    labels = msgspec.json.decode(str(values.pop("labels")), type=list[str])
    flags = {name: bool(values.pop(name)) for name in ("starred", "archived", "trashed")}
    return Listed(**values, **flags, labels=labels)  # type: ignore[arg-type]


def listing(db: Database, conditions: Conditions, *, limit: int | None, offset: int) -> Iterator[Listed]:
    for row in db.execute(
        f"SELECT {_COLUMNS} FROM documents d WHERE {conditions.sql()} ORDER BY last_at DESC, id LIMIT ? OFFSET ?",
        (*conditions.values, ALL if limit is None else limit, offset),
    ):
        yield listed(row)


def page(
    db: Database, conditions: Conditions, *, limit: int, after: tuple[str, str] | None
) -> tuple[list[Listed], tuple[str, str] | None]:
    """The next of the list behind a place, and the place where this part ends; None when nothing is behind it."""
    if after is not None:
        conditions.add("d.last_at < ? OR (d.last_at = ? AND d.id > ?)", after[0], after[0], after[1])
    rows = db.execute(
        f"SELECT last_at, {_COLUMNS} FROM documents d WHERE {conditions.sql()} ORDER BY last_at DESC, id LIMIT ?",
        (*conditions.values, limit + 1),
    ).fetchall()
    found = [listed(row[1:]) for row in rows[:limit]]
    return found, (str(rows[limit - 1][0]), found[-1].id) if len(rows) > limit else None


def one_listed(db: Database, number: int) -> Listed:
    return listed(db.execute(f"SELECT {_COLUMNS} FROM documents WHERE number = ?", (number,)).fetchone())


def numbers(db: Database, conditions: Conditions) -> list[int]:
    """The numbers of the chosen documents in the order of lists."""
    return [
        number
        for (number,) in db.execute(
            f"SELECT number FROM documents d WHERE {conditions.sql()} ORDER BY last_at DESC, id", conditions.values
        )
    ]


def facets(db: Database, conditions: Conditions) -> Facets:
    def counted(column: str, source: str) -> dict[str, int]:
        return dict(
            db.execute(
                f"SELECT {column}, count(*) FROM {source} WHERE {conditions.sql()} AND {column} != '' "
                f"GROUP BY {column} ORDER BY count(*) DESC, {column}",
                conditions.values,
            )
        )

    return Facets(
        counted("d.platform", "documents d"),
        counted("d.project", "documents d"),
        counted("l.value", f"documents d CROSS JOIN {db.labels} l"),
    )
