"""Claude Code's transcripts: one JSONL for each session, in a folder for each project."""

from __future__ import annotations

import random
from typing import Any

from .item import Item, Settings, encode_json, iso, reseed, seconds_of, some_moment, uuid_of
from .text import TextModel
from .truth import Truth

Json = dict[str, Any]


class ClaudeCode:
    """Makes sessions, one at a time; what belongs to the present one is set anew by `item`."""

    session: str
    project: str
    clock: float
    parent: str | None
    lines: list[Json]

    def __init__(self, settings: Settings, text: TextModel) -> None:
        self.settings = settings
        self.text = text
        self.rng = random.Random()
        self.truth = Truth()

    def item(self, index: int) -> Item:
        """Session number `index`."""
        rng, text = self.rng, self.text
        reseed(rng, self.settings, index=index)
        lang, emoji = text.language(rng)
        self.session = uuid_of(rng)
        self.project = f"/home/ana/project-{rng.randrange(40)}"
        self.clock = some_moment(rng)
        title = text.title(rng, lang, emoji=emoji) or ""
        self.truth.conversation(title)
        self.parent = None
        self.lines = []
        for turn in range(max(1, min(100, round(rng.lognormvariate(0.9, 0.9))))):
            question = text.question(rng, lang, emoji=emoji)
            if turn == 0:
                question = self.truth.plant(index, question)
            self._line("user", {"role": "user", "content": question}, seen=question)
            for _ in range(rng.randint(0, 8)):
                self._tool_round()
            answer = text.answer(rng, lang, emoji=emoji)
            self._assistant({"type": "text", "text": answer}, seen=answer)
        summary = {"type": "summary", "summary": title, "leafUuid": self.parent}
        data = "".join(encode_json(line) + "\n" for line in (summary, *self.lines)).encode()
        return Item(data, f"{self.project.replace('/', '-')}/{self.session}.jsonl", [])

    def _tool_round(self) -> None:
        """Perhaps a thought, then a command and what it printed."""
        rng = self.rng
        if rng.random() < 0.3:
            thought = self.text.prose(rng, "en", chars=250)
            self._assistant({"type": "thinking", "thinking": thought, "signature": "c2ln"})
        call = f"toolu_{rng.getrandbits(96):024x}"
        command = {"command": f"grep -rn {rng.getrandbits(24):x} src"}
        self._assistant({"type": "tool_use", "id": call, "name": "Bash", "input": command})
        output = rng.choice(self.text.snippets)
        result = {"tool_use_id": call, "type": "tool_result", "content": output}
        printed = {"stdout": output, "stderr": "", "interrupted": False}
        self._line("user", {"role": "user", "content": [result]}, toolUseResult=printed)

    def _assistant(self, block: Json, *, seen: str = "") -> None:
        rng = self.rng
        message = {
            "id": f"msg_{rng.getrandbits(96):024x}",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-4-5",
            "content": [block],
            "stop_reason": None,
            "usage": {"input_tokens": rng.randrange(9000), "output_tokens": rng.randrange(900)},
        }
        self._line("assistant", message, seen=seen, requestId=f"req_{rng.getrandbits(96):024x}")

    def _line(self, kind: str, message: Json, *, seen: str = "", **more: Any) -> None:
        self.clock += self.rng.expovariate(1 / 8.0) + 0.05
        stamp = iso(self.clock, 3)
        line_id = uuid_of(self.rng)
        self.lines.append(
            {
                "parentUuid": self.parent,
                "isSidechain": False,
                "userType": "external",
                "cwd": self.project,
                "sessionId": self.session,
                "version": "2.0.61",
                "gitBranch": "main",
                "type": kind,
                "message": message,
                "uuid": line_id,
                "timestamp": stamp,
                **more,
            }
        )
        self.parent = line_id
        if seen.strip():
            self.truth.visible(line_id, seen, kind=f"{kind}/text", when=seconds_of(stamp))
        else:
            self.truth.hidden(f"{kind}/{message['content'][0]['type']}")
