"""ChatGPT's export: a tree of messages for each conversation, in two layouts.

classic   one conversations.json with full nodes (2023 to 2025)
sharded   conversations-NNN.json; nodes without "children", messages without "status", "weight",
          "end_turn" and "recipient", assets as *.dat (the shape of exports seen since 2026)
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from .item import Asset, Item, Settings, encode_json, encode_json_ascii, reseed, some_moment, uuid_of
from .text import TextModel
from .truth import Truth

MODELS = ("gpt-4o", "gpt-4", "gpt-5", "o3", "gpt-5-thinking", "text-davinci-002-render-sha")
HIDDEN = {"is_visually_hidden_from_conversation": True}
Json = dict[str, Any]


class Seen(NamedTuple):
    """What a person sees of a message."""

    text: str
    when: float


class Node:
    """A node of the message tree."""

    __slots__ = ("children", "id", "message", "parent", "seen")

    def __init__(self, node_id: str, parent: Node | None, *, message: Json | None = None) -> None:
        self.id = node_id
        self.parent = parent
        self.message = message
        self.children: list[str] = []
        self.seen: Seen | None = None
        if parent is not None:
            parent.children.append(node_id)


class ChatGPT:
    """Makes conversations, one at a time; what belongs to the present one is set anew by `item`."""

    nodes: list[Node]
    tip: Node
    clock: float
    model: str
    assets: list[Asset]

    def __init__(self, settings: Settings, text: TextModel) -> None:
        self.settings = settings
        self.sharded = settings.layout == "sharded"
        self.text = text
        self.rng = random.Random()
        self.truth = Truth()

    def item(self, index: int) -> Item:
        """Conversation number `index`."""
        rng = self.rng
        reseed(rng, self.settings, index=index)
        lang, emoji = self.text.language(rng)
        title = self.text.title(rng, lang, emoji=emoji)
        created = round(some_moment(rng), 6)
        conversation_id = uuid_of(rng)
        self.clock = created
        self.model = rng.choice(MODELS)
        self.assets = []
        self.tip = Node("client-created-root" if rng.random() < 0.3 else uuid_of(rng), None)
        self.nodes = [self.tip]
        self._opening()
        self._turns(index, lang, emoji=emoji)
        if rng.random() < 0.03:
            self._system_error()
        self._count(title)
        conversation = self._envelope(conversation_id, title, created=created)
        # Real text of the sharded layout is UTF-8, that of the classic one is escaped.
        encode = encode_json if self.sharded else encode_json_ascii
        return Item(encode(conversation).encode(), "", self.assets)

    def _opening(self) -> None:
        if not self.sharded:
            self._text("system", "", metadata=dict(HIDDEN), end_turn=True, timed=False)
        if self.rng.random() < 0.25:
            self._custom_instructions()

    def _turns(self, index: int, lang: str, *, emoji: bool) -> None:
        rng, text = self.rng, self.text
        turns = max(1, min(400, round(rng.lognormvariate(1.15, 0.95))))
        forks: set[int] = set()
        if rng.random() < 0.10:
            forks = {rng.randrange(turns) for _ in range(rng.randint(1, 3))}
        for turn in range(turns):
            before = self.tip
            question = text.question(rng, lang, emoji=emoji)
            self._user(self.truth.plant(index, question) if turn == 0 else question)
            asked = self.tip
            self._reply(lang, emoji=emoji)
            if turn in forks:
                if rng.random() < 0.3:  # the question was edited
                    self.tip = before
                    self._user(text.question(rng, lang, emoji=emoji))
                else:  # the answer was regenerated
                    self.tip = asked
                self._reply(lang, emoji=emoji)

    def _count(self, title: str | None) -> None:
        current = set()
        node: Node | None = self.tip
        while node is not None:
            current.add(node.id)
            node = node.parent
        self.truth.conversation(title)
        for node in self.nodes:
            if node.message is None:
                continue
            kind = f"{node.message['author']['role']}/{node.message['content']['content_type']}"
            if node.seen is None:
                self.truth.hidden(kind)
            else:
                text, when = node.seen
                self.truth.visible(node.message["id"], text, kind=kind, when=when, current=node.id in current)

    def _envelope(self, conversation_id: str, title: str | None, *, created: float) -> Json:
        return {
            "title": title,
            "create_time": created,
            "update_time": round(self.clock + 1, 6),
            "mapping": {node.id: self._entry(node) for node in self.nodes},
            "current_node": self.tip.id,
            "plugin_ids": None,
            "conversation_id": conversation_id,
            "conversation_template_id": None,
            "is_archived": self.rng.random() < 0.03,
            "is_starred": None,
            "default_model_slug": self.model,
            "voice": None,
            "is_do_not_remember": False,
            "memory_scope": "global_enabled",
            **(SHARDED_FIELDS if self.sharded else CLASSIC_FIELDS),
            "id": conversation_id,
        }

    def _entry(self, node: Node) -> Json:
        entry = {"id": node.id, "message": node.message, "parent": node.parent and node.parent.id}
        return entry if self.sharded else {**entry, "children": node.children}

    def _add(
        self,
        role: str,
        content: Json,
        *,
        seen: str = "",
        name: str | None = None,
        recipient: str = "all",
        metadata: Json | None = None,
        end_turn: bool | None = None,
        timed: bool = True,
    ) -> None:
        """Add a message below the tip. seen: its text, if a person is to see it."""
        message_id = uuid_of(self.rng)
        self.clock = round(self.clock + self.rng.expovariate(1 / 20.0) + 0.5, 6)
        when = self.clock if timed else None
        message: Json = {"id": message_id, "author": {"role": role, "name": name}}
        if self.sharded:
            message |= {"create_time": when, "content": content}
            if metadata is not None:
                message["metadata"] = metadata
        else:
            message["author"]["metadata"] = {}
            message |= {"create_time": when, "update_time": None, "content": content}
            message |= {"status": "finished_successfully", "end_turn": end_turn, "weight": 1.0}
            message |= {"metadata": metadata or {}, "recipient": recipient, "channel": None}
        self.tip = Node(message_id, self.tip, message=message)
        if seen.strip():
            self.tip.seen = Seen(seen, self.clock)
        self.nodes.append(self.tip)

    def _text(self, role: str, text: str, **more: Any) -> None:
        self._add(role, {"content_type": "text", "parts": [text]}, seen=text, **more)

    def _custom_instructions(self) -> None:
        about, style = (self.text.prose(self.rng, "en", chars=120) for _ in range(2))
        context = {"about_user_message": about, "about_model_message": style}
        metadata = {"is_user_system_message": True, **HIDDEN, "user_context_message_data": context}
        content = {
            "content_type": "user_editable_context",
            "user_profile": f"The user provided this about themselves:\n```{about}```",
            "user_instructions": f"How they would like you to respond:\n```{style}```",
        }
        self._add("user", content, metadata=metadata, timed=False)

    def _user(self, text: str) -> None:
        rng = self.rng
        metadata: Json | None = {
            "serialization_metadata": {"custom_symbol_offsets": []},
            "request_id": uuid_of(rng),
            "message_source": None,
            "timestamp_": "absolute",
        }
        if self.sharded and rng.random() < 0.6:
            metadata = None
        roll = rng.random()
        if roll < 0.05:
            content = {"content_type": "multimodal_text", "parts": [self._image("upload"), text]}
        elif roll < 0.06:
            spoken = {"content_type": "audio_transcription", "text": text, "direction": "in"}
            content = {"content_type": "multimodal_text", "parts": [spoken]}
        else:
            content = {"content_type": "text", "parts": [text]}
        self._add("user", content, seen=text, metadata=metadata)

    def _reply(self, lang: str, *, emoji: bool) -> None:
        """What comes between a question and the next: an answer and what led to it."""
        rng = self.rng
        roll = rng.random()
        if roll < 0.10:
            self._reasoning()
        elif not self.sharded:
            if roll < 0.13:
                self._run_python()
            elif roll < 0.15:
                self._browse()
            elif roll < 0.16:
                self._draw()
        if rng.random() < 0.04:  # an empty message before the real one
            self._text("assistant", "", metadata=self._answer_metadata())
        answer = self.text.answer(rng, lang, emoji=emoji)
        self._text("assistant", answer, metadata=self._answer_metadata(), end_turn=True)

    def _answer_metadata(self) -> Json:
        if self.sharded:
            return {"model_slug": self.model} if self.rng.random() < 0.5 else {}
        return {
            "finish_details": {"type": "stop", "stop_tokens": [200002]},
            "is_complete": True,
            "citations": [],
            "content_references": [],
            "message_type": None,
            "model_slug": self.model,
            "default_model_slug": "auto",
            "parent_id": self.tip.id,
            "request_id": uuid_of(self.rng),
            "timestamp_": "absolute",
        }

    def _reasoning(self) -> None:
        thought = {"summary": "Weighing it", "content": self.text.prose(self.rng, "en", chars=250)}
        content = {
            "content_type": "thoughts",
            "thoughts": [thought],
            "source_analysis_msg_id": uuid_of(self.rng),
        }
        self._add("assistant", content, metadata={"reasoning_status": "is_reasoning"})
        recap = {"content_type": "reasoning_recap", "content": "Thought for 12 seconds"}
        self._add("assistant", recap, metadata={"reasoning_status": "reasoning_ended"})

    def _run_python(self) -> None:
        code = self.rng.choice(self.text.snippets).split("\n", 1)[1][:-4]
        head = {"content_type": "code", "language": "unknown", "response_format_name": None}
        self._add("assistant", {**head, "text": code}, seen=code, recipient="python")
        output = self.text.prose(self.rng, "en", chars=90)
        self._add("tool", {"content_type": "execution_output", "text": output}, seen=output, name="python")

    def _browse(self) -> None:
        page = self.text.prose(self.rng, "en", chars=400)
        shown = {"content_type": "tether_browsing_display", "result": page, "summary": None, "assets": None}
        self._add("tool", shown, name="browser")
        quote = self.text.prose(self.rng, "en", chars=300)
        content = {
            "content_type": "tether_quote",
            "url": "https://example.org/page",
            "domain": "example.org",
            "text": quote,
            "title": "A page",
        }
        self._add("tool", content, seen=quote, name="browser")

    def _draw(self) -> None:
        prompt = self.text.prose(self.rng, "en", chars=80)
        self._text("assistant", "", recipient="dalle.text2im")
        content = {"content_type": "multimodal_text", "parts": [self._image("dalle", prompt)]}
        self._add("tool", content, name="dalle.text2im")

    def _system_error(self) -> None:
        content = {"content_type": "system_error", "name": "tool_error", "text": "Error: timeout"}
        self._add("system", content, timed=False)

    def _image(self, source: str, prompt: str = "") -> Json:
        """An asset pointer; nineteen of twenty have their file in the export."""
        number = self.rng.getrandbits(48)
        self.truth.assets_referenced += 1
        if self.rng.random() < 0.3:
            asset_id = f"file_{number:032x}"
            pointer, path = f"sediment://{asset_id}", f"{asset_id}-sanitized.png"
        else:
            asset_id = f"file-{number:024X}"
            pointer, path = f"file-service://{asset_id}", f"{asset_id}-photo {number % 100}.png"
            if source == "dalle":
                path = f"dalle-generations/{asset_id}.png"
        if self.sharded:
            path = f"{asset_id}.dat"
        if self.rng.random() < 0.95:
            self.assets.append(Asset(path, f"photo {number % 100}.png", number))
        return {
            "content_type": "image_asset_pointer",
            "asset_pointer": pointer,
            "size_bytes": 200 + number % 900,
            "width": 48,
            "height": 48,
            "fovea": None,
            "metadata": {"dalle": {"prompt": prompt, "seed": number % 10**9}} if prompt else None,
        }


SHARDED_FIELDS: Json = {"is_read_only": None, "is_study_mode": False, "pinned_time": None}
CLASSIC_FIELDS: Json = {
    "moderation_results": [],
    "gizmo_id": None,
    "gizmo_type": None,
    "safe_urls": [],
    "blocked_urls": [],
    "conversation_origin": None,
    "async_status": None,
    "disabled_tool_ids": [],
}
