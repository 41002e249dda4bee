"""What a person types into the search field, understood.

    word  "a phrase"  beginn*  -without  from:name  platform:chatgpt  in:project  label:name  has:attachment
    before:2024-05-01  after:2024-05-01

All must hold. Values with spaces are put in quotes, `from:"Anna B"`; a minus before a field means "not". What looks
like a field but is none of these (`https://…`) is text. No input is an error of syntax; a value that makes no sense
is WrongUse.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from chatkeep import exact
from chatkeep.archive import words
from chatkeep.errors import WrongUse
from chatkeep.selection import moment

LONGEST = 2000
MOST_TERMS = 60
FIELDS = ("from", "platform", "in", "label", "has", "before", "after")
_PIECE = re.compile(rf'(-?)(?:({"|".join(FIELDS)}):)?("[^"]*"?|\S*)(\*?)', re.IGNORECASE)


Tags = Sequence[tuple[Sequence[str], bool]]  # (tags, whether none of them may be there)


class Term(msgspec.Struct, frozen=True):
    """A word or phrase. text: as typed, without quotes and star."""

    text: str
    prefix: bool = False

    @property
    def words(self) -> tuple[str, bool]:
        """What the index is asked for, "" when there is no word in it, and whether it may go on."""
        text = words.treated(self.text)
        prefix = self.prefix
        length = words.ends_without_space(words.normal(self.text))
        if length > 1 and not prefix:
            # The index has the last character of a run by itself only where the run ends; here more may follow.
            text = text.rstrip().rpartition(" ")[0]
        prefix = prefix or length == 1
        return (text.strip(), prefix) if words.has_word(text) else ("", False)

    @property
    def expression(self) -> str:
        """The term for FTS5; "" when there is no word in it."""
        text, prefix = self.words
        return f'"{text}"{" *" if prefix else ""}' if text else ""


class Query(msgspec.Struct):
    """wanted, unwanted: terms of text. The rest: conditions as (value, whether it must not hold)."""

    wanted: list[Term] = []
    unwanted: list[Term] = []
    people: list[tuple[str, bool]] = []
    platforms: list[tuple[str, bool]] = []
    projects: list[tuple[str, bool]] = []
    labels: list[tuple[str, bool]] = []
    attachments: list[bool] = []
    begins: str = ""
    ends: str = ""

    @property
    def has_filters(self) -> bool:
        return bool(
            self.people
            or self.platforms
            or self.projects
            or self.labels
            or self.attachments
            or self.begins
            or self.ends
        )

    def terms(self) -> tuple[list[Term], list[Term]]:
        """The wanted and the unwanted terms with words in them. Raises WrongUse for unwanted words alone."""
        wanted, unwanted = ([term for term in terms if term.words[0]] for terms in (self.wanted, self.unwanted))
        if unwanted and not wanted:
            raise WrongUse("A search cannot consist of words to leave out", hint="Add a word to look for.")
        return wanted, unwanted

    def expression(self, *, hidden: bool = False, tags: Tags = ()) -> str:
        """The query for FTS5; "" when no words are asked for. Raises WrongUse for a query of unwanted words alone.

        tags: groups of tags, of each of which one must be there, or none (see `index.tag`).
        """
        wanted, unwanted = ([term.expression for term in terms] for terms in self.terms())
        if not wanted:
            return ""
        columns = "title text hidden" if hidden else "title text"
        parts = [f"({{{columns}}} : ({' AND '.join(wanted)}))"]
        without = [f"({{{columns}}} : ({' OR '.join(unwanted)}))"] if unwanted else []
        for group, is_unwanted in tags:
            (without if is_unwanted else parts).append(f"({{tags}} : ({' OR '.join(group) or 'none'}))")
        return " NOT ".join([f"({' AND '.join(parts)})", *without])


def parse(text: str) -> Query:
    """The query of what was typed. Raises WrongUse with a sentence for a value that makes no sense."""
    if len(text) > LONGEST:
        raise WrongUse(f"A search may have {LONGEST} characters")
    text = exact.readable(exact.mark(text))
    query = Query()
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        found = _PIECE.match(text, at)
        assert found
        at = max(found.end(), at + 1)
        _add(query, found)
    if len(query.wanted) + len(query.unwanted) > MOST_TERMS:
        raise WrongUse(f"A search may have {MOST_TERMS} words")
    return query


def _add(query: Query, found: re.Match[str]) -> None:
    minus, name, value, star = found.groups()
    quoted = value.startswith('"')
    if not quoted and value.endswith("*"):
        value, star = value.rstrip("*"), "*"
    value = value.replace('"', " ").strip()
    if name:
        _add_field(query, name.lower(), value, bool(minus))
    elif value:
        (query.unwanted if minus else query.wanted).append(Term(value, bool(star)))


def _add_field(query: Query, name: str, value: str, unwanted: bool) -> None:
    if not value:
        raise WrongUse(f"{name}: needs a value", hint=f"Write it without a space, {name}:{_EXAMPLES[name]}.")
    many = {"from": query.people, "platform": query.platforms, "in": query.projects, "label": query.labels}
    if name in many:
        many[name].append((value, unwanted))
    elif name == "has":
        if value.lower() not in ("attachment", "attachments", "file", "files"):
            raise WrongUse(f"has:{value} is not known", hint="There is has:attachment.")
        query.attachments.append(unwanted)
    elif unwanted:
        raise WrongUse(f"-{name}: is not known", hint="Use before: and after: without a minus.")
    elif name == "before":
        query.ends = min(query.ends or "9", moment(value))
    else:
        query.begins = max(query.begins, moment(value))


_EXAMPLES = {
    "from": "Anna",
    "platform": "chatgpt",
    "in": "Garden",
    "label": "family",
    "has": "attachment",
    "before": "2024-05-01",
    "after": "2024-05-01",
}
