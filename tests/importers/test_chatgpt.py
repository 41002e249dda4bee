"""ChatGPT's exports: the questions of the suite, and what only ChatGPT has."""

from __future__ import annotations

from pathlib import Path

from chatkeep.importers.chatgpt import CHATGPT
from chatkeep.testing.importer_suite import ImporterSuite


class TestChatGPT(ImporterSuite):
    importer = CHATGPT
    samples = Path(__file__).parents[1] / "samples" / "chatgpt"
    SHARED = {  # noqa: RUF012
        "chatgpt-branch-int-times/conversations.json": (1, 6, 0),
        "chatgpt-export-2024-01/conversations.json": (2, 21, 0),
        "chatgpt-japanese-missing-current-node/conversations.json": (1, 4, 0),
        "chatgpt-native-conversation-object.json": (1, 8, 0),
        "chatgpt-single-conversation-2025-06/conversations.json": (1, 12, 0),
    }
