"""How conversations are to be written: one value, the same for the command line, the web, the API and schedules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from chatkeep.errors import WrongUse
from chatkeep.rendering import Showing

BRANCHES = ("shown", "all")
TIMES = ("none", "date", "full")
NAMES = ("as-is", "roles")
ATTACHMENTS = ("copy", "link", "none")
FILES = ("many", "one")

NAME_PATTERN = "{platform}/{year}/{date} {title} [{id}]"
FIELDS = ("platform", "year", "month", "date", "title", "id", "full_id", "project")
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Customisation:
    """What is written of a conversation, and how. Raises WrongUse when made with a value that means nothing.

    branches: "shown", the path that is shown, or "all", with every other version where it begins, labelled.
    times: "none", "date" or "full" (to the minute). zone: IANA name that times are told in; those of a platform that
    gives local times alone are told as they are.
    names: "as-is", or "roles" (Person 1, Assistant); own_names: name or participant id → what to write, before both.
    thinking, tool_calls, citations: whether these are written. hidden: also what the platform hides, and the system's.
    attachments: "copy" beside the texts (into the page, where that is one html file), "link" to where the archive keeps
    them, or "none".
    files: "many", one for each conversation, or "one". An output that is a single file has one.
    name_pattern: path of a file, from FIELDS, without its ending; the short id is added where it is left out.
    redact, redact_patterns: words (in any case, as whole words) and regular expressions that are replaced by redaction
    wherever they occur: texts, titles, names, addresses, file names.
    """

    branches: str = "shown"
    times: str = "full"
    zone: str = "UTC"
    names: str = "as-is"
    own_names: Mapping[str, str] = field(default_factory=dict)
    thinking: bool = False
    tool_calls: bool = False
    citations: bool = True
    hidden: bool = False
    attachments: str = "copy"
    files: str = "many"
    name_pattern: str = NAME_PATTERN
    redact: tuple[str, ...] = ()
    redact_patterns: tuple[str, ...] = ()
    redaction: str = "▇▇▇"

    def __post_init__(self) -> None:
        for name, known in (
            ("branches", BRANCHES),
            ("times", TIMES),
            ("names", NAMES),
            ("attachments", ATTACHMENTS),
            ("files", FILES),
        ):
            if getattr(self, name) not in known:
                raise WrongUse(f"{name} is one of {', '.join(known)}.")
        self.clock()
        for name in _FIELD.findall(self.name_pattern):
            if name not in FIELDS:
                raise WrongUse(f"File names can be made of {', '.join(FIELDS)}; {{{name}}} is not one of them.")
        self.redacted()

    def redacted(self) -> re.Pattern[str] | None:
        """What must not be written; None when nothing is."""
        sources = [_word(word) for word in self.redact if word.strip()] + [
            text for text in self.redact_patterns if text
        ]
        try:
            return re.compile("|".join(f"(?:{source})" for source in sources), re.IGNORECASE) if sources else None
        except re.error as wrong:
            raise WrongUse(f"A pattern to redact is no regular expression: {wrong.msg}.") from wrong

    def showing(self) -> Showing:
        """Which kinds of parts are written."""
        return Showing(
            thinking=self.thinking,
            tools=self.tool_calls,
            citations=self.citations,
            attachments=self.attachments != "none",
            unknown=self.hidden,
        )

    def clock(self) -> ZoneInfo | None:
        """The zone that times are told in; None for UTC, in which documents have them."""
        try:
            return None if self.zone == "UTC" else ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError):
            hint = 'Give its IANA name, for example "Europe/Berlin".'
            raise WrongUse("The time zone is not known.", hint=hint) from None


def _word(word: str) -> str:
    """Whole words, where the writing has spaces between them."""
    word = word.strip()
    before = r"(?<!\w)" if _is_spaced(word[0]) else ""
    after = r"(?!\w)" if _is_spaced(word[-1]) else ""
    return f"{before}{re.escape(word)}{after}"


def _is_spaced(sign: str) -> bool:
    return (sign.isalnum() or sign == "_") and ord(sign) < 0x0E00
