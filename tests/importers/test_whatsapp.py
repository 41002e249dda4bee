"""WhatsApp's exports: the questions of the suite, and what only WhatsApp has."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from chatkeep.importers.whatsapp import WHATSAPP
from chatkeep.model import Message
from chatkeep.testing.importer_suite import ImporterSuite, check
from chatkeep.testing.reading import Reading


class TestWhatsApp(ImporterSuite):
    importer = WHATSAPP
    samples = Path(__file__).parents[1] / "samples" / "whatsapp"
    tells_cuts = False
    SHARED = {  # noqa: RUF012
        "chat-miner/test_bracketed_mmddyy_24hrs.txt": (1, 9, 0),
        "chat-miner/test_ddmmyy_24hrs.txt": (1, 9, 0),
        "chat-miner/test_mmddyy_24hrs.txt": (1, 9, 0),
        "chat-miner/test_mmddyyyy_12hrs.txt": (1, 9, 0),
        "chat-miner/test_yyyymmdd_24hrs.txt": (1, 9, 0),
        "langchain/ios-us-12h-lrm.txt": (1, 12, 0),
        "langchain/mixed-line-formats.txt": (1, 10, 0),
    }

    def compare_cut(self, cut: Reading, whole: Reading, where: str) -> None:
        """Only the last message of a cut-off text may be another: nothing tells where a line was to end."""
        check(cut, self.importer)
        said = {_said(message) for one in whole.conversations for message in one.messages}
        for conversation in cut.conversations:
            last = max(conversation.messages, key=lambda one: (one.sorts_at or one.local_time, one.order))
            others = [one for one in conversation.messages if one is not last]
            assert {_said(one) for one in others} <= said, where


def _said(message: Message) -> tuple[str, str, str]:
    """Author, time and parts; a cut-off file is another file, and a text cannot know that."""
    parts = tuple(replace(part, sha256="", size=None, missing=False) for part in message.parts)
    return (message.author, message.local_time, repr(parts))
