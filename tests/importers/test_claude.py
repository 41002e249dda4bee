"""Claude's exports: the questions of the suite, and what only Claude has."""

from __future__ import annotations

from pathlib import Path

from chatkeep.importers.claude import CLAUDE
from chatkeep.merge import merge
from chatkeep.testing.importer_suite import ImporterSuite
from chatkeep.testing.reading import read, source_of
from chatkeep.views import plain_text


class TestClaude(ImporterSuite):
    importer = CLAUDE
    samples = Path(__file__).parents[1] / "samples" / "claude"
    SHARED = {  # noqa: RUF012
        "claude-export-2025-06-mostly-blank/conversations.json": (85, 557, 0),
        "claude-projects-and-memories": (2, 2, 0),
        "claude-rendering-cases.json": (1, 10, 0),
        "claude-single-conversation-api-shape.json": (1, 4, 0),
        "claude-single-conversation-data.json": (1, 2, 0),
        "claude-single-conversation-debugging.json": (1, 4, 0),
        "claude-thinking/conversations.json": (1, 2, 0),
        "claude-two-conversations/conversations.json": (2, 6, 0),
    }


def test_a_blanked_conversation_never_hides_what_was_there() -> None:
    full = b"""[{"uuid": "c", "name": "Tea", "updated_at": "2025-01-01T00:00:00Z", "chat_messages": [
        {"uuid": "m", "sender": "human", "content": [{"type": "text", "text": "Still here"}],
         "created_at": "2025-01-01T00:00:00Z", "updated_at": "2025-01-01T00:00:00Z"}]}]"""
    blank = full.replace(b'"Tea"', b'""').replace(b"Still here", b"").replace(b'00:00Z"}', b'00:09Z"}')
    before, after = (read(CLAUDE, source_of({"conversations.json": data})) for data in (full, blank))
    assert (before.shells, after.shells) == (0, 1)
    joined = merge(before.conversations[0], after.conversations[0])
    assert joined.title == "Tea"
    assert plain_text(joined.messages[0]) == "Still here"
