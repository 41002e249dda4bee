"""claude.ai's export: a list of messages for each conversation."""

from __future__ import annotations

import random
from typing import Any

from .item import Item, Settings, encode_json, iso, reseed, seconds_of, some_moment, uuid_of
from .text import TextModel
from .truth import Truth

ACCOUNT = "0a1b2c3d-0000-4000-a000-000000000001"
Json = dict[str, Any]


class Claude:
    """Makes conversations, one at a time."""

    def __init__(self, settings: Settings, text: TextModel) -> None:
        self.settings = settings
        self.text = text
        self.rng = random.Random()
        self.truth = Truth()

    def item(self, index: int) -> Item:
        """Conversation number `index`."""
        rng, text = self.rng, self.text
        reseed(rng, self.settings, index=index)
        lang, emoji = text.language(rng)
        title = text.title(rng, lang, emoji=emoji) or ""
        created = clock = some_moment(rng)
        self.truth.conversation(title)
        messages = []
        for turn in range(self._turns()):
            question = text.question(rng, lang, emoji=emoji)
            answer = text.answer(rng, lang, emoji=emoji)
            for sender, words in (("human", question), ("assistant", answer)):
                said = "" if rng.random() < 0.01 else words
                if said and turn == 0 and sender == "human":
                    said = self.truth.plant(index, said)
                clock += rng.expovariate(1 / 30.0) + 0.5
                messages.append(self._message(sender, said, clock=clock))
        conversation = {
            "uuid": uuid_of(rng),
            "name": title,
            "summary": "",
            "created_at": iso(created),
            "updated_at": iso(clock),
            "account": {"uuid": ACCOUNT},
            "chat_messages": messages,
        }
        return Item(encode_json(conversation).encode(), "", [])

    def _turns(self) -> int:
        if self.rng.random() < 0.016:
            return 0
        return max(1, min(300, round(self.rng.lognormvariate(1.3, 0.95))))

    def _message(self, sender: str, words: str, *, clock: float) -> Json:
        stamp = iso(clock)
        message_id = uuid_of(self.rng)
        blocks = self._thinking_and_tools(stamp) if sender == "assistant" else []
        if words:
            blocks.append(_block("text", stamp, text=words, citations=[]))
        attachments, files = self._enclosed() if sender == "human" else ([], [])
        if words.strip():
            self.truth.visible(message_id, words, kind=f"{sender}/text", when=seconds_of(stamp))
        else:
            self.truth.hidden(f"{sender}/text")
        return {
            "uuid": message_id,
            "text": words,
            "content": blocks,
            "sender": sender,
            "created_at": stamp,
            "updated_at": stamp,
            "attachments": attachments,
            "files": files,
        }

    def _thinking_and_tools(self, stamp: str) -> list[Json]:
        rng = self.rng
        roll = rng.random()
        if roll < 0.15:
            thought = self.text.prose(rng, "en", chars=250)
            return [_block("thinking", stamp, thinking=thought, summaries=[])]
        if roll < 0.22:
            call = f"toolu_{rng.getrandbits(96):024x}"
            found = [{"type": "text", "text": self.text.prose(rng, "en", chars=300)}]
            return [
                _block("tool_use", stamp, id=call, name="web_search", input={"query": "news"}),
                _block("tool_result", stamp, tool_use_id=call, name="web_search", content=found),
            ]
        return []

    def _enclosed(self) -> tuple[list[Json], list[Json]]:
        """(attachments, files) of a message: text that was pasted, or the name of a picture."""
        rng = self.rng
        if rng.random() < 0.04:
            pasted = self.text.prose(rng, "en", chars=2000)
            head = {"file_name": "pasted.txt", "file_size": len(pasted), "file_type": "txt"}
            return [{**head, "extracted_content": pasted}], []
        if rng.random() < 0.03:
            return [], [{"file_name": f"image_{rng.randrange(999)}.png"}]
        return [], []


def _block(kind: str, stamp: str, **fields: Any) -> Json:
    return {"start_timestamp": stamp, "stop_timestamp": stamp, "flags": None, "type": kind, **fields}
