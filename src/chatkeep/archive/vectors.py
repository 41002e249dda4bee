"""The full-text index on PostgreSQL: a vector of lexemes for each text, made here, and a GIN index over them.

The words are those that SQLite's index has: the same treatment (`words`), then runs of letters, numbers and marks, in
small letters, the Latin ones without accents. Every lexeme begins with the number of its archive, so that a search, one
for the beginning of a word too, walks through lists of its own archive alone. A sign after the number tells what it is:

    3.garden    a word of what is shown, a title or a message
    3,garden    a word of what the platform does not show
    3:p2f…      a tag (see `index.tag`)
    3~long      the vector has no places, as PostgreSQL does not keep so many: the text is asked for phrases
    3~cut       the text has so many different words that it has several vectors: the text is asked for everything

docs/decisions/words-on-postgresql.md says why.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from chatkeep.archive import words
from chatkeep.archive.codes import HIDDEN
from chatkeep.archive.database import transaction
from chatkeep.errors import Problem

if TYPE_CHECKING:
    from chatkeep.archive.query import Query, Tags, Term
    from chatkeep.archive.server import Connection

VERSION = 1  # of `tokens` and of what is chosen to be indexed; raise it when either changes
_LONGEST = 200  # characters of a word; GIN takes 2,700 bytes
_PLACES = 16_000  # words of a text; PostgreSQL counts to 16,383
_OFTEN = 255  # places of one word
_SMALL = 200_000  # characters of a vector that is surely within the limit of 1 MiB, or of a part of one
_READ = 50  # texts that are looked through at once
_LOOKED_THROUGH = 2000  # texts, at most, in one search; the newest
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SHOWN, _HIDDEN, _TAG, _LONG, _CUT = ".", ",", ":", "~long", "~cut"

_ASCII_WORD = re.compile("[a-z0-9]+")
_ACCENTED = re.compile("[\xc0-\u024f\u1e00-\u1eff]")


@cache
def _word() -> re.Pattern[str]:
    """A run of letters, numbers, marks and characters of the private planes, in a text without underlines."""
    codes = [code for code in (*range(0x20000), *range(0xE0100, 0xE01F0)) if unicodedata.category(chr(code))[0] == "M"]
    return re.compile(rf"[\w{''.join(map(chr, codes))}\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]+")


@cache
def _plain(char: str) -> str:
    """A Latin letter without its accents; others as they are."""
    base = unicodedata.normalize("NFD", char)[0]
    return base if base.isascii() else char


def tokens(text: str) -> list[str]:
    """The words of a text in their order, as the index has them."""
    return _runs(words.treated(text))


def _runs(text: str) -> list[str]:
    """The words of a text that was treated."""
    if text.isascii():
        return [word[:_LONGEST] for word in _ASCII_WORD.findall(text.lower())]
    text = _ACCENTED.sub(lambda found: _plain(found[0]), text).lower()
    return [word[:_LONGEST] for word in _word().findall(text.replace("_", " "))]


def prefix_of(archive: int) -> str:
    """What the lexemes of an archive begin with: its number, in few signs."""
    digits = ""
    while archive or not digits:
        archive, digit = divmod(archive, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def vectors(prefix: str, kind: int, tags: str, text: str) -> list[str]:
    """The vectors of a text, as PostgreSQL reads them; nearly always one."""
    begin = f"'{prefix}{_HIDDEN if kind & 3 == HIDDEN else _SHOWN}"
    labels = " ".join([f"'{prefix}{_TAG}{tag}'" for tag in tags.split()])
    found = tokens(text)
    if len(found) <= _PLACES and (len(found) <= _OFTEN or max(Counter(found).values()) <= _OFTEN):
        places: dict[str, str] = {}
        for place, token in enumerate(found, 1):
            before = places.get(token)
            places[token] = f"{before},{place}" if before else str(place)
        whole = " ".join([f"{begin}{token}':{at}" for token, at in places.items()])
        if len(whole) <= _SMALL:
            return [f"{labels} {whole}"]
    parts = list(_cut(sorted(set(found)), begin))
    sign = f"'{prefix}{_CUT if len(parts) > 1 else _LONG}'"
    return [f"{labels} {sign} {part}" for part in parts]


def _cut(different: Iterable[str], begin: str) -> Iterator[str]:
    part: list[str] = []
    size = 0
    for token in different:
        part.append(f"{begin}{token}'")
        size += len(part[-1]) + 1
        if size > _SMALL:
            yield " ".join(part)
            part, size = [], 0
    if part:
        yield " ".join(part)


class _Words:
    """A term of a query as words. star: the last one is the beginning of a word."""

    def __init__(self, term: Term) -> None:
        text, self.star = term.words
        self.tokens = _runs(text)

    def phrase(self, begin: str, *, joint: str = " <-> ") -> str:
        """The condition on vectors. joint: what stands between the words."""
        lexemes = [f"'{begin}{token}'" for token in self.tokens]
        return f"({joint.join(lexemes)}{':*' if self.star else ''})"

    def is_in(self, text: str) -> bool:
        """Whether a text has it. text: its tokens, with a space around each."""
        return f" {' '.join(self.tokens)}{'' if self.star else ' '}" in text


class Vectors:
    """The index of one archive on PostgreSQL."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self._prefix = prefix_of(db.archive)
        self._staged: dict[int, tuple[int, str, str]] = {}

    # -------------------------------------------------------------- in and out

    def stage(self, texts: Sequence[tuple[int, int, str, str]]) -> None:
        for row, kind, tags, text in texts:
            self._staged[row] = kind, tags, text

    def unstage(self) -> None:
        """Drops what was staged."""
        self._staged.clear()

    def put_in(self, rows: Sequence[int]) -> None:
        self._put_in(rows)
        self._staged.clear()

    def _put_in(self, rows: Sequence[int]) -> None:
        prefix, staged = self._prefix, self._staged
        other = [row for row in rows if row not in staged]
        found = [(row, *staged[row]) for row in sorted(rows) if row in staged]
        found += self._texts(other) if other else []
        self._db.insert_words(
            [
                (row, part, vector)
                for row, kind, tags, text in found
                for part, vector in enumerate(vectors(prefix, kind, tags, text))
            ]
        )

    def _texts(self, rows: Sequence[int]) -> list[tuple[int, int, str, str]]:
        return self._db.execute(
            f"SELECT row, kind, tags, text FROM texts WHERE row IN (SELECT value FROM {self._db.numbers}) ORDER BY row",
            (self._db.many(rows),),
        ).fetchall()

    def take_out(self, rows: Sequence[int]) -> None:
        if rows:
            self._db.execute(
                f"DELETE FROM found WHERE row IN (SELECT value FROM {self._db.numbers})", (self._db.many(rows),)
            )

    # -------------------------------------------------------------- searching

    def is_mixed(self) -> bool:
        return False

    def matching(
        self, query: Query, tags: Tags, *, hidden: bool, span: tuple[int, int]
    ) -> tuple[str, list[object]] | None:
        both = ([_Words(term) for term in terms] for terms in query.terms())
        wanted, unwanted = ([one for one in terms if one.tokens] for terms in both)
        if not wanted:
            return None
        begins = [self._prefix + _SHOWN, *([self._prefix + _HIDDEN] if hidden else [])]

        def any_kind(one: _Words, joint: str = " <-> ") -> str:
            return f"({' | '.join(one.phrase(begin, joint=joint) for begin in begins)})"

        tagged = self._tagged(tags)
        has_phrases = any(len(one.tokens) > 1 for one in (*wanted, *unwanted))
        exact = [*map(any_kind, wanted), *(f"!{any_kind(one)}" for one in unwanted), *tagged]
        exact += [f"!'{self._prefix}{_CUT}'", *([f"!'{self._prefix}{_LONG}'"] if has_phrases else [])]
        # What vectors cannot tell of the few longest texts is asked of the texts.
        some = " | ".join(any_kind(one, " | ") for one in wanted)
        candidates = [" & ".join([f"'{self._prefix}{_CUT}'", f"({some})", *tagged])]
        if has_phrases:
            without = (f"!{any_kind(one)}" for one in unwanted if len(one.tokens) == 1)
            all_of_it = (any_kind(one, " & ") for one in wanted)
            candidates.append(" & ".join([f"'{self._prefix}{_LONG}'", *all_of_it, *without, *tagged]))
        long = self._looked_through(" | ".join(f"({one})" for one in candidates), wanted, unwanted, span)
        # The condition on words stands alone inside, so that it is always asked of the index over them.
        inside = "SELECT row FROM found WHERE words @@ ?::tsquery OFFSET 0"
        sql = f"SELECT row FROM ({inside}) AS f WHERE row >= ? AND row < ?"
        values: list[object] = [" & ".join(exact), *span]
        if long:
            sql = f"SELECT row FROM ({sql} UNION ALL SELECT value FROM {self._db.numbers}) AS g"
            values.append(self._db.many(long))
        return f"{sql} ORDER BY row DESC", values

    def _tagged(self, tags: Tags) -> list[str]:
        conditions = []
        for group, is_unwanted in tags:
            any_of = " | ".join(f"'{self._prefix}{_TAG}{tag}'" for tag in group or ["none"])
            conditions.append(f"{'!' if is_unwanted else ''}({any_of})")
        return conditions

    def _looked_through(
        self, candidates: str, wanted: Sequence[_Words], unwanted: Sequence[_Words], span: tuple[int, int]
    ) -> list[int]:
        """Those rows among the longest texts that truly match."""
        rows = self._db.execute(
            "SELECT DISTINCT row FROM (SELECT row FROM found WHERE words @@ ?::tsquery OFFSET 0) AS f "
            "WHERE row >= ? AND row < ? ORDER BY row DESC LIMIT ?",
            (candidates, *span, _LOOKED_THROUGH),
        ).fetchall()
        matching = []
        for start in range(0, len(rows), _READ):
            for row, _, _, text in self._texts([row for (row,) in rows[start : start + _READ]]):
                text = f" {' '.join(tokens(text))} "
                if all(one.is_in(text) for one in wanted) and not any(one.is_in(text) for one in unwanted):
                    matching.append(row)
        return matching

    def count(self, term: Term, most: int) -> int:
        found = self._db.execute(
            "SELECT count(*) FROM (SELECT 1 FROM found WHERE words @@ ?::tsquery LIMIT ?) AS f",
            (_Words(term).phrase(self._prefix + _SHOWN, joint=" & "), most),
        )
        return int(found.fetchone()[0])

    # -------------------------------------------------------------- keeping it quick and sound

    def join_some(self) -> bool:
        return False

    def is_in_many_pieces(self) -> bool:
        return False

    def wipe(self) -> None:
        """Words of rows that are gone go from the pages of the index with the server's next vacuum."""

    def check(self) -> Iterator[Problem]:
        db = self._db
        missing = db.execute(
            "SELECT count(*) FROM documents d JOIN messages m ON m.document = d.number JOIN texts t ON t.row = m.row "
            "WHERE d.archive = ? AND NOT d.trashed AND NOT EXISTS (SELECT 1 FROM found f WHERE f.row = m.row)",
            (db.archive,),
        ).fetchone()[0]
        stale = db.execute(
            "SELECT count(*) FROM found f WHERE f.row >= ? AND f.row < ? AND (NOT EXISTS "
            "(SELECT 1 FROM texts t WHERE t.row = f.row) OR EXISTS (SELECT 1 FROM messages m "
            "JOIN documents d ON d.number = m.document WHERE m.row = f.row AND d.trashed))",
            (db.first, db.last),
        ).fetchone()[0]
        if missing or stale:
            what = f"The search index lacks {missing} texts and has {stale} that are gone; make it again"
            yield Problem("archive: index", what)

    # -------------------------------------------------------------- making it again

    def begin_again(self) -> None:
        """Every conversation goes out and in within one transaction, so what is searched is whole at any moment."""
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO again (archive, version, reached) VALUES (?, ?, ?) ON CONFLICT (archive) DO UPDATE "
                "SET version = excluded.version, "
                "reached = CASE WHEN again.version = excluded.version THEN again.reached ELSE excluded.reached END",
                (self._db.archive, VERSION, self._db.first),
            )
            stale = (
                "DELETE FROM found f WHERE row >= ? AND row < ? "
                "AND NOT EXISTS (SELECT 1 FROM texts t WHERE t.row = f.row)"
            )
            self._db.execute(stale, (self._db.first, self._db.last))

    def reached(self) -> int:
        found = self._db.execute("SELECT reached FROM again WHERE archive = ?", (self._db.archive,)).fetchone()
        return int(found[0]) if found else self._db.first

    def put_in_again(self, rows: Sequence[int], reached: int) -> None:
        self.take_out(rows)
        texts = self._texts(rows)
        self.stage(texts)
        self.put_in([row for row, *_ in texts])
        self._db.execute("UPDATE again SET reached = ? WHERE archive = ?", (reached, self._db.archive))

    def finish_again(self) -> None:
        with transaction(self._db):
            self._db.execute("DELETE FROM again WHERE archive = ?", (self._db.archive,))
            self._db.execute("UPDATE archives SET index_version = ? WHERE number = ?", (VERSION, self._db.archive))
