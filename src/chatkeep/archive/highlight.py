"""Where the words of a query stand in a text, and the piece of it that shows them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import islice

from chatkeep.archive import words
from chatkeep.archive.query import Query, Term
from chatkeep.archive.values import Snippet

_AROUND = 160
_BEFORE = 40
_MARKS = "[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\ufe0f\u200d\U0001f3fb-\U0001f3ff]*"
_LETTER = r"[^\W_]"


class _Fold(dict[int, str]):
    """Each character as the index sees it: usually one, none for a joiner, several for a ligature."""

    def __missing__(self, code: int) -> str:
        plain = words.normal(unicodedata.normalize("NFKC", chr(code)).lower())
        if len(plain) == 1 and ("\xc0" <= plain <= "\u024f" or "\u1e00" <= plain <= "\u1eff"):
            plain = unicodedata.normalize("NFD", plain)[0]
        self[code] = plain
        return plain


_FOLD = _Fold()


def folded(text: str) -> tuple[str, Sequence[int]]:
    """The text with case and accents folded, and the place in the text of each of its characters and of its end."""
    if text.isascii():
        return text.lower(), range(len(text) + 1)
    low = text.translate(_FOLD)
    if len(low) == len(text) and all(len(_FOLD[ord(char)]) == 1 for char in set(text)):
        return low, range(len(text) + 1)
    places = [at for at, char in enumerate(text) for _ in _FOLD[ord(char)]]
    return low, [*places, len(text)]


def pattern(query: Query) -> re.Pattern[str] | None:
    """What finds the wanted terms of a query in a folded text."""
    parts = [part for term in query.wanted if (part := _of_term(term))]
    return re.compile("|".join(parts)) if parts else None


def _of_term(term: Term) -> str:
    tokens = re.findall(rf"[^\W_]+(?:{_LETTER}|[\u0300-\u0e4e])*|[^\w\s]", folded(term.text)[0])
    has_letters = any(token[0].isalnum() for token in tokens)
    tokens = [token for token in tokens if not has_letters or token[0].isalnum()]
    if not tokens:
        return ""
    spaceless = words.ends_without_space(tokens[-1]) > 0
    ascii_only = "".join(tokens).isascii()
    joined = (r"[\W_]+" if has_letters else r"\W*").join(
        re.escape(token) if ascii_only else _MARKS.join(map(re.escape, token)) for token in tokens
    )
    before = "" if not tokens[0][0].isalnum() or words.ends_without_space(tokens[0][0]) else f"(?<!{_LETTER})"
    after = "" if spaceless or not tokens[-1][-1].isalnum() else (f"{_LETTER}*" if term.prefix else f"(?!{_LETTER})")
    return before + joined + (_MARKS if not ascii_only else "") + after


def snippet(text: str, wanted: re.Pattern[str] | None, *, around: int = _AROUND) -> Snippet:
    """The piece of a text around the first place where most is found, with all matches in it marked.

    around: its length [characters], about. Without a match it is the beginning.
    """
    matches = list(islice(_matches(text, wanted), 200)) if wanted else []
    start, end = _bounds(text, _best(matches, around), around)
    pieces: list[tuple[str, bool]] = [("…", False)] if start else []
    at = start
    for first, last in matches:
        if first >= at and last <= end:
            pieces += [(_flat(text[at:first]), False), (_flat(text[first:last]), True)]
            at = last
    pieces.append((_flat(text[at:end]), False))
    if end < len(text):
        pieces.append(("…", False))
    return Snippet(tuple(piece for piece in pieces if piece[0]))


def _matches(text: str, wanted: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    low, places = folded(text)
    for found in wanted.finditer(low):
        yield places[found.start()], places[found.end()]


def _best(matches: list[tuple[int, int]], around: int) -> int:
    """The first match of those that have most others behind them within reach."""
    best, most = 0, 0
    for at, (first, _) in enumerate(matches[:50]):
        near = sum(other - first < around - _BEFORE for other, _ in matches[at:])
        if near > most:
            best, most = first, near
    return best


def _bounds(text: str, first: int, around: int) -> tuple[int, int]:
    start = max(0, first - _BEFORE)
    if start:
        space = text.find(" ", start, first)
        start = space + 1 if space >= 0 else start
    end = min(len(text), start + around)
    if end < len(text):
        space = text.rfind(" ", max(start, first), end)
        end = space if space > start + around // 2 else end
    return start, end


def _flat(text: str) -> str:
    """The text on one line."""
    return re.sub(r"\s+", " ", text)
