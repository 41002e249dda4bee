"""Claude Code's transcripts: the questions of the suite, and what only Claude Code has."""

from __future__ import annotations

from pathlib import Path

from chatkeep.importers.claude_code import CLAUDE_CODE
from chatkeep.model import Message, Part
from chatkeep.testing.importer_suite import ImporterSuite, check
from chatkeep.testing.reading import Reading


class TestClaudeCode(ImporterSuite):
    importer = CLAUDE_CODE
    samples = Path(__file__).parents[1] / "samples" / "claude-code"
    tells_cuts = False
    SHARED = {  # noqa: RUF012
        # three lines that are no objects; one conversation more by a line of another session
        "edge_cases.jsonl": (2, 12, 3),
        "representative_messages.jsonl": (1, 11, 0),
        "session-with-question-tool-2.0.29.jsonl": (1, 9, 0),
        "session_b.jsonl": (1, 3, 0),
        "short-session.jsonl": (1, 7, 0),
        "todowrite_examples.jsonl": (1, 11, 0),
        "web-session-loglines.json": (1, 33, 0),
        "single-lines": (3, 6, 0),
        "agentsview/queued_system_messages.jsonl": (1, 3, 0),
        "agentsview/tool_call_pending.jsonl": (1, 2, 0),
        "agentsview/truncated.jsonl": (1, 2, 1),
        "agentsview/valid_session.jsonl": (1, 4, 0),
        # a session and its sub-agent; prompt history is no transcript
        "gkill": (2, 14, 0),
        # two sessions and three sub-agents of the second, two in its own file
        "projects": (5, 68, 0),
    }

    def compare_cut(self, cut: Reading, whole: Reading, where: str) -> None:
        """Messages of a cut-off file say nothing else; the last may lack blocks, and links to what is gone."""
        check(cut, self.importer)
        said: dict[tuple[str, str], set[str]] = {}
        for message in messages(whole):
            said.setdefault((message.author, message.sent_at), set()).update(texts(message.parts))
        for message in messages(cut):
            assert set(texts(message.parts)) <= said.get((message.author, message.sent_at), set()), where


def messages(found: Reading) -> list[Message]:
    return [message for one in found.conversations for message in one.messages]


def texts(parts: tuple[Part, ...]) -> list[str]:
    found = []
    for part in parts:
        found += [part.text, *texts(part.parts)]
    return [text for text in found if text]
