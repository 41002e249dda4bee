"""What a correct importer must find, counted while a corpus is made and never by parsing it back.

Fields of the truth file:

conversations        number of conversations
messages             messages with visible text, on the whole tree (all branches)
messages_current     those on the path from the shown leaf to the root
messages_nodes       all messages, with the empty, hidden and system ones
by_kind              visible messages by "role/content type"
hidden_kinds         the messages that are not visible, by "role/content type"
text_chars           code points in the visible messages
titles_sum64         sum modulo 2**64 of digest64(title); null counts as ""
messages_sum64       sum modulo 2**64 of digest64(message id, visible text);
                     WhatsApp has no ids: digest64(sender, visible text)
first_time,          the earliest and latest time of a visible message,
last_time            in seconds since 1970 (WhatsApp: wall clock read as UTC)
assets               {referenced, present}: asset pointers, and those with a file
needles              {term: number of visible messages that hold it}
content_sha256,      of the uncompressed conversation data, in file order
content_bytes

A message is visible if it is neither hidden (metadata.is_visually_hidden_from_conversation) nor from the
system, is not of an internal type (thoughts, reasoning_recap, tether_browsing_display, system_error,
user_editable_context, model_editable_context), and its text is not blank. Its text is content.text where
there is one, else its string parts and audio transcriptions (a message made here never has two of these),
else the text block of Claude's content. The sums do not depend on order, so one pass over an archive checks
an import.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

MASK64 = (1 << 64) - 1

# term -> (period, phase): planted in the first question of conversation i when i % period == phase.
NEEDLES = {
    "needleten": (10, 3),
    "needlehundred": (100, 7),
    "needlethousand": (1000, 11),
    "needletenthousand": (10_000, 13),
}


def digest64(*fields: str) -> int:
    """The first 8 bytes of the SHA-256 of the fields joined by NUL, as a number."""
    data = "\0".join(fields).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big")


@dataclass
class Truth:
    """The counts of one corpus, or of one block of it."""

    conversations: int = 0
    messages: int = 0
    messages_current: int = 0
    messages_nodes: int = 0
    text_chars: int = 0
    assets_referenced: int = 0
    assets_present: int = 0
    content_bytes: int = 0
    titles_sum: int = 0
    messages_sum: int = 0
    first: float | None = None
    last: float | None = None
    by_kind: Counter[str] = field(default_factory=Counter)
    hidden_kinds: Counter[str] = field(default_factory=Counter)
    needles: Counter[str] = field(default_factory=Counter)

    def conversation(self, title: str | None) -> None:
        """Count a conversation."""
        self.conversations += 1
        self.titles_sum = (self.titles_sum + digest64(title or "")) & MASK64

    def visible(self, key: str, text: str, *, kind: str, when: float, current: bool = True) -> None:
        """Count a message that must be found, with its text and its time."""
        self.messages += 1
        self.messages_nodes += 1
        self.messages_current += current
        self.text_chars += len(text)
        self.by_kind[kind] += 1
        self.messages_sum = (self.messages_sum + digest64(key, text)) & MASK64
        self._span(when, when)

    def hidden(self, kind: str) -> None:
        """Count a message that is in the data but has no visible text."""
        self.messages_nodes += 1
        self.hidden_kinds[kind] += 1

    def plant(self, index: int, text: str) -> str:
        """The first question of conversation `index`, with the needles that belong in it."""
        for term, (period, phase) in NEEDLES.items():
            if index % period == phase:
                self.needles[term] += 1
                text += " " + term
        return text

    def add(self, other: Truth) -> None:
        """Count what another block counted; the order of blocks does not matter."""
        self.conversations += other.conversations
        self.messages += other.messages
        self.messages_current += other.messages_current
        self.messages_nodes += other.messages_nodes
        self.text_chars += other.text_chars
        self.assets_referenced += other.assets_referenced
        self.by_kind += other.by_kind
        self.hidden_kinds += other.hidden_kinds
        self.needles += other.needles
        self.titles_sum = (self.titles_sum + other.titles_sum) & MASK64
        self.messages_sum = (self.messages_sum + other.messages_sum) & MASK64
        self._span(other.first, other.last)

    def _span(self, first: float | None, last: float | None) -> None:
        self.first = min((t for t in (self.first, first) if t is not None), default=None)
        self.last = max((t for t in (self.last, last) if t is not None), default=None)

    def as_dict(self) -> dict[str, Any]:
        """The truth file's fields, but for the hash of the content."""
        return {
            "conversations": self.conversations,
            "messages": self.messages,
            "messages_current": self.messages_current,
            "messages_nodes": self.messages_nodes,
            "by_kind": dict(sorted(self.by_kind.items())),
            "hidden_kinds": dict(sorted(self.hidden_kinds.items())),
            "text_chars": self.text_chars,
            "titles_sum64": f"{self.titles_sum:016x}",
            "messages_sum64": f"{self.messages_sum:016x}",
            "first_time": self.first,
            "last_time": self.last,
            "assets": {"referenced": self.assets_referenced, "present": self.assets_present},
            "needles": {term: self.needles[term] for term in NEEDLES},
            "content_bytes": self.content_bytes,
        }
